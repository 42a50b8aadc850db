"""Forgetting a run: its private folder is deleted, its evidence stays.

What can still be done afterwards: verify the run, bundle it, and whatever its published files
allow. What can never be done again: resume it, prove another step, open one of its commitments (to
publish its weights, or to show its gradients to an auditor).

The marker is written first, and the lock is held. So a crash leaves a run that says it was
forgotten, and forgetting it again deletes the rest. Files are unlinked, not overwritten: what a
disk or a snapshot keeps of them is beyond our reach.

A folder `private` that is a link is refused, and what is deleted lies in the folder that the lock
was taken in: whoever gave us the run chose its links, not what they lead to.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.progress import Progress
from zk_autograd.run.files import Files, exists, is_own_folder
from zk_autograd.run.inventory import Condition, kept_names, look_at
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import RunLock
from zk_autograd.run.marker import forgotten_on, mark_forgotten


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting would do. `reason` is why the run is damaged or can't be read, `begun` when
    it was done or begun earlier, `remains` whether anything is left to delete."""

    condition: Condition
    reason: str
    bytes: int
    begun: str | None
    remains: bool


def plan(path: Path) -> Forgetting:
    """What `forget` would do.

    UsageError if there is no run with a private folder at `path`. RunError if that is a link, isn't
    a run's, or has a marker that can't be read.
    """
    layout = Layout(path)
    if not exists(layout.private):
        look_at(path)  # raises if there is no run at all
        raise UsageError(f"{path} has no private folder: there is nothing to forget")
    if not is_own_folder(layout.private):
        raise RunError(
            f"{layout.private} is a link or not a folder: what it leads to may be somebody else's, and is left alone; remove it yourself"
        )
    if forgotten_on(layout) is None and kept_names(layout) and not (exists(layout.header) or exists(layout.segments)):
        raise RunError(
            f"{layout.private} holds none of the files that a run keeps there, and is left alone; remove it yourself"
        )
    status = look_at(path)
    return Forgetting(status.condition, status.reason, status.private_bytes, status.forgotten, bool(kept_names(layout)))


def forget(path: Path, files: Files, *, now: str, unfinished: bool, advance: Progress) -> Forgetting:
    """Deletes the private folder's contents, except the lock, the marker and .gitignore; returns
    what it did.

    `now` is the time in UTC, ISO 8601. RunError if a trainer is at work, something can't be
    deleted, or the run isn't finished and `unfinished` doesn't permit that: it can't be resumed
    afterwards.
    """
    layout = Layout(path)
    if not is_own_folder(layout.private):
        return plan(path)  # raises
    with RunLock(layout.lock) as lock:
        found = plan(path)
        if found.begun is None:
            if found.condition is Condition.UNREADABLE:
                raise StorageError(f"{path} can't be read, so what would be lost is unknown: {found.reason}")
            if found.condition is not Condition.FINISHED and not unfinished:
                raise RunError(
                    f"{path} is {found.condition.value}, and without its private folder it could never be resumed or repaired: finish it "
                    "first, or add --force to give it up"
                )
            mark_forgotten(layout, now, files)
        names = kept_names(layout)
        for i, name in enumerate(names):
            entry = layout.private / name
            remove = files.remove_folder if _is_folder(name, lock.folder) else files.remove
            remove(entry, lock.folder)
            advance("forget", i + 1, len(names))
        return found


def _is_folder(name: str, parent: int) -> bool:
    with suppress(OSError):  # whoever deletes it is told
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    return False
