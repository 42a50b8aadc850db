"""Nitro documents in a run's evidence: core.attestation.AttestationVerifier."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from zk_autograd.core.attestation import DIGEST_BYTES, Attested, Collateral
from zk_autograd.core.errors import AttestationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import counted
from zk_autograd.tee.nitro import judge as opinion
from zk_autograd.tee.nitro.claim import NitroClaim
from zk_autograd.tee.nitro.document import own_time
from zk_autograd.tee.nitro.document import verify as verify_document
from zk_autograd.tee.nitro.judge import NitroPolicy

KIND = "nitro"

_LAST = 253_402_300_799  # the end of the year 9999
_TRUSTED = (
    "an AWS Nitro document rests on AWS: on its hypervisor, which measures the image and isolates the enclave, and on "
    "its root key; side channels, and a host that stops an enclave, or starts many and shows one, are not covered"
)
_EMULATED = "the device was emulated, under a root whose private key is public: its document shows nothing"


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> NitroPolicy:
    """See core.attestation.AttestationVerifier; the table is described in tee.nitro.judge."""
    return opinion.read(fields)


def verify(document: bytes, collateral: Collateral, at: int | None) -> Attested:
    """See core.attestation.AttestationVerifier. The document brings its own certificates: those of
    the collateral aren't used."""
    if at is not None and not 0 <= at <= _LAST:
        raise AttestationError("the time for which the document is judged is out of bounds", expected=f"0 to {_LAST}")
    when = own_time(document) if at is None else datetime.fromtimestamp(at, UTC)
    claim = verify_document(document, at=when, crls=collateral.crls)
    bound = claim.user_data if claim.user_data is not None and len(claim.user_data) == DIGEST_BYTES else b""
    return Attested(
        kind=KIND,
        root=claim.root,
        emulated=claim.emulated,
        bound=bound,
        time=int(claim.time.timestamp()),
        measurement=f"PCR0 {claim.pcrs[0].hex()}" if 0 in claim.pcrs else "no PCR0",
        claim=claim if at is not None else replace(claim, at=None),
        limits=_limits(claim),
    )


def judge(attested: Attested, trust: NitroPolicy) -> Sequence[str]:
    """See core.attestation.AttestationVerifier."""
    return opinion.judge(attested.claim, trust)


def _limits(claim: NitroClaim) -> tuple[str, ...]:
    unlisted = claim.certificates - claim.listed
    lists = (
        f"no revocation list of the time covers {counted(unlisted, 'certificate')} of the "
        f"{claim.certificates} below the root {claim.root}: whether one of them was revoked isn't known"
    )
    return (_EMULATED if claim.emulated else _TRUSTED, *((lists,) if unlisted and not claim.emulated else ()))
