"""A request to `add-checkpoint` (C2SP tlog-witness), read from its body.

old <size>
<hash in base64>        at most 63 of them: the consistency proof
...

<checkpoint, a signed note>
"""

import re
from dataclasses import dataclass

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import checkpoint_text
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import HASH_BYTES, MAX_SIZE
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.text import decode_base64, quoted

MAX_HASHES = 63
MAX_BODY = MAX_NOTE_BYTES + 4096
"""Bytes of a body: a note, the proof's lines of 45 bytes, and the first line."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """The tree of `old` leaves that the client believes to be the witness's, the hashes of the
    proof from there, 32 bytes each, and the checkpoint, of which no signature was checked."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    @classmethod
    def parse(cls, body: bytes) -> "Request":
        """The request of a body of at most `MAX_BODY` bytes. VerificationError, which says what is
        malformed."""
        head, empty, note = body.partition(b"\n\n")
        if not empty:
            raise VerificationError("the request is not an old size, a proof, an empty line and a checkpoint")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise VerificationError("the lines before the checkpoint are not ASCII") from error
        match = _OLD.fullmatch(first)
        if match is None or int(match[1]) > MAX_SIZE:
            raise VerificationError("the first line is no old size", expected="old <size>", found=quoted(first, 40))
        if len(lines) > MAX_HASHES:
            raise VerificationError("the proof is too long", expected=f"at most {MAX_HASHES} hashes")
        proof = tuple(decode_base64(line, "a hash of the proof") for line in lines)
        if any(len(node) != HASH_BYTES for node in proof):
            raise VerificationError("a hash of the proof has the wrong length", expected=f"{HASH_BYTES} bytes")
        return cls(int(match[1]), proof, SignedCheckpoint.parse(note))

    @property
    def text(self) -> str:
        """The checkpoint's text."""
        head = self.checkpoint.head
        return checkpoint_text(head.origin, head.size, head.root)
