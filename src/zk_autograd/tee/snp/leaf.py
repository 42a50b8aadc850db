"""A VCEK's or VLEK's certificate: what AMD's key service says in it of a key that signs reports.

Source: AMD 57230, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface
Specification", tables of X.509 extensions: DER below 1.3.6.1.4.1.3704.1, but for the hardware id,
which has no DER around it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zk_autograd.core import der
from zk_autograd.core.attestation import MAX_CERTIFICATE
from zk_autograd.core.certificates import parse_der
from zk_autograd.core.errors import AttestationError, VerificationError
from zk_autograd.core.text import quoted
from zk_autograd.tee.snp.abi import CHIP_BYTES, TURIN, TURIN_CHIP_BYTES, VCEK, VLEK, Tcb

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

NAMES = {VCEK: "SEV-VCEK", VLEK: "SEV-VLEK"}
_AMD = "1.3.6.1.4.1.3704.1."
_PRODUCT, _HARDWARE, _PROVIDER = _AMD + "2", _AMD + "4", _AMD + "5"
_PARTS = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
_FMC = "3.9"
_UNUSED = ("3.4", "3.5", "3.6", "3.7")
_IA5 = 0x16
_CONSTRAINTS, _USAGE = "2.5.29.19", "2.5.29.15"


@dataclass(frozen=True, slots=True)
class Leaf:
    """`kind`: VCEK or VLEK; `product`: a product line's name as the certificate has it, without the
    stepping, in small letters; `hardware`: a VCEK's chip, `provider`: a VLEK's cloud."""

    certificate: "Certificate"
    kind: str
    product: str
    tcb: Tcb
    hardware: bytes = b""
    provider: str = ""

    def key(self) -> "EllipticCurvePublicKey":
        """AttestationError unless it is one of P-384."""
        from cryptography.hazmat.primitives.asymmetric import ec

        key = self.certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
            raise AttestationError(f"the {self.kind.upper()}'s key is not one of P-384")
        return key


def certificate(data: bytes, what: str) -> "Certificate":
    """The certificate that `data` is. AttestationError."""
    if len(data) > MAX_CERTIFICATE:
        raise AttestationError(
            f"{what} is too large", expected=f"at most {MAX_CERTIFICATE} bytes", found=str(len(data))
        )
    try:
        return parse_der(data, what)
    except VerificationError as error:
        raise AttestationError(error.message) from error


def common_name(name: object) -> str:
    """The one common name of an X.509 name; "" if there is none, or more than one."""
    from cryptography.x509 import Name
    from cryptography.x509.oid import NameOID

    assert isinstance(name, Name)
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    value = found[0].value if len(found) == 1 else ""
    return value if isinstance(value, str) else ""


def parse(data: bytes, kind: str) -> Leaf:
    """The certificate of a VCEK or VLEK, as `kind` says. AttestationError for another one."""
    what = f"the {kind.upper()}'s certificate"
    found = certificate(data, what)
    if common_name(found.subject) != NAMES[kind]:
        raise AttestationError(
            f"{what} is another's", expected=NAMES[kind], found=quoted(found.subject.rfc4514_string(), 60)
        )
    values = _values(found, what)
    product = _text(values, _PRODUCT, what).split("-")[0].lower()
    tcb = _tcb(values, product, what)
    hardware, provider = values.get(_HARDWARE), values.get(_PROVIDER)
    if kind == VLEK:
        if hardware is not None or provider is None:
            raise AttestationError(f"{what} names a chip, or no cloud provider")
        return Leaf(found, kind, product, tcb, provider=_text(values, _PROVIDER, what))
    if hardware is None or provider is not None:
        raise AttestationError(f"{what} names no chip, or a cloud provider")
    return Leaf(found, kind, product, tcb, _hardware(hardware, product, what))


def _values(found: "Certificate", what: str) -> dict[str, bytes]:
    """AMD's extensions by their numbers. AttestationError if the certificate is an authority's, or
    has a critical extension that isn't known."""
    from cryptography import x509

    values: dict[str, bytes] = {}
    for extension in found.extensions:
        number, value = extension.oid.dotted_string, extension.value
        authority = (isinstance(value, x509.BasicConstraints) and value.ca) or (
            isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign)
        )
        if authority:
            raise AttestationError(f"{what} is a certificate authority's")
        if number.startswith(_AMD) and isinstance(value, x509.UnrecognizedExtension):
            values[number] = value.value
        elif extension.critical and number not in (_CONSTRAINTS, _USAGE):
            raise AttestationError(f"{what} has a critical extension that isn't known: {number[:60]}")
    return values


def _tcb(values: dict[str, bytes], product: str, what: str) -> Tcb:
    parts = {name: _integer(values, _AMD + number, what) for name, number in _PARTS.items()}
    if any(_integer(values, _AMD + number, what) for number in _UNUSED if _AMD + number in values):
        raise AttestationError(f"{what} has a TCB part that isn't known")
    if (product == TURIN) != (_AMD + _FMC in values):
        raise AttestationError(f"{what} has an FMC, and is not of Turin, or the other way round")
    return Tcb(**parts, fmc=_integer(values, _AMD + _FMC, what) if product == TURIN else None)


def _hardware(value: bytes, product: str, what: str) -> bytes:
    """The hardware id. AMD leaves out its tag and length; with them it is taken, too."""
    size = TURIN_CHIP_BYTES if product == TURIN else CHIP_BYTES
    if len(value) == size + 2 and value[:2] == bytes([der.OCTETS, size]):
        value = value[2:]
    if len(value) != size or not any(value):
        raise AttestationError(f"{what} has no hardware id of {size} bytes: {value.hex()[:160]}")
    return value


def _one(values: dict[str, bytes], number: str, tag: int, what: str) -> bytes:
    try:
        return der.element(values.get(number, b""), tag).content
    except VerificationError as error:
        raise AttestationError(f"{what} has no extension {number} that can be read") from error


def _integer(values: dict[str, bytes], number: str, what: str) -> int:
    """0 to 255."""
    content = _one(values, number, der.INTEGER, what)
    value = int.from_bytes(content, "big", signed=True)
    if not 0 <= value <= 255 or der.encode_integer(value) != der.encode(der.INTEGER, content):
        raise AttestationError(f"{what} has a TCB part that is no number from 0 to 255")
    return value


def _text(values: dict[str, bytes], number: str, what: str) -> str:
    content = _one(values, number, _IA5, what)
    if not (0 < len(content) <= 64 and content.isascii() and content.decode("ascii").isprintable()):
        raise AttestationError(f"{what} has an extension {number} that is no text")
    return content.decode("ascii")
