"""The signature of an image: its signer's certificate, and a COSE_Sign1 (RFC 9052) over PCR0.

The section is CBOR, an array of one map: "signing_certificate" (PEM) and "signature" (COSE_Sign1).
What it signs is a map, "register_index": 0 and "register_value": PCR0. AWS's crate writes every
byte string of these maps as an array of integers, and its reader compares the signed map byte for
byte; so does this.
"""

from typing import Any

from zk_autograd.core.certificates import parse_pem
from zk_autograd.core.errors import UnreadableError, VerificationError

_MAX_DEPTH = 4
_TAGGED = b"\xd2"
"""Tag 18, COSE_Sign1, which may stand before one."""

_ALGORITHM = 1
"""The header's parameter that names the algorithm (RFC 9052, section 3.1)."""


def certificate_of(section: bytes, pcr0: bytes) -> bytes:
    """The signer's certificate, DER, if its key signed `pcr0`. VerificationError if not, and for
    anything malformed; UnreadableError where the package that reads CBOR is missing."""
    from cryptography.hazmat.primitives.serialization import Encoding

    signatures = _decoded(section, "the image's signature")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise VerificationError("the image's signature section holds other than one signature")
    pem, signed = _two(signatures[0])
    certificates = parse_pem(pem, "the image's signing certificate")
    if len(certificates) != 1:
        raise VerificationError(
            "the image names more than one signing certificate", expected="1", found=str(len(certificates))
        )
    _verify(signed, certificates[0].public_key(), pcr0)
    return certificates[0].public_bytes(Encoding.DER)


def _verify(signed: bytes, key: Any, pcr0: bytes) -> None:
    import cbor2
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    algorithms = {  # RFC 9053, section 2.1; the crate takes each with the one curve of its strength
        "secp256r1": (-7, hashes.SHA256()),
        "secp384r1": (-35, hashes.SHA384()),
        "secp521r1": (-36, hashes.SHA512()),
    }
    parts = _decoded(signed.removeprefix(_TAGGED), "the image's COSE_Sign1")
    if not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
        raise VerificationError("the image's signature is no COSE_Sign1 without unprotected headers")
    protected, _, payload, value = parts
    if not all(isinstance(part, bytes) for part in (protected, payload, value)):
        raise VerificationError("the image's signature is no COSE_Sign1 of byte strings")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in algorithms:
        raise VerificationError("the image's signing key is none of ECDSA on P-256, P-384 or P-521")
    number, digest = algorithms[key.curve.name]
    if _decoded(protected, "the image's COSE header") != {_ALGORITHM: number}:
        raise VerificationError("the image's signature names another algorithm than its key has")
    if payload != cbor2.dumps({"register_index": 0, "register_value": list(pcr0)}):
        raise VerificationError("the image's signature is over another PCR0 than the image has")
    half = (key.curve.key_size + 7) // 8
    if len(value) != 2 * half:
        raise VerificationError(
            "the image's signature has another length", expected=f"{2 * half} bytes", found=str(len(value))
        )
    r, s = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
    try:
        key.verify(
            encode_dss_signature(r, s),
            cbor2.dumps(["Signature1", protected, b"", payload]),
            ec.ECDSA(digest),
        )
    except InvalidSignature:
        raise VerificationError("the image's signature is not one of its signing certificate's key") from None


def _two(found: Any) -> tuple[bytes, bytes]:
    """Certificate and signature of a map that has nothing else."""
    names = ("signing_certificate", "signature")
    if not isinstance(found, dict) or set(found) != set(names):
        raise VerificationError(f"the image's signature isn't a map of {' and '.join(names)}")
    values = [found[name] for name in names]
    for value in values:
        if not isinstance(value, list) or not all(type(item) is int and 0 <= item < 256 for item in value):
            raise VerificationError("the image's signature has a part that is no array of bytes")
    return bytes(values[0]), bytes(values[1])


class _NoTags(dict[int, Any]):
    """A decoder for every tag, and it refuses: among those of cbor2 are regular expressions, which
    take as long as a stranger likes."""

    def __missing__(self, tag: int) -> Any:
        def refuse(*_: Any) -> Any:
            raise ValueError(f"tag {tag}")

        return refuse


def _decoded(data: bytes, what: str) -> Any:
    """One CBOR value, and nothing after it."""
    try:
        import cbor2
    except ModuleNotFoundError:
        raise UnreadableError("reading a signed image takes the package cbor2: install zk-autograd[tee]") from None
    from io import BytesIO

    file = BytesIO(data)
    try:
        value = cbor2.load(
            file,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NoTags(),
        )
    except Exception as error:  # of many kinds: lengths, depths, dates, strings
        raise VerificationError(f"{what} is not CBOR as it is written here") from error
    if file.tell() != len(data):
        raise VerificationError(f"bytes follow {what}")
    return value
