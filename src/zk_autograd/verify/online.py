"""Step 4, what a service holds that the auditor asked (`--online`): everything under the register's
origin, put together and held against the run.

Nothing of it is believed. A checkpoint counts if all pinned keys signed it. The entries count as
far as a signed checkpoint has their root; then whatever else was signed for fewer entries must be
the root of as many of them, and so must the checkpoints that the run shows, and those that other
services hold. All the run's entries must be the log's. What was asked once is known for that time
alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import cast

from zk_autograd.core.anchors import AnchorVerifier, ConfirmingVerifier, Kept, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import Frontier, leaf_hash
from zk_autograd.core.note import open_note
from zk_autograd.core.register import Entry, Kind, renamed
from zk_autograd.core.register_runs import RunInRegister, sentence, take
from zk_autograd.core.text import counted, quoted
from zk_autograd.verify.anchoring import Anchored, Asked, Held, Registered, time_text
from zk_autograd.verify.log import LogView
from zk_autograd.verify.outcome import Claim, Source
from zk_autograd.verify.registered import require_the_logs, two_branches


def judge_services(
    asked: Sequence[Asked], registered: Registered, view: LogView, keys: Sequence[PublicKey], *, chosen: bool
) -> tuple[Held, ...]:
    """What each service holds; all that they hold is held against each other. `chosen`: the auditor
    gave the root of the view. VerificationError if it shows another branch of the register, or
    another view of the run."""
    if not keys:
        return tuple(Held(one) for one in asked)
    found = [_signed(one, registered.origin, keys) for one in asked]
    heads = [*(head for one in found for _, head in one.notes), *(one.head for one in registered.heads.values())]
    _require_one_root_a_size(heads)
    partly = [pair for one in found for pair in one.partly]
    for key in keys:
        _require_one_root_a_size([*heads, *(one.head for one in partly if key in one.signers)], key.label)
    sizes = {head.size for head in (*heads, *(one.head for one in partly))}
    trees = [_Tree.of(one.notes, sizes) for one in found]
    together = trees[0] if len(found) == 1 else _Tree.of([pair for one in found for pair in one.notes], sizes)
    for tree in (*trees, together):
        tree.require_heads(heads)
        for one in partly:
            tree.require_heads((one.head,), one.signers[0].label)
            tree.hold_against(one.kept, one.head, one.signers[0].label)
    placed = max(len(tree.leaves) for tree in (*trees, together))
    for tree in {id(tree): tree for tree in (*trees, together)}.values():
        _require_one_view(tree, registered, view, chosen=chosen)
    shown = _OnOneBranch.up_to(placed, registered)
    return tuple(_held(one, tree, shown) for one, tree in zip(found, trees, strict=True))


def _require_one_view(tree: "_Tree", registered: Registered, view: LogView, *, chosen: bool) -> None:
    """VerificationError if the entries of this run are not those of one log, the one shown."""
    for index, entry in registered.entries:
        if index < len(tree.leaves) and tree.leaves[index] != entry.encode():
            raise VerificationError(
                f"the trainer's register has two branches: one of them has another entry {index} than the run shows",
                expected=entry.encode().decode("ascii"),
                found=quoted(tree.leaves[index].decode("utf-8", "replace"), 400),
            )
    own = [(index, entry) for index, entry in _entries(tree.leaves)[0] if entry.run == registered.run]
    require_the_logs(own, view, chosen=chosen)
    runs = dict[bytes, RunInRegister]()
    for index, entry in own:
        if index < registered.index:
            raise VerificationError(
                f"entry {index} of the register begins this run, which shows a later begin: it was begun more than once",
                expected=f"no entry of it before {registered.index}",
                found=str(index),
            )
        if why := take(runs, index, entry):
            raise VerificationError(f"the register has what no honest trainer enters: {sentence(index, entry, why)}")


@dataclass(frozen=True, slots=True)
class _OnOneBranch:
    """Of which sizes a signed head, whose root was compared with all others, is on one branch with
    what the run shows: up to `size`, and the run's own `heads`. What is larger and known has a
    root, but the run's next checkpoint needn't continue it."""

    size: int
    heads: frozenset[int]

    @classmethod
    def up_to(cls, placed: int, registered: Registered) -> "_OnOneBranch":
        """With `placed` entries known, from any of the services."""
        heads = frozenset(registered.heads)
        within = placed if placed >= registered.newest.size else max((s for s in heads if s <= placed), default=0)
        return cls(within, heads)

    def has(self, head: Checkpoint) -> bool:
        return head.size <= self.size or head.size in self.heads


def _held(found: "_Signed", tree: "_Tree", shown: _OnOneBranch) -> Held:
    """What counts of it; `tree` is the service's own."""
    entries, odd = _entries(tree.leaves)
    heads = [head for _, head in found.notes]
    begun = [entry.run for _, entry in entries if entry.kind is Kind.BEGIN]
    closed = {entry.run for _, entry in entries if entry.kind is Kind.CLOSE}
    return Held(
        found.asked,
        True,
        tuple(kept for kept, _ in found.notes),
        tuple(heads),
        len(tree.leaves),
        found.foreign + len(found.partly),
        sum(not shown.has(head) for head in heads),
        sum(not shown.has(one.head) for one in found.partly),
        tuple(dict.fromkeys(kept.finding for kept, _ in found.notes if kept.finding)),
        odd,
        tuple(_faults(entries)),
        len(begun),
        len(begun) - len(closed.intersection(begun)),
    )


