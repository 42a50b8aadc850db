"""Folders that only the caller (and root) can write to: what is made, found or run in them is the
caller's own.

A folder that others write to, or that lies in one, is no place for a cache or a temporary file:
what is found there may be somebody else's, and what is put there can be replaced before it is read
again. A sticky folder such as /tmp may be shared: in it nobody can rename or delete other people's
files. A folder that only the caller's private group (that of the caller's name) writes to is the
caller's alone, too.
"""

import atexit
import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import refusal

_SHARED = (Path("/tmp"), Path("/var/tmp"), Path("/usr/tmp"))
_NAMED = ("TMPDIR", "TEMP", "TMP")
"""Where Python looks for a temporary folder, before it takes the current one."""

_ADVICE = "set TMPDIR to a folder of your own"


def require_own(folder: Path, advice: str) -> None:
    """UsageError, which ends in `advice`, if anybody but the caller and root can replace what is in
    the folder, or the folder itself.

    The folder must exist. Links in its path are followed: each folder actually on it is checked.
    """
    try:
        real = folder.resolve(strict=True)
        for place in (real, *real.parents):
            if reason := _open_to(place, place.stat(), sticky=place != real):
                raise UsageError(f"what lies in {folder} can be exchanged by others ({reason}): {advice}")
    except OSError as error:
        raise UsageError(f"{folder} can't be inspected ({error.strerror}): {advice}") from error


def is_own(path: Path) -> bool:
    """Whether a file or folder is there that is not a link, and that only the caller and root can
    write to. The folders above it are not checked."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(status.st_mode) and not _open_to(path, status, sticky=False)


def make_own(folder: Path) -> None:
    """Creates the folder, and missing ones above it, with mode 0700. OSError on failure."""
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            with suppress(FileExistsError):  # another process was first
                place.mkdir(0o700)


class NoHomeError(UsageError):
    """The caller has no home folder, like a user without a name."""


def home(otherwise: str) -> Path:
    """The caller's home folder. NoHomeError, which says what to do `otherwise`, if none."""
    try:
        found = Path.home()
    except RuntimeError:
        raise NoHomeError(f"there is no home folder: {otherwise}") from None
    if not found.is_absolute():
        raise UsageError(f"HOME is {str(found)[:100]!r}, which depends on the current folder: {otherwise}")
    return found


def expanded(path: str) -> str:
    """The path, with a leading "~/" that no shell expanded made the home folder. NoHomeError."""
    return str(home("write the path out") / path[2:]) if path.startswith("~/") else path


@contextmanager
def temporary_folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A new, empty folder of mode 0700 that is gone afterwards, by its absolute path.

    It lies in `place`, a folder of the caller's; else in $TMPDIR, $TEMP or $TMP, /tmp or /var/tmp,
    and never, as a last resort, in the current folder. UsageError if that is impossible.
    """
    parent = _shared_place() if place is None else place.absolute()
    try:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise refusal(error, f"no temporary folder can be made in {parent}", _ADVICE) from error
    _made[path] = os.getpid()
    try:
        yield path
    finally:
        _remove(path)


_made: dict[Path, int] = {}
"""The existing temporary folders, each with the process that made it and may remove it: a forked
child knows of its parent's, too."""


def _remove(path: Path) -> None:
    if _made.pop(path, None) == os.getpid():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


@atexit.register
def _remove_all() -> None:
    """Removes what daemon threads leave behind at the end of the process."""
    for path in list(_made):
        with suppress(OSError):
            _remove(path)


def _shared_place() -> Path:
    """Where temporary files lie by default. UsageError if others could exchange them there."""
    named = {name: value for name in _NAMED if (value := os.environ.get(name))}
    for name, value in named.items():
        if not os.path.isabs(value):
            raise UsageError(f"{name} is {value[:100]!r}, which depends on the current folder: {_ADVICE}")
    try:
        parent = Path(tempfile.gettempdir())
        if parent not in (*_SHARED, *map(Path, named.values())):  # Python's last resort is the current folder
            raise UsageError(f"there is no folder for temporary files, and none is made in the current one: {_ADVICE}")
        real = parent.resolve(strict=True)
        for place in (real, *real.parents):
            if reason := _open_to(place, place.stat(), sticky=True):
                raise UsageError(
                    f"temporary files would lie in {parent}, where others can exchange them ({reason}): {_ADVICE}"
                )
    except OSError as error:
        raise refusal(error, "the folder for temporary files can't be inspected", _ADVICE) from error
    return parent


def _open_to(place: Path, status: os.stat_result, *, sticky: bool) -> str:
    """Who else can exchange what is in `place`, in words; "" if nobody. With `sticky`, a shared
    folder is good enough if it is sticky."""
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to user {status.st_uid}"
    if sticky and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return f"{place} is open to everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid):
        return f"{place} is open to group {status.st_gid}"
    return ""


def _is_private_group(group: int) -> bool:
    """Whether the group is root's, or the caller's namesake with no other member."""
    if group == 0:
        return True
    try:
        name, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return name.pw_gid == group and found.gr_name == name.pw_name and set(found.gr_mem) <= {name.pw_name}
