"""Real documents, and documents made to order: every part of one, and of the certificates that it
rests on, can be made wrong."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from zk_autograd.tee.nitro.claim import NitroClaim
from zk_autograd.tee.nitro.document import verify

DATA = Path(__file__).parents[2] / "data" / "attestation" / "nitro"
REAL: list[dict[str, Any]] = json.loads((DATA / "documents.json").read_bytes())
"""One for each real document: tests/data/attestation/nitro/README.md."""

NOW = datetime(2026, 5, 4, 12, 0, 0, 500_000, tzinfo=UTC)
PCRS = {number: bytes([number + 1]) * 48 for number in range(3)} | {number: bytes(48) for number in range(3, 16)}
CA = x509.BasicConstraints(ca=True, path_length=None)
NO_CA = x509.BasicConstraints(ca=False, path_length=None)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

# From NIST SP 800-186: the number of points of P-384.
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


def real(expect: str) -> list[str]:
    """The file names of the real documents of which `documents.json` says this."""
    return [entry["file"] for entry in REAL if entry["expect"] == expect]


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def time_of(name: str) -> datetime:
    """The time that documents.json says."""
    (text,) = [entry["timestamp"] for entry in REAL if entry["file"] == name]
    return datetime.fromisoformat(text)


def usage(*names: str) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in known})


ISSUES = usage("digital_signature", "key_cert_sign", "crl_sign")
SIGNS = usage("digital_signature", "content_commitment")


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def encoded(tag: int, content: bytes) -> bytes:
    """A value in DER."""
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(content) < 128 else bytes([128 + len(size)]) + size) + content


def content(der: bytes) -> bytes:
    """What is in a value in DER."""
    return der[2 + (der[1] & 127 if der[1] > 127 else 0) :]


def signed_anew(part: bytes, key: Any) -> bytes:
    """A certificate or a revocation list of these bytes, which no builder makes."""
    algorithm = bytes.fromhex("300a06082a8648ce3d040303")  # ecdsa-with-SHA384
    signature = key.sign(part, ec.ECDSA(hashes.SHA384()))
    return encoded(0x30, part + algorithm + encoded(3, b"\0" + signature))


def holder(
    name: str,
    issuer: Holder | None = None,
    *,
    key: Any = None,
    basic: x509.BasicConstraints | None = CA,
    basic_critical: bool = True,
    uses: x509.KeyUsage | None = ISSUES,
    begin: datetime = NOW - timedelta(hours=1),
    end: datetime = NOW + timedelta(hours=2),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    issued_by: str = "",
    hashed: Any = None,
    serial: int = 0,
) -> Holder:
    """A certificate authority, its own issuer unless there is one, or what is asked for instead."""
    key = key or ec.generate_private_key(ec.SECP384R1())
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issued_by)]) if issued_by else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(other or (issuer.certificate.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin.replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0))
    )
    if basic is not None:
        builder = builder.add_extension(basic, critical=basic_critical)
    if uses is not None:
        builder = builder.add_extension(uses, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashed or hashes.SHA384()
    return Holder(builder.sign(signer, algorithm), key)


def signer(issuer: Holder, **changes: Any) -> Holder:
    """The certificate of an enclave's device."""
    return holder("an enclave", issuer, **{"basic": NO_CA, "uses": SIGNS, **changes})


@dataclass(frozen=True)
class Chain:
    """From the root to the one that signs documents."""

    holders: tuple[Holder, ...]

    @property
    def roots(self) -> dict[str, str]:
        return {"test": sha256(self.holders[0].der).hexdigest()}

    def payload(self, **changes: Any) -> dict[str, Any]:
        """The fields of a document, with those changed that are named; `...` leaves one out."""
        fields: dict[str, Any] = {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": int(NOW.timestamp() * 1000),
            "pcrs": PCRS,
            "certificate": self.holders[-1].der,
            "cabundle": [one.der for one in self.holders[:-1]],
            "public_key": None,
            "user_data": bytes(64),
            "nonce": None,
        }
        return {name: value for name, value in {**fields, **changes}.items() if value is not ...}

    def document(self, **changes: Any) -> bytes:
        """A document with these fields, signed by the last holder."""
        return self.sign(cbor2.dumps(self.payload(**changes)))

    def sign(self, payload: bytes, **parts: Any) -> bytes:
        """A document over these bytes: see `cose`."""
        return cose(payload, self.holders[-1].key, **parts)

    def verify(self, document: bytes, **arguments: Any) -> NitroClaim:
        return verify(document, **{"at": NOW, "roots": self.roots, **arguments})


def cose(
    payload: bytes,
    key: Any,
    *,
    protected: bytes = bytes.fromhex("a1013822"),
    unprotected: Mapping[Any, Any] | None = None,
    signature: bytes | None = None,
    context: str = "Signature1",
) -> bytes:
    """A COSE_Sign1 message, untagged, with the signature given or made."""
    if signature is None:
        to_sign = cbor2.dumps([context, protected, b"", payload])
        signature = raw(*decode_dss_signature(key.sign(to_sign, ec.ECDSA(hashes.SHA384()))))
    return bytes(cbor2.dumps([protected, unprotected or {}, payload, signature]))


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


@cache
def honest() -> Chain:
    """A root, two issuers with path lengths as AWS sets them, and a signer."""
    first = holder("a root")
    second = holder("a region", first, basic=x509.BasicConstraints(ca=True, path_length=1))
    third = holder("an instance", second, basic=x509.BasicConstraints(ca=True, path_length=0))
    return Chain((first, second, third, signer(third)))
