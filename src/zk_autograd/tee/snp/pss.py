"""The one signature of AMD's certificates: RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of
48 bytes, by a key of 4096 bits (AMD 57230; RFC 4055 section 3.1)."""

from typing import TYPE_CHECKING

from zk_autograd.core.errors import AttestationError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SALT_BYTES = 48
_KEY_BITS = 4096


def require_signature(of: "Certificate", by: "Certificate", what: str) -> None:
    """AttestationError unless `by`'s key signed `of`, which is called `what`, in this way."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = by.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _KEY_BITS:
        raise AttestationError(f"what issued {what} has no RSA key of {_KEY_BITS} bits")
    if not _is_pss_sha384(of):
        raise AttestationError(f"{what} is signed with another algorithm than RSASSA-PSS with SHA-384")
    form = padding.PSS(padding.MGF1(hashes.SHA384()), _SALT_BYTES)
    try:
        key.verify(of.signature, of.tbs_certificate_bytes, form, hashes.SHA384())
    except InvalidSignature as error:
        raise AttestationError(f"{what} is not signed by its issuer") from error


def _is_pss_sha384(of: "Certificate") -> bool:
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.x509.oid import SignatureAlgorithmOID

    try:
        form, hashed = of.signature_algorithm_parameters, of.signature_hash_algorithm
    except Exception:  # parameters that can't be read, or of an unknown algorithm
        return False
    return (
        of.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        and isinstance(form, padding.PSS)
        and hashed is not None
        and hashed.name == "sha384"
    )
