"""The public door to Nitro documents: bytes in, a claim out, or a refusal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from zk_autograd.core.errors import UsageError
from zk_autograd.tee import revocation
from zk_autograd.tee.nitro import abi, chain
from zk_autograd.tee.nitro.chain import ROOTS
from zk_autograd.tee.nitro.claim import NitroClaim


def verify(
    document: bytes, *, at: datetime, roots: Mapping[str, str] = ROOTS, crls: Sequence[bytes] = ()
) -> NitroClaim:
    """What a genuine AWS Nitro attestation document says. A claim is no verdict: tee.policy.judge
    has the opinion, and refuses the emulated root, which is known here, and debug enclaves.

    document: a COSE_Sign1 message, tagged or not, at most core.attestation.MAX_RAW bytes. at: the
    time for which the certificates have to be valid, with a time zone: one that somebody else than
    the enclave vouches for, such as a time stamp's; never this machine's clock, since a signer's
    certificate lasts three hours. roots: names, and the SHA-256 of each root certificate in DER.
    crls: revocation lists in DER (tee.revocation).

    AttestationError: malformed, wrongly signed, under no known root, or of a time by its own clock
    at which its certificates weren't valid. AttestationShort: genuine, but a certificate wasn't
    valid `at` that time, or was revoked by then; or cbor2 is missing. UsageError: `at` has no time
    zone. The document's hash is no identity: see NitroClaim.
    """
    if at.tzinfo is None:
        raise UsageError("the time for which a document is verified needs a time zone, such as datetime.UTC")
    at = at.astimezone(UTC)
    signed = abi.parse(document)
    root, certificates = chain.check(signed, at, roots)
    payload = signed.payload
    listed, unlisted = revocation.check(certificates, crls, at)
    return NitroClaim(
        root=root,
        module=payload.module,
        at=at,
        time=chain.time_of(payload),
        pcrs=payload.pcrs,
        public_key=payload.public_key,
        user_data=payload.user_data,
        nonce=payload.nonce,
        certificates=len(certificates) - 1,
        listed=listed,
        unlisted=unlisted,
    )


def own_time(document: bytes) -> datetime:
    """The time that a document states, of which nothing is checked. AttestationError for another
    form."""
    return chain.time_of(abi.parse(document).payload)
