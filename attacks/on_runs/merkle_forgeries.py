"""Attack on the tree itself: pass an inner node off as a leaf, or a rewritten log as a longer one.

Gain: a record that nobody wrote, "included" under a root that the trainer signed; or a history
replaced without whoever holds an old root noticing.

Why it fails: leaves and nodes are hashed with different first bytes (RFC 9162, 2.1.1), and a proof
has exactly as many hashes as its position needs and leads to both roots (2.1.3.2, 2.1.4.2). The
verifier recomputes the whole root (step 3), so a node's two hashes would also have to be a record
(step 1).
"""

from collections.abc import Callable, Sequence

from attacks.tools.attempt import Scene
from attacks.tools.outcome import Outcome
from zk_autograd.core import merkle
from zk_autograd.core.errors import VerificationError

GAIN = "a record that nobody wrote under a signed root, or a rewritten history"


def leaf_as_node(leaves: Sequence[bytes]) -> None:
    """A tree of five leaves is shown as one of three, the first being two hashes below a node."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves[:5]]
    root = merkle.root(hashes)
    forged = hashes[0] + hashes[1]
    beside = merkle.node_hash(hashes[2], hashes[3])
    merkle.verify_inclusion(merkle.leaf_hash(forged), 0, 3, [beside, hashes[4]], root)


def node_as_leaf_hash(leaves: Sequence[bytes]) -> None:
    """The hash of an inner node is shown as that of leaf 0, with a path that is one short."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves[:5]]
    node = merkle.node_hash(hashes[0], hashes[1])
    path = merkle.inclusion_proof(hashes, 0)[1:]
    merkle.verify_inclusion(node, 0, 5, path, merkle.root(hashes))


def another_index(leaves: Sequence[bytes]) -> None:
    """The proof of leaf 1 is shown for index 3, whose path is as long."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves[:5]]
    merkle.verify_inclusion(hashes[1], 3, 5, merkle.inclusion_proof(hashes, 1), merkle.root(hashes))


def rewritten_history(leaves: Sequence[bytes]) -> None:
    """The log of five extends one of three with another second record: the proof is the new
    log's."""
    old = [merkle.leaf_hash(leaf) for leaf in leaves[:3]]
    new = [merkle.leaf_hash(leaf) for leaf in leaves[:5]]
    new[1] = merkle.leaf_hash(b"another record")
    merkle.verify_consistency(3, 5, merkle.root(old), merkle.root(new), merkle.consistency_proof(new, 3, 5))


def old_root_for_a_node(leaves: Sequence[bytes]) -> None:
    """As before, but the proof begins with the old root, as if that were a node of the new tree."""
    old = [merkle.leaf_hash(leaf) for leaf in leaves[:3]]
    new = [merkle.leaf_hash(leaf) for leaf in leaves[:5]]
    new[1] = merkle.leaf_hash(b"another record")
    proof = [merkle.root(old), *merkle.consistency_proof(new, 3, 5)]
    merkle.verify_consistency(3, 5, merkle.root(old), merkle.root(new), proof)


def forked(leaves: Sequence[bytes]) -> None:
    """Two logs of one size, and nothing between them to show."""
    one, other = [merkle.leaf_hash(leaf) for leaf in leaves[:3]], [merkle.leaf_hash(leaf) for leaf in leaves[1:4]]
    merkle.verify_consistency(3, 3, merkle.root(one), merkle.root(other), [])


FORGERIES: dict[str, tuple[Callable[[Sequence[bytes]], None], str]] = {
    "two hashes as a leaf": (leaf_as_node, "does not lead to the root"),
    "a node's hash as a leaf's": (node_as_leaf_hash, "has the wrong number of nodes"),
    "another index": (another_index, "does not lead to the root"),
    "history rewritten": (rewritten_history, "does not lead to the first root"),
    "the old root as a node": (old_root_for_a_node, "has the wrong number of nodes"),
    "two roots for one size": (forked, "the log was forked"),
}
"""Each with the words of its refusal."""


def run(scene: Scene) -> Outcome:
    """All forgeries, on the victim's records."""
    leaves = scene.victim.forgery().leaves()
    refused = True
    for forge, words in FORGERIES.values():
        try:
            forge(leaves)
            refused = False
        except VerificationError as error:
            refused &= words in str(error)
    return Outcome("forgeries in the Merkle tree", refused, "core.merkle", GAIN)
