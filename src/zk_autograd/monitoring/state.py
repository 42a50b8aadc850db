"""What a monitor keeps of one log, in a folder of the auditor's own.

    heads/<size>       each checkpoint that was accepted, in its note, whole
    leaves             the hashes of the newest one's records, 32 bytes each
    pending/<digest>   checkpoints that a pinned key signed and that could not be accepted, whole
    unusable/<digest>  notes that no pinned key signed, or that are none
    fork-<digest>      evidence of a fork (evidence.fork_evidence)
    lock               held by the monitor at work

Crash-safe: `leaves` is appended to and synced before the head that covers them gets its name, and
what a crash leaves after them is written over; every other file is written whole or not at all. A
file in `pending/` is named by the hash of the note's text and of the pinned keys that signed it, so
that no key's signature hides another's; one in `unusable/` by the hash of its bytes. So seeing one
again takes no room; both folders have a bound.
"""

import fcntl
import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeVar

from zk_autograd.core.errors import StorageError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import HASH_BYTES, root
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.fork_evidence import MAX_EVIDENCE, ForkEvidence, SignedHead
from zk_autograd.evidence.layout import MAX_LEAVES
from zk_autograd.local.kept_files import write_at, write_over
from zk_autograd.local.named_files import refusal
from zk_autograd.local.own_folders import make_own, require_own

MAX_HEADS = 2**17
MAX_PENDING = 1024
MAX_UNUSABLE = 256

_HEADS, _PENDING, _UNUSABLE, _LEAVES, _LOCK = "heads", "pending", "unusable", "leaves", "lock"
_T = TypeVar("_T")

_WHAT = "the monitor's state"
_SIZE = re.compile(r"[0-9]{19}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FORK = re.compile(r"fork-[0-9a-f]{64}")


class State:
    """The folder, locked while it is open. UsageError if another monitor uses it, others can write
    to it, or it was altered; StorageError where the system refuses."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder, which is made if it is missing."""
        self._folder = folder
        self._lock = -1
        try:
            make_own(folder)
            require_own(folder, "give a folder of your own with --state")
            for name in (_HEADS, _PENDING, _UNUSABLE):
                (folder / name).mkdir(mode=0o700, exist_ok=True)
            self._take()
        except OSError as error:
            self.close()
            raise refusal(error, f"{_WHAT} {folder} can't be used") from error
        try:
            self._heads = set(self._names(_HEADS, _SIZE))
            self._counts = {
                _PENDING: len(self._names(_PENDING, _DIGEST)),
                _UNUSABLE: len(self._names(_UNUSABLE, _DIGEST)),
            }
            self.last = self._head(self._folder / _HEADS / max(self._heads)) if self._heads else None
            self.leaves = self._read_leaves()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Another monitor may use the folder."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def accept(self, head: SignedHead, leaves: Sequence[bytes]) -> None:
        """The head becomes the newest; its tree, over these 32-byte hashes, extends the one
        before."""
        known, size = len(self.leaves), head.checkpoint.size
        write_at(self._folder / _LEAVES, HASH_BYTES * known, b"".join(leaves[known:size]), _WHAT)
        self.remember(head)
        self.last = head
        self.leaves = list(leaves[:size])

    def remember(self, head: SignedHead) -> None:
        """Keeps a head that agrees with the newest one, unless one of its size is there."""
        name = f"{head.checkpoint.size:019d}"
        if name in self._heads:
            return
        if len(self._heads) >= MAX_HEADS:
            raise StorageError(
                f"{self._folder} has {MAX_HEADS} checkpoints, and takes no more: go on in another folder"
            )
        write_over(self._folder / _HEADS / name, head.note, _WHAT)
        self._heads.add(name)

    def postpone(self, head: SignedHead, signers: Sequence[PublicKey]) -> bool:
        """Keeps a head that these pinned keys signed. False if there is no room any more."""
        said = "\n".join((head.parsed.text, *sorted(key.encode() for key in signers)))
        return self._keep(_PENDING, sha256(said.encode()).hexdigest(), head.note, MAX_PENDING)

    def set_aside(self, note: bytes) -> bool:
        """Keeps a note that can't be used. False if there is no room any more."""
        return self._keep(_UNUSABLE, sha256(note).hexdigest(), note, MAX_UNUSABLE)

    def pending(self) -> list[SignedHead]:
        """The heads that were postponed."""
        return [self._head(self._folder / _PENDING / name) for name in self._names(_PENDING, _DIGEST)]

    def convict(self, evidence: ForkEvidence) -> Path:
        """Where the evidence of a fork lies from now on."""
        data = evidence.encode()
        path = self._folder / f"fork-{sha256(data).hexdigest()}"
        write_over(path, data, _WHAT)
        return path

    def forks(self) -> list[tuple[Path, ForkEvidence]]:
        """The evidence that was found before."""
        paths = [self._folder / name for name in self._names("", _FORK)]
        return [(path, self._parsed(path, MAX_EVIDENCE, ForkEvidence.parse)) for path in paths]

    def _keep(self, folder: str, name: str, note: bytes, most: int) -> bool:
        path = self._folder / folder / name
        if os.path.lexists(path):
            return True
        if self._counts[folder] >= most:
            return False
        write_over(path, note, _WHAT)
        self._counts[folder] += 1
        return True

    def _take(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._lock = os.open(self._folder / _LOCK, flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise UsageError(
                f"another monitor uses {self._folder}: stop it, or give this one a folder of its own"
            ) from error

    def _names(self, folder: str, pattern: re.Pattern[str]) -> list[str]:
        """The names that the monitor gives, in order. What a crash left half-written isn't among
        them."""
        try:
            return sorted(name for name in os.listdir(self._folder / folder) if pattern.fullmatch(name))
        except OSError as error:
            raise refusal(error, f"{_WHAT} {self._folder} can't be read") from error

    def _head(self, path: Path) -> SignedHead:
        return self._parsed(path, MAX_NOTE_BYTES, SignedHead.parse)

    def _parsed(self, path: Path, limit: int, parse: Callable[[bytes], _T]) -> _T:
        try:
            return parse(read_bounded(path, limit))
        except UnreadableError as error:
            raise StorageError(f"{_WHAT} can't be read: {error}") from error
        except VerificationError as error:
            raise self._altered(f"{path}: {error}") from error

    def _read_leaves(self) -> list[bytes]:
        """The hashes under the newest head; what follows them was not finished."""
        if self.last is None:
            return []
        size = self.last.checkpoint.size
        data = self._parsed(self._folder / _LEAVES, HASH_BYTES * MAX_LEAVES, bytes)
        leaves = [data[i : i + HASH_BYTES] for i in range(0, HASH_BYTES * size, HASH_BYTES)]
        if len(data) < HASH_BYTES * size or root(leaves) != self.last.checkpoint.root:
            raise self._altered(f"{self._folder / _LEAVES} is not what the newest checkpoint covers")
        return leaves

    def _altered(self, why: str) -> UsageError:
        return UsageError(f"{_WHAT} was altered ({why}): restore {self._folder} from a copy, or begin a new one")
