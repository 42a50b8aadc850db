"""Reading a run that a stranger wrote: bounded, each file once, no links followed, plain names only.

The folders are opened once, when the reader is, and files are opened relative to them: what is exchanged for a link later, on the
way to a file, is not met. Only the path of the run itself, which the auditor gave, may be a link.
"""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Self

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.core.text import quoted
from zk_autograd.run.beside import FOLDERS, Entry, EntryKind
from zk_autograd.run.files import chunks_of, open_bounded, open_folder, read_bounded, unreadable
from zk_autograd.run.layout import ARTEFACTS, CHECKPOINT, LOG, MODEL, PLAIN_NAME, PROOFS, RECORDS, is_public, proof_name

MAX_LOG = 4 * 2**30
MAX_LEAVES = 2**22
"""Records of a log. Without it a file of empty lines would take eight times its size in memory, and an hour to read."""

MAX_PROOF = 64 * 2**20
MAX_MODEL_FILE = 64 * 2**30
MAX_ARTEFACT = 2**30


class RunReader:
    """A run's public files. Close it, or use it in a `with`.

    Its methods raise VerificationError for whatever is missing, too large, not a plain file or not of its form.
    """

    def __init__(self, path: Path) -> None:
        """Opens the run at `path`. UsageError if there is no folder there, UnreadableError if this machine doesn't let it be opened."""
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise not_opened(path, error, "is not a run") from error
        self._folders: dict[str, int] = {}

    def close(self) -> None:
        """Closes the folders. Nothing can be read any more."""
        for fd in self._folders.values():
            os.close(fd)
        self._folders.clear()
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_log(self) -> bool:
        """Whether there is anything under the name of a log's file: without, the folder is no run, and there is nothing to judge."""
        if self._is_folder(LOG):
            with self._inside(LOG) as folder:
                return any(_is_in(folder, name) for name in (RECORDS, CHECKPOINT))
        try:  # a link, or something else, in the folder's place is to be judged, and refused
            return not stat.S_ISDIR(os.stat(LOG, dir_fd=self._root, follow_symlinks=False).st_mode)
        except OSError as error:
            if isinstance(found := unreadable(LOG, error), UnreadableError):
                raise found from error
            return False

    def leaves(self, limit: int = MAX_LOG, record_limit: int = MAX_RECORD) -> list[bytes]:
        """The lines of the log, without their newlines: the leaves of its tree. At most `limit` bytes in all are read."""
        with (
            self._inside(LOG) as folder,
            open_bounded(RECORDS, limit, dir_fd=folder) as fd,
            open(fd, "rb", closefd=False) as file,
        ):
            return split_leaves(file, limit, record_limit)

    def checkpoint(self) -> bytes:
        """The signed note of the newest tree head, not yet opened."""
        with self._inside(LOG) as folder:
            return read_bounded(CHECKPOINT, MAX_NOTE_BYTES, dir_fd=folder)

    def proof(self, segment: int, block: int, limit: int = MAX_PROOF) -> bytes:
        """The bytes of a block's proof, not yet compared with the record's hash."""
        with self._inside(PROOFS) as folder:
            return read_bounded(proof_name(segment, block), limit, dir_fd=folder)

    def model_file(self, name: str, limit: int = MAX_MODEL_FILE) -> bytes:
        """A published file of the model by the name that the close record gives it."""
        check_plain_name(name)
        with self._inside(MODEL) as folder:
            return read_bounded(name, limit, dir_fd=folder)

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """The names in a folder of `beside.FOLDERS`, or at the top level (""), in no order; none if there is no such folder, or a link to one."""
        if not folder:
            yield from self._listed(self._root, "the run's folder")
        elif self._is_folder(folder):
            with self._inside(folder) as fd:
                yield from self._listed(fd, folder)

    def artefact(self, name: str, limit: int = MAX_ARTEFACT) -> bytes:
        """One of the trainer's own files, by a name of `layout.ARTEFACTS`."""
        check_artefact_name(name)
        return read_bounded(name, limit, dir_fd=self._root)

    def artefact_names(self) -> list[str]:
        """Which of `layout.ARTEFACTS` are there, in that order."""
        try:
            return [name for name in ARTEFACTS if _is_in(self._root, name)]
        except OSError as error:
            raise unreadable("the run's folder", error) from error

    def digest(self, path: str, limit: int) -> bytes:
        """The SHA-256 of a public file of at most `limit` bytes, which is never held in memory: holes on a disk cost their writer nothing."""
        hashed, left = sha256(), limit
        with self.opened(path, limit) as fd:
            for chunk in chunks_of(fd, path):
                left -= len(chunk)
                if left < 0:  # it grew since it was measured
                    raise VerificationError(f"{path} is too large", expected=f"at most {limit} bytes", found="more")
                hashed.update(chunk)
        return hashed.digest()

    @contextmanager
    def opened(self, path: str, limit: int) -> Iterator[int]:
        """The descriptor of a public file of at most `limit` bytes, for reading. `path` is one that `layout.is_public` knows."""
        if not is_public(path):
            raise VerificationError(f"{quoted(path)} is not the name of a public file of a run")
        folder, _, name = path.rpartition("/")
        if not folder:
            with open_bounded(name, limit, dir_fd=self._root) as fd:
                yield fd
            return
        with self._inside(folder) as parent, open_bounded(name, limit, dir_fd=parent) as fd:
            yield fd

    @contextmanager
    def _inside(self, name: str) -> Iterator[int]:
        if name not in self._folders:
            self._folders[name] = open_folder(name, dir_fd=self._root)
        try:
            yield self._folders[name]
        except OSError as error:
            raise unreadable(name, error) from error

    def _is_folder(self, name: str) -> bool:
        """Whether it can be opened as one. UnreadableError if this machine doesn't tell."""
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
        if top and entry.name in FOLDERS:
            return EntryKind.FOLDER if self._is_folder(entry.name) else EntryKind.OTHER
        if entry.is_dir(follow_symlinks=False):
            return EntryKind.FOLDER
        return EntryKind.FILE if entry.is_file(follow_symlinks=False) else EntryKind.OTHER