def confirmed(
    anchored: Sequence[Anchored], services: Sequence[Held], verifiers: Mapping[str, AnchorVerifier]
) -> tuple[Anchored, ...]:
    """The receipts, of which those count that a service which was asked holds just so."""
    return tuple(_confirmed(one, services, verifiers) for one in anchored)


def _confirmed(one: Anchored, services: Sequence[Held], verifiers: Mapping[str, AnchorVerifier]) -> Anchored:
    confirming = _confirming(one, verifiers)
    if confirming is None:
        return one
    for held in services:
        found = [kept for kept in _kept(held, one) if confirming.confirms(kept, one.receipt)]
        if found and all(kept.finding for kept in found):
            return one  # it is there, and not as it should be: `sentences` says how
        if found:
            rests_on = f"on {held.asked.spec}, which was asked on {time_text(held.asked.time)} and held it"
            claim = replace(one.claim, standing=Standing.SHOWN, rests_on=rests_on, time=held.asked.time)
            return replace(one, claim=claim)
    return one


def absent(
    anchored: Sequence[Anchored], services: Sequence[Held], verifiers: Mapping[str, AnchorVerifier]
) -> Iterator[str]:
    """Which services don't hold what receipts say that lies there. That shows nothing false in the
    run: a service can keep back what it has, two can have one name, and the run can have gone on
    after it was asked."""
    for held in services:
        missing = [one for one in anchored if _is_absent(one, held, services, verifiers)]
        if missing:
            heads = ", ".join(dict.fromkeys(f"{one.root.hex()}@{one.size}" for one in missing[:3]))
            yield (
                f"{held.asked.spec}, asked on {time_text(held.asked.time)}, does not hold what "
                f"{counted(len(missing), 'receipt')} of {held.asked.kind} {'says' if len(missing) == 1 else 'say'}: {heads}{', ...' if len(missing) > 3 else ''}"
            )


ABSENT_FIX = (
    "ask again: what receipts say, and the service doesn't hold, was forged, deleted, kept back, lies at another service "
    "of that name, or came after it was asked; until it is there, rely on none of it"
)


def _is_absent(one: Anchored, held: Held, services: Sequence[Held], verifiers: Mapping[str, AnchorVerifier]) -> bool:
    """Whether the receipt says that it lies where the service was asked, and none holds it."""
    confirming = _confirming(one, verifiers)
    if confirming is None or not held.looked or held.asked.kind != one.kind:
        return False
    return confirming.lies_at(held.asked.spec.partition(":")[2], one.receipt) and not any(
        confirming.confirms(kept, one.receipt) for service in services for kept in _kept(service, one)
    )


