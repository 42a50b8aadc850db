"""Certificate revocation lists that came with an attestation: whether one of its certificates was
revoked at a time, and of how many the lists say that they weren't.

Source: RFC 5280, sections 5 and 6.3, without what is fetched: there is no network here. Whoever
publishes an attestation chooses which lists lie beside it, so a list that isn't there shows
nothing; one that is there counts against it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from zk_autograd.core.attestation import MAX_CRL, MAX_CRLS
from zk_autograd.core.certificates import fingerprint, quiet
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.core.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import (
        Certificate,
        CertificateRevocationList,
        DistributionPoint,
        IssuingDistributionPoint,
        RevokedCertificate,
    )


def check(chain: "Sequence[Certificate]", crls: Sequence[bytes], at: "datetime") -> tuple[int, int]:
    """How many certificates of `chain`, from the root to the leaf, each issued by the one before,
    are covered by a list of the time `at` that doesn't name them, and how many aren't though they
    say where such a list is to be had.

    AttestationShort for one that was revoked by then, whenever the list itself was made, and for a
    list that can't be understood. AttestationError for a list that can't be read, or that has the
    name of an issuer in the chain and isn't signed by it. Lists of other issuers say nothing here.
    """
    if len(crls) > MAX_CRLS:
        raise AttestationError(f"there are more than {MAX_CRLS} revocation lists")
    with quiet():
        return _check(chain, crls, at)


def _check(chain: "Sequence[Certificate]", crls: Sequence[bytes], at: "datetime") -> tuple[int, int]:
    lists = [_parse(crl) for crl in crls]
    listed = missing = 0
    for issuer, certificate in pairwise(chain):
        is_ca = certificate is not chain[-1]
        own = [crl for crl in lists if _is_of(crl, issuer)]
        for crl in own:
            _require_signed(crl, issuer)
            _require_understood(crl, issuer)
            _require_not_revoked(crl, certificate, at)
        covered = any(_covers(crl, certificate, is_ca, at) for crl in own)
        listed += covered
        missing += not covered and bool(_points(certificate))
    return listed, missing


def _parse(crl: bytes) -> "CertificateRevocationList":
    from cryptography import x509

    if len(crl) > MAX_CRL:
        raise AttestationError(f"a revocation list has more than {MAX_CRL} bytes")
    try:
        found = x509.load_der_x509_crl(crl)
        for part in ("issuer", "extensions", "last_update_utc", "next_update_utc"):
            getattr(found, part)  # each is read when it is asked for
    except Exception as error:  # of many kinds, and none says more than this
        raise AttestationError(f"a revocation list can't be read: {printable(str(error))[:200]}") from error
    return found


def _is_of(crl: "CertificateRevocationList", issuer: "Certificate") -> bool:
    """Whether the list has the issuer's name, and doesn't say that another key signed it."""
    from cryptography import x509

    if crl.issuer != issuer.subject:
        return False
    try:
        said = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    return said is None or said == own


def _require_signed(crl: "CertificateRevocationList", issuer: "Certificate") -> None:
    from cryptography import x509

    try:
        may = issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
        signed = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # others raise TypeError
    except Exception:  # no key usage, or a kind of key or signature that isn't known
        may = signed = False
    if not (may and signed):
        raise AttestationError(f"a revocation list isn't signed by its issuer, {fingerprint(issuer)}")


def _require_understood(crl: "CertificateRevocationList", issuer: "Certificate") -> None:
    """A list of changes only, or one that speaks for several issuers, means something else than its
    entries seem to."""
    from cryptography import x509

    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if not (value.indirect_crl or value.only_contains_attribute_certs or value.only_some_reasons):
                continue
        elif not extension.critical:
            continue
        raise AttestationShort(
            f"a revocation list of {fingerprint(issuer)} has an extension that isn't understood here",
            expected="a complete list of one issuer",
            found=extension.oid.dotted_string,
        )


def _require_not_revoked(crl: "CertificateRevocationList", certificate: "Certificate", at: "datetime") -> None:
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None and (since := _since(entry)) <= at:
        raise AttestationShort(
            f"the certificate {fingerprint(certificate)} was revoked at that time",
            expected=f"none that was revoked before {at:%Y-%m-%dT%H:%M:%SZ}",
            found=f"revoked since {since:%Y-%m-%dT%H:%M:%SZ}",
        )


def _since(entry: "RevokedCertificate") -> "datetime":
    """From when on the certificate isn't to be relied upon: its revocation, or the time before that
    from which on its key is known or thought to have been another's (invalidity date)."""
    from cryptography import x509

    try:
        revoked = entry.revocation_date_utc
        invalid = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return revoked
    except Exception as error:  # of many kinds, such as an extension that is there twice
        raise AttestationError(f"an entry of a revocation list can't be read: {printable(str(error))[:200]}") from error
    return min(revoked, invalid)


def _covers(crl: "CertificateRevocationList", certificate: "Certificate", is_ca: bool, at: "datetime") -> bool:
    """Whether the list, of which the certificate isn't an entry, is of the time `at` and would have
    an entry for it."""
    from cryptography import x509

    if crl.next_update_utc is None or not crl.last_update_utc <= at <= crl.next_update_utc:
        return False
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    if scope.only_contains_user_certs if is_ca else scope.only_contains_ca_certs:
        return False
    return _is_named(scope, certificate)


def _is_named(scope: "IssuingDistributionPoint", certificate: "Certificate") -> bool:
    """Whether the certificate points to this part of its issuer's lists."""
    if scope.full_name is None and scope.relative_name is None:
        return True
    own = {name for point in _points(certificate) for name in point.full_name or ()}
    return any(name in own for name in scope.full_name or ())


def _points(certificate: "Certificate") -> "Sequence[DistributionPoint]":
    """Where it says that lists of its issuer are."""
    from cryptography import x509

    try:
        return list(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except x509.ExtensionNotFound:
        return ()
