"""The register: a trainer's one log over all their runs, as both sides know it.

Its leaves are `Entry`s: (run, size, root) of a run's own log, and what it is for. A run is begun by
the entry of its header alone, before its first step; so a run that was begun and never shown is
seen. The register's checkpoints are what anchors hold on to.

    origin      zk-autograd/register/<SHA-256 of the trainer's Ed25519 key, hexadecimal>
    leaf        canonical JSON: {"format": "zk-autograd/register/v1", "kind": "begin" (or
                "checkpoint", "close"), "run": <run id>, "size": <records>, "root": <their root>}
    signatures  by all the trainer's keys, under the origin as their name

A signature's name is the origin, since the public network of witnesses knows logs by it (C2SP
tlog-checkpoint: "The log's key name in its signature line SHOULD match the origin line").

A run takes along what shows its entries: register/views.jsonl, canonical JSON lines (`View`), each
with a checkpoint of the register, one of the run's entries with its inclusion proof, and the
consistency proof from the line before. The first line's entry is the run's begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256

from zk_autograd.core import canonical
from zk_autograd.core.canonical import MAX_INTEGER, Json
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import Algorithm, PublicKey, SeedSigner, Signer
from zk_autograd.core.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion
from zk_autograd.core.note import MAX_NOTE_BYTES, open_note, parse_checkpoint, parse_unverified, sign

ENTRY_FORMAT = "zk-autograd/register/v1"
VIEW_FORMAT = "zk-autograd/register-view/v1"
RUN_BYTES = 16
MAX_ENTRY = 1024
"""Bytes of a leaf."""
EVERY = 64
"""How many records a run has from one of its entries to the next, unless its trainer says
otherwise."""
MAX_PROOF_HASHES = 64
MAX_VIEW = 2 * MAX_NOTE_BYTES
"""Bytes of a line of register/views.jsonl."""

_PREFIX = "zk-autograd/register/"


class Kind(Enum):
    """What an entry is for."""

    BEGIN = "begin"
    CHECKPOINT = "checkpoint"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf: the first `size` records of the run with this 16-byte id have this root. Of BEGIN
    `size` is 1: the header."""

    kind: Kind
    run: bytes
    size: int
    root: bytes

    def encode(self) -> bytes:
        """The leaf's bytes."""
        return canonical.encode(self.to_json())

    def to_json(self) -> dict[str, Json]:
        """The leaf as an object."""
        return {
            "format": ENTRY_FORMAT,
            "kind": self.kind.value,
            "run": self.run.hex(),
            "size": self.size,
            "root": self.root.hex(),
        }

    @classmethod
    def parse(cls, leaf: bytes) -> "Entry":
        """The entry of a leaf. VerificationError unless `encode` gives the same bytes."""
        return cls.read(Fields(canonical.decode(leaf, max_bytes=MAX_ENTRY), "entry"))

    @classmethod
    def read(cls, fields: Fields) -> "Entry":
        """The entry of an object that is read to its end. VerificationError."""
        fields.choice("format", (ENTRY_FORMAT,))
        kind = Kind(fields.choice("kind", tuple(kind.value for kind in Kind)))
        least, most = (1, 1) if kind is Kind.BEGIN else (2, MAX_INTEGER)
        entry = cls(
            kind, fields.hex("run", RUN_BYTES), fields.integer("size", least, most), fields.hex("root", HASH_BYTES)
        )
        fields.end()
        return entry


