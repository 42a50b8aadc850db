"""Publications numbered 0, 1, 2 ... in a store that can create what isn't there yet, and can't be
made to write over it: an object store or a table.

Whoever publishes reads the newest publication, has its own register's tree show that it continues
that one, and creates the next number. Of several who do so at once the store lets one create it;
the others read it and start again. So there is one chain, and a register that was rolled back,
copied or begun anew can't add to it. A number that is missing later was deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from zk_autograd.anchor.kept import MAX_ENTRIES, encode_kept, parse_kept
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.canonical import Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.merkle import verify_consistency
from zk_autograd.core.register import is_origin
from zk_autograd.core.text import counted

MAX_BODY = 2**26
"""Bytes of one publication in a store: some 250,000 entries."""
MAX_READ = 2**30
"""Bytes of all publications under one origin, each counted as `_OVERHEAD` more, since what is small
on the way takes memory here: four million entries."""
_OVERHEAD = 2**10
MAX_NUMBER = 2**31
_ROUNDS = 64


@dataclass(frozen=True, slots=True)
class Held:
    """One publication as a store gave it back. `place` is the body of a receipt for it; `finding`
    as in core.anchors.Kept."""

    number: int
    body: bytes
    place: Mapping[str, Json]
    finding: str = ""


class Store(Protocol):
    """Every method raises AnchorDown if it is worth trying again, and AnchorError if not."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def newest(self, origin: str) -> Held | None:
        """The publication of the highest number, None if there is none."""
        ...

    def create(self, origin: str, number: int, body: bytes) -> Held | None:
        """Writes the publication and reads it back; None if that number is taken."""
        ...

    def everything(self, origin: str) -> Iterable[Held]:
        """All there is under the origin, by their numbers."""
        ...


def publish(kind: str, store: Store, checkpoint: SignedCheckpoint, history: History) -> Receipt:
    """Creates the next publication, unless the newest is this checkpoint's. Errors as in
    core.anchors.Anchor.publish."""
    head = checkpoint.head
    if not is_origin(head.origin):
        raise UsageError(f"only a register's checkpoint can be anchored in {store.name}")
    if head.size == 0:
        raise UsageError(f"an empty register has nothing to anchor in {store.name}: enter a run first")
    for _ in range(_ROUNDS):
        newest = store.newest(head.origin)
        before = None if newest is None else _head(store, newest)
        if newest is not None and before == head:
            return Receipt(kind, head.size, head.root, newest.place)
        if newest is not None and before is not None:
            _require_continued(store, before, head, history, newest)
        first = 0 if before is None else before.size
        number = 0 if newest is None else newest.number + 1
        held = store.create(head.origin, number, _body(store, checkpoint, first, history))
        if held is not None:
            return Receipt(kind, head.size, head.root, held.place)
    raise AnchorDown(f"{store.name} is written to by others all the time: {_ROUNDS} rounds brought no place")


def require_continued(store: Store, checkpoint: SignedCheckpoint, history: History) -> None:
    """See core.anchors.AskableAnchor: of the newest publication."""
    newest = store.newest(checkpoint.head.origin)
    if newest is not None:
        _require_continued(store, _head(store, newest), checkpoint.head, history, newest)


def read(store: Store, origin: str) -> Sequence[Kept]:
    """All that the store holds under the origin. AnchorError for what is no publication, for more
    than can be read, and for numbers that fall."""
    if not is_origin(origin):
        raise UsageError(f"only a register's origin can be looked up in {store.name}")
    kept, expected, total, entries = list[Kept](), 0, 0, 0
    for held in store.everything(origin):
        total += len(held.body) + _OVERHEAD
        if total > MAX_READ:
            raise AnchorError(f"{store.name} holds more than {MAX_READ} bytes of this register: too much to be read")
        if held.number < expected - 1:  # the same may come again: a version of what was written over
            raise AnchorError(f"{store.name} can't be read: it gives number {held.number} after number {expected - 1}")
        finding = held.finding
        if held.number > expected:
            missing = counted(held.number - expected, "publication")
            finding = finding or f"before number {held.number}, {missing} can't be found"
        expected = held.number + 1
        kept.append(_kept(store, held, finding))
        entries += len(kept[-1].entries)
        if entries > MAX_ENTRIES:
            raise AnchorError(
                f"{store.name} holds more than {MAX_ENTRIES} entries of this register: too many to be read"
            )
    return kept


def _head(store: Store, held: Held) -> Checkpoint:
    """The tree head of the newest publication. AnchorError if it can't be relied on."""
    if held.finding:
        raise AnchorError(
            f"{store.name} can't be relied on: {held.finding}; find out who did it, and name another place"
        )
    return SignedCheckpoint.parse(_kept(store, held, "").note).head


def _kept(store: Store, held: Held, finding: str) -> Kept:
    try:
        kept = parse_kept(held.body, place=held.place, finding=finding)
        SignedCheckpoint.parse(kept.note)
    except VerificationError as error:
        raise AnchorError(
            f"number {held.number} in {store.name} is no publication ({error}): somebody else writes there"
        ) from error
    return kept


def _require_continued(store: Store, before: Checkpoint, head: Checkpoint, history: History, newest: Held) -> None:
    if before.origin != head.origin:
        raise AnchorError(f"number {newest.number} in {store.name} is another register's: name another place")
    if before.size > head.size:
        raise AnchorBehind(f"{store.name} holds a checkpoint of {before.size} entries, ours has {head.size}")
    try:
        proof = history.consistency(before.size, head.size)
        verify_consistency(before.size, head.size, before.root, head.root, proof)
    except VerificationError as error:
        raise AnchorForked(
            f"{store.name} holds another branch of this register: {before.root.hex()}@{before.size}",
            parse_kept(newest.body).note,
        ) from error


def _body(store: Store, checkpoint: SignedCheckpoint, first: int, history: History) -> bytes:
    body = encode_kept(Kept(checkpoint.note, first, tuple(history.entries(first, checkpoint.head.size))))
    if len(body) > MAX_BODY:
        raise AnchorError(
            f"{checkpoint.head.size - first} entries at once are too many for {store.name}: "
            f"{len(body)} bytes, and it takes {MAX_BODY}"
        )
    return body
