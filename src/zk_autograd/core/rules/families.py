"""One row for each update rule: what a run of it has, and where its step is.

Adding a rule takes its name (`hyper.Rule`), its file here, its row below, its AIR (crates/air) and
its circuit (prove/ezkl/circuit): everything else asks the row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from zk_autograd.core.constants import (
    COARSE_S,
    FINE_S,
    AdamConstants,
    AdamSequence,
    ConstantsSequence,
    LionConstants,
    LionSequence,
    RmspropConstants,
    RmspropSequence,
    SgdConstants,
    SgdSequence,
    StepConstants,
)
from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import AdamHyper, Hyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.schedules import CONSTANT, Schedule

if TYPE_CHECKING:
    from zk_autograd.core.rules.adam import AdamTrace
    from zk_autograd.core.rules.lion import LionTrace
    from zk_autograd.core.rules.rmsprop import RmspropTrace
    from zk_autograd.core.rules.sgd import SgdTrace

    Trace: TypeAlias = AdamTrace | SgdTrace | LionTrace | RmspropTrace


@dataclass(frozen=True, slots=True)
class Family:
    """What a rule is made of.

    `states` are the names of its state, W first, in the order of records and commitments;
    `hyper_names` those of its hyper-parameters, in the order of a header, which are fields of
    `hyper`; those of its fields in `unused` must be 0, and the text says what to choose instead.
    `constants` are a step's, `sequence` makes a run's, with an s of `shifts` ((0,): the rule has
    none). `trace` is a step with all that it computes. `defaults` are decimals for hyper-parameters
    that were not given, `own_lr` is the lr of a training run requested by the rule's name alone;
    `torch` are options of torch.optim that tell the rule from others; `words` is its name for
    people who know no optimizers.
    """

    states: tuple[str, ...]
    hyper_names: tuple[str, ...]
    hyper: type[Hyper]
    constants: type[StepConstants]
    sequence: Callable[[Hyper, int, int, Schedule], ConstantsSequence]
    trace: Callable[[Mapping[str, IntArray], IntArray, StepConstants], "Trace"]
    own_lr: str
    shifts: tuple[int, ...] = (0,)
    unused: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    torch: Mapping[str, object] = field(default_factory=dict)
    words: str = ""


# A verifier computes no step: a rule's own file is loaded when the first step is computed.


def _plain(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import sgd

    return sgd.plain(state, G, constants)


def _momentum(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import sgd

    return sgd.momentum(state, G, constants)


def _nesterov(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import sgd

    return sgd.nesterov(state, G, constants)


def _adam(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import adam

    return adam.trace(state, G, constants)


def _lion(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import lion

    return lion.trace(state, G, constants)


def _rmsprop(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    from zk_autograd.core.rules import rmsprop

    return rmsprop.trace(state, G, constants)


_SGD_SHIFTS = (FINE_S, COARSE_S)
_SGD = {"lr": "0.001", "momentum": "0.9", "weight_decay": "0"}
_ADAM = {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "0.00000001", "weight_decay": "0"}

FAMILIES: dict[Rule, Family] = {
    Rule.SGD: Family(
        ("W",), ("lr", "weight_decay"), SgdHyper, SgdConstants, SgdSequence.of, _plain, "0.1", _SGD_SHIFTS,
        {"momentum": "choose sgd-momentum or sgd-nesterov"}, _SGD, {"nesterov": False}, words="stochastic gradient descent",
    ),
    Rule.SGD_MOMENTUM: Family(
        ("W", "B"), ("lr", "momentum", "weight_decay"), SgdHyper, SgdConstants, SgdSequence.of, _momentum, "0.02",
        _SGD_SHIFTS, {}, _SGD, {"nesterov": False}, words="stochastic gradient descent with momentum",
    ),
    Rule.NESTEROV: Family(
        ("W", "B"), ("lr", "momentum", "weight_decay"), SgdHyper, SgdConstants, SgdSequence.of, _nesterov, "0.02",
        _SGD_SHIFTS, {}, _SGD, {"nesterov": True}, words="stochastic gradient descent with Nesterov's momentum",
    ),
    Rule.ADAM: Family(
        ("W", "M", "V"), ("lr", "beta1", "beta2", "eps"), AdamHyper, AdamConstants, AdamSequence.of, _adam, "0.01",
        (0,), {"weight_decay": "choose adamw; its decay is decoupled, L2 isn't offered"}, _ADAM, words="Adam",
    ),
    Rule.ADAMW: Family(
        ("W", "M", "V"), ("lr", "beta1", "beta2", "eps", "weight_decay"), AdamHyper, AdamConstants, AdamSequence.of,
        _adam, "0.01", (0,), {}, _ADAM | {"weight_decay": "0.01"},
        words="AdamW, that is Adam with decoupled weight decay",
    ),
    Rule.LION: Family(
        ("W", "M"), ("lr", "beta1", "beta2", "weight_decay"), LionHyper, LionConstants, LionSequence.of, _lion, "0.003",
        (0,), {}, {"lr": "0.0001", "beta1": "0.9", "beta2": "0.99", "weight_decay": "0"}, words="Lion",
    ),
    Rule.RMSPROP: Family(
        ("W", "V"), ("lr", "alpha", "eps", "weight_decay"), RmspropHyper, RmspropConstants, RmspropSequence.of, _rmsprop,
        "0.005", (0,), {}, {"lr": "0.01", "alpha": "0.99", "eps": "0.00000001", "weight_decay": "0"},
        words="RMSprop",
    ),
}  # fmt: skip


def constants_sequence(
    rule: Rule, hyper: Hyper, k: int, s: int = 0, schedule: Schedule = CONSTANT
) -> ConstantsSequence:
    """The constants of a run. `s` is one of the rule's `shifts`.

    Raises VerificationError for hyper-parameters of another rule, or that the rule can't use.
    """
    row = FAMILIES[rule]
    _require_fit(rule, hyper)
    if s not in row.shifts:
        raise VerificationError(
            f"the rule {rule.value} has no s" if row.shifts == (0,) else f"the rule {rule.value} needs an s",
            expected="none" if row.shifts == (0,) else " or ".join(map(str, row.shifts)),
            found=str(s) if s else "none",
        )
    return row.sequence(hyper, k, s, schedule)


def _require_fit(rule: Rule, hyper: Hyper) -> None:
    """VerificationError if `hyper` is another rule's, or has a parameter that `rule` doesn't
    use."""
    row = FAMILIES[rule]
    if not isinstance(hyper, row.hyper):
        raise VerificationError(
            f"hyper-parameters don't fit the rule {rule.value}",
            expected=row.hyper.__name__,
            found=type(hyper).__name__,
        )
    for name, advice in row.unused.items():
        if value := getattr(hyper, name):
            raise VerificationError(
                f"{name} of the rule {rule.value} must be 0: {advice}", expected="0", found=decimal_text(value)
            )
