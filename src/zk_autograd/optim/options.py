"""Hyper-parameters in the names and types of torch.optim, read as the exact decimals that a run
records.

Rules: a number is a finite int, float, decimal text or Decimal that isn't negative. A float stands
for the shortest decimal that gives it back (its repr), so 1e-3 is exactly 1/1000. `weight_decay` is
decoupled in every rule that has it (for SGD: Loshchilov and Hutter, 2019, algorithm 1), and torch's
coupled L2 decay isn't offered; nor are amsgrad, maximize, dampening and centered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import TypeAlias

from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import hyper_names
from zk_autograd.core.rules.families import FAMILIES

Number: TypeAlias = float | int | str | Decimal


_TORCH_NAMES = ("lr", "betas", "eps", "weight_decay", "momentum", "nesterov", "alpha")
_UNSUPPORTED = {
    "amsgrad": "its maximum over all steps has no exact rule here; leave it False",
    "maximize": "negate the loss instead",
    "dampening": "the momentum rule here has none; leave it 0",
    "centered": "the rule rmsprop here doesn't subtract the gradients' mean; leave it False",
}
_IGNORED = ("decoupled_weight_decay", "foreach", "fused", "capturable", "differentiable")
"""Options of torch that choose how a step is computed, which here is always the integer rule, or
that say what holds anyway."""


@dataclass(frozen=True, slots=True)
class Exact:
    """A hyper-parameter twice: the recorded decimal text, and the float that schedulers see."""

    text: str
    value: float

    @property
    def fraction(self) -> Fraction:
        """The exact value."""
        return parse_decimal(self.text, "the number")


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """A parameter group's hyper-parameters, in the order of `records.hyper_names(rule)`."""

    rule: Rule
    values: Mapping[str, Exact]

    def texts(self) -> tuple[tuple[str, str], ...]:
        """As a header's `Group.hyper`."""
        return tuple((name, number.text) for name, number in self.values.items())

    def for_torch(self) -> dict[str, object]:
        """As `param_groups` holds them: torch's names, floats."""
        options: dict[str, object] = {n: e.value for n, e in self.values.items() if n not in ("beta1", "beta2")}
        if "beta1" in self.values:
            options["betas"] = (self.values["beta1"].value, self.values["beta2"].value)
        return {**options, **FAMILIES[self.rule].torch}

    def seen_in(self, group: Mapping[str, object], place: str) -> "GroupOptions":
        """The options that `group`, an entry of `param_groups`, holds now. A value that still is
        the float of the exact one here stands for that one. Raises UsageError, which names `place`,
        for a value that is not a number."""
        found = _by_exact_name(group)
        values = {}
        for name, before in self.values.items():
            now = found.get(name, before.value)
            unchanged = isinstance(now, float) and now == before.value
            values[name] = before if unchanged else exact(now, f"{name} of {place}")
        return GroupOptions(self.rule, values)


def exact(value: object, name: str) -> Exact:
    """`value` as an exact decimal. Raises UsageError, which calls it `name`, for anything but a
    finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, str | Decimal | Real):
        kind = type(value).__name__
        raise UsageError(f"{name} is a {kind}; give an int, a float, a decimal text or a decimal.Decimal")
    # float() first: the repr of NumPy's float64 is another
    text = str(value) if isinstance(value, str | Decimal | int) else repr(float(value))
    try:
        canonical = decimal_text(parse_decimal(text, name))
    except VerificationError as error:
        raise UsageError(f"{name} is {text[:40]}; it must be a finite number that isn't negative") from error
    return Exact(canonical, float(canonical))


def require_known(options: GroupOptions, group: Mapping[str, object], place: str) -> None:
    """Raises UsageError, which names `place`, for an option of torch in `group`, an entry of
    `param_groups`, that no step would follow, and for one of the rule's that was removed."""
    wanted = options.for_torch()
    for name in wanted:
        if name not in group:
            raise UsageError(f"{place} no longer has {name}; put it back: the last one was {wanted[name]}")
    for name in (*_TORCH_NAMES, *_UNSUPPORTED):
        if name not in wanted and not _is_off(value := group.get(name)):
            advice = _UNSUPPORTED.get(name, f"the rule {options.rule.value} has {', '.join(wanted)}")
            raise UsageError(f"{name} of {place} was set to {value!r:.80}, which no step would follow: {advice}")


