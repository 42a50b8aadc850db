"""Learning rates from step to step: who sets them, and what may not change.

A declared schedule (`core.schedules`) sets lr itself: `param_groups` shows, as a float, the lr of
the next step, and a change of it is refused. With the schedule `recorded` a scheduler of
torch.optim writes there, and each step's record holds the lr it found. Every other hyper-parameter
is in the header, and a change of it is refused in any case.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.schedules import CONSTANT, RECORDED, Schedule, parse
from zk_autograd.optim.options import Exact, GroupOptions, exact, place, require_known

_PLANNED = ("initial_lr", "max_lr")
"""Where torch's schedulers write the lr that they will reach."""


def canonical(text: object) -> str:
    """The form of a schedule's text that a header holds. UsageError if it isn't a schedule."""
    if not isinstance(text, str):
        raise UsageError(f'the schedule is a {type(text).__name__}; give a text such as "cosine:steps=100"')
    try:
        schedule = parse(text)
    except VerificationError as error:
        raise UsageError(str(error)) from error
    return RECORDED if schedule is None else schedule.text


def largest_lr(
    groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]], announced: Exact | None
) -> list[Fraction]:
    """For each group the largest lr known so far: its own, which no declared schedule exceeds, the
    one `announced`, and the one its scheduler will reach."""
    largest = []
    for index, (options, group) in enumerate(zip(groups, param_groups, strict=True)):
        planned = [exact(group[n], f"{n} of {place(index)}") for n in _PLANNED if n in group]
        known = [options.values["lr"], *planned, *([] if announced is None else [announced])]
        largest.append(max(e.fraction for e in known))
    return largest


def scheduled_lr(groups: Sequence[GroupOptions], schedule: Schedule, t: int) -> list[float]:
    """What `param_groups` shows before step `t`: the float nearest to each group's rate."""
    return [float(schedule.rate(options.values["lr"].fraction, t)) for options in groups]


def require_count(groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]]) -> None:
    """UsageError if `param_groups` doesn't have as many groups as it was made with."""
    if len(param_groups) != len(groups):
        raise UsageError(
            f"there are now {len(param_groups)} parameter groups, not {len(groups)}, but parameter groups are fixed when the optimizer is made: put "
            "back those that were there, or make another optimizer"
        )


def settled(
    groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]], schedule: Schedule | None
) -> tuple[GroupOptions, ...]:
    """The hyper-parameters with which a run begins: what `param_groups` holds before step 1.

    A schedule under which lr changes takes its lr from the optimizer's arguments alone: UsageError
    if `param_groups` now says another.
    """
    begun = []
    for index, (options, group) in enumerate(zip(groups, param_groups, strict=True)):
        require_known(options, group, place(index))
        seen = dict(group)
        if group.get("base_momentum") != group.get("max_momentum"):
            raise UsageError(
                f"the scheduler would change the momentum of {place(index)}, but a run has one momentum from its first step to its last; only "
                "lr may change: make torch's OneCycleLR or CyclicLR with cycle_momentum=False"
            )
        if schedule is not None and schedule != CONSTANT:
            _require_scheduled(options, group, schedule, 1, index)
            seen["lr"] = options.values["lr"].value
        begun.append(options.seen_in(seen, place(index)))
    return tuple(begun)


def rates(
    groups: Sequence[GroupOptions], param_groups: Sequence[Mapping[str, object]], schedule: Schedule | None, t: int
) -> tuple[str, ...]:
    """The lr of each group at step `t` as decimals, or nothing if the schedule is declared.

    `groups` is what the run began with. Raises UsageError for a hyper-parameter that may not differ
    from it but does.
    """
    found = []
    for index, (options, group) in enumerate(zip(groups, param_groups, strict=True)):
        for name, value in options.for_torch().items():
            now = group.get(name)
            if name in group and name != "lr" and (tuple(now) if isinstance(now, list) else now) != value:
                raise UsageError(
                    f"{name} of {place(index)} was changed from {value} to {now}, but a run has one {name} from its first step to its "
                    "last; only lr may change (for torch's OneCycleLR and CyclicLR: cycle_momentum=False)"
                )
        require_known(options, group, place(index))
        if schedule is None:
            found.append(options.seen_in(group, place(index)).values["lr"].text)
        else:
            _require_scheduled(options, group, schedule, t, index)
    return tuple(found)


def _require_scheduled(
    options: GroupOptions, group: Mapping[str, object], schedule: Schedule, t: int, index: int
) -> None:
    (wanted,) = scheduled_lr([options], schedule, t)
    if group.get("lr") != wanted:
        raise UsageError(
            f"lr of {place(index)} was changed from {wanted} to {group.get('lr')}, but the schedule {schedule.text} sets it: remove "
            'the scheduler, or make the optimizer with schedule="recorded", which records the lr of every step'
        )
