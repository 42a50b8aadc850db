"""What time stamps show: those of real authorities, and what a hostile one, or a trainer who alters
a token, would have accepted. The gain is always the same: a tree head with a time that nobody whom
the auditor trusts vouched for, so that it may have been made later."""

import dataclasses
import random
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")

from tests.anchor.rfc3161.authority import (
    NOW,
    SHA1,
    STAMPING,
    UNKNOWN,
    Holder,
    holder,
    stamp,
    token,
)
from zk_autograd.anchor.rfc3161 import receipt as kind
from zk_autograd.anchor.rfc3161.publish import _token
from zk_autograd.anchor.rfc3161.receipt import Trust, judge, read_trust, verify
from zk_autograd.anchor.rfc3161.token import MAX_TOKEN, PURPOSE, UnknownSignerError, imprint, parse
from zk_autograd.core.anchors import AnchorClaim, AnchorVerifier, Receipt, SignedCheckpoint, Standing, authorities
from zk_autograd.core.canonical import Json
from zk_autograd.core.certificates import parse_pem
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import decode_base64, encode_base64

DATA = Path(__file__).parents[2] / "data" / "rfc3161"
HEAD = Checkpoint("zk-autograd/register/" + "ab" * 32, 3, bytes(range(32)))
CHECKPOINT = SignedCheckpoint(b"the note", HEAD)
DIGEST = imprint(HEAD)
NONCE = bytes(range(1, 17))
NUMBER = int.from_bytes(NONCE, "big")
ROOT = holder("a root", ca=True)
LEAF = holder("an authority", ROOT)
TRUST = Trust((ROOT.certificate,))


def claim_of(given: bytes, trust: Trust | None = TRUST, nonce: bytes = NONCE, head: Checkpoint = HEAD) -> AnchorClaim:
    body = {"nonce": nonce.hex(), "token": encode_base64(given)}
    return verify(Receipt("rfc3161", head.size, head.root, body), SignedCheckpoint(b"", head), trust)