def _confirming(one: Anchored, verifiers: Mapping[str, AnchorVerifier]) -> ConfirmingVerifier | None:
    """What can confirm the receipt, if it is the trainer's word so far."""
    verifier = verifiers.get(one.kind)
    word = one.claim.standing is Standing.WORD
    return cast("ConfirmingVerifier", verifier) if word and hasattr(verifier, "confirms") else None


def _kept(held: Held, one: Anchored) -> tuple[Kept, ...]:
    """What the service holds of the receipt's kind."""
    return held.kept if held.looked and held.asked.kind == one.kind else ()


@dataclass(frozen=True, slots=True)
class _Partly:
    """A publication whose checkpoint only `signers`, not all pinned keys, signed: one of them is
    enough to show that there are two branches."""

    kept: Kept
    head: Checkpoint
    signers: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class _Signed:
    """What of a service's answer is the register's own, and how many others there are: anybody may
    write to some services."""

    asked: Asked
    notes: list[tuple[Kept, Checkpoint]]
    partly: list[_Partly]
    foreign: int


def _signed(asked: Asked, origin: str, keys: Sequence[PublicKey]) -> _Signed:
    notes, partly, foreign = list[tuple[Kept, Checkpoint]](), list[_Partly](), 0
    for kept in asked.kept:
        head, signers = _signed_head(kept.note, origin, keys)
        if head is None:
            foreign += 1
        elif len(signers) == len(keys):
            notes.append((kept, head))
        else:
            partly.append(_Partly(kept, head, signers))
    return _Signed(asked, notes, partly, foreign)


def _signed_head(
    note: bytes, origin: str, keys: Sequence[PublicKey]
) -> tuple[Checkpoint | None, tuple[PublicKey, ...]]:
    """The register's tree head in a note, and those of the keys that signed it; None if it is none,
    or none did."""
    try:
        head = SignedCheckpoint.parse(note).head
    except UnreadableError:
        raise
    except VerificationError:
        return None, ()
    signers = tuple(key for key in keys if head.origin == origin and _is_signed(note, key, origin))
    return (head if signers else None), signers


def _is_signed(note: bytes, key: PublicKey, origin: str) -> bool:
    try:
        open_note(note, renamed((key,), origin))
    except UnreadableError:
        raise
    except VerificationError:
        return False
    return True


def _require_one_root_a_size(heads: Sequence[Checkpoint], signer: str = "") -> None:
    first: dict[int, Checkpoint] = {}
    for head in heads:
        if (before := first.setdefault(head.size, head)).root != head.root:
            raise two_branches(before, head, signer)


MAX_REBUILT = 64
"""Publications that are put together anew, from entries that differ from the known ones: each takes
as long as all entries do."""


@dataclass(slots=True)
class _Tree:
    """The register's leaves, as far as they are known: they have the root of a signed checkpoint.
    `roots`: of the sizes that are asked for."""

    sizes: set[int]
    leaves: list[bytes] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    tree: Frontier = field(default_factory=Frontier)
    rebuilt: int = 0

    @classmethod
    def of(cls, notes: Sequence[tuple[Kept, Checkpoint]], sizes: set[int]) -> "_Tree":
        """What the publications put together, in the order of their sizes."""
        tree = cls(sizes)
        for kept, head in sorted(notes, key=lambda pair: pair[1].size):
            tree.extend(kept, head)
        return tree

    def require_heads(self, heads: Sequence[Checkpoint], signer: str = "") -> None:
        """VerificationError for a head that is not the root of as many of the leaves."""
        for head in heads:
            if head.size in self.roots and self.roots[head.size] != head.root:
                raise two_branches(Checkpoint(head.origin, head.size, self.roots[head.size]), head, signer)

    def hold_against(self, kept: Kept, head: Checkpoint, signer: str = "") -> None:
        """VerificationError if the publication, of a larger tree, continues other leaves than
        these, which have a signed checkpoint's root, too: then both branches are the trainer's."""
        known, tree, before = len(self.leaves), Frontier(), b""
        if head.size <= known or kept.first >= known or kept.first + len(kept.entries) != head.size:
            return
        if self.rebuilt >= MAX_REBUILT:
            return
        self.rebuilt += 1
        for leaf in (*self.leaves[: kept.first], *kept.entries):
            tree.append(leaf_hash(leaf))
            if tree.size == known:
                before = tree.root()
        if tree.root() == head.root and before != self.roots[known]:
            raise two_branches(
                Checkpoint(head.origin, known, self.roots[known]), replace(head, size=known, root=before), signer
            )

    def extend(self, kept: Kept, head: Checkpoint) -> None:
        """Takes what the publication adds, if its checkpoint has the root of it."""
        known = len(self.leaves)
        if head.size <= known or kept.first > known or kept.first + len(kept.entries) != head.size:
            return
        new = kept.entries[known - kept.first :]
        tree, roots = deepcopy(self.tree), dict[int, bytes]()
        for leaf in new:
            tree.append(leaf_hash(leaf))
            if tree.size in self.sizes:
                roots[tree.size] = tree.root()
        if roots[head.size] == head.root:
            self.tree = tree
            self.leaves += new
            self.roots |= roots
        else:
            self.hold_against(kept, head)


