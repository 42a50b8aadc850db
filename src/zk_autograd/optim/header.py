"""The header of a run: what an optimizer knows of itself, in the form of the log's first record."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from zk_autograd.core.constants import FINE_S, SGD_LR_BOUND, ConstantsSequence, choose_s
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.exact_bytes import check_exact
from zk_autograd.core.formats import GRADIENT_BITS, WEIGHT_BITS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.recomputable import require_recomputable
from zk_autograd.core.record_bytes import check_beginning
from zk_autograd.core.records import (
    ENCLAVE_FORMAT,
    FORMAT,
    TRAINER,
    Block,
    Data,
    Exact,
    Group,
    Header,
    Parameter,
    Prover,
    Unproved,
)
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.schedules import CONSTANT, RECORDED
from zk_autograd.optim.options import GroupOptions, place
from zk_autograd.version import __version__

NO_DATA = Data(root=b"", count=0, sampler="unspecified", batch_size=0, seed=b"")
"""What a run says of its data if its trainer says nothing."""

RUN_ID_BYTES = 16

WALKED_STEPS = 10_000
"""Of a run whose lr comes close to the bounds, the steps that are checked before the first one;
later ones are refused when they come."""


@dataclass(frozen=True, slots=True)
class HeaderParts:
    """What is known before the first step. `schedule` is a canonical text of `core.schedules`;
    `keys` are public keys in C2SP's form. `register`, `weights_by`, `order_by` and `beacon` are as
    in `core.records.Header`, and so is `proving`; `run` is the run's id, b"" for a random one.

    `expected_steps` is how many steps there will be, if known: not a part of the header, but a
    possible reason to refuse it.
    """

    rule: Rule
    parameters: tuple[Parameter, ...]
    schedule: str
    unproved: tuple[Unproved, ...]
    data: Data
    model_code: bytes
    prover: Prover
    keys: tuple[str, ...]
    expected_steps: int | None = None
    register: str = ""
    weights_by: str = TRAINER
    order_by: str = TRAINER
    beacon: tuple[tuple[str, str], ...] = ()
    run: bytes = b""
    proving: str = ""
    exact: Exact | None = None

    def complete(self, groups: Sequence[GroupOptions], shifts: Sequence[int], grad_scale: int) -> Header:
        """The header; `shifts` holds s of each group (`shifts_of`).

        Raises UsageError for hyper-parameters that the rule can't use with the gradient scale
        2^`grad_scale`, for more blocks than a verifier would look at, and for a register or a
        beacon that no reader of the header would take.
        """
        header = Header(
            run=self.run or os.urandom(RUN_ID_BYTES),
            package=__version__,
            rule=self.rule,
            grad_scale=grad_scale,
            schedule=self.schedule,
            groups=tuple(Group(g.texts(), s) for g, s in zip(groups, shifts, strict=True)),
            parameters=self.parameters,
            unproved=self.unproved,
            size=self.parameters[-1].offset + self.parameters[-1].size,
            blocks=blocks_of(self.parameters, self.prover.block),
            data=self.data,
            model_code=self.model_code,
            prover=self.prover,
            keys=self.keys,
            register=self.register,
            weights_by=self.weights_by,
            order_by=self.order_by,
            beacon=self.beacon,
            proving=self.proving,
            exact=self.exact,
            format=ENCLAVE_FORMAT if self.proving else FORMAT,
        )
        try:
            require_recomputable(header)
            check_beginning(header)
            check_exact(header)
            for group in range(len(groups)):
                sequence = header.sequence(group)
                sequence.at(1)
                if self.schedule != RECORDED and self.expected_steps is not None:
                    _require_all(sequence, self.expected_steps)
        except VerificationError as error:  # written for a stranger's header; here the numbers are the caller's own
            raise UsageError(str(error)) from error
        return header

    def difference(self, header: Header, groups: Sequence[GroupOptions], grad_scale: int | None) -> str | None:
        """How `header`, of an older run, differs from these parts and groups; None if it doesn't. A
        `grad_scale` of None fits any.

        A recorded lr may differ; blocks, prover, keys and data are taken from the old header.
        """
        fixed = [{n: t for n, t in g.hyper if n != "lr" or self.schedule != RECORDED} for g in header.groups]
        wanted = [{n: t for n, t in g.texts() if n != "lr" or self.schedule != RECORDED} for g in groups]
        pairs = {
            "rule": (header.rule.value, self.rule.value),
            "schedule": (header.schedule, self.schedule),
            "grad_scale": (header.grad_scale, header.grad_scale if grad_scale is None else grad_scale),
            "names of parameters": ([p.name for p in header.parameters], [p.name for p in self.parameters]),
            "shapes and groups of parameters": (
                [(p.shape, p.group) for p in header.parameters],
                [(p.shape, p.group) for p in self.parameters],
            ),
            "hyper-parameters": (fixed, wanted),
        }
        for what, (of_run, here) in pairs.items():
            if of_run != here:
                return f"{what}: the run has {of_run!r:.200}, the optimizer has {here!r:.200}"
        return None


def shifts_of(rule: Rule, largest_lr: Sequence[Fraction], grad_scale: int) -> tuple[int, ...]:
    """s of each group, from the largest learning rate it will see; 0 for a rule without one.
    UsageError for one that is too large."""
    try:
        return tuple(choose_s(lr, grad_scale) if len(FAMILIES[rule].shifts) > 1 else 0 for lr in largest_lr)
    except VerificationError as error:
        raise UsageError(str(error)) from error


def require_format(header: Header, t: int, lr: Sequence[str]) -> None:
    """UsageError if a recorded lr of step `t`, a decimal for each group, is larger than the number
    format that the header's s stands for holds."""
    fits = Fraction(SGD_LR_BOUND, 2 ** (WEIGHT_BITS - GRADIENT_BITS + FINE_S)) * Fraction(2) ** header.grad_scale
    for index, (group, text) in enumerate(zip(header.groups, lr, strict=False)):
        if group.s != FINE_S:
            continue
        (wanted,) = shifts_of(header.rule, [parse_decimal(text, "lr")], header.grad_scale)
        if wanted != group.s:
            raise UsageError(
                f"lr of {place(index)} is {text} at step {t}, but the number format that the first step chose only holds an lr "
                f"below {float(fits):g}: lower lr, or start over with max_lr={text} or more, the largest lr that will be set, among the optimizer's "
                "arguments"
            )


def _require_all(sequence: ConstantsSequence, last: int) -> None:
    """VerificationError if a step of 1 .. `last` has a constant out of range, as far as that is
    cheap to tell."""
    try:
        # Adam's bias corrections are largest at an end of the run, and a schedule is largest with
        # the whole lr: where that fits both ends, everything fits.
        for t in (1, last):
            sequence.at(t, sequence.hyper.lr)
    except VerificationError:
        if sequence.schedule == CONSTANT:
            raise
        for t in (*range(1, min(last, WALKED_STEPS)), last):
            sequence.at(t)


def blocks_of(parameters: Sequence[Parameter], capacity: int) -> tuple[Block, ...]:
    """Each group's elements in ranges of `capacity`, the last one of a group shorter."""
    blocks = []
    for group in range(parameters[-1].group + 1):
        mine = [p for p in parameters if p.group == group]
        start, end = mine[0].offset, mine[-1].offset + mine[-1].size
        blocks += [Block(group, at, min(capacity, end - at)) for at in range(start, end, capacity)]
    return tuple(blocks)
