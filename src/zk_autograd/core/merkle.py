"""The append-only Merkle tree over SHA-256: roots, inclusion proofs and consistency proofs.

Sources: RFC 9162 section 2.1 (the same tree as RFC 6962): 2.1.1 for the hashes, 2.1.3 for
inclusion, 2.1.4 for consistency. A leaf is hashed with the prefix 0x00 and an inner node with 0x01,
so that neither can be taken for the other; the root of the empty tree is SHA-256 of nothing. Trees
have fewer than 2^63 leaves.

Rules for the verifier: sizes first, then the number of nodes in the proof (exactly as many as the
position needs), then the length of each hash, and only then arithmetic. `verify_*` return nothing
and raise VerificationError. The functions that make proofs serve the log's own side, and raise
ValueError for arguments that no tree has.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256

from zk_autograd.core.errors import VerificationError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The 32-byte hash of a leaf's data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of an inner node over its children's 32-byte hashes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, held as the roots of its perfect subtrees: O(log size) memory."""

    __slots__ = ("_size", "_subtrees")

    def __init__(self) -> None:
        self._size = 0
        self._subtrees: list[bytes] = []

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Appends a leaf by its 32-byte `leaf_hash`. Raises ValueError for another length."""
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf)}; was the leaf's data passed?")
        node = leaf
        # Each trailing one bit of the size is a perfect subtree that the new leaf completes to a
        # larger one.
        for _ in range(_trailing_zeros(self._size + 1)):
            node = node_hash(self._subtrees.pop(), node)
        self._subtrees.append(node)
        self._size += 1

    def root(self) -> bytes:
        """The 32-byte root over the leaves appended so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        *rest, node = self._subtrees
        for subtree in reversed(rest):
            node = node_hash(subtree, node)
        return node


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The 32-byte root of the tree over these leaf hashes (2.1.1)."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


