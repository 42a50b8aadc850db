"""The form of a document: what real ones have is taken, and what only a forger writes is refused,
each time under a signature that is right, so that nothing else refuses it."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from tests.tee.nitro.documents import NOW, PCRS, cose, honest, read, real
from zk_autograd.core.attestation import MAX_RAW
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.tee.nitro import abi

CHAIN = honest()


def refused(document: bytes, why: str) -> None:
    with pytest.raises(AttestationError, match=why) as error:
        CHAIN.verify(document)
    assert not isinstance(error.value, AttestationShort)


def with_entries(entries: list[tuple[Any, Any]], *, indefinite: bool = False) -> bytes:
    """A CBOR map of these entries, in this order, repeated keys and all."""
    body = b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in entries)
    return b"\xbf" + body + b"\xff" if indefinite else bytes([0xA0 + len(entries)]) + body


def test_real_documents_have_what_simple_readers_trip_on() -> None:
    """So that the data goes on holding a document for each: maps of indefinite length and of
    definite length, and fields of 1024 bytes."""
    payloads = [cbor2.loads(read(name))[2] for name in real("accept-at-timestamp") + real("reject-debug")]
    assert {payload[:1] for payload in payloads} == {b"\xa9", b"\xbf"}
    found = [abi.parse(read(name)).payload for name in real("reject-debug")]
    assert any(len(payload.nonce or b"") == len(payload.public_key or b"") == abi.MAX_FIELD for payload in found)


@pytest.mark.parametrize("indefinite", [False, True])
def test_a_payload_of_either_length_is_taken(indefinite: bool) -> None:
    payload = with_entries(list(CHAIN.payload().items()), indefinite=indefinite)
    assert CHAIN.verify(CHAIN.sign(payload)) == CHAIN.verify(CHAIN.document())


def test_everything_else_may_be_of_indefinite_length_too() -> None:
    """As a device's encoder may write it: arrays, texts and bytes."""
    payload = CHAIN.payload()
    bundle = b"\x9f" + b"".join(cbor2.dumps(one) for one in payload["cabundle"]) + b"\xff"
    nonce = b"\x5f" + cbor2.dumps(b"ab") + cbor2.dumps(b"c") + b"\xff"
    body = b"".join(
        cbor2.dumps(name) + {"cabundle": bundle, "nonce": nonce}.get(name, cbor2.dumps(value))
        for name, value in payload.items()
    )
    claim = CHAIN.verify(CHAIN.sign(b"\xbf" + body + b"\xff"))
    assert claim.nonce == b"abc"


@pytest.mark.parametrize("name", ["public_key", "user_data", "nonce"])
def test_an_optional_field_that_is_null_is_one_that_is_absent(name: str) -> None:
    null, absent = CHAIN.verify(CHAIN.document(**{name: None})), CHAIN.verify(CHAIN.document(**{name: ...}))
    assert null == absent and getattr(null, name) is None


def test_an_empty_field_is_not_an_absent_one() -> None:
    assert CHAIN.verify(CHAIN.document(nonce=b"")).nonce == b""


