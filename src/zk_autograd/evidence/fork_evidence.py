"""Fork evidence: two signed checkpoints of one log, and the hashes that show how their trees are
related, in one file that anybody can check.

    zk-autograd/fork-evidence/v1
    prefix <base64>
    <base64>
    ...

    <the note of the smaller checkpoint, whole>

    <the note of the larger checkpoint, whole>

The hashes are a consistency proof (RFC 9162 section 2.1.4), one a line as in C2SP tlog-proof, from
the tree of the smaller size whose root is `prefix` to the tree of the larger checkpoint. `prefix`
need not be the root that was signed for the smaller size: if it is not, the larger tree doesn't
begin with the smaller one. Both are left out where there is nothing to show: between equal sizes,
and from size 0.

A file has one form: notes and hashes as their specifications write them, the smaller size first;
equal sizes in the order of their roots, then of their bytes. Nothing is believed here: no signature
and no hash is checked (verify.consistency).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import HASH_BYTES
from zk_autograd.core.note import MAX_NOTE_BYTES, Checkpoint, UnverifiedNote, parse_checkpoint, parse_unverified
from zk_autograd.core.text import decode_base64, encode_base64, quoted

FORMAT = "zk-autograd/fork-evidence/v1"
FAMILY = FORMAT.removesuffix("v1")
"""How the first line of every version begins."""

MAX_HASHES = 64
"""Of a consistency proof between trees of fewer than 2^63 leaves: one a level, and one more."""

MAX_EVIDENCE = 2 * MAX_NOTE_BYTES + 64 * (MAX_HASHES + 3)
"""Bytes of the file: two notes, and lines of at most 64 bytes."""

_PREFIX = "prefix "


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A checkpoint in its note, of which no signature was checked."""

    note: bytes
    parsed: UnverifiedNote
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, note: bytes) -> "SignedHead":
        """The checkpoint in the note. VerificationError if it is malformed."""
        parsed = parse_unverified(note)
        return cls(note, parsed, parse_checkpoint(parsed.text))

    def __str__(self) -> str:
        """Origin, root and size, for one line of a report."""
        return f"{quoted(self.checkpoint.origin, 100)}, {self.checkpoint.root.hex()}@{self.checkpoint.size}"

    @property
    def place(self) -> tuple[int, bytes, bytes]:
        """What the order of two heads goes by: size, root, bytes."""
        return self.checkpoint.size, self.checkpoint.root, self.note


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """What the file holds. `prefix`: the 32-byte root of the larger tree's first `smaller.size`
    leaves, as far as `proof`, of 32-byte hashes, shows it; None where there is nothing to show.

    Raises VerificationError if the two are not in order, or the hashes not what their sizes need to
    have.
    """

    smaller: SignedHead
    larger: SignedHead
    prefix: bytes | None = None
    proof: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.smaller.place > self.larger.place:
            raise VerificationError("fork evidence has its checkpoints in the wrong order")
        if self.needs_proof != (self.prefix is not None) or (self.proof and not self.needs_proof):
            needed = "a prefix, and hashes" if self.needs_proof else "neither prefix nor hashes"
            raise VerificationError("fork evidence has hashes where none belong, or none", expected=needed)
        if len(self.proof) > MAX_HASHES:
            raise VerificationError("fork evidence has too many hashes", expected=f"at most {MAX_HASHES}")
        if any(len(node) != HASH_BYTES for node in (self.prefix or bytes(HASH_BYTES), *self.proof)):
            raise VerificationError("fork evidence has a hash of the wrong length", expected=f"{HASH_BYTES} bytes")

    @classmethod
    def of(
        cls, one: SignedHead, other: SignedHead, prefix: bytes | None = None, proof: Sequence[bytes] = ()
    ) -> "ForkEvidence":
        """The two heads in their order. Raises as the class."""
        smaller, larger = sorted((one, other), key=lambda head: head.place)
        return cls(smaller, larger, prefix, tuple(proof))

    @classmethod
    def parse(cls, data: bytes) -> "ForkEvidence":
        """The evidence in a file. VerificationError unless `encode` gives the same bytes."""
        if len(data) > MAX_EVIDENCE:
            raise VerificationError("fork evidence is too long", expected=f"at most {MAX_EVIDENCE} bytes")
        # A checkpoint's text has no empty line, nor have the lines of its signatures.
        parts = data.split(b"\n\n", 5)
        if len(parts) != 5:
            raise VerificationError(
                "fork evidence is not a head and two checkpoints with their signatures, with empty lines between",
                expected="5 parts",
                found="more" if len(parts) > 5 else str(len(parts)),
            )
        prefix, proof = _parse_head(parts[0])
        notes = (parts[1] + b"\n\n" + parts[2] + b"\n", parts[3] + b"\n\n" + parts[4])
        evidence = cls(SignedHead.parse(notes[0]), SignedHead.parse(notes[1]), prefix, proof)
        if evidence.encode() != data:  # each part is read in one form; this holds it for the whole
            raise VerificationError("fork evidence is not in its one form")
        return evidence

    @property
    def needs_proof(self) -> bool:
        """Whether the sizes leave anything to show: a tree begins with the empty one, and two
        trees of one size are equal or not."""
        return 0 < self.smaller.checkpoint.size < self.larger.checkpoint.size

    def encode(self) -> bytes:
        """The file's bytes."""
        lines = [FORMAT]
        if self.prefix is not None:
            lines += [_PREFIX + encode_base64(self.prefix), *map(encode_base64, self.proof)]
        return b"\n".join(("\n".join(lines).encode() + b"\n", self.smaller.note, self.larger.note))


def _parse_head(data: bytes) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The prefix and the hashes, of whatever length."""
    try:
        first, *lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise VerificationError(f"the head of fork evidence is not ASCII: byte {error.start}") from error
    if first != FORMAT:
        raise VerificationError("fork evidence of a format that is not known", expected=FORMAT, found=quoted(first))
    if not lines:
        return None, ()
    if not lines[0].startswith(_PREFIX):
        raise VerificationError("the second line of fork evidence is no prefix", found=quoted(lines[0]))
    prefix = decode_base64(lines[0].removeprefix(_PREFIX), "the prefix of fork evidence")
    return prefix, tuple(decode_base64(line, "a hash of fork evidence") for line in lines[1:])
