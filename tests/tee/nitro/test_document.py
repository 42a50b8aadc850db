"""Whole documents: the real ones of the data, each with the verdict that it must have, and what a
host gains who strips one part of a document. The gain is always the same: code of their own, or
none, that passes for the measured image in an enclave."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from tests.tee.nitro.documents import NOW, ORDER, REAL, honest, raw, read, real, time_of
from zk_autograd.core.errors import AttestationError, AttestationShort, UsageError
from zk_autograd.tee import policy
from zk_autograd.tee.nitro import Measurement, NitroClaim, NitroPolicy, verify
from zk_autograd.tee.nitro.chain import AWS, ROOTS
from zk_autograd.tee.nitro.document import own_time

GENUINE = real("accept-at-timestamp") + real("reject-debug")
ONE = "54ae0f973da0c740.cose"
WHY = {
    "cose_sig": "the document's signature is wrong",
    "root_fp": "begins with another root",
    "alg -1, 64-byte zero signature (QEMU virtio-nsm)": "the protected header is invalid",
}


def own(claim: NitroClaim) -> NitroPolicy:
    """A policy that allows just this image."""
    return NitroPolicy((Measurement(claim.pcrs[0], claim.pcrs[1], claim.pcrs[2], claim.pcrs.get(8)),))


def test_no_document_of_the_data_is_left_out() -> None:
    assert len(REAL) == 25 and len(GENUINE) == 22 and len(real("reject")) == 3
    assert all(
        sha256(read(entry["file"])).hexdigest() == entry.get("sha256", sha256(read(entry["file"])).hexdigest())
        for entry in REAL
    )


@pytest.mark.parametrize("name", GENUINE)
def test_a_real_document_is_genuine_at_its_own_time(name: str) -> None:
    (entry,) = [entry for entry in REAL if entry["file"] == name]
    claim = verify(read(name), at=time_of(name), roots={AWS: ROOTS[AWS]})
    assert (claim.root, claim.emulated, claim.at, claim.time) == (AWS, False, time_of(name), time_of(name))
    assert claim.module == entry["module_id"]
    assert [number for number, pcr in claim.pcrs.items() if any(pcr)] == entry["nonzero_pcrs"]
    for field in ("nonce", "user_data", "public_key"):
        value: bytes | None = getattr(claim, field)
        assert (None if value is None else len(value)) == entry[f"{field}_len"]
    assert own_time(read(name)) == time_of(name)
    assert (claim.certificates, claim.listed) == (4, 0)


@pytest.mark.parametrize("name", real("accept-at-timestamp"))
def test_a_policy_takes_the_image_that_it_names_and_no_other(name: str) -> None:
    claim = verify(read(name), at=time_of(name))
    policy.judge(claim, own(claim))
    other = replace(own(claim).measurements[0], pcr2=bytes([1]) * 48)
    with pytest.raises(AttestationShort, match="none that the policy allows"):
        policy.judge(claim, NitroPolicy((other,)))


@pytest.mark.parametrize("name", real("reject-debug"))
def test_a_debug_enclave_is_refused_whatever_the_policy_allows(name: str) -> None:
    """In debug mode the host reads the enclave's memory: the log key, the data, all of it."""
    claim = verify(read(name), at=time_of(name))
    with pytest.raises(AttestationShort, match="debug mode"):
        policy.judge(claim, own(claim))


@pytest.mark.parametrize("name", real("reject"))
def test_what_is_not_genuine_is_refused_for_its_own_fault(name: str) -> None:
    (entry,) = [entry for entry in REAL if entry["file"] == name]
    with pytest.raises(AttestationError, match=WHY[entry["failing"][0]]) as refused:
        verify(read(name), at=time_of(name) if "timestamp" in entry else NOW)
    assert not isinstance(refused.value, AttestationShort)


@pytest.mark.parametrize("name", GENUINE)
@pytest.mark.parametrize("later", [timedelta(hours=-3, seconds=-10), timedelta(hours=4), timedelta(days=3650)])
def test_a_genuine_document_is_short_at_another_time(name: str, later: timedelta) -> None:
    """Whoever gets hold of an old signer's key can make a document of its time for ever; what a
    time stamp of today covers may be one of those."""
    with pytest.raises(AttestationShort, match="wasn't valid at the time for which it is judged"):
        verify(read(name), at=time_of(name) + later)


def test_a_signers_certificate_lasts_three_hours_to_the_second() -> None:
    begin, end = datetime(2025, 12, 25, 16, 4, 16, tzinfo=UTC), datetime(2025, 12, 25, 19, 4, 19, tzinfo=UTC)
    for at in (begin, end):
        assert verify(read(ONE), at=at).at == at
    for at in (begin - timedelta(seconds=1), end + timedelta(seconds=1)):
        with pytest.raises(AttestationShort):
            verify(read(ONE), at=at)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a time zone"):
        verify(read(ONE), at=datetime(2025, 12, 25, 16, 30))