@pytest.mark.parametrize("name", ["public_key", "user_data", "nonce"])
def test_an_optional_field_has_up_to_1024_bytes(name: str) -> None:
    assert getattr(CHAIN.verify(CHAIN.document(**{name: bytes(1024)})), name) == bytes(1024)
    refused(CHAIN.document(**{name: bytes(1025)}), f"{name} is invalid .*1024 bytes, found 1025 bytes")


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_a_required_field_is_neither_absent_nor_null(name: str) -> None:
    refused(CHAIN.document(**{name: ...}), f"the payload has no {name}")
    refused(CHAIN.document(**{name: None}), f"{name} is invalid")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("module_id", "", "module_id"),
        ("module_id", "x" * 257, "module_id"),
        ("module_id", "i-\x1b[2J", "module_id"),
        ("module_id", b"i-0", "module_id"),
        ("digest", "SHA256", "digest is invalid .expected SHA384"),
        ("digest", "SHA512", "digest"),
        ("digest", b"SHA384", "digest"),
        ("digest", ["SHA384"], "digest"),
        ("timestamp", 253_402_300_800_000, "timestamp"),
        ("timestamp", str(int(NOW.timestamp() * 1000)), "timestamp"),
        ("pcrs", {}, "pcrs is invalid .expected a map of 1 to 32"),
        ("pcrs", [bytes(48)], "pcrs"),
        ("pcrs", {number: bytes(48) for number in range(33)}, "pcrs is invalid .expected a map of 1 to 32"),
        ("pcrs", {32: bytes(48)}, r"numbers from 0 to 31"),
        ("pcrs", {-1: bytes(48)}, r"numbers from 0 to 31"),
        ("pcrs", {"0": bytes(48)}, r"numbers from 0 to 31"),
        ("pcrs", {False: bytes(48)}, r"numbers from 0 to 31"),
        ("pcrs", {0.0: bytes(48)}, r"numbers from 0 to 31"),
        ("pcrs", {**PCRS, 0: bytes(32)}, r"pcrs\[0\] is invalid .expected 48 bytes, found 32 bytes"),
        ("pcrs", {**PCRS, 2: bytes(64)}, r"pcrs\[2\]"),
        ("pcrs", {**PCRS, 15: b""}, r"pcrs\[15\]"),
        ("pcrs", {**PCRS, 1: "0" * 48}, r"pcrs\[1\]"),
        ("certificate", b"", "certificate is invalid"),
        ("certificate", bytes(1025), "certificate is invalid"),
        ("certificate", bytes(1024), "certificate 3 of the document's chain can't be read"),
        ("cabundle", [], "cabundle is invalid"),
        ("cabundle", [b"x"] * 9, "cabundle is invalid"),
        ("cabundle", [b""], r"cabundle\[0\]"),
        ("cabundle", [bytes(1025)], r"cabundle\[0\]"),
        ("cabundle", {0: b"x"}, "cabundle"),
        ("cabundle", b"x", "cabundle"),
        ("public_key", b"", "public_key is invalid .expected 1 to 1024"),
        ("public_key", "x", "public_key"),
        ("user_data", [1], "user_data"),
        ("nonce", 0, "nonce"),
        ("nonce", False, "nonce"),
        ("nonce", cbor2.undefined, "nonce"),
    ],
)
def test_each_field_is_of_its_type_and_within_its_bounds(name: str, value: object, why: str) -> None:
    refused(CHAIN.document(**{name: value}), why)


@pytest.mark.parametrize("count", [1, 32])
def test_there_are_1_to_32_registers(count: int) -> None:
    assert len(CHAIN.verify(CHAIN.document(pcrs={number: bytes(48) for number in range(count)})).pcrs) == count


@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize("name", ["pcrs", "timestamp", "nonce", "certificate"])
def test_a_field_that_is_there_twice_is_refused(name: str, indefinite: bool) -> None:
    """Of two readers, one takes the first and one the last: each is shown the image that it wants
    to see."""
    entries = list(CHAIN.payload().items())
    refused(
        CHAIN.sign(with_entries([*entries, (name, CHAIN.payload()[name])], indefinite=indefinite)), "Duplicate map key"
    )


@pytest.mark.parametrize("second", [0, False, 0.0])
def test_a_register_that_is_there_twice_is_refused(second: object) -> None:
    """Whatever the second one's number is written as, where the two compare as equal."""
    pcrs = with_entries([(0, bytes([1]) * 48), (1, bytes([2]) * 48), (second, bytes([9]) * 48)])
    entries = [(name, value) for name, value in CHAIN.payload().items() if name != "pcrs"]
    body = b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in entries) + cbor2.dumps("pcrs") + pcrs
    refused(CHAIN.sign(b"\xa9" + body), "Duplicate map key")


def test_a_header_with_two_algorithms_is_refused() -> None:
    refused(CHAIN.sign(cbor2.dumps(CHAIN.payload()), protected=bytes.fromhex("a2013822013822")), "Duplicate map key")


@pytest.mark.parametrize("more", [b"\x00", b"\xff", b"\xf6", b"\xa0"])
def test_bytes_that_follow_are_refused_at_each_end(more: bytes) -> None:
    """What a reader that stops early doesn't see could be another document to one that doesn't."""
    payload = cbor2.dumps(CHAIN.payload())
    refused(CHAIN.document() + more, "the document goes on after its end")
    refused(CHAIN.sign(payload + more), "the payload goes on after its end")
    refused(CHAIN.sign(payload, protected=bytes.fromhex("a1013822") + more), "the protected header goes on")


def test_a_nitrotpm_document_is_refused_by_name() -> None:
    """It has the same root, and its nitrotpm_pcrs are an instance's, not an enclave's."""
    refused(CHAIN.document(pcrs=..., nitrotpm_pcrs=PCRS), "NitroTPM document")
    refused(CHAIN.document(nitrotpm_pcrs=PCRS), "NitroTPM document")


