"""A register's tree in memory: its leaves, and a signed checkpoint of every size."""

from collections.abc import Sequence
from hashlib import sha256

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import consistency_proof, leaf_hash, root
from zk_autograd.core.register import Entry, Kind, origin_of, sign_head

SIGNER = Ed25519Signer("tests/anchor", bytes(range(32)))
ORIGIN = origin_of([SIGNER.public_key])


class Tree:
    """Begins of `size` runs; those of another `branch` are other runs, from leaf `shared` on.
    core.anchors.History."""

    def __init__(self, size: int, branch: str = "", shared: int = 0) -> None:
        self.leaves = [_leaf(index, branch if index >= shared else "") for index in range(size)]
        self._hashes = [leaf_hash(leaf) for leaf in self.leaves]

    def checkpoint(self, size: int | None = None) -> SignedCheckpoint:
        """That of the first `size` leaves, or of all."""
        size = len(self.leaves) if size is None else size
        return SignedCheckpoint.parse(sign_head(Checkpoint(ORIGIN, size, root(self._hashes[:size])), [SIGNER]))

    def entries(self, first: int, end: int) -> Sequence[bytes]:
        return self.leaves[first:end]

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        return consistency_proof(self._hashes, size1, size2)


def _leaf(index: int, branch: str) -> bytes:
    digest = sha256(f"{branch}/{index}".encode()).digest()
    return Entry(Kind.BEGIN, digest[:16], 1, digest).encode()
