"""The register at work: entries are appended, and the checkpoint over them is signed.

Both happen in one transaction of the database (register.database): of two processes one waits for
the other, and neither sees or signs half of it. The folder

    register.sqlite     the leaves, their tree and the newest note
    anchors.jsonl       the anchor `file`
    public/             the register as any web server gives it (register.publishing)

is made by `Register.begin` alone. A register that is missing is never begun again in passing: that
would be a second branch under the same key. Neither does one that was altered, or is older than
what it signed before, sign anything (`Register`, register.recovery).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import Algorithm, PublicKey, Signer
from zk_autograd.core.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from zk_autograd.core.note import open_note, parse_unverified
from zk_autograd.core.register import Entry, Kind, View, origin_of, renamed, sign_head
from zk_autograd.core.stored_tree import consistency_of, inclusion_of
from zk_autograd.local.named_files import refusal
from zk_autograd.local.own_folders import make_own, require_own
from zk_autograd.register.database import DATABASE, Database

ANCHORS = "anchors.jsonl"
PUBLIC = "public"

_ADVICE = "close it to them, or name a folder of your own with --register"


class Register:
    """One trainer's register, in the folder `folder`. It may be used from several processes and
    threads, but not across a fork. RunError for one that was altered, or is not as the caller
    believes; StorageError where the system refuses."""

    def __init__(self, folder: Path, signers: Sequence[Signer]) -> None:
        """Opens a register that was begun. UsageError if there is none, if it is another key's, or
        if others can write to its folder; RunError if its newest checkpoint is not of its entries,
        or not signed by the key."""
        self._open(folder, [signer.public_key for signer in signers], signers)

    @classmethod
    def read(cls, folder: Path, keys: Sequence[PublicKey] = ()) -> "Register":
        """Opens a register to be looked at; `enter` is refused. Without keys, no signature is
        checked. Errors as of the class."""
        register = cls.__new__(cls)
        register._open(folder, keys, ())
        return register

    @classmethod
    def begin(cls, folder: Path, signers: Sequence[Signer]) -> "Register":
        """A new, empty register, in a folder that is made with mode 0700. UsageError if there is
        one, or was one."""
        origin = origin_of([signer.public_key for signer in signers])
        prepare(folder)
        require_never_begun(folder)
        Database.create(folder, origin, sign_head(Checkpoint(origin, 0, EMPTY_ROOT), signers), ())
        return cls(folder, signers)

    def _open(self, folder: Path, keys: Sequence[PublicKey], signers: Sequence[Signer]) -> None:
        self.folder = folder
        self._signers = tuple(signers)
        require_begun(folder)
        require_own(folder, _ADVICE)
        self.database = Database(folder)
        try:
            with self.database.reading():
                self.origin = self.database.origin()
                if keys and (own := origin_of(keys)) != self.origin:
                    raise UsageError(f"the register in {folder} is another key's: {self.origin}, not {own}")
                newest = self.database.newest()
            if newest.head.origin != self.origin:
                raise self.database.damaged(f"its newest checkpoint is of {newest.head.origin}")
            try:
                require_signed(newest.note, self.origin, keys)
            except VerificationError as error:
                raise self.database.damaged(str(error)) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.database.close()

    @property
    def checkpoint(self) -> SignedCheckpoint:
        """The newest."""
        with self.database.reading():
            return self.database.newest()

    def enter(self, entry: Entry, since: int = 0, after: Entry | None = None) -> View:
        """Appends the entry, unless it is the run's newest, and signs the register's checkpoint:
        in one transaction. The view's consistency proof is from the tree of `since` leaves.
        `after`: the run's newest entry as far as its trainer knows (None: whichever it is).

        RunError if the run has another newest entry, since a copy of it goes on elsewhere; and for
        an entry that no honest run makes: of a run that was not begun, or was closed; of no more
        records than the run's newest, or of others. What was entered stays.
        """
        if not self._signers:
            raise UsageError("a register that was opened to be read takes no entry")
        with self.database.writing():
            found = self.database.newest_of(entry.run)
            if found is None or found[1] != entry:
                _require_next(entry, found, after)
                size = self.database.newest().head.size
                root = self.database.append(size, entry)
                self.database.set_note(sign_head(Checkpoint(self.origin, size + 1, root), self._signers))
            return self._view(entry.run, since)

    def view(self, run: bytes, since: int = 0) -> View:
        """The newest checkpoint, and the newest entry of the run under it. RunError if the run has
        none."""
        with self.database.writing() if self._signers else self.database.reading():
            return self._view(run, since)

    def newest_of(self, run: bytes, back: int = 0) -> Entry | None:
        """The run's newest entry, or the one `back` before it; None if there is none."""
        with self.database.reading():
            found = self.database.newest_of(run, back)
        return found[1] if found else None

    def entries(self, first: int, end: int) -> list[bytes]:
        """The leaves `first` .. `end` - 1 (core.anchors.History), which are those of the tree."""
        with self.database.reading():
            return self.database.leaves(first, end)

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        """The consistency proof between two of the register's sizes (core.anchors.History)."""
        with self.database.reading():
            return self._consistency(size1, size2)

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` entries, of which there are as many."""
        with self.database.reading():
            return self.database.root(size)

    def hashes(self, level: int, first: int, end: int) -> list[bytes]:
        """Nodes of the tree (core.stored_tree)."""
        with self.database.reading():
            return self.database.nodes(level, first, end)

    def extend(self, newest: SignedCheckpoint, leaves: Sequence[bytes]) -> None:
        """Brings a register that is an older copy up to a checkpoint that the key signed before,
        with all of its leaves. RunError if they are not what this one began as."""
        with self.database.writing():
            size = self.database.newest().head.size
            if size > newest.head.size or self.database.leaves(0, size) != list(leaves[:size]):
                raise RunError(f"the register in {self.folder} is newer than what was found, or another branch")
            root = self.database.root(size)
            for position in range(size, newest.head.size):
                root = self.database.append(position, Entry.parse(leaves[position]))
            if root != newest.head.root:
                raise RunError(f"the entries that were found are not those of their checkpoint, of {newest.head.size}")
            self.database.set_note(newest.note)

    def _view(self, run: bytes, since: int) -> View:
        """A view that holds: what it is made of is checked here as its reader will."""
        found = self.database.newest_of(run)
        if found is None:
            raise RunError(f"the register in {self.folder} has no entry of the run {run.hex()}")
        index, entry = found
        newest = self._signed_by_all(self.database.newest())
        size, root = newest.head.size, newest.head.root
        if not 0 <= since <= size:
            raise RunError(
                f"the register in {self.folder} has {size} entries, and the run {run.hex()} was shown {since}: it was restored "
                "from an old copy. Bring it back from its anchors with `zk-register recover`"
            )
        inclusion = inclusion_of(self.database.node, index, size)
        try:
            verify_inclusion(leaf_hash(entry.encode()), index, size, inclusion, root)
        except VerificationError as error:
            raise self.database.damaged(str(error)) from error
        return View(newest.note, index, entry, tuple(inclusion), since, tuple(self._consistency(since, size)))

    def _consistency(self, size1: int, size2: int) -> list[bytes]:
        proof = consistency_of(self.database.node, size1, size2)
        root1, root2 = self.database.root(size1), self.database.root(size2)
        try:
            verify_consistency(size1, size2, root1, root2, proof)
        except VerificationError as error:
            raise self.database.damaged(str(error)) from error
        return proof

    def _signed_by_all(self, newest: SignedCheckpoint) -> SignedCheckpoint:
        """The checkpoint, signed anew if one of the signers' lines is missing: a key file may get
        another key beside its Ed25519 key."""
        lines = {(line.name, line.key_id) for line in parse_unverified(newest.note).lines}
        keys = renamed([signer.public_key for signer in self._signers], self.origin)
        if all((key.name, key.key_id) in lines for key in keys):
            return newest
        note = sign_head(newest.head, self._signers)
        self.database.set_note(note)
        return replace(newest, note=note)


def prepare(folder: Path) -> None:
    """The folder is there, and the caller's own. UsageError and StorageError."""
    try:
        make_own(folder)
    except OSError as error:
        raise refusal(error, f"no register can be made in {folder}", "name another place with --register") from error
    require_own(folder, _ADVICE)


def require_begun(folder: Path) -> None:
    """UsageError if the folder has no register."""
    if not (folder / DATABASE).exists():
        raise UsageError(
            f"there is no register in {folder}: if your key never had one, begin it with `zk-register begin`; "
            "if it had, bring it back from a copy or with `zk-register recover`"
        )


def require_never_begun(folder: Path) -> None:
    """UsageError if a register is in the folder, or has left traces there."""
    if (folder / DATABASE).exists():
        raise UsageError(f"there is a register in {folder} already")
    for name, left in ((ANCHORS, folder / ANCHORS), (PUBLIC, folder / PUBLIC / "checkpoint")):
        if left.exists():
            source = f"file:{left}" if name == ANCHORS else str(folder / PUBLIC)
            raise UsageError(
                f"{left} is what a register has left that was lost: a new one would contradict what the old one signed. "
                f"Bring it back: `zk-register recover --from {source}`"
            )
    for pattern in (f"{DATABASE}.damaged-*", "forked-*", "fork-*"):
        for trace in folder.glob(pattern):
            raise UsageError(
                f"{trace} is what a register has left that was damaged, or forked: a new one would contradict what the old one signed. Bring "
                "it back with `zk-register recover`, or go on with a new key (`zk-key rotate`)"
            )


def require_signed(note: bytes, origin: str, keys: Sequence[PublicKey]) -> None:
    """VerificationError unless the Ed25519 key among `keys` signed the register's note, and each
    other one whose line it has: a key file may have had its Ed25519 key alone when it was made. No
    keys: nothing is checked."""
    lines = {(line.name, line.key_id) for line in parse_unverified(note).lines}
    signed = [
        key for key in renamed(keys, origin) if key.algorithm is Algorithm.ED25519 or (key.name, key.key_id) in lines
    ]
    if signed:
        open_note(note, signed)


def _require_next(entry: Entry, found: tuple[int, Entry] | None, after: Entry | None) -> None:
    """RunError unless the entry may follow the run's newest, which is `after` if that is known."""
    name = f"the run {entry.run.hex()}"
    if found is None:
        if entry.kind is not Kind.BEGIN:
            raise RunError(
                f"{name} was never begun in this register: it was begun under another, or this one is an old copy"
            )
        return
    index, newest = found
    if newest.kind is Kind.CLOSE:
        raise RunError(f"{name} was closed, with {newest.size} records (entry {index}): nothing is entered after that")
    if entry.kind is Kind.BEGIN:
        raise RunError(
            f"{name} was begun before, with another header or further on (entry {index}): a new run takes a new id"
        )
    if after is not None and after != newest:
        raise RunError(
            f"{name} has an entry of {newest.size} records (entry {index}) that this trainer didn't make: a copy of the run goes on "
            "elsewhere. Go on with that one, or begin a new run"
        )
    same = (entry.size, entry.root) == (newest.size, newest.root)
    if entry.size < newest.size or (entry.size == newest.size and not (same and entry.kind is Kind.CLOSE)):
        raise RunError(
            f"{name} has {newest.size} records with the root {newest.root.hex()} in the register (entry {index}), and {entry.size} "
            f"with {entry.root.hex()} here: this is another branch of it, or an old copy. Go on with the newer one"
        )
