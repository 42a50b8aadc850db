"""AMD's revocation lists: which ASK or ASVK an ARK has taken back, and when (RFC 5280, section 5).

They are evidence that the run brings along, and nothing obliges it to: whether one was there is
part of the claim, and `judge` asks for it where the policy does. Whoever looks into the list of
today (kdsintf.amd.com/vcek/v1/<product>/crl) sees what was revoked since.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from zk_autograd.core.attestation import MAX_CRL
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.core.text import printable
from zk_autograd.tee.snp.leaf import quiet
from zk_autograd.tee.snp.pss import require_signature

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateRevocationList, RevokedCertificate

_STOLEN = ("keyCompromise", "cACompromise")


def revocation(issuer: "Certificate", ark: "Certificate", crls: Sequence[bytes], at: datetime) -> bool:
    """Whether a list of the time `at` is among `crls`, and clears `issuer` and `ark`. A list of
    another issuer is passed over. AttestationShort if one of them was revoked by then, or at any
    time because its key was stolen; AttestationError for a list that can't be read, or that the ARK
    didn't sign though it has its name."""
    current = False
    for data in crls:
        found = _parse(data)
        if found.issuer != ark.subject:
            continue
        require_signature(found, ark, "a revocation list")
        if any(extension.critical for extension in found.extensions):
            raise AttestationError("a revocation list has a critical extension: it is of a part of the certificates")
        for one in (issuer, ark):
            _require_unrevoked(found, one, at)
        end = found.next_update_utc
        current = current or (end is not None and found.last_update_utc <= at <= end)
    return current


def _require_unrevoked(crl: "CertificateRevocationList", found: "Certificate", at: datetime) -> None:
    entry = crl.get_revoked_certificate_by_serial_number(found.serial_number)
    if entry is None:
        return
    since, why = entry.revocation_date_utc, _reason(entry)
    if since <= at or why in _STOLEN:
        raise AttestationShort(
            f"the certificate {printable(found.subject.rfc4514_string())[:100]} was revoked on {since:%Y-%m-%d} ({why})"
        )


def _reason(entry: "RevokedCertificate") -> str:
    from cryptography import x509

    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "no reason given"


def _parse(data: bytes) -> "CertificateRevocationList":
    """A list whose parts can all be read."""
    from cryptography import x509

    if len(data) > MAX_CRL:
        raise AttestationError(
            "a revocation list is too large", expected=f"at most {MAX_CRL} bytes", found=str(len(data))
        )
    try:
        with quiet():
            found = x509.load_der_x509_crl(data)
            for part in ("issuer", "extensions", "last_update_utc", "next_update_utc", "tbs_certlist_bytes"):
                getattr(found, part)  # each is read when it is asked for
            for entry in found:
                _ = entry.serial_number, entry.revocation_date_utc, list(entry.extensions)
    except Exception as error:  # of many kinds, and none says more than this
        raise AttestationError(f"a revocation list can't be read: {printable(str(error))[:200]}") from error
    return found
