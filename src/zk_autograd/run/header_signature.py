"""The trainer's signature over a run's header, in the private folder: it tells whoever resumes a
run that the run is their own.

A run's public key is public, so anybody can make a run that names it. While the log has no
checkpoint, nothing else says who made it: whoever resumed such a run would sign what a stranger
recorded. The signature is a C2SP signed note over this text, with the header's digest:

    zk-autograd/private-header/v1
    <SHA-256, hexadecimal>

The text is no checkpoint, so of the run's keys those sign that can sign texts (Ed25519): an
ML-DSA-44 key signs checkpoints alone. No auditor reads it; it is the trainer's word to themselves.

Runs of earlier versions have none; their checkpoint, which was signed before their first step, says
it instead.
"""

from collections.abc import Sequence

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import PublicKey, Signer, text_signers
from zk_autograd.core.note import open_note, sign

PART = "signature"
"""Its name in the file private/header."""

_DOMAIN = "zk-autograd/private-header/v1"


def signed(digest: bytes, signers: Sequence[Signer]) -> bytes:
    """The note over the header of this digest, by those of the signers that sign texts. UsageError
    if none does."""
    return sign(_text(digest), text_signers(signers))


def is_signed(note: bytes | None, digest: bytes, keys: Sequence[PublicKey]) -> bool:
    """Whether the note, if there is one, is over this digest, and by all of these keys that sign
    texts: False if none does."""
    able = [key for key in keys if key.algorithm.signs_texts]
    if note is None or not able:
        return False
    try:
        return open_note(note, able).text == _text(digest)
    except VerificationError:
        return False


def _text(digest: bytes) -> str:
    return f"{_DOMAIN}\n{digest.hex()}\n"
