"""ML-DSA-44 over a checkpoint: what C2SP calls a cosignature of type 0x06.

Sources: C2SP tlog-cosignature ("ML-DSA-44 signed message") and FIPS 204; no context string. What is
signed isn't the note's text but a structure made of it, the `cosigned_message`: so such a key signs
checkpoints and nothing else, and its signature also binds the key's name.

The signature in a note is a `timestamped_signature`: a time and 2420 bytes. A log's own are of the
time 0, "no statement as to the tree being the largest": a trainer's clock would be one more claim
that nobody can check. A witness's (core.cosigner) say when it signed. Another's time, up to 2^63 -
1 seconds, is accepted of a log as C2SP has it: it is part of what was signed, so nobody but the
key's owner can have chosen it, and nothing is concluded from it.
"""

from typing import TYPE_CHECKING

from zk_autograd.core.checkpoint import MAX_NAME_BYTES, Checkpoint, parse_checkpoint
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.text import encode_utf8

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

KEY_BYTES = 1312
RHO_BYTES = 32
"""Of the key, the seed of the public matrix; the rest is t1."""

SIGNATURE_BYTES = 2420
TIME_BYTES = 8
MAX_TIME = 2**63 - 1

_LABEL = b"subtree/v1\n\0"
_NO_ML_DSA = "this machine's `cryptography` was built without ML-DSA-44: install the wheel from its publisher"


def cosigned_message(name: str, time: int, head: Checkpoint) -> bytes:
    """The bytes that a key called `name` signs for this tree head, at `time` (POSIX seconds, 0 for
    no statement about it).

    Raises VerificationError for a name or an origin of no or more than `MAX_NAME_BYTES` bytes.
    """
    start = 0  # of a checkpoint; other subtrees have no note
    return b"".join(
        (
            _LABEL,
            _opaque(name, "key name"),
            time.to_bytes(TIME_BYTES, "big"),
            _opaque(head.origin, "checkpoint origin"),
            start.to_bytes(8, "big"),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def _opaque(text: str, what: str) -> bytes:
    """`opaque<1..2^8-1>` of RFC 8446 section 3.4."""
    data = encode_utf8(text, what)
    if not 0 < len(data) <= MAX_NAME_BYTES:
        raise VerificationError(
            f"{what} can't be signed by ML-DSA-44", expected=f"1 to {MAX_NAME_BYTES} bytes", found=str(len(data))
        )
    return bytes([len(data)]) + data


def public_key(seed: bytes) -> bytes:
    """The 1312 bytes of the public key of a 32-byte seed (xi of FIPS 204, algorithm 1)."""
    return _private_key(seed).public_key().public_bytes_raw()


def sign(seed: bytes, name: str, text: str, time: int = 0) -> bytes:
    """The `timestamped_signature` over the checkpoint that `text` is; VerificationError if it isn't
    one. Two signatures over one text differ: FIPS 204 signs with fresh randomness."""
    signature = _private_key(seed).sign(cosigned_message(name, time, parse_checkpoint(text)))
    return time.to_bytes(TIME_BYTES, "big") + signature


def verifies(raw: bytes, name: str, text: str, signature: bytes) -> bool:
    """Whether `signature`, a `timestamped_signature`, is that of the key `raw` over `text`.

    Raises VerificationError if the text isn't a checkpoint, UnreadableError where the machine has
    no ML-DSA-44.
    """
    head = parse_checkpoint(text)
    time = int.from_bytes(signature[:TIME_BYTES], "big")
    if len(signature) != TIME_BYTES + SIGNATURE_BYTES or time > MAX_TIME:
        return False
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    try:
        MLDSA44PublicKey.from_public_bytes(raw).verify(signature[TIME_BYTES:], cosigned_message(name, time, head))
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise UnreadableError(_NO_ML_DSA) from error
    return True


def _private_key(seed: bytes) -> "MLDSA44PrivateKey":
    # Imported here and above, not at the top, so that zk-verify --help doesn't wait for it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    try:
        return MLDSA44PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm as error:
        raise UnreadableError(_NO_ML_DSA) from error
