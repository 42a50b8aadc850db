"""The signatures of a Nitro document: its own, and those of the certificates from a known root down
to the one that signed it.

Sources: RFC 5280, sections 4.2 and 6.1; RFC 9053, section 2.1; docs/attestation_process.md of
aws/aws-nitro-enclaves-nsm-api, section 3.2.3. The chain is the one that the document states, in
that order and with no certificate to spare: no other path is looked for. `cryptography` reads the
certificates, and checks their signatures and the whole path by its own rules.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from zk_autograd.core.certificates import fingerprint, parse_der, path
from zk_autograd.core.ec_keys import ecdsa
from zk_autograd.core.errors import AttestationError, AttestationShort, VerificationError
from zk_autograd.tee.nitro.abi import SIGNATURE_BYTES, Payload, Signed
from zk_autograd.tee.nitro.claim import EMULATED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

AWS = "aws-nitro"

ROOTS: Mapping[str, str] = {
    AWS: "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    EMULATED: "7a796bc4bac8e1f559ed53d0fb2572e152f324041b1a1bb3dfc038a883e9b090",
}
"""The roots that are known, by name: SHA-256 of the certificate in DER. The second is no trust."""

_ANY_PURPOSE = "2.5.29.37.0"
_ECDSA_SHA384 = "1.2.840.10045.4.3.3"
_UNDERSTOOD = frozenset(("2.5.29.15", "2.5.29.19", "2.5.29.37"))  # key usage, basic constraints, extended key usage


def time_of(payload: Payload) -> datetime:
    """The document's own time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=payload.time)


def check(signed: Signed, at: datetime, roots: Mapping[str, str]) -> "tuple[str, list[Certificate]]":
    """The name of the root that the document's chain begins with, and the chain, down to the
    certificate that signed it: all genuine, and valid both at the document's own time and `at`.

    AttestationError for what is false, AttestationShort if only `at` is at fault.
    """
    payload = signed.payload
    root = _root(payload.bundle[0], roots)
    chain = [_certificate(der, place) for place, der in enumerate((*payload.bundle, payload.certificate))]
    for certificate in chain:
        _require_form(certificate)
    for place, certificate in enumerate(chain[:-1]):
        _require_issuer(certificate, len(chain) - place - 2)
    _require_signer(chain[-1])
    _require_signature(signed, chain[-1])
    own = time_of(payload)
    _require_valid(chain, own, AttestationError, "by the document's own time")
    if path(chain[-1], chain[1:-1], chain[:1], _ANY_PURPOSE, own) != chain[::-1]:
        for issuer, certificate in pairwise(chain):  # only now, since it takes as long again: which one it is
            _require_issued(certificate, issuer)
        raise AttestationError("the document's certificates are no path by the rules of RFC 5280, section 6")
    _require_valid(chain, at, AttestationShort, "at the time for which it is judged")
    return root, chain


def _root(der: bytes, roots: Mapping[str, str]) -> str:
    digest = sha256(der).hexdigest()
    for name, known in roots.items():
        if digest == known:
            return name
    raise AttestationError(
        "the document's chain begins with another root than those that are known: it shows nothing",
        expected=", ".join(f"{name} (SHA-256 {known})" for name, known in roots.items()),
        found=digest,
    )


def _certificate(der: bytes, place: int) -> "Certificate":
    try:
        return parse_der(der, f"certificate {place} of the document's chain")
    except VerificationError as error:
        raise AttestationError(error.message) from error


def _require_form(certificate: "Certificate") -> None:
    """Key, signature and critical extensions are such as are understood."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _refused(certificate, "has another key than one of the curve P-384")
    if certificate.signature_algorithm_oid.dotted_string != _ECDSA_SHA384:
        raise _refused(certificate, "has another signature than ECDSA with SHA-384")
    for extension in certificate.extensions:
        if extension.critical and extension.oid.dotted_string not in _UNDERSTOOD:
            raise _refused(
                certificate, f"has a critical extension that isn't understood, {extension.oid.dotted_string}"
            )
    purposes = _extension(certificate, "ExtendedKeyUsage")
    if purposes is not None and _ANY_PURPOSE not in [use.dotted_string for use in purposes.value]:
        raise _refused(certificate, "is for other purposes (extended key usage)")


def _require_issuer(certificate: "Certificate", below: int) -> None:
    """It may issue certificates, with `below` more issuers between it and the signer."""
    basic, usage = _extension(certificate, "BasicConstraints"), _extension(certificate, "KeyUsage")
    if basic is None or not basic.critical or not basic.value.ca:
        raise _refused(certificate, "is no certificate authority's (basic constraints)")
    if usage is None or not usage.value.key_cert_sign:
        raise _refused(certificate, "may not sign certificates (key usage)")
    if basic.value.path_length is not None and basic.value.path_length < below:
        raise _refused(certificate, f"allows {basic.value.path_length} issuers below it, and there are {below}")


def _require_signer(certificate: "Certificate") -> None:
    """It may sign documents, and nothing else."""
    basic, usage = _extension(certificate, "BasicConstraints"), _extension(certificate, "KeyUsage")
    if basic is not None and basic.value.ca:
        raise _refused(certificate, "signed the document, and is a certificate authority's")
    if usage is None or not usage.value.digital_signature or usage.value.key_cert_sign or usage.value.crl_sign:
        raise _refused(certificate, "signed the document, and is not for signatures alone (key usage)")


def _require_issued(certificate: "Certificate", issuer: "Certificate") -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception as error:  # ValueError for the name, InvalidSignature
        raise _refused(certificate, f"wasn't issued by {fingerprint(issuer)}") from error


def _require_signature(signed: Signed, certificate: "Certificate") -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key, half = _key(certificate), SIGNATURE_BYTES // 2
    r, s = (int.from_bytes(part, "big") for part in (signed.signature[:half], signed.signature[half:]))
    try:
        key.verify(encode_dss_signature(r, s), signed.signed, ecdsa(key.curve))
    except InvalidSignature as error:
        raise AttestationError(
            f"the document's signature is wrong: the key of {fingerprint(certificate)} didn't sign these bytes"
        ) from error


def _require_valid(chain: "Sequence[Certificate]", at: datetime, error: type[AttestationError], when: str) -> None:
    for certificate in chain:
        first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not first <= at <= last:
            raise error(
                f"the certificate {fingerprint(certificate)} wasn't valid {when}",
                expected=f"{first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}",
                found=f"{at:%Y-%m-%dT%H:%M:%SZ}",
            )


def _refused(certificate: "Certificate", why: str) -> AttestationError:
    return AttestationError(f"the certificate {fingerprint(certificate)} {why}")


def _key(certificate: "Certificate") -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # _require_form
    return key


def _extension(certificate: "Certificate", kind: str) -> Any:
    """The extension of this kind, by its name in cryptography.x509; None if there is none."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(getattr(x509, kind))
    except x509.ExtensionNotFound:
        return None
