"""What cosignatures show of a register's tree head, and what they don't: quorums, times, and what a
trainer can write without a witness."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.witness.witnesses import Register, Signers, policy
from zk_autograd.anchor.witness import verify
from zk_autograd.anchor.witness.receipt import KIND, MAX_TEXT, read_trust
from zk_autograd.core.anchors import Receipt, SignedCheckpoint, Standing
from zk_autograd.core.cosigner import Cosigner, Ed25519Cosigner
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.note import parse_unverified, signature_line
from zk_autograd.core.tlog_policy import TlogPolicy, parse

REGISTER = Register()
CHECKPOINT = REGISTER.checkpoint(7)
ONE, TWO, THREE, STRANGER = (Signers(number) for number in (1, 2, 3, 9))
NOW = 1_790_000_000


def lines(cosigned: Sequence[tuple[Cosigner, int]], checkpoint: SignedCheckpoint = CHECKPOINT) -> str:
    text = parse_unverified(checkpoint.note).text
    return "".join(
        signature_line(by.public_key.name, by.public_key.key_id, by.cosign(text, time)) for by, time in cosigned
    )


def receipt(text: str, checkpoint: SignedCheckpoint = CHECKPOINT) -> Receipt:
    return Receipt(KIND, checkpoint.head.size, checkpoint.head.root, {"signatures": text})


def trust(k: int, *cosigners: Cosigner) -> TlogPolicy:
    return parse(policy([(cosigner.public_key.encode(), "") for cosigner in cosigners], k))


TWO_OF_THREE = trust(2, ONE.ed25519, TWO.ed25519, THREE.mldsa44)


def test_a_quorum_shows_the_tree_head_and_excludes_forks() -> None:
    claim = verify(receipt(lines([(ONE.ed25519, NOW), (THREE.mldsa44, NOW + 5)])), CHECKPOINT, TWO_OF_THREE)
    assert (claim.kind, claim.standing, claim.time, claim.excludes_forks) == (KIND, Standing.SHOWN, NOW + 5, True)
    assert claim.identity == (ONE.name, THREE.name)
    assert claim.rests_on == (
        "on 2 of 3 witnesses (quorum 'g', 2 of its 3), each of which keeps to one branch of a log: "
        f"{ONE.keys[0].label}, {THREE.keys[1].label}"
    )
    assert claim.beacon is None


def test_what_a_receipt_says_is_the_same_after_it_was_written_and_read() -> None:
    one = receipt(lines([(ONE.ed25519, NOW), (TWO.ed25519, NOW)]))
    assert verify(Receipt.parse(one.encode()), CHECKPOINT, TWO_OF_THREE) == verify(one, CHECKPOINT, TWO_OF_THREE)


def test_a_witness_with_two_keys_is_one_authority() -> None:
    both = trust(2, ONE.ed25519, ONE.mldsa44)
    claim = verify(receipt(lines([(ONE.ed25519, NOW), (ONE.mldsa44, NOW)])), CHECKPOINT, both)
    assert (claim.standing, claim.identity) == (Standing.SHOWN, (ONE.name,))


def test_below_the_quorum_nothing_is_shown() -> None:
    claim = verify(receipt(lines([(ONE.ed25519, NOW)])), CHECKPOINT, TWO_OF_THREE)
    assert claim.standing is Standing.UNJUDGED
    assert claim.rests_on == "1 of 3 witnesses cosigned, which is no quorum ('g', 2 of its 3)"
    assert (claim.time, claim.excludes_forks, claim.identity) == (None, False, ())


def test_witnesses_of_the_trainer_s_own_make_no_quorum() -> None:
    """Attack: the trainer runs any number of witnesses, and has both branches cosigned by them."""
    own = [(Signers(number).ed25519, NOW) for number in range(20, 30)]
    claim = verify(receipt(lines(own)), CHECKPOINT, TWO_OF_THREE)
    assert claim.standing is Standing.WORD
    claim = verify(receipt(lines([(ONE.ed25519, NOW), *own])), CHECKPOINT, TWO_OF_THREE)
    assert claim.standing is Standing.UNJUDGED


def test_without_a_policy_nothing_is_judged_and_the_sentence_says_what_to_do() -> None:
    claim = verify(receipt(lines([(ONE.ed25519, NOW), (TWO.ed25519, NOW)])), CHECKPOINT, None)
    assert claim.standing is Standing.UNJUDGED
    assert claim.rests_on == (
        "2 cosignatures, and nothing says whose count: give a tlog-policy with the witnesses that you trust, in [anchors.witness]"
    )


def test_one_witness_is_counted_once() -> None:
    """Attack: one cosignature twice, of two times, and under the type of the other key."""
    by = ONE.ed25519
    with pytest.raises(VerificationError, match="two signatures by the same key"):
        verify(receipt(lines([(by, NOW), (by, NOW + 1)])), CHECKPOINT, TWO_OF_THREE)
    claim = verify(receipt(lines([(ONE.ed25519, NOW), (ONE.mldsa44, NOW)])), CHECKPOINT, TWO_OF_THREE)
    assert claim.standing is Standing.UNJUDGED


OTHERS: Mapping[str, SignedCheckpoint] = {
    "size": REGISTER.checkpoint(6),
    "later append": REGISTER.checkpoint(8),
    "branch": Register(branch="'").checkpoint(7),
    "register": Register(seed=2).checkpoint(7),
}


@pytest.mark.parametrize("other", OTHERS)
def test_cosignatures_of_another_checkpoint_are_false(other: str) -> None:
    """Attack: cosignatures that witnesses gave for one tree are put under another."""
    replayed = lines([(ONE.ed25519, NOW), (TWO.ed25519, NOW)], OTHERS[other])
    with pytest.raises(VerificationError, match="wrong signature"):
        verify(receipt(replayed), CHECKPOINT, TWO_OF_THREE)
    if other != "register":
        with pytest.raises(VerificationError, match="is for another tree head"):
            verify(receipt(replayed, OTHERS[other]), CHECKPOINT, TWO_OF_THREE)


def test_a_cosignature_in_another_witness_s_name_is_false() -> None:
    text = parse_unverified(CHECKPOINT.note).text
    forged = signature_line(TWO.name, TWO.keys[0].key_id, ONE.ed25519.cosign(text, NOW))
    with pytest.raises(VerificationError, match=r"wrong signature by the key witness\.example/2"):
        verify(receipt(lines([(ONE.ed25519, NOW)]) + forged), CHECKPOINT, TWO_OF_THREE)


def test_a_false_cosignature_is_told_even_where_the_quorum_is_there_without_it() -> None:
    text = lines([(ONE.ed25519, NOW), (TWO.ed25519, NOW)])
    forged = signature_line(THREE.name, THREE.keys[1].key_id, bytes(8) + bytes(2420))
    with pytest.raises(VerificationError, match="has no time"):
        verify(receipt(text + forged), CHECKPOINT, TWO_OF_THREE)


@pytest.mark.parametrize("kept", [1, 7, 8, 20, 71])
def test_a_truncated_cosignature_is_false(kept: int) -> None:
    cosignature = ONE.ed25519.cosign(parse_unverified(CHECKPOINT.note).text, NOW)[:kept]
    with pytest.raises(VerificationError):
        verify(receipt(signature_line(ONE.name, ONE.keys[0].key_id, cosignature)), CHECKPOINT, TWO_OF_THREE)


def test_the_register_s_own_keys_are_no_witnesses() -> None:
    """Attack: an auditor is given a policy in which the trainer's log key is a witness. An Ed25519
    log key signs any text, a cosignature's, too."""
    as_witness = Ed25519Cosigner(REGISTER.signers[0])  # type: ignore[arg-type]
    own = trust(1, as_witness, TWO.ed25519)
    with pytest.raises(VerificationError, match="has a key of the log itself"):
        verify(receipt(lines([(as_witness, NOW)])), CHECKPOINT, own)


