"""What two signed checkpoints show: every pair of small trees, forged proofs, and what nobody can
tell."""

from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.forks import KEY, ORIGIN, OTHER, SIGNER, head, log, signed
from zk_autograd.core.errors import UnreadableError
from zk_autograd.core.keys import Ed25519Signer, PublicKey
from zk_autograd.core.merkle import EMPTY_ROOT, MAX_SIZE, consistency_proof, node_hash, root
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.verify import consistency
from zk_autograd.verify.consistency import Decision, Verdict, connect, decide

SIZES = range(41)
LOG = log(SIZES[-1])
HEADS = [head(LOG, size) for size in SIZES]
KEYS = (KEY,)


def look(one: SignedHead, other: SignedHead, *logs: list[bytes]) -> Verdict:
    """What the two show, in a file that was written and read."""
    evidence = connect(one, other, logs)
    return Verdict.UNTOLD if evidence is None else decide(ForkEvidence.parse(evidence.encode()), KEYS).verdict


@pytest.mark.parametrize("size", SIZES)
def test_every_tree_begins_with_every_smaller_one(size: int) -> None:
    for smaller in range(size + 1):
        assert look(HEADS[smaller], HEADS[size], LOG) is Verdict.CONSISTENT
        assert look(HEADS[size], HEADS[smaller], LOG) is Verdict.CONSISTENT


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_branch_is_a_fork_from_its_first_record_on(size: int) -> None:
    """A tree whose other record is the last of the smaller one is a fork; one whose other record
    comes after it extends it."""
    for smaller in range(1, size + 1):
        forked = log(size, smaller - 1)
        assert look(HEADS[smaller], head(forked), forked) is Verdict.FORK
        extended = log(size, smaller)
        assert look(head(extended), HEADS[smaller], LOG, extended) is Verdict.CONSISTENT


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_large_trees_are_told_apart_as_brute_force_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 700))
    smaller = data.draw(st.integers(1, size))
    branch = data.draw(st.integers(0, size))
    forked, honest = log(size, branch), log(smaller)
    same = forked[:smaller] == honest
    assert look(head(honest), head(forked), forked) is (Verdict.CONSISTENT if same else Verdict.FORK)


def test_sizes_near_the_largest_are_handled() -> None:
    """Nobody has such leaves; a proof may still be claimed."""
    one, other = signed(MAX_SIZE - 1, bytes(32)), signed(MAX_SIZE, bytes([1]) * 32)
    assert connect(one, other, [LOG]) is None
    for nodes in (0, 1, 62, 63, 64):
        assert decide(ForkEvidence.of(one, other, bytes(32), [bytes(32)] * nodes), KEYS).verdict is Verdict.UNTOLD


def test_a_true_proof_between_huge_sizes_counts() -> None:
    """A tree of 2^62 leaves is half of one of 2^63 - 2^61, and the other half is one node."""
    half, rest = bytes([5]) * 32, bytes([6]) * 32
    larger = signed(2**62 + 2**61, node_hash(half, rest))
    for root_signed, expected in ((half, Verdict.CONSISTENT), (rest, Verdict.FORK)):
        evidence = ForkEvidence.of(signed(2**62, root_signed), larger, half, [rest])
        assert decide(evidence, KEYS).verdict is expected


# ---- what is impossible ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 5])
def test_a_root_of_nothing_that_is_not_the_empty_one_is_a_fork(size: int) -> None:
    wrong = signed(0, bytes(32))
    assert look(wrong, HEADS[size]) is Verdict.FORK
    assert look(wrong, wrong) is Verdict.FORK
    assert look(signed(0, EMPTY_ROOT), HEADS[size]) is Verdict.CONSISTENT


# ---- slander: an honest trainer is never found guilty ------------------------------------------