def _entries(leaves: Sequence[bytes]) -> tuple[list[tuple[int, Entry]], int]:
    """The entries by their indexes, and how many leaves are none."""
    found, odd = [], 0
    for index, leaf in enumerate(leaves):
        try:
            found.append((index, Entry.parse(leaf)))
        except VerificationError:
            odd += 1
    return found, odd


def _faults(entries: Sequence[tuple[int, Entry]]) -> Iterator[str]:
    """What no honest trainer enters, in sentences."""
    runs = dict[bytes, RunInRegister]()
    for index, entry in entries:
        if why := take(runs, index, entry):
            yield sentence(index, entry, why)


def sentences(services: Sequence[Held], registered: Registered) -> Iterator[str]:
    """What each service holds."""
    for held in services:
        where = f"{held.asked.spec}, asked on {time_text(held.asked.time)}"
        if not held.looked:
            yield f"{where}: not looked at, since no key is pinned"
            continue
        if held.foreign:
            yield f"{where}: not signed by all pinned keys, so not counted: {held.foreign}"
        if not held.heads:
            yield f"{where}: no checkpoint of this register"
            continue
        if held.placed:
            yield f"{where}: {counted(held.placed, 'checkpoint')} of this register, on one branch with those that the run shows; entries that are there: {held.entries}"
        if held.apart:
            yield f"{where}: checkpoints that can't be put together with those that the run shows, so that nothing shows whether they are of one branch: {held.apart}"
        if held.odd:
            yield f"{where}: leaves of the register that are no entries: {held.odd}"
        if held.faults:
            yield f"{where}: entries that no honest trainer makes: {len(held.faults)}, the first: {held.faults[0]}"
        if held.partly:
            yield f"{where}: signed by some of the pinned keys alone, and not to be put together with the others: {held.partly}"
        yield from (f"{where}: {finding}" for finding in held.findings)
        if held.entries:
            under = (
                "under this key" if not held.apart and held.entries >= registered.newest.size else "in these entries"
            )
            yield f"{where}: {counted(held.begun, 'run')} begun {under}, {held.open} of them never closed"


def claims(services: Sequence[Held], registered: Registered, anchored: Sequence[Anchored]) -> Iterator[Claim]:
    """What is shown by those that hold the whole register, with all of this run that is shown; of a
    kind whose receipts count: the trainer's own file stays their word."""
    counting = {one.kind for one in anchored if one.shown}
    for held in services:
        if held.whole and held.entries >= registered.newest.size and held.asked.kind in counting:
            when = f"{held.asked.spec}, asked on {time_text(held.asked.time)}"
            yield Claim(
                f"that {when}, held no other branch of the register and no other view of this log", Source.ANCHORED
            )


def limits(services: Sequence[Held]) -> Iterator[str]:
    """What asking once does not show."""
    if any(held.looked for held in services):
        yield "what a service holds was asked once: nothing shows what it gave others, or gives later"
