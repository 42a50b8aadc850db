"""Salted SHA-256 commitments to integer vectors: 32 random bytes hide, SHA-256 binds."""

from hashlib import sha256
from typing import Any

import numpy as np


def commit(values: Any, salt: bytes) -> bytes:
    """SHA-256 over a domain, the 32-byte salt, the count and the values (integers of any shape, row
    by row) as little-endian int64."""
    flat = np.ascontiguousarray(values, dtype="<i8").reshape(-1)
    return sha256(b"zk-autograd/vector/v0\n" + salt + len(flat).to_bytes(8, "big") + flat.tobytes()).digest()
