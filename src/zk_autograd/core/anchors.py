"""Anchors, as both sides know them: what is anchored, what an anchor gives back, and what that
shows.

What is anchored is a checkpoint of the trainer's register (core.register). An anchor's publisher
(anchor/<kind>/publish.py) returns a `Receipt`; the verifier (anchor/<kind>/receipt.py) makes of it
an `AnchorClaim`, without a network and under a trust that is the auditor's own.

A receipt is canonical JSON on one line of anchors/receipts.jsonl:

    {"format": "zk-autograd/receipt/v1", "kind": ..., "size": ..., "root": ..., "receipt": {...}}

`size` and `root` are those of the register's checkpoint, which is whole in register/views.jsonl;
`receipt` is the kind's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, Protocol

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import HASH_BYTES
from zk_autograd.core.note import parse_checkpoint, parse_unverified
from zk_autograd.core.progress import Progress, silent

RECEIPT_FORMAT = "zk-autograd/receipt/v1"

MAX_RECEIPT = 2**20
"""Bytes of one receipt."""

MAX_KIND = 40


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A register's checkpoint: the whole signed note, and the tree head that it says. Whoever makes
    one from bytes has its signatures checked elsewhere."""

    note: bytes
    head: Checkpoint

    @classmethod
    def parse(cls, note: bytes) -> "SignedCheckpoint":
        """The checkpoint in a note. No signature is checked. VerificationError if malformed."""
        return cls(note, parse_checkpoint(parse_unverified(note).text))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an anchor gave back for the register's tree head (size, root): the kind's own `body`, a
    JSON object."""

    kind: str
    size: int
    root: bytes
    body: Mapping[str, Json]

    def encode(self) -> bytes:
        """The receipt's line, without newline. ValueError for a body that canonical JSON lacks."""
        value: dict[str, Json] = {
            "format": RECEIPT_FORMAT,
            "kind": self.kind,
            "size": self.size,
            "root": self.root.hex(),
            "receipt": dict(self.body),
        }
        return canonical.encode(value)

    @classmethod
    def parse(cls, line: bytes) -> "Receipt":
        """The receipt of a line; of its body nothing but its being an object is known.
        VerificationError unless `encode` gives the same bytes."""
        fields = Fields(canonical.decode(line, max_bytes=MAX_RECEIPT), "receipt")
        fields.choice("format", (RECEIPT_FORMAT,))
        body = fields.raw("receipt")
        if not isinstance(body, dict):
            raise VerificationError("receipt.receipt is invalid", expected="an object")
        receipt = cls(
            fields.text("kind", MAX_KIND),
            fields.integer("size", 1, canonical.MAX_INTEGER),
            fields.hex("root", HASH_BYTES),
            body,
        )
        fields.end()
        return receipt

    def fields(self) -> Fields:
        """The body's fields, to be read and ended."""
        return Fields(dict(self.body), f"receipt of {self.kind}")

    def require_head(self, head: Checkpoint) -> None:
        """VerificationError unless the receipt is for this tree head."""
        if (self.size, self.root) != (head.size, head.root):
            raise VerificationError(
                f"the receipt of {self.kind} is for another tree head",
                expected=f"{head.root.hex()}@{head.size}",
                found=f"{self.root.hex()}@{self.size}",
            )


class Standing(Enum):
    """What a receipt that is well formed is worth."""

    SHOWN = "shown"
    """Somebody whom the auditor trusts holds, or held, this tree head."""
    WORD = "the trainer's word"
    """The trainer could have written it alone: only who asks the service knows more."""
    UNJUDGED = "not judged"
    """What it takes to judge it is missing: a key, a root certificate, a package."""


@dataclass(frozen=True, slots=True)
class AnchorClaim:
    """What a receipt shows of the tree head that it is for.

    `rests_on`: a sentence, what it rests on, or what is missing to judge it. `time`: POSIX seconds;
    on that word the tree head existed by then (None: it says nothing of time). `excludes_forks`: as
    far as what it rests on holds, this anchor took no other branch of this register; one that never
    went there can be shown to whoever asks for no receipt of this kind. `beacon`: 32 bytes that
    nobody knew before this tree head was anchored and that the trainer had no choice of, if the
    receipt shows such. `identity`: who vouches, and `keys`: what tells that two of them are one,
    such as their keys, so that one authority isn't counted twice (`authorities`). `position`: a
    counter that never goes back, and where it stood (`require_order`). `beacon_terms`: by which
    rule the beacon was found, which the run's header must have said before. `beacon_after`: the
    size of the tree that was anchored before this one under those terms (0: none was; None: it
    doesn't say): leaves below it had a beacon already, and this one is not theirs.
    """

    kind: str
    standing: Standing
    rests_on: str
    time: int | None = None
    excludes_forks: bool = False
    beacon: bytes | None = None
    identity: tuple[str, ...] = ()
    position: tuple[str, int] | None = None
    beacon_terms: Mapping[str, str] = field(default_factory=dict)
    beacon_after: int | None = None
    keys: tuple[str, ...] = ()


def authorities(claims: Iterable[AnchorClaim]) -> tuple[str, ...]:
    """Who vouches in these claims, each once, by one of their names. Two that share one of the
    `keys` are one, and so are those that a third one joins."""
    groups: list[set[str]] = []
    names: set[str] = set()
    for claim in claims:
        names.update(claim.identity)
        for name in claim.identity:
            group = {name, *claim.keys}
            joined = [one for one in groups if one & group]
            groups = [one for one in groups if not one & group] + [group.union(*joined)]
    return tuple(sorted(min(group & names) for group in groups))