def test_a_policy_that_lists_logs_is_for_these_alone() -> None:
    keys = [(ONE.keys[0].encode(), "")]
    text = lines([(ONE.ed25519, NOW)])
    listed, other = parse(policy(keys, 1, REGISTER)), parse(policy(keys, 1, Register(seed=2)))
    assert verify(receipt(text), CHECKPOINT, listed).standing is Standing.SHOWN
    claim = verify(receipt(text), CHECKPOINT, other)
    assert claim.standing is Standing.UNJUDGED
    assert "none of them signed this checkpoint" in claim.rests_on


def test_a_log_that_signs_another_log_s_checkpoint_does_not_make_it_its_own() -> None:
    """Attack: the auditor's policy lists a log of their own, and a trainer who has that log's key
    signs their register's checkpoint with it, under that log's name."""
    other = Ed25519Signer("log.example/other", bytes([7] * 32))
    key, text = other.public_key, parse_unverified(CHECKPOINT.note).text
    note = CHECKPOINT.note + signature_line(key.name, key.key_id, other.sign(text)).encode()
    listed = parse(f"log {key.encode()}\n".encode() + policy([(ONE.keys[0].encode(), "")], 1))
    claim = verify(receipt(lines([(ONE.ed25519, NOW)])), SignedCheckpoint.parse(note), listed)
    assert claim.standing is Standing.UNJUDGED
    assert "none of them signed this checkpoint" in claim.rests_on


