"""X.509 certificates: those that an auditor gives, and the path from another's to one of them.

Source: RFC 5280, section 6, as `cryptography.x509.verification` builds and checks paths; its rules
for keys and signatures are those of the CA/Browser forum (no SHA-1, RSA from 2048 bits). Nothing is
asked for revocation: there is no network here.
"""

import base64
import re
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

MAX_FILE = 2**18
"""Bytes of a PEM file of certificates."""

MAX_CERTIFICATES = 32
"""In one file, or one token."""

MAX_PATH = 8

_ANY_PURPOSE = "2.5.29.37.0"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]{1,65536}-----END CERTIFICATE-----")


@contextmanager
def quiet() -> Generator[None, None, None]:
    """Without the library's warnings of certificates that break a rule which it doesn't enforce
    yet, such as that serial numbers are positive (AMD's VCEKs all have zero). They would print
    paths of this machine on standard error, and are about what others wrote."""
    from cryptography.utils import CryptographyDeprecationWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def parse_pem(text: bytes, what: str) -> "list[Certificate]":
    """The certificates of a PEM text (RFC 7468), whatever stands between them; `what` has them.
    VerificationError if there is none, or one that can't be read."""
    if len(text) > MAX_FILE:
        raise VerificationError(f"{what} is too large", expected=f"at most {MAX_FILE} bytes", found=str(len(text)))
    found = _PEM.findall(text)
    if not 1 <= len(found) <= MAX_CERTIFICATES or text.count(b"-----BEGIN ") != len(found):
        raise VerificationError(f"{what} doesn't hold 1 to {MAX_CERTIFICATES} certificates in PEM, and nothing else")
    try:
        ders = [base64.b64decode(b"".join(pem.split(b"-----")[2].split()), validate=True) for pem in found]
    except ValueError as error:
        raise VerificationError(f"{what} is not PEM: its base64 can't be read") from error
    return [parse_der(der, f"a certificate of {what}") for der in ders]


def parse_der(der: bytes, what: str) -> "Certificate":
    """A certificate whose parts can all be read. VerificationError for other bytes."""
    from cryptography import x509

    try:
        with quiet():
            certificate = x509.load_der_x509_certificate(der)
            certificate.public_key()
            for part in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
                getattr(certificate, part)  # each is read when it is asked for
    except Exception as error:  # of many kinds, and none says more than this
        raise VerificationError(f"{what} can't be read: {printable(str(error))[:200]}") from error
    return certificate


def is_root(certificate: "Certificate") -> bool:
    """Whether it names itself as its issuer and is signed with its own key."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception:  # a wrong name, signature, or kind of signature
        return False
    return True


def fingerprint(certificate: "Certificate") -> str:
    """Its subject and the SHA-256 of its bytes, as people compare them."""
    from cryptography.hazmat.primitives.serialization import Encoding

    with quiet():
        digest = sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return f"{printable(certificate.subject.rfc4514_string())[:200]} (SHA-256 {digest})"


def require_purpose(certificate: "Certificate", purpose: str, at: "datetime", *, critical: bool = True) -> None:
    """VerificationError unless the certificate is for signing and for this purpose alone, known or
    unknown ones counted (RFC 3161, section 2.3), no CA's, and valid `at` that time. `purpose`: an
    object identifier, in numbers and points; `critical`: the extended key usage must be marked so.
    """
    from cryptography import x509

    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or [use.dotted_string for use in usage.value] != [purpose]:
        found = "none" if usage is None else ", ".join(use.dotted_string for use in usage.value)
        raise VerificationError(
            "the signer's certificate is not for this purpose alone (extended key usage)",
            expected=purpose,
            found=found[:200],
        )
    if critical and not usage.critical:
        raise VerificationError("the signer's certificate doesn't mark its extended key usage as critical")
    keys = _extension(certificate, x509.KeyUsage)
    if keys is not None and (
        keys.value.key_cert_sign
        or keys.value.crl_sign
        or not (keys.value.digital_signature or keys.value.content_commitment)
    ):
        raise VerificationError("the signer's certificate is not one for signatures (key usage)")
    basic = _extension(certificate, x509.BasicConstraints)
    if basic is not None and basic.value.ca:
        raise VerificationError("the signer's certificate is a certificate authority's")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise VerificationError(
            "the signer's certificate was not valid at that time",
            expected=f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ} to {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            found=f"{at:%Y-%m-%dT%H:%M:%SZ}",
        )


def path(
    leaf: "Certificate",
    others: "Sequence[Certificate]",
    roots: "Sequence[Certificate]",
    purpose: str,
    at: "datetime",
) -> "list[Certificate] | None":
    """The certificates from `leaf` to one of `roots`, all valid `at` that time, by way of those of
    `others`, which are no trust; None if there is none. What the leaf itself is for is
    `require_purpose`'s to check; a CA that says what it is for must name `purpose`, or any."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

    if not roots:
        return None
    check: Callable[[Callable[[Any], bool], str], Any] = _checks
    agnostic = Criticality.AGNOSTIC
    uses = {x509.ObjectIdentifier(purpose), x509.ObjectIdentifier(_ANY_PURPOSE)}
    ca = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, agnostic, check(lambda found: found.ca, "it is no CA"))
        .may_be_present(x509.KeyUsage, agnostic, check(lambda found: found.key_cert_sign, "it may not issue"))
        .may_be_present(
            x509.ExtendedKeyUsage, agnostic, check(lambda found: bool(uses & set(found)), "it is for other purposes")
        )
    )
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(at)
            .max_chain_depth(MAX_PATH)
            .extension_policies(ca_policy=ca, ee_policy=ExtensionPolicy.permit_all())
            .build_client_verifier()
        )
        return list(verifier.verify(leaf, list(others)).chain)
    except Exception:  # no path, or a certificate that breaks a rule: the library's reason names none
        return None


def _checks(holds: Callable[[Any], bool], why: str) -> Callable[[Any, Any, Any], None]:
    """The check of an extension, in the library's form. One that isn't there passes."""

    def check(policy: Any, certificate: Any, found: Any) -> None:
        if found is not None and not holds(found):
            raise ValueError(why)

    return check


def _extension(certificate: "Certificate", kind: Any) -> Any:
    from cryptography.x509 import ExtensionNotFound

    try:
        return certificate.extensions.get_extension_for_class(kind)
    except ExtensionNotFound:
        return None
