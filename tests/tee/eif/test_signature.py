"""The signature of an image: PCR8 is only told of a certificate whose key signed the image."""

import datetime
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.tee.eif.golden import golden, opened, packed, parts, registers
from zk_autograd.core.errors import VerificationError
from zk_autograd.tee.eif import Kind, measure
from zk_autograd.tee.eif.signature import certificate_of

PCR0 = bytes.fromhex(registers("unsigned")["pcr0"])
ALGORITHMS: dict[str, tuple[ec.EllipticCurve, int, hashes.HashAlgorithm, int]] = {
    "P-256": (ec.SECP256R1(), -7, hashes.SHA256(), 32),
    "P-384": (ec.SECP384R1(), -35, hashes.SHA384(), 48),
    "P-521": (ec.SECP521R1(), -36, hashes.SHA512(), 66),
}


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7).not_valid_before(datetime.datetime(2026, 1, 1))
    built = builder.not_valid_after(datetime.datetime(2027, 1, 1)).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)


def payload(pcr0: bytes, index: int = 0) -> bytes:
    return cbor2.dumps({"register_index": index, "register_value": list(pcr0)})


def cose(key: ec.EllipticCurvePrivateKey, signed: bytes, curve: str = "P-384", **other: Any) -> list[Any]:
    _, number, digest, half = ALGORITHMS[curve]
    protected = other.get("protected", cbor2.dumps({1: number}))
    r, s = decode_dss_signature(key.sign(cbor2.dumps(["Signature1", protected, b"", signed]), ec.ECDSA(digest)))
    return [protected, {}, signed, r.to_bytes(half, "big") + s.to_bytes(half, "big")]


def section(pem: bytes, signature: Any) -> bytes:
    """The section as AWS's crate writes it; `signature` is a COSE_Sign1, encoded or not."""
    encoded = signature if isinstance(signature, bytes) else cbor2.dumps(signature)
    return cbor2.dumps([{"signing_certificate": list(pem), "signature": list(encoded)}])


def own(name: str) -> bytes:
    return dict(parts(name))[Kind.SIGNATURE]


@pytest.mark.parametrize("curve", ALGORITHMS)
@pytest.mark.parametrize("tagged", [False, True])
def test_a_signature_of_each_curve_is_taken(curve: str, tagged: bool) -> None:
    key = ec.generate_private_key(ALGORITHMS[curve][0])
    pem = certificate(key)
    encoded = (b"\xd2" if tagged else b"") + cbor2.dumps(cose(key, payload(PCR0), curve))
    der = certificate_of(section(pem, encoded), PCR0)
    assert der == x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_the_crate_writes_what_is_read_here() -> None:
    assert own("signed") == cbor2.dumps(cbor2.loads(own("signed")))


def test_an_exchanged_certificate_is_refused() -> None:
    """Else whoever has a name in the policy's pcr8 would seem to have signed any image."""
    (found,) = cbor2.loads(own("signed"))
    found["signing_certificate"] = list(certificate(ec.generate_private_key(ec.SECP384R1())))
    image = [*parts("unsigned"), (Kind.SIGNATURE, cbor2.dumps([found]))]
    with pytest.raises(VerificationError, match="not one of its signing certificate's key"):
        measure(opened(packed(image)))


def test_a_signature_over_another_image_is_refused() -> None:
    kernel, *others = parts("signed")
    image = [(Kind.KERNEL, kernel[1] + b"!"), *others]
    with pytest.raises(VerificationError, match="over another PCR0"):
        measure(opened(packed(image)))


def test_a_signature_over_another_register_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(VerificationError, match="over another PCR0"):
        certificate_of(section(certificate(key), cose(key, payload(PCR0, index=1))), PCR0)


KEY = ec.derive_private_key(5, ec.SECP384R1())
PEM = certificate(KEY)
RIGHT = cose(KEY, payload(PCR0))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not CBOR"),
        (section(PEM, RIGHT) + b"\0", "bytes follow"),
        (cbor2.dumps([]), "other than one signature"),
        (cbor2.dumps(2 * cbor2.loads(section(PEM, RIGHT))), "other than one signature"),
        (cbor2.dumps({}), "other than one signature"),
        (cbor2.dumps([[1]]), "isn't a map"),
        (cbor2.dumps([{**cbor2.loads(section(PEM, RIGHT))[0], "more": 1}]), "isn't a map"),
        (cbor2.dumps([{"signing_certificate": PEM, "signature": []}]), "no array of bytes"),
        (cbor2.dumps([{"signing_certificate": [256], "signature": []}]), "no array of bytes"),
        (cbor2.dumps([{"signing_certificate": [True], "signature": []}]), "no array of bytes"),
        (b"\x81\xa3\x69signature\x80" + section(PEM, RIGHT)[2:], "is not CBOR"),
        (section(PEM, b"\x81" * 8 + b"\x80"), "is not CBOR"),
        (section(b"", RIGHT), "doesn't hold 1 to"),
        (section(PEM + PEM, RIGHT), "more than one signing certificate"),
        (section(PEM, RIGHT[:3]), "no COSE_Sign1 without"),
        (section(PEM, [RIGHT[0], {4: b"k"}, *RIGHT[2:]]), "no COSE_Sign1 without"),
        (section(PEM, [*RIGHT[:3], list(RIGHT[3])]), "byte strings"),
        (section(PEM, [*RIGHT[:2], None, RIGHT[3]]), "byte strings"),
        (section(PEM, [*RIGHT[:3], RIGHT[3] + b"\0"]), "another length"),
        (section(PEM, [*RIGHT[:3], bytes(96)]), "not one of its"),
        (section(PEM, [*RIGHT[:3], b"\xff" * 96]), "not one of its"),
        (section(PEM, cose(KEY, payload(PCR0), protected=cbor2.dumps({1: -7}))), "names another algorithm"),
        (section(PEM, cose(KEY, payload(PCR0), protected=b"")), "is not CBOR"),
        (section(PEM, cose(KEY, payload(PCR0) + b"\0")), "over another PCR0"),
        (section(PEM, cbor2.dumps(RIGHT) + b"\0"), "bytes follow"),
        (section(PEM, b"\xd1" + cbor2.dumps(RIGHT)), "is not CBOR"),
        (section(PEM, b"\x9f\xff"), "is not CBOR"),
        (section(PEM, b"\x81" * 60_000), "is not CBOR"),
        (section(PEM, cbor2.dumps(cbor2.CBORTag(35, "(a+)+$"))), "is not CBOR"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "is not CBOR"),
    ],
)
def test_what_is_malformed_is_refused(data: bytes, said: str) -> None:
    assert certificate_of(section(PEM, RIGHT), PCR0)
    with pytest.raises(VerificationError, match=said):
        certificate_of(data, PCR0)


def test_a_key_of_another_kind_is_refused() -> None:
    key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(VerificationError, match="none of ECDSA"):
        certificate_of(section(certificate(key), RIGHT), PCR0)


@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_the_section_is_it_is_the_signature_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(own("signed"))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        der = certificate_of(bytes(data), PCR0)
    except VerificationError:
        return
    assert der == certificate_of(own("signed"), PCR0)
    assert golden("signed").endswith(own("signed"))
