"""A register that was lost, or brought back from an old copy: what shows it, and how it is made
again of what anchors, published tiles and runs hold of it.

What counts is what the key signed. The newest signed note that any source holds is the register's;
it is made again if all of its entries are found and lead to its root, and if every other note is of
a tree that it continues. Otherwise nothing is made: a register without its last entries would sign
other ones in their place, and a fork is never mended.

Sources hold what they were given (`Source`); who reads them is the caller, who may import them.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from zk_autograd.core.anchors import Kept, SignedCheckpoint
from zk_autograd.core.errors import RunError, StorageError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import EMPTY_ROOT, leaf_hash, prefix_roots
from zk_autograd.core.register import Entry, View, origin_of
from zk_autograd.core.text import listed
from zk_autograd.register.database import DATABASE, Database
from zk_autograd.register.register import Register, prepare, require_signed

_ANYWHERE = "name every anchor that was ever used, the published register, and the runs, each with --from"


@dataclass(slots=True)
class Source:
    """What one place holds of a register: notes, and leaves by their position. Nothing of it is
    believed."""

    name: str
    notes: list[bytes] = field(default_factory=list)
    leaves: dict[int, bytes] = field(default_factory=dict)

    def add_kept(self, kept: Iterable[Kept]) -> "Source":
        """What an anchor holds. RunError if it has two leaves at one position."""
        for one in kept:
            self.notes.append(one.note)
            for position, leaf in enumerate(one.entries, one.first):
                self._put(position, leaf)
        return self

    def add_views(self, views: Iterable[View]) -> "Source":
        """What a run was shown. RunError as `add_kept`."""
        for view in views:
            self.notes.append(view.note)
            self._put(view.index, view.entry.encode())
        return self

    def _put(self, position: int, leaf: bytes) -> None:
        if self.leaves.setdefault(position, leaf) != leaf:
            raise RunError(f"{self.name} holds two entries {position}: it was altered, or holds two branches")


@dataclass(frozen=True, slots=True)
class Found:
    """What the sources come to: the newest checkpoint, and all of its leaves."""

    newest: SignedCheckpoint
    leaves: tuple[bytes, ...]


class ForkedRegister(RunError):
    """The sources hold checkpoints that no one register can have. `notes`: all that were found and
    are signed; `leaves`: the entries of the newest one, if they are known."""

    def __init__(self, message: str, notes: Sequence[bytes], leaves: Sequence[bytes] = ()) -> None:
        super().__init__(message)
        self.notes = tuple(notes)
        self.leaves = tuple(leaves)


def require_newest(register: Register, kept: Sequence[Kept], keys: Sequence[PublicKey], where: str) -> None:
    """RunError if what an anchor of the register holds shows that the register was brought back
    from an older copy; ForkedRegister if it shows another branch. `where` names the anchor."""
    signed = [(_signed(one.note, register.origin, keys, where).head, one.note) for one in kept]
    for head, note in sorted(signed, key=lambda pair: -pair[0].size):
        size = register.checkpoint.head.size
        if head.size > size:
            raise RunError(
                f"the register in {register.folder} has {size} entries, and {where} holds a checkpoint of {head.size}: it was brought "
                f"back from an older copy, and would sign other entries in place of those. Run `zk-register recover --from {where}`"
            )
        if register.root_at(head.size) != head.root:
            notes = [register.checkpoint.note, note]
            raise ForkedRegister(_forked(head.size, where), notes, register.entries(0, size))


def combine(sources: Sequence[Source], keys: Sequence[PublicKey]) -> Found:
    """The register that the sources hold together. UsageError if they hold none, RunError if it
    isn't whole or anything in them is not signed by the key, ForkedRegister."""
    origin = origin_of(keys)
    signed = [(_signed(note, origin, keys, source.name), source) for source in sources for note in source.notes]
    if not signed:
        raise UsageError(f"nothing of the register {origin} is in {listed([s.name for s in sources], 5)}: {_ANYWHERE}")
    newest, holder = max(signed, key=lambda pair: pair[0].head.size)
    notes = [checkpoint.note for checkpoint, _ in signed]
    for checkpoint, source in signed:
        if checkpoint.head.size == newest.head.size and checkpoint.head.root != newest.head.root:
            raise ForkedRegister(_forked(newest.head.size, f"{holder.name} and {source.name}"), notes)
    for source in sources:
        if source.leaves and (last := max(source.leaves)) >= newest.head.size:
            raise RunError(
                f"{source.name} has an entry {last}, and the newest signed checkpoint that was found covers {newest.head.size}: a newer one "
                f"was signed. {_ANYWHERE[0].upper()}{_ANYWHERE[1:]}"
            )
    leaves = _leaves(newest, [holder, *sources], notes)
    roots = prefix_roots([leaf_hash(leaf) for leaf in leaves], {checkpoint.head.size for checkpoint, _ in signed})
    for checkpoint, source in signed:
        if roots[checkpoint.head.size] != checkpoint.head.root:
            raise ForkedRegister(_forked(checkpoint.head.size, f"{holder.name} and {source.name}"), notes, leaves)
    return Found(newest, tuple(leaves))