def made(signer: Holder = LEAF, *, stamped: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A token for HEAD, with what is changed of the stamp and of what it is signed in."""
    content = {"digest": DIGEST, "nonce": NUMBER, **(stamped or {})}
    return token(signer, stamp(content.pop("digest"), content.pop("nonce"), **content), **changes)


def refused(given: bytes, why: str, trust: Trust | None = TRUST, **changes: Any) -> None:
    with pytest.raises(VerificationError, match=why):
        claim_of(given, trust, **changes)


def trust_of(family: str) -> Trust:
    return read_trust(Fields({"roots": [f"{family}__ts_chain.pem"]}, "it"), lambda name: (DATA / name).read_bytes())


def test_it_is_a_verifier() -> None:
    verifier: AnchorVerifier = kind
    assert verifier.KIND == "rfc3161"


def test_what_is_stamped_is_the_checkpoints_text() -> None:
    assert sha256(checkpoint_text(HEAD.origin, HEAD.size, HEAD.root).encode()).digest() == DIGEST


def test_a_token_shows_a_time_and_excludes_no_fork() -> None:
    claim = claim_of(made(stamped={"accuracy": 2}))
    assert claim.standing is Standing.SHOWN
    assert claim.time == int(NOW.timestamp()) + 2
    assert not claim.excludes_forks
    assert len(claim.identity) == 1
    assert "CN=a root" in claim.identity[0]
    assert "CN=an authority" in claim.rests_on


def test_a_fraction_of_a_second_counts_as_a_whole_one() -> None:
    assert claim_of(made(stamped={"written": "20260601120000.25Z"})).time == int(NOW.timestamp()) + 1


def test_a_fraction_and_the_accuracy_add_up() -> None:
    """Else the tree head would be said to be older than the authority says."""
    stamped = {"written": "20260601120000.25Z", "accuracy": 2}
    assert claim_of(made(stamped=stamped)).time == int(NOW.timestamp()) + 3


ALWAYS = holder("an authority", ROOT, end=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize("stamped", [{"written": "99991231235959Z", "accuracy": 1}, {"written": "99991231235959.5Z"}])
def test_a_time_that_no_calendar_has_is_refused(stamped: dict[str, Any]) -> None:
    """Whoever signs one would have stopped the verification of every run that has its receipt, with
    no word of what is wrong."""
    for trust in (TRUST, None):
        refused(made(ALWAYS, stamped=stamped), "after the year 9999", trust)


def test_two_authorities_under_one_root_are_one() -> None:
    other = holder("another authority", ROOT)
    assert claim_of(made(other)).identity == claim_of(made()).identity


def test_one_authority_that_two_roots_vouch_for_is_one() -> None:
    """Attack: a policy asks for two authorities, and the trainer has one, with one path to each of
    the auditor's two roots; which of them a token shows is the trainer's choice, since nobody signs
    the certificates in it."""
    other_root = holder("another root", ca=True)
    both = Trust((ROOT.certificate, other_root.certificate))
    between = [holder("between", root, ca=True, path_length=0) for root in (ROOT, other_root)]
    crossed = holder("between", other_root, ca=True, path_length=0, key=between[0].key)
    leaf, other = holder("an authority", between[0]), holder("an authority", between[1])

    def found(*tokens: bytes) -> int:
        claims = [claim_of(one, both) for one in tokens]
        assert {claim.standing for claim in claims} == {Standing.SHOWN}
        assert len({claim.identity for claim in claims}) == 2
        return len(authorities(claims))

    one = made(leaf, certificates=(leaf, between[0]))
    assert found(one, made(leaf, certificates=(leaf, crossed))) == 1
    second = holder("a second one", between[0])
    assert found(one, made(second, certificates=(second, crossed))) == 1
    assert found(one, made(other, certificates=(other, between[1]))) == 2
    again = holder("an authority", between[1], key=leaf.key)  # the authority's own key, certified twice
    assert found(one, made(again, certificates=(again, between[1]))) == 1


@pytest.mark.parametrize("names", ["v1", "v2"])
def test_either_form_of_a_certificates_name_is_taken(names: str) -> None:
    assert claim_of(made(names=names)).standing is Standing.SHOWN


def test_a_path_through_an_authority_in_between() -> None:
    between = holder("between", ROOT, ca=True, path_length=0)
    leaf = holder("below", between)
    assert claim_of(made(leaf, certificates=(leaf, between))).standing is Standing.SHOWN
    assert claim_of(made(leaf)).standing is Standing.UNJUDGED
    with_it = Trust((ROOT.certificate,), (between.certificate,))
    assert claim_of(made(leaf), with_it).standing is Standing.SHOWN


def test_certificates_in_a_token_may_be_in_any_order() -> None:
    """OpenSSL's `ts` doesn't sort them, and rfc3161_client reads no set that isn't sorted."""
    foreign = holder("foreign", ca=True)
    for certificates in ((LEAF, ROOT, foreign), (foreign, ROOT, LEAF)):
        assert claim_of(made(certificates=certificates)).standing is Standing.SHOWN


def test_what_is_not_signed_is_passed_over() -> None:
    unsigned = b"\xa1\x04\x30\x02\x05\x00"
    assert claim_of(made(unsigned=(unsigned,))).standing is Standing.SHOWN
    assert claim_of(made(parts=(b"\xa1\x00",))).standing is Standing.SHOWN


def test_a_signers_certificate_that_the_token_lacks_may_be_the_auditors() -> None:
    assert claim_of(made(certificates=None)).standing is Standing.UNJUDGED
    with_it = Trust((ROOT.certificate,), (LEAF.certificate,))
    assert claim_of(made(certificates=None), with_it).standing is Standing.SHOWN


def test_an_authority_that_no_root_vouches_for_is_not_judged() -> None:
    foreign = holder("a root", ca=True)
    leaf = holder("an authority", foreign)
    claim = claim_of(made(leaf, certificates=(leaf, foreign)))
    assert claim.standing is Standing.UNJUDGED
    assert claim.time is None
    assert claim.identity == ()


def test_a_root_in_the_token_is_no_trust() -> None:
    """A trainer's own root, own authority, both in the token, beside the real root: rfc3161_client
    before 1.0.9 took any root in the token."""
    own = holder("the trainer's", ca=True)
    leaf = holder("an authority", own)
    assert claim_of(made(leaf, certificates=(leaf, own, ROOT))).standing is Standing.UNJUDGED


def test_without_trust_nothing_is_shown_and_what_is_false_is_refused() -> None:
    assert claim_of(made(), None).standing is Standing.UNJUDGED
    refused(made(signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"), "not valid", None)
    refused(made(holder("x", ROOT, uses=(STAMPING, UNKNOWN))), "for this purpose alone", None)


def test_a_policy_that_is_not_taken_is_not_judged() -> None:
    taken = dataclasses.replace(TRUST, policies=("1.2.3.4.1",))
    assert claim_of(made(), taken).standing is Standing.SHOWN
    assert claim_of(made(stamped={"policy": "1.2.3.4.2"}), taken).standing is Standing.UNJUDGED


@pytest.mark.parametrize(
    ("stamped", "why"),
    [
        ({"nonce": None}, "doesn't repeat the nonce"),
        ({"nonce": NUMBER - 1}, "another nonce"),
        ({"digest": sha256(b"another").digest()}, "another checkpoint"),
        ({"digest": sha512(b"x").digest()}, "another checkpoint"),
        ({"algorithm": SHA1}, "another hash"),
        ({"version": 2}, "version 1"),
        ({"extension": "critical"}, "critical extension"),
        ({"accuracy": 10**6}, "too vague"),
        ({"written": "20260601120000"}, "can't be read"),
        ({"written": "20241231235959Z"}, "not valid at that time"),
        ({"written": "20350101000001Z"}, "not valid at that time"),
    ],
)
def test_a_stamp_that_says_something_else_is_refused(stamped: dict[str, Any], why: str) -> None:
    refused(made(stamped=stamped), why)


def test_an_extension_that_is_not_critical_is_passed_over() -> None:
    assert claim_of(made(stamped={"extension": "not critical"})).standing is Standing.SHOWN


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"named": None}, "doesn't say which certificate"),
        ({"sid": ROOT}, "two certificates"),
        ({"digest": sha256(b"another").digest()}, "over another time stamp"),
        ({"hash": SHA1}, "a hash that isn't taken"),
        ({"attribute_kind": "1.2.840.113549.1.7.1"}, "content type"),
        ({"kind": "1.2.840.113549.1.7.1"}, "no time stamp"),
        ({"outer": "1.2.840.113549.1.7.3"}, "no signed data"),
        ({"parts": (b"\xa2\x00",)}, "parts that no signed data has"),
        ({"twice": True}, "not one value"),
        ({"signatures": 2}, "not one signature"),
        ({"signed_by": "1.2.840.10045.4.3.3"}, "of a kind that isn't taken"),
        ({"signed_by": "1.2.840.113549.1.1.11"}, "of a kind that isn't taken"),
        ({"signature": b"\0"}, "not valid"),
    ],
)
def test_a_token_that_does_not_hold_together_is_refused(changes: dict[str, Any], why: str) -> None:
    refused(made(**changes), why)


