"""Whether any two of many signed heads are a fork: those of one size by themselves, others with the
records of one larger tree."""

from collections.abc import Sequence

from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import prefix_roots
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.verify.consistency import Verdict, connect, decide, signers_of


def fork_among(
    heads: Sequence[SignedHead], anchor: SignedHead | None, leaves: Sequence[bytes], keys: Sequence[PublicKey]
) -> ForkEvidence | None:
    """Evidence that one of the keys signed two of the heads that no log can have both of, or one
    that none can; None if these heads and records show none.

    `leaves`, 32-byte hashes, are the records of `anchor`, a head too, to begin with.
    """
    candidates = [ForkEvidence.of(head, head) for head in heads if head.checkpoint.size == 0]
    candidates += _of_one_size(heads, keys)
    if anchor is not None:
        candidates += _not_begun_with(heads, anchor, leaves)
    return next((pair for pair in candidates if decide(pair, keys).verdict is Verdict.FORK), None)


def _of_one_size(heads: Sequence[SignedHead], keys: Sequence[PublicKey]) -> list[ForkEvidence]:
    """Two heads of one key with one origin and size, and two roots."""
    found = []
    for key in keys:
        first: dict[tuple[str, int], SignedHead] = {}
        for head in heads:
            if signers_of(head, (key,)):
                other = first.setdefault((head.checkpoint.origin, head.checkpoint.size), head)
                if other.checkpoint.root != head.checkpoint.root:
                    found.append(ForkEvidence.of(other, head))
    return found


def _not_begun_with(heads: Sequence[SignedHead], anchor: SignedHead, leaves: Sequence[bytes]) -> list[ForkEvidence]:
    """The smaller heads of the anchor's log that its records don't begin with."""
    size, origin = anchor.checkpoint.size, anchor.checkpoint.origin
    smaller = [h for h in heads if 0 < h.checkpoint.size < size and h.checkpoint.origin == origin]
    roots = prefix_roots(leaves[:size], {h.checkpoint.size for h in smaller})
    other = [h for h in smaller if roots[h.checkpoint.size] != h.checkpoint.root]
    return [pair for h in other if (pair := connect(h, anchor, (leaves,))) is not None]