def test_a_time_of_another_zone_is_the_same_time() -> None:
    at = time_of(ONE).astimezone(timezone(timedelta(hours=-9)))
    assert verify(read(ONE), at=at) == verify(read(ONE), at=time_of(ONE))
    with pytest.raises(AttestationShort, match="found 2025-12-25T23:04:19Z"):
        verify(read(ONE), at=at + timedelta(hours=7))


def test_a_tag_may_stand_before_it() -> None:
    bare = verify(read(ONE), at=time_of(ONE))
    assert verify(b"\xd2" + read(ONE), at=time_of(ONE)) == bare


@pytest.mark.parametrize("front", [b"\xd1", b"\xd8\x12", b"\xd2\xd2", b"\xd9\xd9\xf7", b"\xd9\xd9\xf7\xd2"])
def test_no_other_tag_may(front: bytes) -> None:
    with pytest.raises(AttestationError, match="has a tag"):
        verify(front + read(ONE), at=time_of(ONE))


def test_the_hash_of_a_document_is_no_identity() -> None:
    """Who keeps a list of the hashes of documents that were used, to refuse them the next time, is
    shown the same document again under another hash: (r, n - s) is a signature as well."""
    parts = cbor2.loads(read(ONE))
    r, s = (int.from_bytes(half, "big") for half in (parts[3][:48], parts[3][48:]))
    other = cbor2.dumps([*parts[:3], raw(r, ORDER - s)])
    assert sha256(other).digest() != sha256(read(ONE)).digest()
    assert verify(other, at=time_of(ONE)) == verify(read(ONE), at=time_of(ONE))


@pytest.mark.parametrize("offset", range(5))
def test_no_bit_of_a_real_document_can_be_changed(offset: int) -> None:
    document = read(ONE)
    for place in range(offset, len(document), 5 * 23):
        bent = bytearray(document)
        bent[place] ^= 1 << place % 8
        with pytest.raises(AttestationError):
            verify(bytes(bent), at=time_of(ONE))


def test_a_document_cut_anywhere_is_refused() -> None:
    for length in range(0, len(read(ONE)), 97):
        with pytest.raises(AttestationError):
            verify(read(ONE)[:length], at=time_of(ONE))


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (b"", "the signature is invalid"),
        (bytes(96), "signature is wrong"),
        (raw(0, 1), "signature is wrong"),
        (raw(1, 0), "signature is wrong"),
        (raw(ORDER, 1), "signature is wrong"),
        (raw(1, ORDER), "signature is wrong"),
        (raw(2**384 - 1, 2**384 - 1), "signature is wrong"),
        (bytes(64), "the signature is invalid"),
        (bytes(97), "the signature is invalid"),
    ],
)
def test_a_document_without_its_signature_is_nobodys(signature: bytes, why: str) -> None:
    chain = honest()
    with pytest.raises(AttestationError, match=why):
        chain.verify(chain.sign(cbor2.dumps(chain.payload()), signature=signature))


@pytest.mark.parametrize("kept", [(), (0,), (1, 2), (2,), (0, 1), (0, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_a_document_without_its_whole_chain_in_order_is_nobodys(kept: tuple[int, ...]) -> None:
    """The signature is right each time: only the chain tells AWS's key from anybody's."""
    chain = honest()
    bundle = [chain.holders[at].der for at in kept]
    with pytest.raises(AttestationError) as refused:
        chain.verify(chain.document(cabundle=bundle))
    assert not isinstance(refused.value, AttestationShort)


@pytest.mark.parametrize("time", [..., 0, -1, None, "2026", 1.0, True, 2**63, cbor2.CBORTag(1, 1_700_000_000)])
def test_a_document_without_its_time_is_refused(time: Any) -> None:
    chain = honest()
    with pytest.raises(AttestationError, match=r"timestamp|tag"):
        chain.verify(chain.document(timestamp=time))


@pytest.mark.parametrize("off", [timedelta(hours=-2), timedelta(hours=3), timedelta(days=-365 * 50)])
def test_a_time_of_its_own_outside_of_its_certificates_is_false(off: timedelta) -> None:
    """Not merely short: no device signs so. Else a stolen key, whose certificate ended, would make
    documents that look merely old."""
    chain = honest()
    stamp = int((NOW + off).timestamp() * 1000)
    with pytest.raises(AttestationError, match="wasn't valid by the document's own time") as refused:
        chain.verify(chain.document(timestamp=stamp))
    assert not isinstance(refused.value, AttestationShort)


def test_a_document_made_to_order_is_taken_so_that_each_fault_is_its_own() -> None:
    chain = honest()
    claim = chain.verify(chain.document())
    assert (claim.root, claim.certificates, claim.user_data) == ("test", 3, bytes(64))
    with pytest.raises(AttestationError, match="another root"):
        verify(chain.document(), at=NOW)
