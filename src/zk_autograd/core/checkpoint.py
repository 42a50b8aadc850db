"""Checkpoints: how a tree head, (origin, size, root), is written as the text that log keys sign.

Source: C2SP tlog-checkpoint. Narrower than it: a checkpoint has no extension lines, since nothing
here makes a statement with them, and base64 must be in the form that an encoder writes.
"""

import re
from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import HASH_BYTES, MAX_SIZE
from zk_autograd.core.text import decode_base64, encode_base64, encode_utf8, has_control, quoted

MAX_NAME_BYTES = 255  # a cosigner's name and a log's origin in C2SP tlog-cosignature

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the log `origin`: the number of leaves and the 32-byte root over them."""

    origin: str
    size: int
    root: bytes


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The three lines of a checkpoint. VerificationError if origin, size or root can't be a
    log's."""
    if has_control(origin) or not 0 < len(encode_utf8(origin, "checkpoint origin")) <= MAX_NAME_BYTES:
        raise VerificationError(
            "checkpoint has no usable origin",
            expected=f"1 to {MAX_NAME_BYTES} bytes without control characters",
            found=quoted(origin),
        )
    if not 0 <= size <= MAX_SIZE:
        raise VerificationError("checkpoint has an impossible size", expected=f"0 to {MAX_SIZE}", found=str(size))
    if len(root) != HASH_BYTES:
        raise VerificationError("checkpoint has no root hash", expected=f"{HASH_BYTES} bytes", found=str(len(root)))
    return f"{origin}\n{size}\n{encode_base64(root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The tree head in a note's text. Raises VerificationError unless `checkpoint_text` gives the
    same text.

    It says nothing about who signed it, or whether the origin is the expected one.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise VerificationError(
            "checkpoint is not the three lines origin, size and root (extension lines are refused)",
            expected="3 lines",
            found=f"{len(lines) - 1} lines",
        )
    if not _SIZE.fullmatch(lines[1]):
        raise VerificationError(
            "checkpoint size is not a decimal number", expected=f"0 to {MAX_SIZE}", found=quoted(lines[1], 40)
        )
    origin, size, root = lines[0], int(lines[1]), decode_base64(lines[2], "checkpoint root")
    checkpoint_text(origin, size, root)  # its checks are those of this function
    return Checkpoint(origin, size, root)
