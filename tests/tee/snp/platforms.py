"""SEV-SNP platforms of the tests' own: roots, certificates and reports with keys that the tests
have, for what no real report shows. The report's layout is stated here a second time."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from zk_autograd.core import der
from zk_autograd.tee.snp import Root, SnpClaim, verify
from zk_autograd.tee.snp.abi import Report

DATA = Path(__file__).parents[2] / "data" / "attestation" / "sev-snp"
AT = datetime(2026, 6, 1, tzinfo=UTC)
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973

CHIP = bytes(range(1, 65))
SHORT_CHIP = bytes(range(1, 9))
MEASUREMENT = bytes(range(48))
PROCESSORS = {"milan": (0x19, 0x01, 1), "genoa": (0x19, 0x11, 1), "turin": (0x1A, 0x02, 1)}
TCB = {"bootloader": 10, "tee": 2, "snp": 23, "microcode": 84}
TURIN_TCB = {"fmc": 1, **TCB}
PARTS = {"bootloader": 1, "tee": 2, "snp": 3, "microcode": 8, "fmc": 9}

PLACES = {
    "version": (0x00, 4),
    "guest_svn": (0x04, 4),
    "policy": (0x08, 8),
    "family_id": (0x10, 16),
    "image_id": (0x20, 16),
    "vmpl": (0x30, 4),
    "algorithm": (0x34, 4),
    "current_tcb": (0x38, 8),
    "platform_info": (0x40, 8),
    "key_info": (0x48, 4),
    "report_data": (0x50, 64),
    "measurement": (0x90, 48),
    "host_data": (0xC0, 32),
    "id_key_digest": (0xE0, 48),
    "author_key_digest": (0x110, 48),
    "report_id": (0x140, 32),
    "report_id_ma": (0x160, 32),
    "reported_tcb": (0x180, 8),
    "processor": (0x188, 3),
    "chip_id": (0x1A0, 64),
    "committed_tcb": (0x1E0, 8),
    "current_version": (0x1E8, 3),
    "committed_version": (0x1EC, 3),
    "launch_tcb": (0x1F0, 8),
    "launch_mitigations": (0x1F8, 8),
    "current_mitigations": (0x200, 8),
}
"""Where a field begins, and its bytes."""


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((DATA / f"test-{name}.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def chip_key(number: int = 1) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP384R1())


def raw_tcb(parts: Mapping[str, int], product: str) -> bytes:
    """8 bytes, in the product's order."""
    if product == "turin":
        return bytes([parts["fmc"], parts["bootloader"], parts["tee"], parts["snp"], 0, 0, 0, parts["microcode"]])
    return bytes([parts["bootloader"], parts["tee"], 0, 0, 0, 0, parts["snp"], parts["microcode"]])


def name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Advanced Micro Devices"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def dated(subject: str, issuer: str, key: Any, begin: datetime = BEGIN, end: datetime = END) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(sha256(subject.encode()).digest()[:8], "big"))
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def signed(builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey, hashed: Any = None, form: Any = PSS) -> bytes:
    """The certificate in DER."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = builder.sign(key, hashed or hashes.SHA384(), rsa_padding=form)
        return made.public_bytes(serialization.Encoding.DER)


def authority(builder: x509.CertificateBuilder, depth: int | None, *, sign: bool = True) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(not sign, False, False, False, False, sign, depth is None, False, False)
    return builder.add_extension(x509.BasicConstraints(True, depth), True).add_extension(usage, True)


def extensions(values: Mapping[str, bytes]) -> list[x509.UnrecognizedExtension]:
    return [
        x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.3704.1.{number}"), value)
        for number, value in values.items()
    ]


def leaf_values(product: str, kind: str, tcb: Mapping[str, int], chip: bytes) -> dict[str, bytes]:
    """AMD's extensions, by what follows 1.3.6.1.4.1.3704.1. in their numbers."""
    label = {"milan": "Milan-B0"}.get(product, product.capitalize()) if kind == "vcek" else product.capitalize()
    found = {"1": der.encode_integer(0), "2": der.encode(0x16, label.encode())}
    found |= {f"3.{PARTS[part]}": der.encode_integer(value) for part, value in tcb.items()}
    found |= {f"3.{number}": der.encode_integer(0) for number in ((5, 6, 7) if product == "turin" else (4, 5, 6, 7))}
    return found | ({"4": chip} if kind == "vcek" else {"5": der.encode(0x16, b"CN=cc-test.example")})


@dataclass(frozen=True)
class Platform:
    """A machine: its report's fields, its certificates, and the roots that vouch for it."""

    product: str
    kind: str
    fields: Mapping[str, Any]
    leaf: bytes
    ask: bytes
    ark: bytes
    key: ec.EllipticCurvePrivateKey

    @property
    def chain(self) -> list[bytes]:
        return [self.ask, self.ark]

    @property
    def roots(self) -> dict[str, Root]:
        return {sha256(self.ark).hexdigest(): Root("test", self.product)}

    def report(self, **changed: Any) -> bytes:
        """A report with some fields changed before it was signed."""
        return sign_report(compose({**self.fields, **changed}), self.key)

    def verify(self, report: bytes | None = None, **changed: Any) -> SnpClaim:
        """What `verify` says, given other arguments than the right ones where `changed` has any."""
        given = {
            "vcek": self.leaf if self.kind == "vcek" else None,
            "vlek": self.leaf if self.kind == "vlek" else None,
            "chain": self.chain,
            "at": AT,
            "roots": self.roots,
            **changed,
        }
        return verify(self.report() if report is None else report, **given)

    def with_leaf(self, values: Mapping[str, bytes | None] | None = None, **changed: Any) -> "Platform":
        """The same with another certificate of the key that signs reports: some extensions changed
        (None: left out), or `subject`, `key`, `by`, `begin`, `end`, `hashed`, `form`, `more`."""
        return replace(self, leaf=make_leaf(self.product, self.kind, values or {}, **changed))