def test_a_token_whose_certificate_is_another_of_the_same_key_is_refused() -> None:
    """Without the name in the signed attributes, a certificate of the same key, issuer and serial
    number could stand in for the signer's: one that was valid at another time, say."""
    other = holder("an authority", ROOT, key=LEAF.key, serial=LEAF.certificate.serial_number, end=NOW)
    assert claim_of(made(named=LEAF, certificates=(other,))).standing is Standing.UNJUDGED
    refused(made(named=other, certificates=(LEAF, other), stamped={"written": "20270101000000Z"}), "not valid at that")


def test_a_token_that_names_two_certificates_names_none() -> None:
    """One name in each form (RFC 5816): a reader of the one would take another certificate for the
    signer's than a reader of the other."""
    other = holder("an authority", ROOT, key=LEAF.key, serial=LEAF.certificate.serial_number)
    assert claim_of(made(also=LEAF)).standing is Standing.SHOWN
    for named, also in ((LEAF, other), (other, LEAF)):
        for certificates in ((LEAF,), (other,), (LEAF, other), (other, LEAF)):
            claim = claim_of(made(named=named, also=also, certificates=certificates))
            assert claim.standing is Standing.UNJUDGED
            assert "neither in it nor among those" in claim.rests_on


def test_a_name_of_a_certificate_that_is_not_the_keys_is_refused() -> None:
    """The trainer signs with an own key and names the authority's certificate."""
    own = holder("an authority", ROOT)
    refused(made(own, named=LEAF, sid=LEAF, certificates=(LEAF,)), "not valid")


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        (holder("x", ROOT, uses=(STAMPING, UNKNOWN)), "for this purpose alone"),
        (holder("x", ROOT, uses=(STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)), "for this purpose alone"),
        (holder("x", ROOT, uses=(ExtendedKeyUsageOID.CODE_SIGNING,)), "for this purpose alone"),
        (holder("x", ROOT, uses=()), "for this purpose alone"),
        (holder("x", ROOT, critical=False), "as critical"),
        (holder("x", ROOT, signs=False), "for signatures"),
        (holder("x", ROOT, issues=True), "for signatures"),
        (holder("x", ROOT, end=datetime(2026, 1, 1, tzinfo=UTC)), "not valid at that time"),
        (holder("x", ROOT, begin=datetime(2026, 7, 1, tzinfo=UTC)), "not valid at that time"),
        (holder("x", ROOT, ca=True, issues=False, extra=x509.ExtendedKeyUsage([STAMPING])), "certificate authority's"),
        (ROOT, "for this purpose alone"),
    ],
)
def test_a_certificate_that_is_not_for_time_stamps_is_refused(signer: Holder, why: str) -> None:
    """Whoever has some certificate under a root that the auditor gave could stamp with it."""
    refused(made(signer), why)


