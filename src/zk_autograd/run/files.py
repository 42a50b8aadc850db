"""Files: writes that survive a crash, and reads that a hostile file can't abuse.

A whole file is written to a temporary name in its own folder, fsynced and renamed, and the folder
is fsynced: after a crash the file is the old one or the new one. An append is fsynced, and may
leave a torn end after a crash, which whoever appends must recognise. Writing raises RunError,
reading VerificationError; both say what, where, and why. Where it is the system that refuses
(space, permission, a failing disk), they are StorageError and UnreadableError, which say nothing
against what lies there.

All writes of a run go through one `Files`, so that a test can make any of them fail.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from zk_autograd.core.errors import PlaceTakenError, RunError, StorageError, UnreadableError, VerificationError
from zk_autograd.evidence.files import tells_of_the_file
from zk_autograd.run.ownership import Owned

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_CHUNK = 2**20
_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EFBIG: "raise the limit on file sizes",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder writable",
    errno.EROFS: "choose a folder that is not read-only",
    errno.ENAMETOOLONG: "choose a shorter path",
}


_READABLE = "look as its owner, or check the disk"


class Files(Owned):
    """Durable writes. Every method raises RunError where the system refuses, and in any process but
    the one that made the object.

    One writer at a time: the temporary name of a file is always the same, so that a crash leaves at
    most one behind.
    """

    def __init__(self, fsync: Callable[[int], None] = os.fsync) -> None:
        """`fsync` makes the file of a descriptor durable."""
        super().__init__()
        self._fsync = fsync

    def make_dir(self, path: Path) -> None:
        """A new folder, with its missing parents. RunError if the path exists, as anything."""
        with self._explained("made", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            try:
                self._sync_folder(path.parent)
            except OSError:
                path.rmdir()
                raise

    def make_private_dir(self, path: Path) -> None:
        """A folder that only its owner can enter. An existing one is kept, and closed to others."""
        with self._explained("made", path):
            path.mkdir(PRIVATE_FOLDER, exist_ok=True)
            path.chmod(PRIVATE_FOLDER)  # mkdir's mode is subject to the umask, and doesn't apply to an existing folder
            self._sync_folder(path.parent)

    def write_atomic(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        """The file with these bytes and no others, or unchanged. `mode` is subject to the umask."""
        self._replace(path, (data,), mode)

    def overwrite(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        """The bytes over those of the file, which is created if missing, without waiting for the
        disk: some hundredths of a millisecond.

        They outlive the process. A power cut, or a kill midway, may leave the old bytes or a
        mixture, which whoever reads must recognise.
        """
        with self._explained("written", path), _opened(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, mode) as fd:
            _write_all(fd, data)
            os.ftruncate(fd, len(data))

    def write_stream(self, path: Path, chunks: Iterable[bytes], mode: int = 0o644) -> None:
        """As `write_atomic`, for what does not fit in memory. The file is unchanged also if
        producing the chunks raises."""
        self._replace(path, chunks, mode)

    def _replace(self, path: Path, chunks: Iterable[bytes], mode: int) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        with self._explained("written", path):
            try:
                temporary.unlink(missing_ok=True)  # left by a crash: its mode may differ
                with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode) as fd:
                    for chunk in chunks:
                        _write_all(fd, chunk)
                    self._fsync(fd)
                temporary.rename(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            self._sync_folder(path.parent)

    def append(self, path: Path, data: bytes | Sequence[bytes], *, sync: bool = True) -> None:
        """`data`, in one piece or several, at the end of an existing file. After an error any part
        of it may be there. Without `sync` it outlives the process, but perhaps not a power cut."""
        with self._explained("appended to", path), _opened(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK) as fd:
            _write_pieces(fd, [data] if isinstance(data, bytes) else data)
            if sync:
                self._fsync(fd)

    def sync(self, path: Path) -> None:
        """What was appended to the file is durable."""
        with self._explained("synced", path), _opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
            self._fsync(fd)

    def truncate(self, path: Path, size: int) -> None:
        """The first `size` bytes of an existing file."""
        with self._explained("shortened", path), _opened(path, os.O_WRONLY) as fd:
            os.ftruncate(fd, size)
            self._fsync(fd)

    def remove(self, path: Path, parent: int | None = None) -> None:
        """No file of this name any more. `parent` is the descriptor of its folder, for when the
        path to that mustn't be followed again."""
        with self._explained("removed", path):
            os.unlink(path if parent is None else path.name, dir_fd=parent)
            self._sync_parent(path, parent)

    def remove_folder(self, path: Path, parent: int | None = None) -> None:
        """No folder of this name any more, nor anything that was in it. Links are removed, not
        followed. After an error, some may be left.

        `parent` as for `remove`.
        """
        with self._explained("removed", path):
            _empty(path if parent is None else path.name, parent)
            os.rmdir(path if parent is None else path.name, dir_fd=parent)
            self._sync_parent(path, parent)

    @contextmanager
    def _explained(self, action: str, path: Path) -> Iterator[None]:
        self.require_own_process(path)
        with _explained(action, path):
            yield

    def _sync_parent(self, path: Path, parent: int | None) -> None:
        if parent is None:
            self._sync_folder(path.parent)
        else:
            self._fsync(parent)

    def _sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._fsync(fd)
        finally:
            os.close(fd)


