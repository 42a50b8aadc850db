"""Who signed a report: from the bytes of a report to a root of AMD's, with no opinion on what the
report says.

Source: AMD 57230 (certificates: VCEK below SEV-<product>, VLEK below SEV-VLEK-<product>, both below
ARK-<product>), AMD 56860 (the report's signature). ARKs are known by their SHA-256; each speaks for
one product line.

A report has no time of its own, so the certificates have to be valid at the time that the caller
gives. AMD's key service dates a VCEK's certificate on the day on which it is asked for: whoever
publishes fetches it before the report is anchored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from zk_autograd.core.attestation import MAX_CERTIFICATES
from zk_autograd.core.certificates import fingerprint, quiet
from zk_autograd.core.errors import AttestationError, AttestationShort, UsageError
from zk_autograd.tee import revocation
from zk_autograd.tee.snp import leaf as leaves
from zk_autograd.tee.snp.abi import GENOA, MILAN, TURIN, TURIN_CHIP_BYTES, VCEK, VLEK, Report, Tcb
from zk_autograd.tee.snp.leaf import Leaf, certificate, common_name
from zk_autograd.tee.snp.pss import require_signature

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Root:
    """What an ARK is called, and the product line that it speaks for."""

    name: str
    product: str


ROOTS: Mapping[str, Root] = MappingProxyType(
    {
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd": Root("amd-milan", MILAN),
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1": Root("amd-genoa", GENOA),
        "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a": Root("amd-turin", TURIN),
    }
)
"""By the SHA-256 of the certificate in DER."""

_ISSUERS = {VCEK: "SEV", VLEK: "SEV-VLEK"}


@dataclass(frozen=True, slots=True)
class SnpClaim:
    """What a genuine report says, for `judge`. `chip` is the hardware id, b"" under a VLEK, whose
    cloud `provider` names; `unrevoked`: a revocation list of that time, signed by the ARK, was
    there, and doesn't have the intermediate certificate."""

    report: Report
    product: str
    root: str
    signer: str
    reported: Tcb
    current: Tcb
    committed: Tcb
    launch: Tcb
    chip: bytes
    provider: str
    unrevoked: bool
    certificates: tuple[str, ...] = field(default=())


def verify(
    report: bytes,
    *,
    vcek: bytes | None,
    vlek: bytes | None,
    chain: Sequence[bytes],
    at: datetime,
    crls: Sequence[bytes] = (),
    roots: Mapping[str, Root] = ROOTS,
) -> SnpClaim:
    """What a report of 1184 bytes says, once signature and certificates hold. `vcek`, `vlek`: the
    certificate of the key that signed it, the other may be None; `chain`: those of ASK or ASVK and
    of ARK, in any order, others are passed over; `crls`: revocation lists, those of other issuers
    are passed over; `at`: the time, with its zone, at which all has to be valid. All in DER.

    AttestationError: malformed, wrongly signed, or certificates that speak of something else.
    AttestationShort: a certificate is missing, was not valid at that time, or revoked, or the chip
    is masked. UsageError for a time without a zone.
    """
    if at.tzinfo is None:
        raise UsageError("the time at which a report is verified needs its time zone")
    if len(chain) > MAX_CERTIFICATES:
        raise AttestationError(f"the chain has more than {MAX_CERTIFICATES} certificates")
    parsed = Report.parse(report)
    own = {VCEK: vcek, VLEK: vlek}[parsed.signer]
    if own is None:
        raise AttestationShort(f"the certificate of the {parsed.signer.upper()} that signed the report is missing")
    leaf = leaves.parse(own, parsed.signer)
    _require_report_signature(parsed, leaf)
    issuer, ark, root = _path(leaf, [certificate(one, "a certificate of the chain") for one in chain], roots)
    claim = _claim(parsed, leaf, root, (leaf.certificate, issuer, ark))
    for one in (leaf.certificate, issuer, ark):
        _require_time(one, at)
    listed, _ = revocation.check((ark, issuer, leaf.certificate), crls, at)
    _require_chip(parsed, leaf)
    return SnpClaim(**claim, unrevoked=listed > 0)  # type: ignore[arg-type]


def _path(
    leaf: Leaf, others: "list[Certificate]", roots: Mapping[str, Root]
) -> "tuple[Certificate, Certificate, Root]":
    """The issuer's certificate, the root's, and which root that is."""
    found: list[tuple[Certificate, Certificate]] = []
    for issuer in _issuers(leaf.certificate, f"the {leaf.kind.upper()}", others):
        found += [(issuer, ark) for ark in _issuers(issuer, "the key that issued it", others)]
    known = [(issuer, ark) for issuer, ark in found if _digest(ark) in roots]
    if not known:
        raise AttestationError(
            "the report's certificates end in a root that is none of AMD's",
            expected=", ".join(root.name for root in roots.values()),
            found=fingerprint(found[0][1])[:300],
        )
    issuer, ark = known[0]
    root = roots[_digest(ark)]
    _require_authority(ark, f"ARK-{root.product.capitalize()}", depth=1)
    _require_authority(issuer, f"{_ISSUERS[leaf.kind]}-{root.product.capitalize()}", depth=0)
    return issuer, ark, root


