"""Reading a run that a stranger wrote, from its folder: bounded, each file once, no links followed,
plain names only.

Each folder is opened once, and files are opened relative to it, so a folder that is replaced by a
link later is never followed. Only the path of the run itself, which the auditor gave, may be a
link.
"""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.text import quoted
from zk_autograd.evidence.beside import Entry, EntryKind
from zk_autograd.evidence.files import open_bounded, open_folder, unreadable
from zk_autograd.evidence.layout import CHECKPOINT, LOG, RECORDS, folders, is_public
from zk_autograd.evidence.run import Evidence


class RunFolder(Evidence):
    """The public files of a run in its folder."""

    def __init__(self, path: Path) -> None:
        """Opens the run at `path`. UsageError if there is no folder there, UnreadableError if this
        machine can't open it."""
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise not_opened(path, error, "is not a run") from error
        self._folders: dict[str, int] = {}

    def close(self) -> None:
        for fd in self._folders.values():
            os.close(fd)
        self._folders.clear()
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def has_log(self) -> bool:
        if self._is_folder(LOG):
            return any(self.has(f"{LOG}/{name}") for name in (RECORDS, CHECKPOINT))
        try:  # a link, or something else, in the folder's place is to be judged and refused
            return not stat.S_ISDIR(os.stat(LOG, dir_fd=self._root, follow_symlinks=False).st_mode)
        except OSError as error:
            if isinstance(found := unreadable(LOG, error), UnreadableError):
                raise found from error
            return False

    def has(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder and not self._is_folder(folder):
            return False
        with self._inside(folder) as parent, suppress(FileNotFoundError):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
            return True
        return False

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """As Evidence's. A link in a folder's place has no names."""
        if not folder or self._is_folder(folder):
            with self._inside(folder) as fd:
                yield from self._listed(fd, folder or "the run's folder")

    @contextmanager
    def opened(self, path: str, limit: int) -> Iterator[BinaryIO]:
        if not is_public(path):
            raise VerificationError(f"{quoted(path)} is not the name of a public file of a run")
        folder, _, name = path.rpartition("/")
        with (
            self._inside(folder) as parent,
            open_bounded(name, limit, dir_fd=parent) as fd,
            open(fd, "rb", closefd=False) as file,
        ):
            yield file

    @contextmanager
    def _inside(self, name: str) -> Iterator[int]:
        """The descriptor of a folder of the run, or of the run's own (""). Errors meanwhile name
        it."""
        if name and name not in self._folders:
            self._folders[name] = open_folder(name, dir_fd=self._root)
        try:
            yield self._folders[name] if name else self._root
        except OSError as error:
            raise unreadable(name or "the run's folder", error) from error

    def _is_folder(self, name: str) -> bool:
        """Whether it can be opened as one. UnreadableError if this machine can't tell."""
        try:
            with self._inside(name):
                return True
        except UnreadableError:
            raise
        except VerificationError:
            return False

    def _listed(self, fd: int, what: str) -> Generator[Entry, None, None]:
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    yield Entry(entry.name, self._kind(entry, top=fd == self._root))
        except OSError as error:
            raise unreadable(what, error) from error

    def _kind(self, entry: "os.DirEntry[str]", *, top: bool) -> EntryKind:
        if top and entry.name in folders():
            return EntryKind.FOLDER if self._is_folder(entry.name) else EntryKind.OTHER
        if entry.is_dir(follow_symlinks=False):
            return EntryKind.FOLDER
        return EntryKind.FILE if entry.is_file(follow_symlinks=False) else EntryKind.OTHER


def not_opened(path: Path, error: OSError, otherwise: str) -> UnreadableError | UsageError:
    """The error for a run that can't be opened: this machine's fault, or not a run's path."""
    found = unreadable(path, error)
    return found if isinstance(found, UnreadableError) else UsageError(f"{path} {otherwise}: {error.strerror}")
