"""Logs that fork, and the checkpoints over them."""

from collections.abc import Sequence

from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.evidence.fork_evidence import SignedHead

SIGNER = Ed25519Signer("trainer", bytes(range(32)))
OTHER = MlDsa44Signer("enclave", bytes(range(32, 64)))
KEY = SIGNER.public_key
ORIGIN = "zk-autograd/" + "0f" * 16


def log(size: int, branch: int | None = None) -> list[bytes]:
    """The leaf hashes of a log, another one from record `branch` on."""
    return [leaf_hash(b"%d %d" % (i, branch is not None and i >= branch)) for i in range(size)]


def head(
    leaves: Sequence[bytes], size: int | None = None, *, origin: str = ORIGIN, signers: Sequence[Signer] = (SIGNER,)
) -> SignedHead:
    """The signed checkpoint over the first `size` leaves (all)."""
    size = len(leaves) if size is None else size
    return signed(size, root(leaves[:size]), origin=origin, signers=signers)


def signed(size: int, head_root: bytes, *, origin: str = ORIGIN, signers: Sequence[Signer] = (SIGNER,)) -> SignedHead:
    """A signed checkpoint, true or not."""
    return SignedHead.parse(sign(checkpoint_text(origin, size, head_root), signers))