def require_order(claims: Iterable[tuple[Checkpoint, AnchorClaim]]) -> None:
    """VerificationError if two tree heads of one register have one position of a counter, or the
    smaller tree has the higher one: the register was rolled back, or has two branches. `claims`:
    each with the tree head that it is about."""
    placed = sorted(
        (*claim.position, head.size, head.root)
        for head, claim in claims
        if claim.position and claim.standing is Standing.SHOWN
    )
    for (counter, value, size, root), (other, later, later_size, later_root) in pairwise(placed):
        if counter != other or (size, root) == (later_size, later_root):
            continue
        if value == later or later_size <= size:
            raise VerificationError(
                f"the register was rolled back or has two branches: {counter} stood at {value} for a tree of {size} "
                f"entries, and at {later} for another, of {later_size}"
            )


class AnchorVerifier(Protocol):
    """An anchor's side of a verification: the module anchor/<kind>/receipt.py has these names."""

    KIND: str

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> Any:
        """The auditor's trust in this kind from a table of theirs, [anchors.<kind>] of a policy;
        the caller ends the fields. `read` gives the bytes of a file that lies beside the policy, by
        its plain name. VerificationError for a table that makes no sense."""
        ...

    def verify(self, receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
        """What the receipt shows of the checkpoint, under `trust` (what `read_trust` gave; None:
        the auditor has none). No network. VerificationError for a receipt that is false, malformed,
        or for another tree head; what can't be judged is a claim that says so."""
        ...


class ConfirmingVerifier(AnchorVerifier, Protocol):
    """The verifier of an anchor whose receipts its trainer could write alone, and that whoever asks
    the service can confirm."""

    def confirms(self, kept: "Kept", receipt: Receipt) -> bool:
        """Whether what the service holds is what the receipt says: the same tree head, at the same
        place. False, too, for a receipt that `verify` refuses."""
        ...

    def lies_at(self, rest: str, receipt: Receipt) -> bool:
        """Whether a receipt that `verify` takes says that it lies where an anchor `KIND:rest`
        looks, as far as receipts say: none names an endpoint."""
        ...


class History(Protocol):
    """The register's own tree, for publishers: of the checkpoint that is published, and before."""

    def entries(self, first: int, end: int) -> Sequence[bytes]:
        """The leaves `first` .. `end` - 1."""
        ...

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        """RFC 9162 2.1.4: the hashes from the tree of `size1` leaves to that of `size2`."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What an anchor holds of one publication: the whole note, and the register's leaves `first` ..
    size - 1, if it keeps them.

    `place`: what the body of a receipt for it says, made of what was read now (empty: the anchor's
    receipts can't be compared with it). `finding`: what is wrong with how it is kept, such as that
    it was deleted or written over; "" for nothing.
    """

    note: bytes
    first: int = 0
    entries: tuple[bytes, ...] = ()
    place: Mapping[str, Json] = field(default_factory=dict)
    finding: str = ""


class Anchor(Protocol):
    """An anchor's side of a training: anchor/<kind>/publish.py has a function `open_anchor(rest)`
    that makes one from what follows the kind in `KIND:REST`."""

    @property
    def kind(self) -> str: ...

    @property
    def spec(self) -> str:
        """`KIND:REST`, without secrets: what is shown to people."""
        ...

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """Has the checkpoint anchored, and returns what shows it: one receipt, or one for each
        authority. Publishing what is there already gives a receipt again.

        AnchorDown if it is worth trying again; AnchorBehind if a larger tree of this register is
        there; AnchorForked if another branch is; AnchorError for what won't get better.
        """
        ...


class AskableAnchor(Anchor, Protocol):
    """One that can be asked, at no cost, whether a register is the newest of what it holds."""

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """Publishes nothing. AnchorBehind and AnchorForked where `publish` would raise them, for
        all that the anchor holds of this register; also of an empty one. AnchorDown, AnchorError.
        """
        ...


class KnowingAnchor(Anchor, Protocol):
    """One that tells more if it knows who signs the register."""

    def know(self, keys: Sequence[PublicKey]) -> None:
        """The register's keys, under its origin as their name."""
        ...


class ReadableAnchor(Anchor, Protocol):
    """One that can be asked for everything that it holds."""

    def read(self, origin: str) -> Sequence[Kept]:
        """Everything that is held under the register's origin, in no order. Nothing is believed:
        the caller checks notes and leaves. AnchorDown, AnchorError."""
        ...


class BeaconAnchor(Anchor, Protocol):
    """One that gives a beacon for what it holds."""

    def beacon_terms(self) -> Mapping[str, str]:
        """The kind's own terms of its beacons (`AnchorClaim.beacon_terms`), which a run's header
        says before it is anchored. AnchorDown; AnchorError if there are no beacons here."""
        ...

    def beacon(
        self,
        checkpoint: SignedCheckpoint,
        history: History,
        *,
        progress: Progress = silent,
        patience: float | None = None,
    ) -> tuple[Receipt, bytes]:
        """Has the checkpoint anchored as `publish` does, waits for its beacon, and gives it with
        the receipt that shows it.

        It belongs to the leaves that no tree before covered (`AnchorClaim.beacon_after`).
        `patience`: seconds to wait; AnchorDown after them, and the next call goes on from there.
        """
        ...
