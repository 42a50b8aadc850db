"""Roots and proofs from stored nodes are those that are made of all the leaves."""

import pytest

from zk_autograd.core.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from zk_autograd.core.stored_tree import consistency_of, grown, inclusion_of, root_of

LEAVES = [leaf_hash(b"%d" % i) for i in range(70)]


def stored(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    nodes: dict[tuple[int, int], bytes] = {}
    for position, leaf in enumerate(leaves):
        for level, index, node in grown(lambda level, index: nodes[level, index], position, leaf):
            assert (level, index) not in nodes
            nodes[level, index] = node
    return nodes


NODES = stored(LEAVES)


def node(level: int, index: int) -> bytes:
    return NODES[level, index]


def test_every_node_is_the_root_of_its_leaves() -> None:
    assert len(NODES) == sum(70 >> level for level in range(7))
    for (level, index), found in NODES.items():
        assert found == root(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(71))
def test_as_of_all_leaves(size: int) -> None:
    assert root_of(node, size) == root(LEAVES[:size])
    for index in range(size):
        proof = inclusion_of(node, index, size)
        assert proof == inclusion_proof(LEAVES[:size], index)
        verify_inclusion(LEAVES[index], index, size, proof, root_of(node, size))
    for smaller in range(size + 1):
        hashes = consistency_of(node, smaller, size)
        assert hashes == consistency_proof(LEAVES, smaller, size)
        verify_consistency(smaller, size, root_of(node, smaller), root_of(node, size), hashes)


def test_no_more_nodes_are_looked_up_than_the_tree_is_high() -> None:
    asked: list[tuple[int, int]] = []

    def counted(level: int, index: int) -> bytes:
        asked.append((level, index))
        return bytes(32)

    for size1, size2 in ((2**40 - 1, 2**40 + 12345), (1, 2**62 - 1), (2**61 + 1, 2**62 - 1)):
        for look in (
            lambda: consistency_of(counted, size1, size2),  # noqa: B023
            lambda: inclusion_of(counted, size1, size2),  # noqa: B023
            lambda: root_of(counted, size2),  # noqa: B023
        ):
            asked.clear()
            look()
            assert 0 < len(asked) <= 2 * 62
            assert all(index < (size2 >> level) for level, index in asked)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_no_such_leaf(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_of(node, index, size)


@pytest.mark.parametrize(("size1", "size2"), [(-1, 3), (4, 3)])
def test_no_such_sizes(size1: int, size2: int) -> None:
    with pytest.raises(ValueError, match="no sizes"):
        consistency_of(node, size1, size2)
