"""The digests that a journal's frames are checked with: BLAKE3 where the compiled module is there,
SHA-256 of the standard library elsewhere. A frame names its own, and every version reads SHA-256.

They have no key: they guard against accidents, not against the trainer.
"""

from hashlib import sha256
from typing import Any

from zk_autograd.core.errors import StorageError, VerificationError

SHA256 = "sha256"
BLAKE3 = "blake3"
BYTES = 32
"""Of a digest of either."""


def fastest() -> str:
    """The name of the digest that new frames get on this installation."""
    return SHA256 if compiled() is None else BLAKE3


def digest(name: str, *pieces: bytes | memoryview) -> bytes:
    """The digest `name` of the pieces, one after the other. VerificationError for a name that there
    isn't, StorageError for one that this installation can't compute."""
    if name == SHA256:
        state = sha256()
        for piece in pieces:
            state.update(piece)
        return state.digest()
    if name != BLAKE3:
        raise VerificationError(f"its digests are {name!r}", expected=f"{SHA256} or {BLAKE3}", found="another name")
    module = compiled()
    if module is None:
        raise StorageError(
            "the run's journal has BLAKE3 digests, which only the compiled module zk_autograd._native computes, and that is not installed, "
            "or too old: install a wheel of zk-autograd, or in a checkout run `make install`"
        )
    found: bytes = module.blake3([bytes(piece) for piece in pieces])
    return found


def compiled() -> Any:
    """The compiled module, if it is there and has what the journal needs; else None."""
    try:
        from zk_autograd import _native
    except ImportError:
        return None
    return _native if hasattr(_native, "pack_integers") else None
