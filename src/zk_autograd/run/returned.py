"""What an anchor's publisher returns, checked before anything of it is kept or shown.

A service can answer its honest trainer with nonsense, and a publisher can be a stranger's.
anchors/receipts.jsonl only grows, and one receipt in it that is false makes the whole run false. So
each is read back from its own bytes and judged as a verifier without trust judges it, which refuses
what is malformed or for another tree head.
"""

from collections.abc import Sequence

from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import Anchor, History, Receipt, SignedCheckpoint
from zk_autograd.core.errors import AnchorError, ZkError
from zk_autograd.core.text import printable, quoted

_SHOWN = 300


def published(anchor: Anchor, checkpoint: SignedCheckpoint, history: History) -> tuple[Receipt, ...]:
    """What `anchor` gives for the checkpoint, at least one receipt, each of which is well formed
    and for it. AnchorError as the anchor, and for whatever else it raises or returns; what the
    register raises stays what it is."""
    try:
        return checked(anchor.spec, checkpoint, tuple(anchor.publish(checkpoint, history)))
    except (ZkError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a library in Rust panics with what is no Exception
        raise AnchorError(
            f"{anchor.spec} failed with {printable(repr(error))[:_SHOWN]}: a fault of this anchor's program, not of yours"
        ) from error


def checked(spec: str, checkpoint: SignedCheckpoint, receipts: Sequence[Receipt]) -> tuple[Receipt, ...]:
    """The receipts, as they are read back. AnchorError if there is none, or if one of them would be
    refused: none of them counts then."""
    if not receipts:
        raise AnchorError(f"{spec} gave no receipt: nothing would show that it holds the checkpoint")
    return tuple(_checked(spec, checkpoint, receipt) for receipt in receipts)


def _checked(spec: str, checkpoint: SignedCheckpoint, receipt: Receipt) -> Receipt:
    if not isinstance(receipt, Receipt):
        raise AnchorError(f"{spec} gave something else than a receipt: {quoted(type(receipt).__name__)}")
    try:
        read = Receipt.parse(receipt.encode())
        read.require_head(checkpoint.head)
        known = verifiers()
        if read.kind in known:
            known[read.kind].verify(read, checkpoint, None)
    except Exception as error:  # also of what canonical JSON lacks, and of what is no body at all
        why = printable(str(error) if isinstance(error, ZkError) else repr(error))[:_SHOWN]
        raise AnchorError(f"{spec} gave a receipt that would make the run false, and it is not kept: {why}") from error
    return read