def test_a_wrong_signature_in_the_name_of_a_listed_log_is_false() -> None:
    keys = [(ONE.keys[0].encode(), "")]
    note = CHECKPOINT.note.replace(b"\n7\n", b"\n8\n")
    other = SignedCheckpoint.parse(note)
    with pytest.raises(VerificationError, match="wrong signature by the key zk-autograd/register"):
        verify(receipt(lines([(ONE.ed25519, NOW)], other), other), other, parse(policy(keys, 1, REGISTER)))


def test_a_policy_that_asks_for_nothing_shows_nothing() -> None:
    none = parse(policy([(ONE.keys[0].encode(), "")], 1).replace(b"quorum g", b"quorum none"))
    with pytest.raises(VerificationError, match="asks for no cosignature"):
        verify(receipt(lines([(ONE.ed25519, NOW)])), CHECKPOINT, none)


def test_where_two_quorums_can_be_apart_forks_are_not_excluded() -> None:
    """Attack: of a policy "any of two", one honest witness gets one branch, the other the other."""
    any_of_two = trust(1, ONE.ed25519, TWO.ed25519)
    branch = Register(branch="'").checkpoint(7)
    claims = [
        verify(receipt(lines([(ONE.ed25519, NOW)])), CHECKPOINT, any_of_two),
        verify(receipt(lines([(TWO.ed25519, NOW)], branch), branch), branch, any_of_two),
    ]
    for claim in claims:
        assert claim.standing is Standing.SHOWN
        assert not claim.excludes_forks
        assert "another branch may have one, too" in claim.rests_on


def test_the_time_is_when_the_quorum_was_there() -> None:
    """One witness with a slow clock must not make the tree older than the others say."""
    by = (ONE.ed25519, TWO.ed25519, THREE.mldsa44)
    for times, expected in (((1, NOW, NOW + 9), NOW), ((NOW, NOW, 5), NOW), ((1, 2, NOW), 2)):
        claim = verify(receipt(lines(list(zip(by, times, strict=True)))), CHECKPOINT, TWO_OF_THREE)
        assert claim.time == expected