@cache
def pieces(size: int) -> list[bytes]:
    """What a slanderer may try for a hash: every node of the honest tree and of a false one, roots
    included, and nonsense."""
    nodes: list[bytes] = []
    for leaves in (LOG[:size], log(size, size // 2)):
        level = leaves
        while level:
            nodes += level
            level = [node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        nodes += [root(leaves[:n]) for n in range(size + 1)]
    return [*dict.fromkeys(nodes), bytes(32), b"\xff" * 32]


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_hashes_make_an_honest_pair_a_fork(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    smaller = data.draw(st.integers(1, size - 1))
    pool = st.sampled_from(pieces(size))
    true = consistency_proof(LOG, smaller, size)
    lists = st.one_of(
        st.just(true),
        st.lists(pool, min_size=len(true), max_size=len(true)),
        st.lists(pool, max_size=6),
        st.tuples(st.integers(0, max(0, len(true) - 1)), pool).map(
            lambda change: [*true[: change[0]], change[1], *true[change[0] + 1 :]]
        ),
    )
    evidence = ForkEvidence.of(HEADS[smaller], HEADS[size], data.draw(pool), data.draw(lists))
    found = decide(evidence, KEYS).verdict
    truly = evidence.prefix == root(LOG[:smaller]) and evidence.proof == tuple(true)
    assert found is (Verdict.CONSISTENT if truly else Verdict.UNTOLD)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_hashes_make_a_fork_consistent(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    smaller = data.draw(st.integers(1, size - 1))
    forked = log(size, data.draw(st.integers(0, smaller - 1)))
    true = consistency_proof(forked, smaller, size)
    pool = st.sampled_from([*pieces(size), *true])
    lists = st.one_of(st.just(true), st.just(consistency_proof(LOG, smaller, size)), st.lists(pool, max_size=6))
    evidence = ForkEvidence.of(HEADS[smaller], head(forked), data.draw(pool), data.draw(lists))
    assert decide(evidence, KEYS).verdict is not Verdict.CONSISTENT


def test_the_slander_that_passes_without_the_check_of_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = ForkEvidence.of(HEADS[3], HEADS[5], bytes(32), consistency_proof(LOG, 3, 5))
    assert decide(evidence, KEYS).verdict is Verdict.UNTOLD
    monkeypatch.setattr(consistency, "verify_consistency", lambda *_: None)
    assert decide(evidence, KEYS).verdict is Verdict.FORK


def test_false_records_beside_true_checkpoints_prove_nothing() -> None:
    assert connect(HEADS[3], HEADS[5], [log(5, 1), log(9, 0), LOG[:4], []]) is None


def test_another_key_s_checkpoint_proves_nothing() -> None:
    thief = Ed25519Signer("trainer", bytes(32))
    forked = log(5, 2)
    for signers in ((thief,), (OTHER,)):
        assert look(HEADS[3], head(forked, signers=signers), forked) is Verdict.UNTOLD
        assert look(HEADS[5], head(forked, signers=signers)) is Verdict.UNTOLD


def test_a_signature_of_another_text_proves_nothing() -> None:
    forked = head(log(5, 2))
    mixed = SignedHead.parse(forked.note.split(b"\n\n")[0] + b"\n\n" + HEADS[5].note.split(b"\n\n")[1])
    assert look(HEADS[5], mixed) is Verdict.UNTOLD
    assert look(HEADS[5], forked) is Verdict.FORK


def test_two_origins_needn_t_agree() -> None:
    forked = log(5, 2)
    found = decide(ForkEvidence.of(HEADS[5], head(forked, origin=ORIGIN + "0")), KEYS)
    assert found.verdict is Verdict.UNTOLD
    assert "two logs" in found.sentences[0]


# ---- keys --------------------------------------------------------------------------------------


def both(leaves: list[bytes]) -> SignedHead:
    return head(leaves, signers=(SIGNER, OTHER))


def decided(one: SignedHead, other: SignedHead) -> Decision:
    return decide(ForkEvidence.of(one, other), (KEY, OTHER.public_key))


def test_one_key_under_both_is_enough_for_a_fork_and_is_named() -> None:
    found = decided(both(log(5)), head(log(5, 2)))
    assert (found.verdict, found.keys) == (Verdict.FORK, (KEY,))
    assert [KEY.key_id.hex() in s for s in found.sentences] == [False, False, True]
    assert decided(both(log(5)), both(log(5, 2))).keys == (KEY, OTHER.public_key)


def test_each_pinned_key_must_have_signed_what_is_called_consistent() -> None:
    assert decided(both(log(5)), both(log(5))).verdict is Verdict.CONSISTENT
    found = decided(both(log(5)), head(log(5)))
    assert (found.verdict, found.keys) == (Verdict.UNTOLD, ())
    assert "is not signed by the key enclave" in found.sentences[0]


def test_a_signature_that_can_t_be_checked_here_is_neither_missing_nor_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine without the key's algorithm."""
    verify = PublicKey.verify

    def lacking(key: PublicKey, text: str, signature: bytes) -> None:
        if key == OTHER.public_key:
            raise UnreadableError("no such algorithm here")
        verify(key, text, signature)

    one, forked, alone = both(log(5)), both(log(5, 2)), head(log(5), signers=(OTHER,))
    monkeypatch.setattr(PublicKey, "verify", lacking)
    found = decided(one, forked)
    assert (found.verdict, found.keys) == (Verdict.FORK, (KEY,))
    for pair in ((one, one), (alone, forked)):
        with pytest.raises(UnreadableError):
            decided(*pair)


def test_two_keys_with_a_signature_each_prove_nothing() -> None:
    found = decided(head(log(5)), head(log(5, 2), signers=(OTHER,)))
    assert found.verdict is Verdict.UNTOLD
    assert "no pinned key signed both" in found.sentences[0]


def test_nobody_pinned_is_untold_and_says_whom_it_would_concern() -> None:
    for other in (log(5), log(5, 2)):
        found = decide(ForkEvidence.of(both(log(5)), head(other)), ())
        assert found.verdict is Verdict.UNTOLD
        assert f"'trainer' (ID {KEY.key_id.hex()})" in found.sentences[0]
        assert "enclave" not in found.sentences[0]


def test_the_key_of_a_decision_signed_both() -> None:
    every = chain.from_iterable((log(5), log(5, b)) for b in range(5))
    for leaves in every:
        for signers in ((SIGNER,), (OTHER,), (SIGNER, OTHER)):
            found = decided(HEADS[5], head(leaves, signers=signers))
            assert (found.verdict is Verdict.FORK) == (leaves != LOG[:5] and SIGNER in signers)


def test_an_unproved_pair_in_memory_is_untold() -> None:
    """`ForkEvidence` refuses it already."""
    evidence = ForkEvidence.of(HEADS[3], HEADS[5], HEADS[3].checkpoint.root)
    assert decide(replace(evidence, proof=()), KEYS).verdict is Verdict.UNTOLD
