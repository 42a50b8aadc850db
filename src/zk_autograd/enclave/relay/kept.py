"""What a host keeps of what its enclave sends: a run's folder that only grows.

The enclave is not believed either: only paths that may leave one (relay.leaving) are kept, bounded,
and nothing that is there is changed, except that files of lines get longer and that two files are
replaced as a whole.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from zk_autograd.core.errors import RunError
from zk_autograd.core.text import quoted
from zk_autograd.enclave.relay.channels import APPEND, REPLACE
from zk_autograd.enclave.relay.leaving import MAX_APPENDED, SEALED, leaving
from zk_autograd.run.files import Files, exists

MAX_RUN = 2**38
"""Bytes of a run in all."""

MAX_FILES = 2**22


def sealed_beside(root: Path) -> Path:
    """Where the sealed files of the run in `root` are kept: beside it, since they are their
    recipient's, and no part of the evidence."""
    return root.with_name(f"{root.name}.{SEALED}")


class Kept:
    """The run in `root`, which is made with its first file. From any thread."""

    def __init__(self, root: Path, most: int = MAX_RUN) -> None:
        self._root = root
        self._files = Files()
        self._lock = threading.Lock()
        self._left = most
        self._count = 0
        self._sent: dict[str, int] = {}

    def put(self, way: str, path: str, at: int, size: int, pieces: Iterable[bytes]) -> int:
        """Keeps what the enclave sent, and returns how many bytes of the file came from it.
        RunError for what isn't kept: nothing is changed then, and of the pieces none may have been
        read. StorageError where the disk refuses."""
        with self._lock:
            place = self._place(way, path, at, size)
            if way == APPEND:
                data = b"".join(pieces)
                if not data.endswith(b"\n") or b"\n\n" in b"\n" + data:
                    raise RunError(f"the enclave appends to {path} what is no whole lines")
                self._append(path, data)
                self._sent[path] = at + size
            else:
                self._files.write_stream(place, pieces)
                self._sent[path] = size
            self._left -= size
            return self._sent[path]

    def add(self, path: str, line: bytes) -> None:
        """Appends a line of the host's own."""
        with self._lock:
            self._append(path, line + b"\n")

    def _place(self, way: str, path: str, at: int, size: int) -> Path:
        rule = leaving(path)
        if rule is None:
            raise RunError(f"the enclave sends {quoted(path, 100)}, which is no file that may leave it")
        sent = self._sent.get(path)
        if way != rule.way:
            raise RunError(f"the enclave would {quoted(way)} {path}: that file's way is {rule.way!r}")
        if way == APPEND and (at != (sent or 0) or not 0 < size <= MAX_APPENDED):
            raise RunError(f"the enclave appends {size} bytes to {path} at {at}, and {sent or 0} came from it")
        root = self._root
        place = root / path
        if path.startswith(f"{SEALED}/"):
            root = sealed_beside(root)
            place = root / path.removeprefix(f"{SEALED}/")
        if way != APPEND and (at or (way != REPLACE and (sent is not None or exists(place)))):
            raise RunError(f"the enclave sends {path} again, and it is never changed")
        if at + size > rule.bound or size > self._left:
            raise RunError(f"the enclave sends more of {path} than is taken: {at + size} bytes")
        if not exists(place):
            self._count += 1
            if self._count > MAX_FILES:
                raise RunError(f"the enclave sends more than {MAX_FILES} files")
            for folder in reversed(list(_below(place, root))):
                if not exists(folder):
                    self._files.make_dir(folder)
        return place

    def _append(self, path: str, data: bytes) -> None:
        place = self._root / path
        if not exists(place):
            self._files.write_atomic(place, b"")
        self._files.append(place, data)


def _below(place: Path, root: Path) -> Iterator[Path]:
    """The folders that a file lies in, up to the run's own."""
    for folder in place.parents:
        yield folder
        if folder == root:
            return
