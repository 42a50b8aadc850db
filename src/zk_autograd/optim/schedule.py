"""Learning rates from step to step: what a scheduler may change between two steps, and what nobody may.

A scheduler of torch.optim writes floats to `param_groups`. With the schedule `recorded` each step's record holds the lr it found there;
with `constant` a change is refused. Every other hyper-parameter stands in the header, and a change of it is refused in any case.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fractions import Fraction

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.options import Exact, GroupOptions, exact

_PLANNED = ("initial_lr", "max_lr")
"""Where torch's schedulers write the lr that they will come to."""


class Schedule(StrEnum):
    """Where a step's learning rate comes from; the values are those of a run's header."""

    CONSTANT = "constant"
    RECORDED = "recorded"


def named_schedule(name: str) -> Schedule:
    """The schedule of that name. UsageError if there is none."""
    try:
        return Schedule(name)
    except ValueError:
        raise UsageError(f'schedule is {name!r}; it is "recorded" or "constant"') from None


def place(group: int) -> str:
    """How messages name a parameter group."""
    return f"parameter group {group}"


def largest_lr(
    groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]], announced: Exact | None
) -> list[Fraction]:
    """For each group the largest lr known so far: its own, the one `announced`, and the one its scheduler will come to."""
    largest = []
    for index, (options, group) in enumerate(zip(groups, param_groups, strict=True)):
        planned = [exact(group[n], f"{n} of {place(index)}") for n in _PLANNED if n in group]
        known = [options.values["lr"], *planned, *([] if announced is None else [announced])]
        largest.append(max(e.fraction for e in known))
    return largest


def rates(
    groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]], schedule: Schedule
) -> tuple[str, ...]:
    """The next step's lr of each group as decimals, or nothing if the schedule is constant.

    `groups` is what the run began with. Raises UsageError for a hyper-parameter that may not differ from it and does.
    """
    found = []
    for index, (options, group) in enumerate(zip(groups, param_groups, strict=True)):
        for name, value in options.for_torch().items():
            now = group.get(name)
            if (tuple(now) if isinstance(now, list) else now) == value:
                continue
            if name != "lr":
                raise UsageError(
                    f"{name} of {place(index)} was changed from {value} to {now}, but a run has one {name} from its first step to its "
                    "last; only lr may change (for torch's OneCycleLR and CyclicLR: cycle_momentum=False)"
                )
            if schedule is Schedule.CONSTANT:
                raise UsageError(
                    f"lr of {place(index)} was changed from {value} to {now}, but the schedule is constant: make the optimizer with "
                    'schedule="recorded", which records the lr of every step'
                )
        found.append(options.seen_in(group, place(index)).values["lr"].text)
    return tuple(found) if schedule is Schedule.RECORDED else ()