@dataclass(frozen=True, slots=True)
class View:
    """A line of register/views.jsonl: the register's checkpoint `note` covers `entry` as leaf
    `index`, which `inclusion` shows, and continues the tree of `since` leaves of the line before (0
    for the first), which `consistency` shows."""

    note: bytes
    index: int
    entry: Entry
    inclusion: tuple[bytes, ...]
    since: int = 0
    consistency: tuple[bytes, ...] = ()

    @property
    def head(self) -> Checkpoint:
        """The register's tree head. No signature is checked. VerificationError if malformed."""
        return parse_checkpoint(parse_unverified(self.note).text)

    def encode(self) -> bytes:
        """The line, without newline."""
        value: dict[str, Json] = {
            "format": VIEW_FORMAT,
            "checkpoint": self.note.decode("utf-8"),
            "index": self.index,
            "entry": self.entry.to_json(),
            "inclusion": [node.hex() for node in self.inclusion],
            "since": self.since,
            "consistency": [node.hex() for node in self.consistency],
        }
        return canonical.encode(value)

    @classmethod
    def parse(cls, line: bytes) -> "View":
        """The view of a line, nothing of it checked. VerificationError unless `encode` gives the
        same bytes."""
        fields = Fields(canonical.decode(line, max_bytes=MAX_VIEW), "view")
        fields.choice("format", (VIEW_FORMAT,))
        note = fields.raw("checkpoint")
        if not isinstance(note, str) or len(note) > MAX_NOTE_BYTES:
            raise VerificationError("view.checkpoint is not the text of a note")
        view = cls(
            note.encode("utf-8"),
            fields.integer("index", 0, MAX_INTEGER),
            Entry.read(fields.object("entry")),
            tuple(v.hex(HASH_BYTES) for v in fields.array("inclusion", MAX_PROOF_HASHES)),
            fields.integer("since", 0, MAX_INTEGER),
            tuple(v.hex(HASH_BYTES) for v in fields.array("consistency", MAX_PROOF_HASHES)),
        )
        fields.end()
        return view

    def verify(self, origin: str, before: Checkpoint | None, keys: Sequence[PublicKey]) -> Checkpoint:
        """The register's tree head, after checks: its origin, the signatures of all `keys` (none:
        none is checked), inclusion of the entry, and consistency with the head `before` (None:
        this is the first line). VerificationError."""
        text = open_note(self.note, renamed(keys, origin)).text if keys else parse_unverified(self.note).text
        head = parse_checkpoint(text)
        if head.origin != origin:
            raise VerificationError("the checkpoint is of another register", expected=origin, found=head.origin)
        verify_inclusion(leaf_hash(self.entry.encode()), self.index, head.size, self.inclusion, head.root)
        size, root = (before.size, before.root) if before else (0, EMPTY_ROOT)
        if self.since != size:
            raise VerificationError(
                "the view does not follow the one before", expected=str(size), found=str(self.since)
            )
        verify_consistency(size, head.size, root, head.root, self.consistency)
        return head


def key_id(keys: Sequence[PublicKey]) -> str:
    """What a trainer's register is called: the SHA-256 of their Ed25519 key's 32 bytes, in
    hexadecimal. UsageError unless exactly one of the keys is Ed25519."""
    found = [key for key in keys if key.algorithm is Algorithm.ED25519]
    if len(found) != 1:
        raise UsageError(f"a register belongs to one Ed25519 key, and here are {len(found)}: give one trainer's keys")
    return sha256(found[0].raw).hexdigest()


def origin_of(keys: Sequence[PublicKey]) -> str:
    """The origin of these keys' register. UsageError as `key_id`."""
    return _PREFIX + key_id(keys)


def is_origin(text: str) -> bool:
    """Whether this can be a register's origin."""
    rest = text.removeprefix(_PREFIX)
    return text.startswith(_PREFIX) and len(rest) == 64 and set(rest) <= set("0123456789abcdef")


def renamed(keys: Sequence[PublicKey], origin: str) -> list[PublicKey]:
    """The keys as they sign the register: under its origin as their name."""
    return [replace(key, name=origin) for key in keys]


def register_signers(signers: Sequence[Signer], origin: str) -> list[Signer]:
    """The signers as they sign the register. UsageError for one that can't take another name."""
    return [_renamed(signer, origin) for signer in signers]


def sign_head(head: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """The register's signed checkpoint; `signers` are the trainer's own."""
    return sign(checkpoint_text(head.origin, head.size, head.root), register_signers(signers, head.origin))


@dataclass(frozen=True, slots=True)
class _Renamed:
    """An Ed25519 signer that is not a seed's, under another name: the name is no part of what it
    signs."""

    signer: Signer
    public_key: PublicKey

    def sign(self, text: str) -> bytes:
        return self.signer.sign(text)


def _renamed(signer: Signer, name: str) -> Signer:
    if isinstance(signer, SeedSigner):
        return replace(signer, name=name)
    key = signer.public_key
    if key.algorithm is not Algorithm.ED25519:
        raise UsageError(f"the key {key.label} can't sign a register: it signs under its own name alone")
    return _Renamed(signer, replace(key, name=name))