def _empty(path: Path | str, parent: int | None) -> None:
    """Removes what is in a folder, however deep it is: what lies in a folder of it is brought up
    before that is removed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    top = os.open(path, flags, dir_fd=parent)
    try:
        moved = 0
        while names := os.listdir(top):
            for name in names:
                if not _is_folder_in(name, top):
                    os.unlink(name, dir_fd=top)
                    continue
                inner = os.open(name, flags, dir_fd=top)
                try:
                    for deeper in os.listdir(inner):
                        if not _is_folder_in(deeper, inner):
                            os.unlink(deeper, dir_fd=inner)
                            continue
                        while _exists_in(f".removed-{moved}", top):
                            moved += 1
                        os.rename(deeper, f".removed-{moved}", src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _is_folder_in(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _exists_in(name: str, parent: int) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent, follow_symlinks=False)
        return True
    return False


def exists(path: Path) -> bool:
    """Whether something is there, even a dangling link. RunError if the system doesn't tell."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unseen("looked at", path, error) from error
    return True


def is_own_folder(path: Path) -> bool:
    """Whether `path` is a folder and not a link to one. RunError if the system doesn't tell."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unseen("looked at", path, error) from error


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, even behind a link. StorageError if the system doesn't tell."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if tells_of_the_file(error):
            return False
        raise _unseen("looked at", path, error) from error


def require_listable(folder: Path) -> None:
    """StorageError if a folder can't be listed; nothing for what is not a folder."""
    try:
        os.scandir(folder).close()
    except OSError as error:
        if not tells_of_the_file(error):
            raise _unseen("listed", folder, error) from error


def names_in(folder: Path) -> list[str]:
    """The names in a folder. RunError if it can't be listed."""
    try:
        return os.listdir(folder)
    except OSError as error:
        if tells_of_the_file(error):
            raise RunError(f"{folder} can't be listed: {error.strerror}; restore it from a copy") from error
        raise _unseen("listed", folder, error) from error


def advice_for(error: OSError, otherwise: str) -> str:
    """What to do about an error of the system, in a few words."""
    return _ADVICE.get(error.errno or 0, otherwise)


def of_the_run(error: VerificationError, otherwise: str) -> RunError:
    """The error of a run, one of whose files raised `error`: RunError(`otherwise`), or StorageError
    where it is the system that refuses."""
    if isinstance(error, UnreadableError):
        return StorageError(f"{error}; that says nothing against the run: {_READABLE}, and try again")
    return RunError(otherwise)


@contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        place = error.filename or path
        text = f"{place} already exists; choose another place, or resume the run that is there"
        raise PlaceTakenError(text) from error
    except OSError as error:
        raise _refused(action, path, error) from error


def _unseen(action: str, path: Path, error: OSError) -> StorageError:
    advice = _ADVICE[errno.ENAMETOOLONG] if error.errno == errno.ENAMETOOLONG else _READABLE
    return StorageError(f"{path} could not be {action}: {error.strerror}; {advice}, and try again")


def _refused(action: str, path: Path, error: OSError) -> StorageError:
    advice = advice_for(error, "check the disk and the path")
    return StorageError(f"{path} could not be {action}: {error.strerror}; {advice}, and try again")


@contextmanager
def _opened(path: Path, flags: int, mode: int = 0o644) -> Iterator[int]:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_pieces(fd: int, pieces: Sequence[bytes]) -> None:
    written = os.writev(fd, pieces)
    if written < sum(map(len, pieces)):
        _write_all(fd, b"".join(pieces)[written:])


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