def prefix_roots(leaf_hashes: Sequence[bytes], sizes: Collection[int]) -> dict[int, bytes]:
    """The 32-byte root over the first leaves for each of these sizes, which are at most their
    number: in one pass."""
    tree, roots = Frontier(), {}
    for leaf in (*leaf_hashes, None):
        if tree.size in sizes:
            roots[tree.size] = tree.root()
        if leaf is not None:
            tree.append(leaf)
    return roots


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes, leaf's sibling first, that lead from leaf `index` to the root (PATH, 2.1.3.1)."""
    if not 0 <= index < len(leaf_hashes):
        raise ValueError(f"no leaf {index} in a tree of {len(leaf_hashes)}")
    if len(leaf_hashes) == 1:
        return []
    split = _split(len(leaf_hashes))
    left, right = leaf_hashes[:split], leaf_hashes[split:]
    if index < split:
        return [*inclusion_proof(left, index), root(right)]
    return [*inclusion_proof(right, index - split), root(left)]


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, size2: int) -> list[bytes]:
    """The hashes that show the tree of `size2` leaves to extend the one of `size1` (PROOF,
    2.1.4.1).

    Empty where there is nothing to show: size1 = 0 or size1 = size2.
    """
    if not 0 <= size1 <= size2 <= len(leaf_hashes):
        raise ValueError(f"no sizes {size1} <= {size2} in a tree of {len(leaf_hashes)}")
    return _subproof(leaf_hashes[:size2], size1, known=True) if size1 else []


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Checks that the tree of `size` leaves with this root has `leaf_hash` at `index` (2.1.3.2).

    Raises VerificationError if it isn't shown.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise VerificationError(
            "inclusion proof for a leaf that the tree can't have",
            expected=f"0 <= index < size <= {MAX_SIZE}",
            found=f"index {index}, size {size}",
        )
    inner, border = _path_lengths(index, size)
    _check_hashes("inclusion proof", proof, inner + border, (leaf_hash, root))
    node = leaf_hash
    for height, sibling in enumerate(proof[:inner]):
        node = node_hash(sibling, node) if index >> height & 1 else node_hash(node, sibling)
    for left in proof[inner:]:
        node = node_hash(left, node)
    if node != root:
        raise VerificationError(
            f"inclusion proof of leaf {index} does not lead to the root",
            expected=root.hex(),
            found=node.hex(),
        )


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Checks that the tree (size2, root2) begins with the leaves of the tree (size1, root1)
    (2.1.4.2).

    With size1 = 0 the proof must be empty and root1 the root of the empty tree; every tree extends
    that one, and nothing is said about root2 (unless size2 = 0 too). With size1 = size2 the proof
    must be empty and the roots equal. Raises VerificationError if it isn't shown.
    """
    if not 0 <= size1 <= size2 <= MAX_SIZE:
        raise VerificationError(
            "consistency proof between impossible sizes",
            expected=f"0 <= size1 <= size2 <= {MAX_SIZE}",
            found=f"{size1} and {size2}",
        )
    if size1 in (0, size2):
        _check_hashes("consistency proof", proof, 0, (root1, root2))
        if size1 == 0 and root1 != EMPTY_ROOT:
            raise VerificationError("root of the empty tree is wrong", expected=EMPTY_ROOT.hex(), found=root1.hex())
        if size1 == size2 and root1 != root2:
            raise VerificationError(
                f"two roots for one size, {size1}: the log was forked",
                expected=root1.hex(),
                found=root2.hex(),
            )
        return
    # The proof climbs from the last perfect subtree of the first tree, which is a node `level`
    # above the leaves; where that subtree is the whole first tree, the proof leaves it out, since
    # root1 is known.
    level = _trailing_zeros(size1)
    position = (size1 - 1) >> level
    inner, border = _path_lengths(position, ((size2 - 1) >> level) + 1)
    given = 0 if size1 == 1 << level else 1
    _check_hashes("consistency proof", proof, given + inner + border, (root1, root2))

    old = new = proof[0] if given else root1
    path = proof[given:]
    for height, sibling in enumerate(path[:inner]):
        if position >> height & 1:  # a left sibling is in both trees; a right one came later
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    for left in path[inner:]:
        old = node_hash(left, old)
        new = node_hash(left, new)
    for name, found, expected in (("first", old, root1), ("second", new, root2)):
        if found != expected:
            raise VerificationError(
                f"consistency proof from {size1} to {size2} does not lead to the {name} root",
                expected=expected.hex(),
                found=found.hex(),
            )


def _subproof(leaf_hashes: Sequence[bytes], size1: int, *, known: bool) -> list[bytes]:
    """SUBPROOF (2.1.4.1). `known`: the verifier has the root over the first `size1` leaves."""
    if size1 == len(leaf_hashes):
        return [] if known else [root(leaf_hashes)]
    split = _split(len(leaf_hashes))
    left, right = leaf_hashes[:split], leaf_hashes[split:]
    if size1 <= split:
        return [*_subproof(left, size1, known=known), root(right)]
    return [*_subproof(right, size1 - split, known=False), root(left)]


def _path_lengths(index: int, size: int) -> tuple[int, int]:
    """How many siblings lie on the path from leaf `index` to the root: below the tree's right
    border, where they stand on either side, and then on the border, where all of them stand on the
    left."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _check_hashes(what: str, proof: Sequence[bytes], nodes: int, others: Sequence[bytes]) -> None:
    if len(proof) != nodes:
        raise VerificationError(f"{what} has the wrong number of nodes", expected=str(nodes), found=str(len(proof)))
    for node in (*proof, *others):
        if len(node) != HASH_BYTES:
            raise VerificationError(
                f"{what} has a hash of the wrong length",
                expected=f"{HASH_BYTES} bytes",
                found=f"{len(node)} bytes",
            )


def _split(size: int) -> int:
    """The largest power of two below `size` (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1