def choose_rule(name: object, options: Iterable[Mapping[str, object]]) -> Rule:
    """The rule called `name`, refined by the groups' momentum and nesterov. UsageError."""
    options = list(options)
    if isinstance(name, Real):
        raise UsageError(
            f"the second argument is the rule, and {name} is a number: give the learning rate as lr={name}"
        )
    try:
        rule = Rule(name)
    except ValueError:
        known = ", ".join(r.value for r in Rule)
        raise UsageError(f"there is no rule {str(name)[:40]!r}; choose one of {known}") from None
    nesterov = {bool(o.get("nesterov")) for o in options}
    if len(nesterov) > 1:
        raise UsageError("nesterov is set for some parameter groups only; a run has one rule for all of them")
    if rule is Rule.SGD and any(_is_set(o.get("momentum")) for o in options):
        rule = Rule.SGD_MOMENTUM
    if nesterov == {True}:
        if rule not in (Rule.SGD_MOMENTUM, Rule.NESTEROV):
            raise UsageError(
                f'nesterov needs rule="sgd" with a momentum above 0, not the rule {rule.value} without one'
            )
        rule = Rule.NESTEROV
    return rule


def read_options(rule: Rule, options: Mapping[str, object], place: str) -> GroupOptions:
    """The exact hyper-parameters of one group from options in torch's names; None or a missing one
    means the default.

    Raises UsageError, which names `place`, for an option that the rule doesn't have or a value that
    is not a number.
    """
    for name, advice in _UNSUPPORTED.items():
        if options.get(name):
            raise UsageError(f"{name}={options[name]} of {place} isn't supported: {advice}")
    given = {n: v for n, v in _by_exact_name(options).items() if v is not None}
    defaults, names = FAMILIES[rule].defaults, hyper_names(rule)
    coupled = "weight_decay" not in names or options.get("decoupled_weight_decay") is False
    if coupled and _is_set(given.get("weight_decay", defaults.get("weight_decay"))):
        raise UsageError(
            f"weight_decay of {place} would be L2 decay coupled into the gradient, which isn't offered: "
            'use rule="adamw", or another rule that has weight_decay as it is; their decay is decoupled'
        )
    for name in ("beta1", "beta2", "eps", "momentum", "alpha"):
        if name not in names and _is_set(given.get(name)):
            shown = "betas" if name.startswith("beta") else name
            raise UsageError(f"the rule {rule.value} has no {shown} ({place}); it has {', '.join(names)}")
    return GroupOptions(rule, {n: exact(given.get(n, defaults[n]), f"{n} of {place}") for n in names})


def check_names(options: Iterable[str]) -> None:
    """UsageError for an optimizer argument that neither this package nor torch.optim knows."""
    for name in options:
        if name not in _UNSUPPORTED and name not in _IGNORED:
            raise UsageError(f"ZKOptimizer has no option {name!r}; its hyper-parameters are {', '.join(_TORCH_NAMES)}")


def _by_exact_name(options: Mapping[str, object]) -> dict[str, object]:
    """With beta1 and beta2 in place of torch's betas."""
    found = {name: value for name, value in options.items() if name in _TORCH_NAMES}
    betas = found.pop("betas", None)
    if betas is not None:
        if not isinstance(betas, list | tuple) or len(betas) != 2:
            raise UsageError(f"betas is {betas!r:.80}; give a pair such as (0.9, 0.999)")
        found["beta1"], found["beta2"] = betas
    return found


def _is_set(value: object) -> bool:
    """Whether a hyper-parameter is given and isn't zero; `exact` checks that it is a number."""
    return value is not None and value not in (0, "0")


def _is_off(value: object) -> bool:
    """Whether an option of torch asks for nothing."""
    return (
        value is None or (isinstance(value, Real | Decimal) and value == 0) or (isinstance(value, str) and value == "0")
    )


def place(group: int) -> str:
    """How messages name a parameter group."""
    return f"parameter group {group}"


def decays_of(options: Sequence[GroupOptions]) -> dict[str, str]:
    """The weight decay of each group that has one, by what messages call the group."""
    found = ((place(index), group.values.get("weight_decay")) for index, group in enumerate(options))
    return {group: decay.text for group, decay in found if decay is not None and decay.fraction != 0}
