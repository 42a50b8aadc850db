"""What a receipt of the anchor `file` shows: nothing to a stranger.

Its body is {"line": <number of the line, from 0>}. The file protects its trainer from accidents, a
register restored from an old copy above all; whoever holds the key can write another.
"""

from collections.abc import Callable
from typing import Any

from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.fields import Fields

KIND = "file"
RESTS_ON = "on a file of the trainer's own, which they can rewrite: it protects against accidents only"


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> None:
    """There is nothing to trust: a table with any field is refused by the caller."""


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
    """The trainer's word, if the receipt is well formed and for this checkpoint.
    VerificationError otherwise."""
    receipt.require_head(checkpoint.head)
    fields = receipt.fields()
    fields.integer("line", 0, MAX_INTEGER)
    fields.end()
    return AnchorClaim(KIND, Standing.WORD, RESTS_ON)