def _issuers(of: "Certificate", what: str, others: "list[Certificate]") -> "list[Certificate]":
    """Those of `others` that issued a certificate, which is called `what`. AttestationShort if none
    has the issuer's name, AttestationError if none of those that have it signed it."""
    named = list({_digest(one): one for one in others if one.subject == of.issuer}.values())
    if not named:
        raise AttestationShort(
            f"the certificate of the issuer of {what} is missing: {of.issuer.rfc4514_string()[:100]!r}"
        )
    found: list[Certificate] = []
    error: AttestationError | None = None
    for one in named:
        try:
            require_signature(of, one, what)
            found.append(one)
        except AttestationError as refused:
            error = refused
    if not found:
        assert error is not None
        raise error
    return found


def _require_authority(found: "Certificate", name: str, depth: int) -> None:
    """AttestationError unless it may issue certificates, has this name, and at least `depth`
    authorities may stand below it."""
    from cryptography import x509

    constraints = usage = None
    for extension in found.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            constraints = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif extension.critical:
            raise AttestationError(
                f"the certificate of {name} has a critical extension that isn't known: {extension.oid.dotted_string}"
            )
    if common_name(found.subject) != name:
        raise AttestationError(
            "the report's certificates are of another kind or product", expected=name, found=fingerprint(found)[:200]
        )
    short = constraints is not None and constraints.path_length is not None and constraints.path_length < depth
    if constraints is None or not constraints.ca or short:
        raise AttestationError(f"the certificate of {name} is no certificate authority's, or of too short a path")
    if usage is None or not usage.key_cert_sign:
        raise AttestationError(f"the certificate of {name} isn't for signing certificates")


def _require_report_signature(report: Report, leaf: Leaf) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        leaf.key().verify(encode_dss_signature(report.r, report.s), report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise AttestationError(f"the report is not signed by the {leaf.kind.upper()} that was given") from error


def _claim(report: Report, leaf: Leaf, root: Root, path: "tuple[Certificate, ...]") -> dict[str, object]:
    """What holds of report and certificates together. AttestationError if they disagree."""
    product = root.product
    if report.product not in (None, product) or leaf.product != product:
        raise AttestationError(
            "report, certificate and root are not of one product line",
            expected=product,
            found=f"{report.product or 'none'} and {leaf.product}",
        )
    reported = Tcb.parse(report.reported_tcb, product)
    if reported != leaf.tcb:
        raise AttestationError(
            f"the {leaf.kind.upper()} is another TCB's than the report", expected=str(reported), found=str(leaf.tcb)
        )
    return {
        "report": report,
        "product": product,
        "root": root.name,
        "signer": leaf.kind,
        "reported": reported,
        "current": Tcb.parse(report.current_tcb, product),
        "committed": Tcb.parse(report.committed_tcb, product),
        "launch": Tcb.parse(report.launch_tcb, product),
        "chip": leaf.hardware,
        "provider": leaf.provider,
        "certificates": tuple(_digest(one) for one in path),
    }


def _require_chip(report: Report, leaf: Leaf) -> None:
    """AttestationError if the VCEK is another chip's. Under a VLEK the chip's id is zero, or the
    platform's own: the certificate says nothing of it."""
    if leaf.kind == VLEK:
        return
    if not any(report.chip_id):
        raise AttestationShort("the report's chip id is masked, so it can't be held against the VCEK's hardware id")
    size = TURIN_CHIP_BYTES if leaf.product == TURIN else len(report.chip_id)
    if report.chip_id[:size] != leaf.hardware or any(report.chip_id[size:]):
        raise AttestationError(
            "the VCEK is another chip's than the report",
            expected=report.chip_id[:size].hex(),
            found=leaf.hardware.hex(),
        )


def _require_time(found: "Certificate", at: datetime) -> None:
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    if not begin <= at.replace(microsecond=0) <= end:
        raise AttestationShort(
            f"the certificate of {common_name(found.subject)} was not valid at that time",
            expected=f"{begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}",
            found=f"{at:%Y-%m-%dT%H:%M:%S%z}",
        )


def _digest(found: "Certificate") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    with quiet():
        return sha256(found.public_bytes(Encoding.DER)).hexdigest()
