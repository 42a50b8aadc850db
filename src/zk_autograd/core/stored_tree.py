"""Roots and proofs of a tree whose nodes are stored: what core.merkle makes of all the leaves, with
O(log size) look-ups and hashes.

What is stored are the roots of the perfect subtrees: node (level, index) is the root over the
leaves index * 2^level .. (index + 1) * 2^level - 1. A tree that only grows never changes one of
them. Sources: RFC 9162 section 2.1.3 and 2.1.4; that each subtree which they name is a row of such
nodes: C2SP tlog-tiles.
"""

from collections.abc import Callable, Iterator

from zk_autograd.core.merkle import EMPTY_ROOT, node_hash

Nodes = Callable[[int, int], bytes]
"""The 32-byte node of a level (0: the leaves' hashes) and an index in it."""


def grown(nodes: Nodes, position: int, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The nodes that the leaf `position` adds to a tree of so many leaves, as (level, index, hash).
    `leaf` is its 32-byte hash."""
    level, node = 0, leaf
    yield level, position, node
    while position & 1:
        node = node_hash(nodes(level, position - 1), node)
        level, position = level + 1, position >> 1
        yield level, position, node


def root_of(nodes: Nodes, size: int) -> bytes:
    """The 32-byte root over the first `size` leaves."""
    return _subtree(nodes, 0, size) if size else EMPTY_ROOT


def inclusion_of(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """As `merkle.inclusion_proof`, of the tree of `size` leaves. ValueError unless 0 <= index <
    size."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    begin, end, beside = 0, size, []
    while end - begin > 1:
        split = _split(begin, end)
        if index < split:
            beside.append((split, end))
            end = split
        else:
            beside.append((begin, split))
            begin = split
    return [_subtree(nodes, *part) for part in reversed(beside)]


def consistency_of(nodes: Nodes, size1: int, size2: int) -> list[bytes]:
    """As `merkle.consistency_proof`. ValueError unless 0 <= size1 <= size2."""
    if not 0 <= size1 <= size2:
        raise ValueError(f"no sizes {size1} <= {size2} in a tree")
    if size1 == 0:
        return []
    begin, end, beside = 0, size2, []
    while end != size1:
        split = _split(begin, end)
        if size1 <= split:
            beside.append((split, end))
            end = split
        else:
            beside.append((begin, split))
            begin = split
    if begin:  # where the first tree is one perfect subtree, the verifier has its root
        beside.append((begin, end))
    return [_subtree(nodes, *part) for part in reversed(beside)]


def _subtree(nodes: Nodes, begin: int, end: int) -> bytes:
    """The root over the leaves `begin` .. `end` - 1, a subtree as RFC 9162 splits trees: `begin` is
    a multiple of the least power of two that is not below its size."""
    parts = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        parts.append(nodes(level, begin >> level))
        begin += 1 << level
    *rest, node = parts
    for left in reversed(rest):
        node = node_hash(left, node)
    return node


def _split(begin: int, end: int) -> int:
    """Where a tree of more than one leaf is split in two."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))