def restore(folder: Path, found: Found, keys: Sequence[PublicKey]) -> str:
    """Puts what was found into the register's folder; gives a sentence about what was there.

    A register that is there is brought up to date in one transaction, and one that is damaged kept
    beside the new one. UsageError if the one that is there is newer, RunError if it is another
    branch.
    """
    prepare(folder)
    if not (folder / DATABASE).exists():
        _create(folder, found)
        return "it was not there"
    try:
        register = Register.read(folder, keys)
    except StorageError:  # the system refuses: nothing is known of it
        raise
    except RunError:
        aside = _create(folder, found, over_damaged=True)
        return f"the damaged one is kept as {aside}"
    with register:
        head = register.checkpoint.head
        if head.size > found.newest.head.size:
            raise UsageError(
                f"the register in {folder} has {head.size} entries, and the newest that was found has {found.newest.head.size}: there is "
                "nothing to bring back"
            )
        register.extend(found.newest, found.leaves)
    return f"it had {head.size} entries"


def salvage(folder: Path, keys: Sequence[PublicKey]) -> Source | None:
    """What can be read of the register's file, however damaged: entries in it that nobody else
    holds must not be forgotten. None if nothing can be read."""
    if not (folder / DATABASE).exists():
        return None
    source = Source(f"the register in {folder}")
    try:
        with closing(Database(folder)) as database, database.reading():
            note, source.leaves = database.raw()
    except StorageError:
        raise
    except RunError:
        return None
    with suppress(RunError):  # the note may be what was damaged
        _signed(note, origin_of(keys), keys, source.name)
        source.notes.append(note)
    return source


def _create(folder: Path, found: Found, *, over_damaged: bool = False) -> Path | None:
    head, note = found.newest.head, found.newest.note
    return Database.create(folder, head.origin, note, found.leaves, over_damaged=over_damaged)


def _signed(note: bytes, origin: str, keys: Sequence[PublicKey], where: str) -> SignedCheckpoint:
    """RunError unless the note is a checkpoint of this register that the key signed."""
    try:
        checkpoint = SignedCheckpoint.parse(note)
        require_signed(note, origin, keys)
    except VerificationError as error:
        raise RunError(
            f"{where} holds a note that is none of your register ({error}): it was altered, or is another's"
        ) from error
    if checkpoint.head.origin != origin:
        raise RunError(f"{where} holds a checkpoint of another register, {checkpoint.head.origin}")
    return checkpoint


def _leaves(newest: SignedCheckpoint, sources: Sequence[Source], notes: Sequence[bytes]) -> list[bytes]:
    """The leaves of the newest checkpoint: those of the first source alone that has them, else of
    all together, the first ones' where they differ."""
    size, root = newest.head.size, newest.head.root
    union: dict[int, bytes] = {}
    for source in sources:
        for position, leaf in source.leaves.items():
            union.setdefault(position, leaf)
    missing = [position for position in range(size) if position not in union]
    if missing:
        raise RunError(
            f"the newest checkpoint that was found covers {size} entries, and no source holds the entries {_ranges(missing)}: without "
            f"them, others would be signed in their place. {_ANYWHERE[0].upper()}{_ANYWHERE[1:]}"
        )
    for leaves in (*(source.leaves for source in sources), union):
        if all(position in leaves for position in range(size)):
            found = [leaves[position] for position in range(size)]
            if prefix_roots([leaf_hash(leaf) for leaf in found], {size}).get(size, EMPTY_ROOT) == root:
                _require_entries(found)
                return found
    raise ForkedRegister(
        f"the entries that were found are not those of the newest checkpoint, of {size}: a source was altered, or they hold two branches",
        notes,
    )


def _require_entries(leaves: Sequence[bytes]) -> None:
    for position, leaf in enumerate(leaves):
        try:
            Entry.parse(leaf)
        except VerificationError as error:
            raise RunError(
                f"entry {position} is none that this version knows ({error}): recover with a newer version"
            ) from error


def _forked(size: int, where: str) -> str:
    return (
        f"your key signed two registers: those of {where} differ within their first {size} entries. A fork is never mended: go on with a "
        "new key (`zk-key rotate`), and tell your auditors"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """ "0-4, 7"; at most five of them."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return listed([str(a) if a == b else f"{a}-{b}" for a, b in parts], 5)
