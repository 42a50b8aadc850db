"""A broker's folder: its key, its database, and the newest checkpoint of its log.

    broker.key         the secret key (broker.keyfile)
    broker.key.pub     its public half
    broker.sqlite      nonces and decisions (broker.store)
    checkpoint         the newest checkpoint, written after the database and before an answer leaves
    lock               one broker at a time

Whoever restores the database from an older copy makes a broker that has forgotten a release, and
would release again. The checkpoint beside it, or a witness of the log, knows of the newer one; of a
folder that was exchanged as a whole, only the witness does.
"""

import fcntl
import os
from pathlib import Path

from zk_autograd.broker import keyfile
from zk_autograd.broker.store import Store, Transaction, damaged
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import EMPTY_ROOT, Frontier, leaf_hash
from zk_autograd.core.note import MAX_NOTE_BYTES, open_note, parse_checkpoint, sign
from zk_autograd.local.kept_files import write_over
from zk_autograd.local.named_files import read_named, refusal
from zk_autograd.local.own_folders import make_own, require_own

_PIECE = 4096
"""Decisions that are looked at in one go."""


class Folder:
    """The broker's folder at `path`, which is made if it is not there, and is this process's until
    it ends or `close` is called."""

    def __init__(self, path: Path) -> None:
        """UsageError if others could exchange it, or parts are missing; RunError if another broker
        uses it, if its log was altered, or is older than its checkpoint says; StorageError if the
        system refuses."""
        self.path = path.absolute()
        self._checkpoint = self.path / "checkpoint"
        try:
            make_own(self.path)
        except OSError as error:
            raise refusal(error, f"the folder {self.path} can't be made", "name another, with --state") from error
        require_own(self.path, "close it to them, or name another, with --state")
        self._lock = self._locked()
        try:
            if self._is_new():
                self._create()
            self.signer: Ed25519Signer = keyfile.load(self.path / "broker.key")
            self.store = Store(self.path / "broker.sqlite")
            self.known = self._checked()
        except BaseException:
            self.close()
            raise

    @property
    def origin(self) -> str:
        """The log's."""
        return self.signer.name

    def close(self) -> None:
        """Lets another broker use the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def signed(self, size: int, root: bytes) -> bytes:
        """The checkpoint of a tree of the log."""
        return _signed(self.signer, size, root)

    def keep(self, note: bytes) -> None:
        """Writes the newest checkpoint beside the database. StorageError if the system refuses."""
        write_over(self._checkpoint, note, "the broker's checkpoint")

    def _locked(self) -> int:
        place = self.path / "lock"
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refusal(error, f"{place} can't be locked", "name another folder, with --state") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise RunError(
                f"another broker uses {self.path}: stop it first, or name another folder, with --state"
            ) from error
        return descriptor

    def _is_new(self) -> bool:
        names = ("broker.key", "broker.key.pub", "broker.sqlite", "checkpoint")
        return not any(os.path.lexists(self.path / name) for name in names)

    def _create(self) -> None:
        """A broker that was half made is refused at the next start, since parts are missing."""
        signer = keyfile.create(self.path / "broker.key")
        note = _signed(signer, 0, EMPTY_ROOT)
        Store.create(self.path / "broker.sqlite", note)
        self.keep(note)

    def _checked(self) -> Checkpoint:
        """The newest checkpoint, after a look at the whole log."""
        try:
            kept = self._opened(read_named(self._checkpoint, "the broker's checkpoint", MAX_NOTE_BYTES))
        except VerificationError as error:
            raise damaged(f"{self._checkpoint} is not its checkpoint ({error})") from error
        except UsageError as error:
            raise damaged(str(error)) from error
        with self.store.transaction(writing=False) as transaction:
            head = self._whole(transaction)
            if kept.size > head.size or transaction.root(kept.size) != kept.root:
                raise RunError(
                    f"the database in {self.path} is an older copy, or another's: it holds {head.size} decisions, and the "
                    f"checkpoint beside it covers {kept.size}. Nothing is released: bring the newest one back, or begin anew, with "
                    "a new key, in another folder (--state)"
                )
            note = transaction.note()
        self.keep(note)
        return head

    def _whole(self, transaction: Transaction) -> Checkpoint:
        try:
            head = self._opened(transaction.note())
        except VerificationError as error:
            raise damaged(str(error)) from error
        size, tree = transaction.size(), Frontier()
        for first in range(0, size, _PIECE):
            for leaf in transaction.leaves(first, min(first + _PIECE, size)):
                tree.append(leaf_hash(leaf))
        stored = transaction.root(size)
        if (size, stored, tree.root()) != (head.size, head.root, head.root):
            raise damaged(f"it has {size} decisions, which are not those that its newest checkpoint covers")
        return head

    def _opened(self, note: bytes) -> Checkpoint:
        head = parse_checkpoint(open_note(note, [self.signer.public_key]).text)
        if head.origin != self.origin:
            raise VerificationError("its checkpoint is of another log", expected=self.origin)
        return head


def _signed(signer: Ed25519Signer, size: int, root: bytes) -> bytes:
    return sign(checkpoint_text(signer.name, size, root), [signer])