def _is_in(folder: int, name: str) -> bool:
    """Whether anything has this name in the folder of a descriptor. OSError if the system doesn't tell."""
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def not_opened(path: Path, error: OSError, otherwise: str) -> UnreadableError | UsageError:
    """What to say of a run that can't be opened: of this machine, if it refuses; else that what was named is none."""
    found = unreadable(path, error)
    return found if isinstance(found, UnreadableError) else UsageError(f"{path} {otherwise}: {error.strerror}")


def split_leaves(file: BinaryIO, limit: int, record_limit: int) -> list[bytes]:
    """The lines of a log of at most `limit` bytes, read from its beginning. VerificationError for one that is longer or not whole."""
    leaves: list[bytes] = []
    left = limit
    while line := file.readline(min(record_limit, left) + 1):
        left -= len(line)
        if left < 0:  # it grew since it was measured
            raise VerificationError(f"{RECORDS} is too large", expected=f"at most {limit} bytes", found="more")
        if not line.endswith(b"\n"):
            found = "a longer line" if len(line) > record_limit else "the end of the file"
            raise VerificationError(
                f"a line of {RECORDS} does not end",
                record=len(leaves),
                expected=f"a newline after at most {record_limit} bytes",
                found=found,
            )
        if len(leaves) == MAX_LEAVES:
            raise VerificationError(f"{RECORDS} has too many records", expected=f"at most {MAX_LEAVES}", found="more")
        leaves.append(line[:-1])
    return leaves


def check_plain_name(name: str) -> None:
    """Raises VerificationError unless `name` is of letters, digits, "_", "-" and "." (not the first), and at most 100 characters."""
    if not PLAIN_NAME.fullmatch(name):
        raise VerificationError(
            f"{quoted(name)} is not the name of a published file", expected="letters, digits, _ - ."
        )


def check_artefact_name(name: str) -> None:
    """Raises VerificationError unless `name` is one of `layout.ARTEFACTS`."""
    if name not in ARTEFACTS:
        raise VerificationError(f"{quoted(name)} is not a file of a run's top level", expected=", ".join(ARTEFACTS))
