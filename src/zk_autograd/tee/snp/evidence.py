"""SEV-SNP reports as evidence of a run (core.attestation.AttestationVerifier).

What a run brings along are certificates in no order: the report says which kind of key signed it,
and the certificate whose key that is, is found among those of that kind. A report has no time: that
it isn't older than the auditor's nonce in REPORT_DATA is all that is known of its age.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from zk_autograd.core.attestation import DIGEST_BYTES, Attested, Collateral
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.core.fields import Fields
from zk_autograd.tee.snp.abi import MILAN, VLEK, Report
from zk_autograd.tee.snp.chain import SnpClaim
from zk_autograd.tee.snp.chain import verify as verify_report
from zk_autograd.tee.snp.judge import SnpPolicy
from zk_autograd.tee.snp.judge import judge as judge_claim
from zk_autograd.tee.snp.judge import read as read_policy
from zk_autograd.tee.snp.leaf import NAMES, certificate, common_name

KIND = "snp"
_LIMITS = ("when the report was made: it has no time, and is at least as young as the nonce in it",)
_MILAN = "forged reports of Milan: a published physical attack makes them, and they look like any other"
_UNLISTED = (
    "whether one of its certificates was revoked: no list of that time, signed by AMD's root, came with the report"
)
_VLEK = "which machine it was: the key is the cloud provider's, and the report names no chip that it vouches for"


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> SnpPolicy:
    """See core.attestation.AttestationVerifier; tee.snp.judge has the table."""
    return read_policy(fields)


def verify(document: bytes, collateral: Collateral, at: int | None) -> Attested:
    """See core.attestation.AttestationVerifier. Without `at` the certificates are taken at
    the time at which the signing key's own begins."""
    signer = Report.parse(document).signer
    others = [(one, certificate(one, "a certificate of the collateral")) for one in collateral.certificates]
    leaves = [one for one, parsed in others if common_name(parsed.subject) == NAMES[signer]]
    rest = [one for one, parsed in others if common_name(parsed.subject) not in NAMES.values()]
    if not leaves:
        raise AttestationShort(f"the collateral has no certificate of the {signer.upper()} that signed the report")
    claim = _first(document, leaves, rest, collateral.crls, at)
    return _attested(claim)


def judge(attested: Attested, trust: Any) -> Sequence[str]:
    """See core.attestation.AttestationVerifier."""
    assert isinstance(attested.claim, SnpClaim) and isinstance(trust, SnpPolicy)
    return judge_claim(attested.claim, trust)


def _first(
    document: bytes, leaves: Sequence[bytes], rest: Sequence[bytes], crls: Sequence[bytes], at: int | None
) -> SnpClaim:
    """What the report shows under the first of `leaves` with which it holds. Where none does, the
    error that says most: a genuine report falls short only because of the certificate's time."""
    error: AttestationError | None = None
    for one in leaves:
        try:
            when = certificate(one, "a certificate").not_valid_before_utc if at is None else _moment(at)
            return verify_report(document, vcek=one, vlek=one, chain=rest, at=when, crls=crls)
        except AttestationShort as found:
            error = found
        except AttestationError as found:
            error = error or found
    assert error is not None
    raise error


def _moment(at: int) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise AttestationShort(f"the time {at} is none that a certificate could be valid at") from error


def _attested(claim: SnpClaim) -> Attested:
    report = claim.report
    signed = f"by a {claim.signer.upper()}" + (f" of {claim.provider}" if claim.provider else "")
    known = ((_MILAN, claim.product == MILAN), (_VLEK, claim.signer == VLEK), (_UNLISTED, not claim.unrevoked))
    limits = (*_LIMITS, *(limit for limit, holds in known if holds))
    assert len(report.report_data) == DIGEST_BYTES
    return Attested(
        kind=KIND,
        root=claim.root,
        emulated=False,
        bound=report.report_data,
        time=None,
        measurement=f"launch digest {report.measurement.hex()} on {claim.product.capitalize()}, signed {signed}",
        claim=claim,
        limits=limits,
    )
