"""Public keys of elliptic curves, which sign statements that leave the log: ECDSA with the hash of
the curve's size.

The curves are those that OpenSSF model signing takes (P-256 with SHA-256, P-384 with SHA-384, P-521
with SHA-512; FIPS 186-5). Keys are PEM, SubjectPublicKeyInfo (RFC 7468 section 13), signatures DER
(RFC 3279 section 2.2.3). The log's own keys are core.keys.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from zk_autograd.core.errors import VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurve

MAX_PEM = 2**14
"""Bytes of a key's PEM text."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
_BEGIN = b"-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True, slots=True)
class EcPublicKey:
    """A public key as `pem`, in the one form that an encoder writes."""

    pem: bytes

    @classmethod
    def parse(cls, text: bytes) -> "EcPublicKey":
        """The key of a PEM text, with white space around it or none. VerificationError, which never
        repeats the text, unless it is exactly one public key of `CURVES`."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        if len(text) > MAX_PEM or text.count(b"-----BEGIN ") != 1 or not text.strip().startswith(_BEGIN):
            raise VerificationError("it is not one public key in PEM (-----BEGIN PUBLIC KEY-----)")
        try:
            key = serialization.load_pem_public_key(text)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise VerificationError("it is not a public key in PEM that can be read") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
            raise VerificationError("it is not a key of a known curve", expected=", ".join(CURVES))
        return cls(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the PEM text, in hexadecimal: the `hint` of a Sigstore bundle that model
        signing writes."""
        return sha256(self.pem).hexdigest()

    def verify(self, data: bytes, signature: bytes) -> None:
        """Checks this key's `signature` over `data`. VerificationError."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_public_key(self.pem)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            key.verify(signature, data, ecdsa(key.curve))
        except InvalidSignature as error:
            raise VerificationError(f"wrong signature by the key with the fingerprint {self.fingerprint}") from error

    def require_p256(self) -> None:
        """VerificationError unless it is a key of P-256, which signs SHA-256."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_public_key(self.pem)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        if key.curve.name != CURVES[0]:
            raise VerificationError("it is a key of another curve", expected=CURVES[0], found=key.curve.name)

    def verify_digest(self, digest: bytes, signature: bytes) -> None:
        """As `verify`, over data of which only their SHA-256 is at hand; of a P-256 key alone."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        self.require_p256()
        key = serialization.load_pem_public_key(self.pem)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        except InvalidSignature as error:
            raise VerificationError(f"wrong signature by the key with the fingerprint {self.fingerprint}") from error


def ecdsa(curve: "EllipticCurve") -> "ECDSA":
    """The signature algorithm for a curve of `CURVES`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA({256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[curve.key_size])
