"""The Merkle tree: vectors of RFC 9162 and of other implementations, and every proof in small
trees."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import pytest

from zk_autograd.core import merkle
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, Frontier, leaf_hash, node_hash, root

SIZES = 64  # every tree up to this size is tried whole
LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(SIZES)]
ROOTS = [root(LEAVES[:size]) for size in range(SIZES + 1)]

# Leaves, roots and proofs of github.com/transparency-dev/merkle, proof/verify_test.go, and before
# that of Certificate Transparency (RFC 6962). Leaf indices are one-based there.
CT_LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CT_CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, as it is written there."""
    n = len(leaves)
    if n == 0:
        return sha256().digest()
    if n == 1:
        return leaves[0]
    k = max(2**i for i in range(n) if 2**i < n)
    return sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def spoiled(proof: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The proof with each node changed, left out, doubled, shortened and lengthened, and with one
    more."""
    for index, node in enumerate(proof):
        before, after = list(proof[:index]), list(proof[index + 1 :])
        yield [*before, bytes([node[0] ^ 0x80]) + node[1:], *after]
        yield [*before, node[:-1] + bytes([node[-1] ^ 1]), *after]
        yield [*before, *after]
        yield [*before, node, node, *after]
        yield [*before, node[:-1], *after]
        yield [*before, node + b"\x00", *after]
    yield [*proof, bytes(HASH_BYTES)]
    yield [bytes(HASH_BYTES), *proof]
    yield [*proof, b""]


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], head: bytes) -> bool:
    try:
        merkle.verify_inclusion(leaf, index, size, proof, head)
    except VerificationError:
        return False
    return True


def consistent(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    try:
        merkle.verify_consistency(size1, size2, root1, root2, proof)
    except VerificationError:
        return False
    return True


def test_roots_of_certificate_transparency() -> None:
    assert [root(CT_LEAVES[:size]).hex() for size in range(9)] == CT_ROOTS
    assert EMPTY_ROOT.hex() == CT_ROOTS[0]


@pytest.mark.parametrize(("index", "size", "proof"), CT_INCLUSION)
def test_inclusion_proofs_of_certificate_transparency(index: int, size: int, proof: list[str]) -> None:
    nodes = [bytes.fromhex(node) for node in proof]
    assert merkle.inclusion_proof(CT_LEAVES[:size], index) == nodes
    merkle.verify_inclusion(CT_LEAVES[index], index, size, nodes, bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(("size1", "size2", "proof"), CT_CONSISTENCY)
def test_consistency_proofs_of_certificate_transparency(size1: int, size2: int, proof: list[str]) -> None:
    nodes = [bytes.fromhex(node) for node in proof]
    assert merkle.consistency_proof(CT_LEAVES, size1, size2) == nodes
    root1, root2 = bytes.fromhex(CT_ROOTS[size1]), bytes.fromhex(CT_ROOTS[size2])
    merkle.verify_consistency(size1, size2, root1, root2, nodes)


def test_proofs_in_the_tree_of_seven_leaves_of_rfc_9162_section_2_1_5() -> None:
    a, b, c, d, e, f, j = leaves = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 (the names of the RFC's figure)
    assert merkle.inclusion_proof(leaves, 0) == [b, h, l]
    assert merkle.inclusion_proof(leaves, 3) == [c, g, l]
    assert merkle.inclusion_proof(leaves, 4) == [f, j, k]
    assert merkle.inclusion_proof(leaves, 6) == [i, k]
    assert merkle.consistency_proof(leaves, 3, 7) == [c, d, g, l]
    assert merkle.consistency_proof(leaves, 4, 7) == [l]
    assert merkle.consistency_proof(leaves, 6, 7) == [i, j, k]


def test_root_follows_the_definition() -> None:
    assert [tree_hash(LEAVES[:size]) for size in range(SIZES + 1)] == ROOTS


def test_root_is_that_of_an_independent_implementation() -> None:
    pymerkle = pytest.importorskip("pymerkle", minversion="7.0", reason="pymerkle>=7,<8 (oracle, [dev]) is missing")
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    frontier = Frontier()
    assert frontier.root() == oracle.get_root() == EMPTY_ROOT
    for size in range(1, 301):
        data = b"entry %d" % size
        oracle.append_entry(data)
        frontier.append(leaf_hash(data))
        assert frontier.size == oracle.get_size() == size
        assert frontier.root() == oracle.get_root()


def test_leaf_and_node_are_never_the_same_hash() -> None:
    left, right = LEAVES[0], LEAVES[1]
    assert leaf_hash(b"data") == sha256(b"\x00data").digest()
    assert node_hash(left, right) == sha256(b"\x01" + left + right).digest()
    assert leaf_hash(left + right) != node_hash(left, right)
    # A node handed in as a leaf of a smaller tree has the right root, and is told apart by the size
    # alone.
    assert not included(node_hash(left, right), 0, 4, [node_hash(*LEAVES[2:4])], ROOTS[4])


def test_frontier_grows_like_the_whole_tree() -> None:
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES):
        assert (frontier.size, frontier.root()) == (size, ROOTS[size])
        assert frontier.root() == ROOTS[size]  # asking changes nothing
        frontier.append(leaf)
    assert (frontier.size, frontier.root()) == (SIZES, ROOTS[SIZES])


def test_frontier_of_many_leaves_is_small() -> None:
    frontier = Frontier()
    for _ in range(2**12 - 1):
        frontier.append(LEAVES[0])
    assert len(frontier._subtrees) == 12
    frontier.append(LEAVES[0])
    assert len(frontier._subtrees) == 1


@pytest.mark.parametrize("data", [b"", b"the leaf itself", bytes(31), bytes(33)])
def test_frontier_takes_hashes_only(data: bytes) -> None:
    with pytest.raises(ValueError, match="leaf hash"):
        Frontier().append(data)


def test_every_inclusion_proof_holds_and_no_spoiled_one() -> None:
    for size in range(1, SIZES + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES[:size], index)
            merkle.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            assert not any(included(LEAVES[index], index, size, bad, ROOTS[size]) for bad in spoiled(proof))
            assert not included(LEAVES[index - 1], index, size, proof, ROOTS[size]) or size == 1
            assert not included(LEAVES[index], index, size, proof, ROOTS[size - 1])


def test_inclusion_proof_holds_at_its_own_index_only() -> None:
    for size in range(1, 20):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES[:size], index)
            for other in range(-1, size + 1):
                assert included(LEAVES[index], other, size, proof, ROOTS[size]) == (other == index)


def test_every_consistency_proof_holds_and_no_spoiled_one() -> None:
    other = bytes(HASH_BYTES)
    for size2 in range(SIZES + 1):
        for size1 in range(size2 + 1):
            proof = merkle.consistency_proof(LEAVES, size1, size2)
            root1, root2 = ROOTS[size1], ROOTS[size2]
            merkle.verify_consistency(size1, size2, root1, root2, proof)
            assert not any(consistent(size1, size2, root1, root2, bad) for bad in spoiled(proof))
            assert not consistent(size1, size2, other, root2, proof)
            if size1 > 0:
                assert not consistent(size1, size2, root1, other, proof)


def test_consistency_proof_holds_for_its_own_sizes_only() -> None:
    for size2 in range(2, 20):
        for size1 in range(1, size2):
            proof = merkle.consistency_proof(LEAVES, size1, size2)
            root1, root2 = ROOTS[size1], ROOTS[size2]
            for other in range(-1, size2 + 2):
                assert consistent(other, size2, root1, root2, proof) == (other == size1)
            assert not consistent(size1, size2 - 1, root1, root2, proof) or size2 - 1 > size1


def test_rewritten_history_is_not_consistent() -> None:
    for size1 in range(1, 20):
        rewritten = [*LEAVES[: size1 - 1], leaf_hash(b"another"), *LEAVES[size1:20]]
        proof = merkle.consistency_proof(rewritten, size1, 20)
        assert consistent(size1, 20, root(rewritten[:size1]), root(rewritten), proof)
        assert not consistent(size1, 20, ROOTS[size1], root(rewritten), proof)


def test_empty_tree_is_extended_by_every_tree_but_has_one_root() -> None:
    merkle.verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    merkle.verify_consistency(0, 5, EMPTY_ROOT, ROOTS[5], [])
    assert not consistent(0, 0, ROOTS[1], ROOTS[1], [])
    assert not consistent(0, 5, ROOTS[5], ROOTS[5], [])
    assert not consistent(0, 0, EMPTY_ROOT, ROOTS[1], [])
    assert not consistent(0, 5, EMPTY_ROOT, ROOTS[5], [EMPTY_ROOT])


def test_two_roots_of_one_size_are_a_fork() -> None:
    with pytest.raises(VerificationError, match=r"two roots for one size, 5.*forked"):
        merkle.verify_consistency(5, 5, ROOTS[5], ROOTS[4], [])


@pytest.mark.parametrize(
    ("size1", "size2"),
    [(2, 1), (1, 0), (-1, 1), (-1, -1), (1, MAX_SIZE + 1), (2**64, 2**64), (10**400, 10**401)],
)
def test_consistency_of_impossible_sizes_is_refused(size1: int, size2: int) -> None:
    with pytest.raises(VerificationError, match="impossible sizes"):
        merkle.verify_consistency(size1, size2, ROOTS[1], ROOTS[1], [])


@pytest.mark.parametrize(
    ("index", "size"),
    [(0, 0), (1, 1), (-1, 1), (0, -1), (0, MAX_SIZE + 1), (MAX_SIZE, MAX_SIZE + 1), (0, 10**400)],
)
def test_inclusion_at_an_impossible_place_is_refused(index: int, size: int) -> None:
    with pytest.raises(VerificationError, match="leaf that the tree can't have"):
        merkle.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_number_of_nodes_is_checked_before_any_hash_is_made() -> None:
    class Endless(Sequence[bytes]):
        """A proof that can be measured, but not be read."""

        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: object) -> bytes:  # type: ignore[override]
            raise AssertionError("the proof was read")

    with pytest.raises(VerificationError, match=r"number of nodes \(expected 3, found 1000000000\)"):
        merkle.verify_inclusion(LEAVES[0], 0, 8, Endless(), ROOTS[8])
    with pytest.raises(VerificationError, match=r"number of nodes \(expected 3, found 1000000000\)"):
        merkle.verify_consistency(6, 8, ROOTS[6], ROOTS[8], Endless())
    with pytest.raises(VerificationError, match=r"number of nodes \(expected 0, found 1000000000\)"):
        merkle.verify_consistency(8, 8, ROOTS[8], ROOTS[8], Endless())


def test_largest_tree_needs_63_nodes() -> None:
    leaf, path = LEAVES[0], [bytes([level]) * HASH_BYTES for level in range(63)]
    head = leaf
    for node in path:
        head = node_hash(head, node)
    merkle.verify_inclusion(leaf, 0, MAX_SIZE, path, head)


@pytest.mark.parametrize("bad", [b"", LEAVES[0][:-1], LEAVES[0] + b"\x00"])
def test_hash_of_another_length_is_refused(bad: bytes) -> None:
    with pytest.raises(VerificationError, match="wrong length"):
        merkle.verify_inclusion(bad, 0, 1, [], bad)
    with pytest.raises(VerificationError, match="wrong length"):
        merkle.verify_inclusion(LEAVES[0], 0, 2, [bad], node_hash(LEAVES[0], bad))
    with pytest.raises(VerificationError, match="wrong length"):
        merkle.verify_consistency(1, 1, bad, bad, [])
    with pytest.raises(VerificationError, match="wrong length"):
        merkle.verify_consistency(1, 2, bad, node_hash(bad, LEAVES[1]), [LEAVES[1]])
    with pytest.raises(VerificationError, match="wrong length"):
        merkle.verify_consistency(0, 1, EMPTY_ROOT, bad, [])


@pytest.mark.parametrize("index", [-1, 3, 10**30])
def test_no_proof_is_made_of_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(LEAVES[:3], index)


@pytest.mark.parametrize(("size1", "size2"), [(-1, 2), (3, 2), (1, 4)])
def test_no_proof_is_made_between_sizes_that_are_not_there(size1: int, size2: int) -> None:
    with pytest.raises(ValueError, match="no sizes"):
        merkle.consistency_proof(LEAVES[:3], size1, size2)


def test_the_roots_of_all_prefixes_are_those_of_trees() -> None:
    assert merkle.prefix_roots(LEAVES, range(SIZES + 1)) == dict(enumerate(ROOTS))
    assert merkle.prefix_roots(LEAVES[:5], (0, 5)) == {0: EMPTY_ROOT, 5: ROOTS[5]}
    assert merkle.prefix_roots([], (0,)) == {0: EMPTY_ROOT}
