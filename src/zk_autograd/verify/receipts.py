"""Step 4, the anchors: what each receipt of anchors/receipts.jsonl shows, under the auditor's own
trust.

Each is for one of the register's checkpoints that the run shows; a receipt of another register, of
another run's checkpoint or of one that is kept back is refused. What its kind makes of it is that
kind's: anchor/<kind>/receipt.py, passed in. A kind that this version doesn't know is not judged.
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from zk_autograd.core.anchors import AnchorClaim, AnchorVerifier, Receipt, Standing, require_order
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import quoted
from zk_autograd.evidence.layout import ANCHORS, RECEIPTS
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchoring import Anchored, Registered, at_line

PLACE = f"{ANCHORS}/{RECEIPTS}"


def read_receipts(
    files: Evidence, registered: Registered, verifiers: Mapping[str, AnchorVerifier], trust: Mapping[str, Any]
) -> tuple[Anchored, ...]:
    """What the receipts show, in their order. VerificationError for a false one."""
    found = []
    with closing(files.receipts()) as lines:
        for number, line in enumerate(lines, start=1):
            with at_line(PLACE, number):
                receipt = Receipt.parse(line)
                found.append(_judged(receipt, registered, verifiers, trust))
    require_order((registered.heads[one.size].head, one.claim) for one in found)
    return tuple(found)


def _judged(
    receipt: Receipt, registered: Registered, verifiers: Mapping[str, AnchorVerifier], trust: Mapping[str, Any]
) -> Anchored:
    checkpoint = registered.heads.get(receipt.size)
    if checkpoint is None:
        raise VerificationError(
            f"the receipt of {quoted(receipt.kind)} is for a checkpoint of the register that the run does not show",
            expected="the size and root of one that it shows",
            found=f"{receipt.root.hex()}@{receipt.size}",
        )
    receipt.require_head(checkpoint.head)
    if receipt.kind in verifiers:
        claim = verifiers[receipt.kind].verify(receipt, checkpoint, trust.get(receipt.kind))
    else:
        claim = AnchorClaim(quoted(receipt.kind), Standing.UNJUDGED, "this version does not know the kind")
    return Anchored(receipt, registered.records(receipt.size), claim)
