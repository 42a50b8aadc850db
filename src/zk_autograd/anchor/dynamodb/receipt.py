"""What a receipt of the anchor `dynamodb` shows: nothing until the table is asked.

Its body is {"table": ..., "number": <the publication's>, "sha256": <its digest>}. Whoever can write
a text can write this one, and the table's owner can delete items; an auditor who asks the table
(`confirms`) knows that the publication is there now.
"""

from collections.abc import Callable
from typing import Any

from zk_autograd.core.anchors import AnchorClaim, Kept, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

KIND = "dynamodb"
RESTS_ON = (
    "on a DynamoDB table that the trainer names and can delete from: they could have written this receipt by hand, "
    "and only who asks the table (--online) knows more"
)
MAX_TABLE = 255


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> None:
    """There is nothing to trust offline: a table with any field is refused by the caller."""


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
    """The trainer's word, if the receipt is well formed and for this checkpoint.
    VerificationError otherwise."""
    receipt.require_head(checkpoint.head)
    fields = receipt.fields()
    fields.text("table", MAX_TABLE, 3)
    fields.integer("number", 0, MAX_INTEGER)
    fields.hex("sha256", 32)
    fields.end()
    return AnchorClaim(KIND, Standing.WORD, RESTS_ON)


def confirms(kept: Kept, receipt: Receipt) -> bool:
    """Whether the publication that the table holds is the receipt's
    (core.anchors.ConfirmingVerifier)."""
    try:
        verify(receipt, SignedCheckpoint.parse(kept.note), None)
    except VerificationError:
        return False
    return dict(kept.place) == dict(receipt.body)


def lies_at(rest: str, receipt: Receipt) -> bool:
    """Whether it names the table of `TABLE[@ENDPOINT]` (core.anchors.ConfirmingVerifier)."""
    return receipt.body["table"] == rest.partition("@")[0]
