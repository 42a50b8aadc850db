"""Which of many heads are a fork: as brute force over all pairs has it."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.forks import KEY, OTHER, SIGNER, head, log, signed
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.merkle import EMPTY_ROOT
from zk_autograd.evidence.fork_evidence import SignedHead
from zk_autograd.monitoring.forks import fork_among
from zk_autograd.verify.consistency import Verdict, connect, decide

KEYS = (KEY, OTHER.public_key)
SIGNERS: tuple[tuple[Signer, ...], ...] = ((SIGNER,), (OTHER,), (SIGNER, OTHER))
ORIGINS = ("zk-autograd/one", "zk-autograd/two")

HEADS = st.builds(
    lambda size, branch, signers, origin: head(log(size, branch), signers=signers, origin=origin),
    st.integers(0, 6),
    st.sampled_from([None, 2, 4, 5]),
    st.sampled_from(SIGNERS),
    st.sampled_from(ORIGINS),
)


def forked(
    heads: Sequence[SignedHead], anchor: SignedHead | None, leaves: list[bytes], keys: Sequence[PublicKey]
) -> bool:
    """Whether any two prove a fork, with these records."""
    every = [*heads, *([] if anchor is None else [anchor])]
    pairs = (connect(a, b, [leaves] if anchor in (a, b) else []) for a, b in combinations_with_replacement(every, 2))
    return any(pair is not None and decide(pair, keys).verdict is Verdict.FORK for pair in pairs)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_as_all_pairs_have_it(data: st.DataObject) -> None:
    heads = data.draw(st.lists(HEADS, max_size=5))
    branch = data.draw(st.sampled_from([None, 2, 5]))
    leaves = log(data.draw(st.integers(0, 7)), branch)
    anchor = data.draw(st.sampled_from([None, *(head(leaves, signers=s, origin=ORIGINS[0]) for s in SIGNERS)]))
    everything = [*heads, *([] if anchor is None else [anchor])]
    found = fork_among(everything, anchor, leaves, KEYS)
    assert (found is not None) == forked(heads, anchor, leaves, KEYS)
    if found is not None:
        assert decide(found, KEYS).verdict is Verdict.FORK
        assert {found.smaller.note, found.larger.note} <= {h.note for h in everything}


def test_a_root_of_nothing_alone() -> None:
    assert fork_among([signed(0, bytes(32))], None, [], KEYS) is not None
    assert fork_among([signed(0, EMPTY_ROOT)], None, [], KEYS) is None
    assert fork_among([], None, [], KEYS) is None


def test_a_head_of_another_key_hides_no_fork() -> None:
    """Three roots of one size; the first head, of the other key, contradicts each of the others and
    proves nothing."""
    heads = [head(log(5, branch), signers=(by,)) for branch, by in ((None, OTHER), (2, SIGNER), (4, SIGNER))]
    found = fork_among(heads, None, [], KEYS)
    assert found is not None
    assert {found.smaller, found.larger} == set(heads[1:])
    assert fork_among(heads[:2], None, [], KEYS) is None
