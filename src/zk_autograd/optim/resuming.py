"""What an optimizer knows besides the integers when it resumes a run: what `param_groups` held, and
what of the model moved.

Each step keeps both, as it found them. What `param_groups` became afterwards is kept as soon as it
is written there (run.settings), so that a kill between two steps loses nothing. One gap is left:
after a step, before its scheduler's. Whether that ran isn't known then, nor, after a power cut,
what it wrote; a warning says so where lr had been moving.
"""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.records import Header, Unproved
from zk_autograd.core.text import counted
from zk_autograd.optim.following import Follower
from zk_autograd.optim.options import Exact, GroupOptions, exact, place
from zk_autograd.optim.param_groups import Kept, as_text, decoded
from zk_autograd.optim.recording import Recorder
from zk_autograd.optim.unproved import unrestored

_SHOWN = 5
_SAME = 1e-9
"""Relative: schedulers in closed form and those that multiply differ by roundings."""


class ResumedLr(UserWarning):
    """The first step after a resumption has another lr than the one that was due, or it isn't known
    which one was; or the lr passed when resuming is ignored."""


class ResumedModel(UserWarning):
    """Buffers or frozen parameters of a resumed run's model don't have the values that they had;
    `resume` restores only the weights."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a step keeps: `groups` as `param_groups.encoded` gives them; `moved` says whether they
    had changed since the step before; `unproved` as `UnprovedValues.digests` gives it."""

    groups: str
    moved: bool
    unproved: bytes

    def encode(self) -> bytes:
        """As bytes for the run's private folder."""
        rest = json.dumps({"moved": self.moved, "unproved": self.unproved.hex()})
        return f'{{"groups":{self.groups},{rest[1:]}'.encode()


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a resumption restores: for each group entries of `param_groups`, and the lr that was due
    at the next step, None where that isn't known.

    `of_step` are the groups that the last step kept, as `param_groups.encoded` gives them; "" if it
    kept none. `old` says that the run is of a version that kept no settings: `due` is then the last
    step's.
    """

    groups: tuple[Mapping[str, Kept], ...]
    due: tuple[float, ...] | None
    of_step: str = ""
    old: bool = False

    def warn(self, rates: Sequence[str], step: int, stacklevel: int) -> None:
        """Warns if the `rates` of the first `step` after resuming aren't those that were due."""
        found = enumerate(zip(rates, self.due or (), strict=False))
        others = [
            (group, text, due) for group, (text, due) in found if not math.isclose(float(text), due, rel_tol=_SAME)
        ]
        if not others:
            return
        group, text, due = others[0]
        if self.old:
            reason = (
                f"step {step - 1} had {due!r}, and which one was due isn't known: it was recorded by an earlier version"
            )
        else:
            reason = (
                f"{due!r} was due: if you set it yourself, all is well; if a scheduler made after the resumption set it, call "
                "`state = optimizer.state_dict()` before making it, and `optimizer.load_state_dict(state)` afterwards"
            )
        more = f" (and {counted(len(others) - 1, 'more group')} likewise)" if others[1:] else ""
        what = f"lr of {place(group)} is {text} at step {step}, the first one after the resumption{more}"
        warnings.warn(f"{what}, but {reason}", ResumedLr, stacklevel=stacklevel)


def groups_of(header: Header) -> tuple[GroupOptions, ...]:
    """The hyper-parameters that a run began with."""
    return tuple(
        GroupOptions(header.rule, {name: exact(text, f"{name} of {place(i)}") for name, text in group.hyper})
        for i, group in enumerate(header.groups)
    )


def warn_of_asked(asked: Sequence[Exact | None], begun: Sequence[GroupOptions], restored: Resumed) -> None:
    """Warns of an lr in the optimizer's arguments, `asked` for each group, that is ignored and is
    neither what the run began with, `begun`, nor what its scheduler set. A scheduler that leaves a
    max_lr there never used that argument."""
    ignored = []
    for index, (wanted, options, group) in enumerate(zip(asked, begun, restored.groups, strict=False)):
        known = (group.get("lr"), group.get("initial_lr"), options.values["lr"].value)
        if wanted is not None and "lr" in group and "max_lr" not in group and wanted.value not in known:
            ignored.append((index, wanted.value, group["lr"]))
    if ignored:
        first, given, now = ignored[0]
        more = f", and {counted(len(ignored) - 1, 'more group')} likewise" if ignored[1:] else ""
        _warn(
            f"lr of {place(first)} is {now}, where the run was left, and lr={given} among the optimizer's arguments is ignored{more}: to change "
            f'it, set `optimizer.param_groups[{first}]["lr"]` after the resumption; if your loop sets it before each step, all is well',
            ResumedLr,
        )


def resumed(
    writer: Recorder | Follower, unproved: Sequence[Unproved], left_out: Sequence[set[str]], *, recorded: bool
) -> Resumed:
    """What `writer` knows of the last step. `unproved` are the model's tensors as they are;
    `left_out` names, for each group, the entries of `param_groups` that the run fixes.

    Warns of what isn't there; with `recorded`, the schedule that `param_groups` sets, also of an lr
    that isn't known. RunError for settings that aren't this optimizer's.
    """
    step = writer.step
    own, later, missing = _parsed(writer.settings), None, ""
    try:
        later = _parsed(writer.later_settings() or b"")
        if later is not None:
            decoded(later.groups, len(left_out))
    except RunError as error:
        later, missing = None, str(error)
    if own is not None and (names := unrestored(writer.header.unproved, own.unproved, unproved)):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        _warn(
            f"{', '.join(names[:_SHOWN])}{more}: not as step {step} left them, and resume=True restores only trained parameters; load buffers "
            "and frozen parameters from your checkpoint before making the optimizer",
            ResumedModel,
        )
    known = later or own
    if known is None:
        last = tuple(map(float, writer.last_lr)) if recorded else ()
        return Resumed((), last or None, old=True)
    groups = tuple(
        {name: value for name, value in group.items() if name not in fixed}
        for group, fixed in zip(decoded(known.groups, len(left_out)), left_out, strict=True)
    )
    of_step = "" if own is None else own.groups
    if not recorded:
        return Resumed(groups, None, of_step)
    if later is None and (known.moved or missing):
        shown = ", ".join(str(group.get("lr")) for group in groups[:_SHOWN])
        reason = (
            missing
            or f"the trainer ended before anything was written to param_groups after step {step}, or that was lost"
        )
        _warn(
            f"lr is that of step {step} ({shown}), and which one is due isn't known: {reason}. If a scheduler steps after each step, it still "
            "has to take that step",
            ResumedLr,
        )
        return Resumed(groups, None, of_step)
    try:
        due = tuple(exact(group.get("lr"), "lr").value for group in groups)
    except UsageError:  # no step can be taken with it, and the next one will say so
        return Resumed(groups, None, of_step)
    return Resumed(groups, due, of_step)


def _parsed(data: bytes) -> Settings | None:
    """What `Settings.encode` gave; None for b"". RunError for anything else."""
    if not data:
        return None
    try:
        found = json.loads(data)
        return Settings(as_text(found["groups"]), found["moved"] is True, bytes.fromhex(found["unproved"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunError(
            "the optimizer's settings in the run's private folder can't be read: use the version that wrote them"
        ) from None


def _warn(text: str, kind: type[UserWarning]) -> None:
    warnings.warn(text, kind, stacklevel=5)