@pytest.mark.parametrize("name", ["", "PCRS", "pcrs2", "x" * 9000])
def test_a_field_that_no_document_has_is_refused(name: str) -> None:
    refused(CHAIN.document(**{name: 0}), "no other fields")


@pytest.mark.parametrize(
    ("protected", "why"),
    [
        (b"", "the protected header is invalid"),
        (b"\xa0", "ES384"),
        (cbor2.dumps({1: -7}), "ES384"),
        (cbor2.dumps({1: -36}), "ES384"),
        (cbor2.dumps({1: -8}), "ES384"),
        (cbor2.dumps({1: -1}), "ES384"),
        (cbor2.dumps({1: "ES384"}), "ES384"),
        (cbor2.dumps({1: -35.0}), "ES384"),
        (cbor2.dumps({True: -35}), "ES384"),
        (cbor2.dumps({1: -35, 2: [1]}), "ES384"),
        (cbor2.dumps({1: -35, 4: b"kid"}), "ES384"),
        (cbor2.dumps([1, -35]), "ES384"),
        (cbor2.dumps(-35), "ES384"),
        (b"\xff", "the protected header is not CBOR"),
    ],
)
def test_the_signed_header_says_es384_and_nothing_else(protected: bytes, why: str) -> None:
    """A forger picks an algorithm that isn't checked, or none (QEMU's -1)."""
    refused(CHAIN.sign(cbor2.dumps(CHAIN.payload()), protected=protected), why)


@pytest.mark.parametrize("header", [{1: -35}, {1: -7}, {4: b"kid"}, {33: b"certificate"}])
@pytest.mark.parametrize("protected", [b"\xa0", bytes.fromhex("a1013822")])
def test_the_header_that_nothing_signs_is_empty(header: dict[int, Any], protected: bytes) -> None:
    """An algorithm there is the forger's choice, after the signature was made."""
    refused(CHAIN.sign(cbor2.dumps(CHAIN.payload()), protected=protected, unprotected=header), "header is invalid")


@pytest.mark.parametrize("context", ["Signature", "CounterSignature", "MAC0", "signature1"])
def test_a_signature_over_something_else_is_none(context: str) -> None:
    payload = cbor2.dumps(CHAIN.payload())
    refused(cose(payload, CHAIN.holders[-1].key, context=context), "signature is wrong")


def _four(change: Callable[[list[Any]], object]) -> bytes:
    parts: list[Any] = cbor2.loads(CHAIN.document())
    change(parts)
    return bytes(cbor2.dumps(parts))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xd2",
        b"\x80",
        b"\xf6",
        _four(lambda parts: parts.pop()),
        _four(lambda parts: parts.append(b"")),
        _four(lambda parts: parts.__setitem__(0, {1: -35})),
        _four(lambda parts: parts.__setitem__(1, None)),
        _four(lambda parts: parts.__setitem__(1, [])),
        _four(lambda parts: parts.__setitem__(1, b"")),
        _four(lambda parts: parts.__setitem__(2, None)),
        _four(lambda parts: parts.__setitem__(2, cbor2.loads(parts[2]))),
        _four(lambda parts: parts.__setitem__(3, None)),
        cbor2.dumps(dict(enumerate(cbor2.loads(CHAIN.document())))),
        CHAIN.sign(cbor2.dumps([])),
        CHAIN.sign(cbor2.dumps("payload")),
        CHAIN.sign(cbor2.dumps({1: 2})),
        CHAIN.sign(with_entries([*CHAIN.payload().items(), (1, 2)])),
        CHAIN.sign(with_entries([*CHAIN.payload().items(), (b"pcrs", PCRS)])),
    ],
)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    refused(document, "invalid|is not CBOR")


def test_a_document_is_bounded_before_it_is_read() -> None:
    refused(bytes(MAX_RAW + 1), f"1 to {MAX_RAW} bytes, found {MAX_RAW + 1} bytes")
    refused(CHAIN.sign(bytes(abi.MAX_PAYLOAD + 1)), "the payload is invalid .expected 1 to 16384 bytes, found 16385")


def test_what_is_signed_is_what_rfc_9052_says() -> None:
    """Section 4.4, written out: an array of the context, the header, nothing, and the payload."""
    expected = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40\x43abc"
    assert abi.signed_bytes(abi.protected_header(), b"abc") == expected