@pytest.mark.parametrize(
    "between",
    [
        holder("no CA", ROOT, issues=True, uses=()),
        holder("x", ROOT, ca=True, issues=False),
        holder("x", ROOT, ca=True, end=datetime(2026, 1, 1, tzinfo=UTC)),
        holder("x", ROOT, ca=True, extra=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
        holder("x", ROOT, ca=True, extra=x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00")),
    ],
    ids=["no CA", "no key for it", "expired", "for other purposes", "a critical extension that is unknown"],
)
def test_no_path_leads_through_a_certificate_that_may_not_issue(between: Holder) -> None:
    leaf = holder("below", between)
    assert claim_of(made(leaf, certificates=(leaf, between))).standing is Standing.UNJUDGED


def test_a_path_is_no_longer_than_its_authorities_allow() -> None:
    first = holder("first", ROOT, ca=True, path_length=0)
    second = holder("second", first, ca=True)
    leaf = holder("below", second)
    assert claim_of(made(leaf, certificates=(leaf, first, second))).standing is Standing.UNJUDGED


def test_a_leaf_with_an_unknown_critical_extension_has_no_path() -> None:
    leaf = holder("x", ROOT, extra=x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00"))
    assert claim_of(made(leaf)).standing is not Standing.SHOWN


def test_receipts_of_other_checkpoints_kinds_and_forms_are_refused() -> None:
    given, other = made(), dataclasses.replace(HEAD, size=4)
    with pytest.raises(VerificationError, match="another tree head"):
        verify(Receipt("rfc3161", 3, HEAD.root, {}), SignedCheckpoint(b"", other), TRUST)
    refused(given, "another checkpoint", head=other)
    refused(given, "another nonce", nonce=bytes(16))
    refused(given + b"\0", "in DER")
    refused(given[:-1], "in DER")
    refused(b"", "invalid")
    refused(b"\x30\x00", "other elements")
    with pytest.raises(VerificationError, match="too large"):
        parse(bytes(MAX_TOKEN + 1))
    bodies: list[dict[str, Json]] = [
        {},
        {"nonce": "00", "token": ""},
        {"nonce": NONCE.hex(), "token": encode_base64(given), "x": 1},
    ]
    for body in bodies:
        with pytest.raises(VerificationError):
            verify(Receipt("rfc3161", 3, HEAD.root, body), CHECKPOINT, TRUST)
    refused(made(certificates=(LEAF,) * 33), "more than 32")


def test_no_byte_of_a_token_can_be_altered_unnoticed() -> None:
    """Each byte of the token is altered once: it is refused, or shows the same; nothing else is
    raised."""
    given = made(stamped={"accuracy": 1})
    honest = claim_of(given)
    rng = random.Random(1)
    for place in range(len(given)):
        altered = bytearray(given)
        altered[place] ^= 1 << rng.randrange(8)
        try:
            claim = claim_of(bytes(altered))
        except VerificationError:
            continue
        assert claim.standing is not Standing.SHOWN or claim == honest


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    claim = claim_of(made())
    assert claim.standing is Standing.UNJUDGED
    assert "zk-autograd[rfc3161]" in claim.rests_on


def test_a_table_without_a_root_is_refused() -> None:
    files = {"leaf.pem": LEAF.pem, "key.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "e": b""}
    files["both"] = ROOT.pem + files["key.pem"]
    tables: list[dict[str, Json]] = [
        {},
        {"roots": []},
        {"roots": ["leaf.pem"]},
        {"roots": ["key.pem"]},
        {"roots": ["e"]},
        {"roots": ["both"]},
    ]
    for table in tables:
        with pytest.raises(VerificationError):
            read_trust(Fields(table, "[anchors.rfc3161]"), files.__getitem__)
    trust = read_trust(Fields({"roots": ["a"], "policies": ["1.2.3"]}, "it"), lambda name: LEAF.pem + ROOT.pem)
    assert trust == Trust((ROOT.certificate,), (LEAF.certificate,), ("1.2.3",))


@pytest.mark.parametrize(
    ("name", "message", "hashed"),
    [
        ("sigstage__response-sha256", b"hello", "sha256"),
        ("sigstage__response-sha384", b"hello", "sha384"),
        ("sigstage__response-sha512", b"hello", "sha512"),
        ("sigstage__response-no-embedded-cert", b"hello", "sha256"),
        ("test_tsa__response", b"hello", "sha512"),
        ("test_tsa__response-injected-certs", b"hello", "sha512"),
    ],
)
def test_tokens_of_real_authorities_are_shown(name: str, message: bytes, hashed: str) -> None:
    import hashlib

    trust = trust_of(name.partition("__")[0])
    found = parse(_token((DATA / f"{name}.tsr").read_bytes()), trust.others)
    claim = judge(found, trust)
    assert claim.standing is Standing.SHOWN
    assert claim.time is not None
    assert claim.time == int(found.time.timestamp()) + 1
    digest = hashlib.new(hashed, message).digest()
    assert found.digest == digest
    nonce = found.response.tst_info.nonce.to_bytes(20, "big")
    if hashed == "sha256":
        found.require(digest, nonce)
    else:
        with pytest.raises(VerificationError, match="another hash than SHA-256"):
            found.require(digest, nonce)


def golden() -> list[tuple[Receipt, SignedCheckpoint]]:
    """The receipts that are verified for ever, each with its checkpoint."""
    receipts = [Receipt.parse(line) for line in (DATA / "golden.jsonl").read_bytes().splitlines()]
    return [(one, SignedCheckpoint(b"", Checkpoint(HEAD.origin, one.size, bytes([one.size] * 32)))) for one in receipts]


def token_of(receipt: Receipt) -> bytes:
    return decode_base64(str(receipt.body["token"]), "the token")


GOLDEN_TRUST = Trust(tuple(parse_pem((DATA / "golden.pem").read_bytes(), "golden.pem")))
GOLDEN_TIMES = [1796062724, 1796062724]


def test_receipts_of_this_version_are_verified_for_ever() -> None:
    claims = [verify(receipt, checkpoint, GOLDEN_TRUST) for receipt, checkpoint in golden()]
    assert [claim.standing for claim in claims] == [Standing.SHOWN] * 2
    assert [claim.time for claim in claims] == GOLDEN_TIMES


def test_certificates_that_expired_since_are_no_fault() -> None:
    trust = trust_of("sigstore.mock")
    assert all(one.not_valid_after_utc.year == 2024 for one in (*trust.roots, *trust.others))
    found = parse(_token((DATA / "sigstore.mock__response-expired.tsr").read_bytes()), trust.others)
    assert judge(found, trust).time == int(datetime(2023, 2, 1, tzinfo=UTC).timestamp()) + 1


def test_a_real_token_with_an_altered_signature_is_refused() -> None:
    with pytest.raises(VerificationError, match="signature is not valid"):
        parse(_token((DATA / "sigstage__response-invalid-signature.tsr").read_bytes()))


@pytest.mark.parametrize("name", ["sigstage__response-no-embedded-cert", "sigstore.mock__response-expired"])
def test_a_real_token_without_its_certificate_is_not_judged(name: str) -> None:
    with pytest.raises(UnknownSignerError, match="neither in it nor among"):
        parse(_token((DATA / f"{name}.tsr").read_bytes()))


def test_a_real_token_of_an_authority_of_the_same_name_is_not_judged() -> None:
    """Another instance's root has the same name and another key."""
    found = parse(_token((DATA / "test_tsa__other_response.tsr").read_bytes()))
    trust = trust_of("test_tsa")
    assert found.signer.subject == trust.others[0].subject
    assert judge(found, trust).standing is Standing.UNJUDGED


def test_an_injected_certificate_helps_to_no_path() -> None:
    """Without the certificate in between, which only the auditor's file holds, nothing is shown."""
    found = parse(_token((DATA / "test_tsa__response-injected-certs.tsr").read_bytes()))
    assert [one.subject.rfc4514_string() for one in found.others].count("CN=Spoofed TSA") == 1
    assert judge(found, Trust(trust_of("test_tsa").roots)).standing is Standing.UNJUDGED


def test_openssl_agrees_about_the_real_tokens() -> None:
    """`openssl ts -verify`, an independent judge, for those that hold what it needs."""
    for name, good in (("sigstage__response-sha256", True), ("sigstage__response-invalid-signature", False)):
        command = ["openssl", "ts", "-verify", "-in", f"{name}.tsr", "-digest", sha256(b"hello").hexdigest()]
        result = subprocess.run(
            [*command, "-CAfile", "sigstage__ts_chain.pem"], cwd=DATA, capture_output=True, check=False
        )
        assert (result.returncode == 0) is good, result.stderr


def test_the_purpose_is_that_of_rfc_3161() -> None:
    assert ExtendedKeyUsageOID.TIME_STAMPING.dotted_string == PURPOSE