def make_leaf(
    product: str,
    kind: str = "vcek",
    values: Mapping[str, bytes | None] = MappingProxyType({}),
    *,
    subject: str = "",
    key: Any = None,
    by: rsa.RSAPrivateKey | None = None,
    issuer: str = "",
    begin: datetime = BEGIN,
    end: datetime = END,
    hashed: Any = None,
    form: Any = PSS,
    more: Sequence[tuple[Any, bool]] = (),
) -> bytes:
    turin = product == "turin"
    all_values = {
        **leaf_values(product, kind, TURIN_TCB if turin else TCB, SHORT_CHIP if turin else CHIP),
        **values,
    }
    above = issuer or f"{'SEV' if kind == 'vcek' else 'SEV-VLEK'}-{product.capitalize()}"
    builder = dated(subject or f"SEV-{kind.upper()}", above, key or chip_key(), begin, end)
    for extension in extensions({number: value for number, value in all_values.items() if value is not None}):
        builder = builder.add_extension(extension, False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return signed(builder, by or rsa_key("ask"), hashed, form)


@cache
def _root(subject: str) -> bytes:
    return signed(authority(dated(subject, subject, rsa_key("ark")), None), rsa_key("ark"))


@cache
def platform(product: str = "genoa", kind: str = "vcek") -> Platform:
    """An honest one."""
    turin = product == "turin"
    tcb = raw_tcb(TURIN_TCB if turin else TCB, product)
    root, above = f"ARK-{product.capitalize()}", f"{'SEV' if kind == 'vcek' else 'SEV-VLEK'}-{product.capitalize()}"
    ark = _root(root)
    ask = signed(authority(dated(above, root, rsa_key("ask")), 0), rsa_key("ark"))
    chip = SHORT_CHIP.ljust(64, b"\0") if turin else CHIP
    fields = {
        "version": 5,
        "policy": 0x30000,
        "algorithm": 1,
        "platform_info": 0x25,
        "key_info": 0 if kind == "vcek" else 4,
        "report_data": b"\x5a" * 64,
        "measurement": MEASUREMENT,
        "report_id_ma": b"\xff" * 32,
        "processor": bytes(PROCESSORS[product]),
        "chip_id": chip if kind == "vcek" else bytes(64),
        **dict.fromkeys(("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"), tcb),
        **dict.fromkeys(("current_version", "committed_version"), bytes([0x31, 0x37, 1])),
    }
    return Platform(product, kind, fields, make_leaf(product, kind), ask, ark, chip_key())


def compose(fields: Mapping[str, Any]) -> bytes:
    """A report's first 0x2A0 bytes."""
    body = bytearray(0x2A0)
    for field, value in fields.items():
        start, size = PLACES[field]
        data = value.to_bytes(size, "little") if isinstance(value, int) else value
        assert len(data) == size, field
        body[start : start + size] = data
    return bytes(body)


def sign_report(body: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The report, with little-endian r and s of 72 bytes."""
    made = key.sign(body, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    return body + signature(*decode_dss_signature(made))


def signature(r: int, s: int) -> bytes:
    return r.to_bytes(72, "little") + s.to_bytes(72, "little") + bytes(512 - 144)


def rebuilt(report: Report) -> bytes:
    """The bytes of a report by its fields: those that it was read from, or it wasn't read whole."""
    signer = {"vcek": 0, "vlek": 4}[report.signer]
    fields: dict[str, Any] = {name: getattr(report, name) for name in PLACES if hasattr(report, name)}
    for version in ("current_version", "committed_version"):
        fields[version] = bytes(reversed(fields[version]))
    fields["processor"] = bytes(report.processor or 3)
    key_info = signer | report.mask_chip_key << 1 | report.author_key_en
    return compose({**fields, "algorithm": 1, "key_info": key_info}) + signature(report.r, report.s)


def revocation_list(
    revoked: Sequence[tuple[int, datetime, str]] = (),
    *,
    issuer: str = "ARK-Genoa",
    key: rsa.RSAPrivateKey | None = None,
    begin: datetime = AT - timedelta(days=30),
    end: datetime = AT + timedelta(days=300),
    critical: bool = False,
    form: Any = PSS,
) -> bytes:
    """A list in DER, of serial numbers, days and reasons ("" for none)."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(begin).next_update(end)
    builder = builder.add_extension(x509.CRLNumber(1), False)
    if critical:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), True)
    for serial, day, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(day)
        if reason:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), False)
        builder = builder.add_revoked_certificate(entry.build())
    made = builder.sign(key or rsa_key("ark"), hashes.SHA384(), rsa_padding=form)
    return made.public_bytes(serialization.Encoding.DER)


def serial(certificate: bytes) -> int:
    return x509.load_der_x509_certificate(certificate).serial_number


def signed_part(crl: bytes) -> bytes:
    """What a revocation list's issuer signed."""
    return x509.load_der_x509_crl(crl).tbs_certlist_bytes
