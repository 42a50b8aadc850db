"""Salted SHA-256 commitments to integer vectors: 32 random bytes hide, SHA-256 binds."""

from hashlib import sha256
from typing import Any

import numpy as np

_PIECE = 2**16
"""Values that are widened together: a segment's gradients may be many, and mostly padding."""


def commit(values: Any, salt: bytes) -> bytes:
    """SHA-256 over a domain, the 32-byte salt, the count and the values (integers of any shape, row
    by row) as little-endian int64."""
    flat = np.ascontiguousarray(values).reshape(-1)
    hashed = sha256(b"zk-autograd/vector/v0\n" + salt + len(flat).to_bytes(8, "big"))
    for start in range(0, len(flat), _PIECE):
        hashed.update(flat[start : start + _PIECE].astype("<i8").tobytes())
    return hashed.digest()