GROUPS = (
    b"".join(
        f"witness {name} {key.encode()}\n".encode()
        for name, key in zip("abcdef", (Signers(number).keys[0] for number in range(1, 7)), strict=True)
    )
    + b"group x 2 a b c\ngroup y any d e f\ngroup q all x y\nquorum q\n"
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 2**63 - 1), min_size=1))
def test_a_quorum_of_groups(times: dict[str, int]) -> None:
    by = {name: Signers(number).ed25519 for number, name in enumerate("abcdef", start=1)}
    claim = verify(receipt(lines([(by[name], time) for name, time in times.items()])), CHECKPOINT, parse(GROUPS))
    x, y = (sorted(times[name] for name in group if name in times) for group in ("abc", "def"))
    expected = max(x[1], y[0]) if len(x) >= 2 and y else None
    assert claim.time == expected
    assert (claim.standing is Standing.SHOWN) is (expected is not None)
    assert claim.excludes_forks is (expected is not None)  # two quorums have one of a, b, c in common


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "signatures is missing"),
        ({"signatures": 1}, "no signature lines"),
        ({"signatures": ""}, "no signature lines"),
        ({"signatures": "x" * (MAX_TEXT + 1)}, "no signature lines"),
        ({"signatures": "hello\n"}, "malformed signature line"),
        ({"signatures": lines([(ONE.ed25519, NOW)])[:-1]}, "does not end in a newline"),
        ({"signatures": lines([(ONE.ed25519, NOW)])[:-8] + "\n"}, "base64"),
        ({"signatures": lines([(ONE.ed25519, NOW)]), "time": 1}, "unknown fields"),
        ({"signatures": "".join(signature_line(f"w{i}", bytes(4), b"x") for i in range(257))}, "too many signatures"),
    ],
)
def test_a_malformed_receipt_is_refused_whatever_the_trust(body: dict[str, str], why: str) -> None:
    for asked in (TWO_OF_THREE, None):
        with pytest.raises(VerificationError, match=why):
            verify(Receipt(KIND, 7, CHECKPOINT.head.root, body), CHECKPOINT, asked)


@given(st.integers(0), st.integers(0, 7))
def test_no_changed_bit_of_a_cosignature_is_shown(position: int, bit: int) -> None:
    """Whatever a bit becomes, the claim is not one more than without that cosignature."""
    data = bytearray(lines([(ONE.ed25519, NOW), (TWO.ed25519, NOW)]).encode())
    data[position % len(data)] ^= 1 << bit
    try:
        claim = verify(receipt(data.decode()), CHECKPOINT, TWO_OF_THREE)
    except (VerificationError, UnicodeDecodeError):
        return
    assert claim.standing is not Standing.SHOWN


# ---- the auditor's table -------------------------------------------------------------------------


def table(value: dict[str, object], files: Mapping[str, bytes] | None = None) -> TlogPolicy:
    fields = Fields(value, "anchors.witness")  # type: ignore[arg-type]
    found = read_trust(fields, lambda name: (files or {})[name])
    fields.end()
    return found


GOOD = policy([(ONE.keys[0].encode(), "")], 1)


def test_the_policy_stands_in_the_table_or_in_a_file() -> None:
    assert table({"policy": GOOD.decode()}) == table({"file": "w.policy"}, {"w.policy": GOOD}) == parse(GOOD)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({}, "either policy, a text, or file"),
        ({"policy": GOOD.decode(), "file": "x"}, "either policy, a text, or file"),
        ({"policy": 1}, "is not a text"),
        ({"policy": "quorum none\n"}, "asks for no cosignature"),
        ({"policy": GOOD.decode().replace("quorum g", "quorum none")}, "asks for no cosignature"),
        ({"policy": "quorum\n"}, "line 1: "),
        ({"policy": "\ud800"}, "the tlog-policy of"),
        ({"policy": GOOD.decode(), "more": 1}, "unknown fields"),
        ({"policy": f"log {REGISTER.keys[0].encode()}\n"
          f"witness a {Ed25519Cosigner(REGISTER.signers[0]).public_key.encode()}\nquorum a\n"},  # type: ignore[arg-type]
         "has a key of a log"),
    ],
)  # fmt: skip
def test_a_table_under_which_nothing_is_shown_is_refused(value: dict[str, object], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        table(value)


@given(
    st.text(max_size=200) | st.just(lines([(ONE.ed25519, NOW)])).flatmap(lambda t: st.text(max_size=5).map(t.__add__))
)
def test_any_text_is_judged_or_refused(text: str) -> None:
    try:
        claim = verify(receipt(text), CHECKPOINT, TWO_OF_THREE)
    except VerificationError:
        return
    assert claim.standing is not Standing.SHOWN
