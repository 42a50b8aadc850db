"""A device that shows nothing: documents of Nitro's form, under a root whose private key lies
beside this module, so that anybody can sign under it.

It is there to try everything else without enclaves: what reads, judges, binds, records. A policy
refuses its root by name unless it says `emulated = true`. As with the real one, a certificate of
three hours signs the documents, and is made anew when it ends.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from zk_autograd.core.attestation import Collateral
from zk_autograd.core.canonical import decode_foreign
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.local.named_files import read_named
from zk_autograd.tee import cbor
from zk_autograd.tee.device import EMULATED
from zk_autograd.tee.device.requested import requested
from zk_autograd.tee.nitro.abi import PCR_BYTES, protected_header, signed_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

MAX_FILE = 2**16
REGISTERS = 16
LIFE = timedelta(hours=3)
_EARLIER = timedelta(seconds=3)  # as real certificates begin before the documents that they sign


class EmulatedDevice:
    """`pcrs`: the registers that aren't zero, by number, 48 bytes each; `clock`: the time with its
    zone."""

    kind = "nitro"
    name = EMULATED

    def __init__(self, pcrs: Mapping[int, bytes], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._pcrs = {number: pcrs.get(number, bytes(PCR_BYTES)) for number in range(REGISTERS)}
        self._clock = clock
        self._module = f"i-emulated-enc{token_hex(8)}"
        self._root, self._root_key = root()
        self._until: datetime | None = None
        self._key: EllipticCurvePrivateKey
        self._certificate: bytes

    def attest(self, data: bytes, *, nonce: bytes = b"", public_key: bytes = b"") -> bytes:
        """See tee.device.Device."""
        from cryptography.hazmat.primitives.serialization import Encoding

        fields = requested(data, nonce, public_key)
        now = self._clock()
        if self._until is None or now > self._until - _EARLIER:
            self._renew(now)
        payload = {
            "module_id": self._module,
            "digest": "SHA384",
            "timestamp": int(now.timestamp() * 1000),
            "pcrs": self._pcrs,
            "certificate": self._certificate,
            "cabundle": [self._root.public_bytes(Encoding.DER)],
            "public_key": fields["public_key"],
            "user_data": fields["user_data"],
            "nonce": fields["nonce"],
        }
        try:
            return sign(cbor.encode(payload), self._key)
        except VerificationError as error:  # cbor2 is missing
            raise RunError(error.message) from error

    def collateral(self) -> Collateral:
        """See tee.device.Device: the document has its certificates in it."""
        return Collateral()

    def _renew(self, now: datetime) -> None:
        """A new key, and a certificate for it."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding

        self._key = ec.generate_private_key(ec.SECP384R1())
        begin = now.replace(microsecond=0) - _EARLIER
        self._until = until = begin + LIFE
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{self._module} (emulated)")]))
            .issuer_name(self._root.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_for_signatures(), critical=False)
            .sign(self._root_key, hashes.SHA384())
        )
        self._certificate = certificate.public_bytes(Encoding.DER)


def open_device(rest: str) -> EmulatedDevice:
    """The device whose measurements are in the file `rest`: a JSON object with `pcr0`, `pcr1`,
    `pcr2` and perhaps `pcr8`, 48 bytes each in lower-case hexadecimal, among whatever else."""
    if not rest:
        raise UsageError(
            "the emulated device needs its measurements: emulated:FILE, as zk-enclave measure --json writes"
        )
    data = read_named(Path(rest), "the file of measurements", MAX_FILE)
    try:
        fields = Fields(decode_foreign(data, max_bytes=MAX_FILE), "measurements")
        pcrs = {number: fields.hex(f"pcr{number}", PCR_BYTES) for number in (0, 1, 2)}
        if "pcr8" in fields and repr(fields.raw("pcr8")) != "null":
            pcrs[8] = fields.hex("pcr8", PCR_BYTES)
    except VerificationError as error:
        raise UsageError(f"the file of measurements {rest}: {error}") from error
    return EmulatedDevice(pcrs)


def root() -> "tuple[Certificate, EllipticCurvePrivateKey]":
    """The emulated root's certificate, and its private key, which is public."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    here = files("zk_autograd.tee.device")
    certificate = x509.load_pem_x509_certificate(here.joinpath("emulated_root.pem").read_bytes())
    key = load_pem_private_key(here.joinpath("emulated_root_key.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return certificate, key


def sign(payload: bytes, key: "EllipticCurvePrivateKey") -> bytes:
    """An untagged COSE_Sign1 message over the payload, as Nitro writes it. `key`: of P-384."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    from zk_autograd.core.ec_keys import ecdsa

    protected = protected_header()
    r, s = decode_dss_signature(key.sign(signed_bytes(protected, payload), ecdsa(key.curve)))
    return cbor.encode([protected, {}, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")])


def _for_signatures() -> Any:
    from cryptography import x509

    others = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )
