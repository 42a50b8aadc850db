"""What an auditor may ask for."""

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer, PublicKey
from zk_autograd.core.trust import Missing
from zk_autograd.prove.ezkl.ceremonies import CEREMONIES
from zk_autograd.prove.ezkl.verify import trusted_setup
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy, TreeHead

ROOT = bytes(range(32))
KEY = Ed25519Signer("trainer", bytes(32)).public_key


def test_head_is_read_from_root_at_size() -> None:
    head = TreeHead.parse(f"{ROOT.hex()}@12")
    assert head == TreeHead(ROOT, 12)
    assert TreeHead.parse(str(head)) == head


@pytest.mark.parametrize(
    "text",
    ["", "@", "12", f"{ROOT.hex()}", f"{ROOT.hex()}@", f"{ROOT.hex()}@0", f"{ROOT.hex()}@012", f"{ROOT.hex()}@-1",
     f"{ROOT.hex().upper()}@12", f"{ROOT.hex()[2:]}@12", f"{ROOT.hex()}@12\n", f"{ROOT.hex()}@{'9' * 20}", f"{ROOT.hex()}@\u0661"],
)  # fmt: skip
def test_other_texts_are_no_head(text: str) -> None:
    with pytest.raises(UsageError, match="is not a ROOT@SIZE"):
        TreeHead.parse(text)


def test_default_policy_asks_for_l1_and_allows_no_srs_but_a_ceremonys() -> None:
    policy = Policy()
    assert policy.require == {Level.L1}
    assert policy.srs == frozenset()
    for digest in (bytes(32), *CEREMONIES):
        assert isinstance(trusted_setup(digest, policy.srs), Missing) is (digest not in CEREMONIES)
        assert not isinstance(trusted_setup(digest, frozenset({digest})), Missing)


def test_one_key_under_two_names_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        Policy(keys=(KEY, PublicKey("alias", KEY.algorithm, KEY.raw)))


def test_srs_digest_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match="SHA-256"):
        Policy(srs=frozenset({b"short"}))


@pytest.mark.parametrize(
    "levels", [frozenset[Level](), frozenset({Level.L1_SAMPLED}), frozenset({Level.L1, Level.L1_SAMPLED})]
)
def test_a_sampled_level_can_not_be_required(levels: frozenset[Level]) -> None:
    with pytest.raises(UsageError, match="L0, L1, L2 and L3"):
        Policy(require=levels)


def test_beacon_and_accept_sample_need_a_sample() -> None:
    with pytest.raises(UsageError, match="--sample K"):
        Policy(beacon="x")
    with pytest.raises(UsageError, match="--sample K"):
        Policy(accept_sample=True)
    Policy(sample=2, beacon="x", accept_sample=True)


@pytest.mark.parametrize("count", [-1, 0, 1])
def test_sample_holds_first_and_last(count: int) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        Policy(sample=count)


@pytest.mark.parametrize("beacon", ["", "x" * 1001, "line\n", "\udc80"])
def test_beacon_is_a_printable_text(beacon: str) -> None:
    with pytest.raises(UsageError, match="printable"):
        Policy(sample=2, beacon=beacon)
