"""What may leave an enclave, and how: the public files of evidence.layout, and sealed ones. Both
ends of the relay hold to it, each for itself."""

import re
from dataclasses import dataclass

from zk_autograd.enclave.relay.channels import APPEND, ONCE, REPLACE
from zk_autograd.evidence.layout import (
    ANCHORS,
    ATTESTATION,
    CHECKPOINT,
    COLLATERAL,
    LOG,
    RECEIPTS,
    RECORDS,
    REGISTER,
    VIEWS,
    row_of,
)

SEALED = "sealed"
MAX_SEALED = 2**36
MAX_APPENDED = 2**26
"""Bytes of one append."""

LINES = (f"{LOG}/{RECORDS}", f"{REGISTER}/{VIEWS}", f"{ANCHORS}/{RECEIPTS}")
REPLACED = (f"{LOG}/{CHECKPOINT}", f"{ATTESTATION}/{COLLATERAL}")
_SEALED_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}(\.enc|\.key\.json)")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file that may leave: `way` is APPEND (whole lines), REPLACE (the whole file, at once) or
    ONCE (never changed), `bound` the bytes it may have."""

    path: str
    way: str
    bound: int


def leaving(path: str) -> Leaving | None:
    """How the file at `path` (with "/") leaves; None for one that doesn't."""
    folder, _, name = path.partition("/")
    if folder == SEALED:
        return Leaving(path, ONCE, MAX_SEALED) if _SEALED_NAME.fullmatch(name) else None
    row = row_of(path)
    if row is None:
        return None
    way = APPEND if path in LINES else REPLACE if path in REPLACED else ONCE
    return Leaving(path, way, row.bound)
