"""Proofs of inclusion in a Merkle-Patricia trie (Yellow Paper, appendix D), as `eth_getProof` gives
them (EIP-1186): the nodes from the root down to the value.

Strict where libraries are not: the nodes are exactly those on the path, in its order, each named by
the one above; a proof that a key isn't there is none. Nodes that lie within others are refused:
Ethereum's keys are hashes, and such a node would need two of them that agree in 24 digits or more.
"""

from collections.abc import Sequence

from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.rlp import decode_list
from zk_autograd.core.errors import VerificationError

MAX_NODES = 64
MAX_NODE = 600
"""Bytes: a branch has 532, and every leaf that we look for is smaller."""

_BRANCH = 17


def proved_value(root: bytes, key: bytes, nodes: Sequence[bytes], what: str) -> bytes:
    """The value under keccak256(key) in the trie of this root. VerificationError, which calls the
    proof `what`, unless the nodes show it."""
    path = keccak256(key).hex()
    wanted = root
    for depth, node in enumerate(nodes):
        if keccak256(node) != wanted:
            raise VerificationError(f"node {depth} of {what} is not the one that is named above it")
        items = decode_list(node, f"node {depth} of {what}")
        if len(items) == _BRANCH and path:
            wanted, path = items[int(path[0], 16)], path[1:]
        elif len(items) == 2:
            leaf, part = _path_of(items[0], what)
            if not path.startswith(part) or leaf != (path == part):
                raise VerificationError(f"{what} ends at another key")
            if leaf:
                if depth != len(nodes) - 1:
                    raise VerificationError(f"{what} goes on after its value")
                return items[1]
            wanted, path = items[1], path[len(part) :]
        else:
            raise VerificationError(f"node {depth} of {what} is no node of a trie")
        if len(wanted) != 32:
            raise VerificationError(f"{what} shows that there is nothing")
    raise VerificationError(f"{what} breaks off before it reaches a value")


def _path_of(item: bytes, what: str) -> tuple[bool, str]:
    """Whether a node of two items is a leaf, and its part of the path (hex-prefix encoding)."""
    digits = item.hex()
    if digits[:1] in ("1", "3"):
        leaf, part = digits[0] == "3", digits[1:]
    elif digits[:2] in ("00", "20"):
        leaf, part = digits[0] == "2", digits[2:]
    else:
        raise VerificationError(f"a node of {what} has no path")
    if not part and not leaf:
        raise VerificationError(f"a node of {what} has an empty path")
    return leaf, part
