"""The auditor's opinion of a genuine report: what they allow a guest to be, [attestation.snp] of a
policy file.

    measurements = ["..."]       launch digests, 48 bytes in hexadecimal; at least one
    products = ["genoa"]         product lines; genoa and turin if it isn't there, since for milan a
                                 physical attack on the memory bus was published that forges reports
    signer = "vcek"              or "vlek"; none: either. A VCEK is one chip's, a VLEK a cloud's
    vmpl = 0                     the highest privilege level's number that may speak; 0 if not there
    guest_svn = 0                the least security version that the guest's owner gave it
    family_id, image_id          16 bytes in hexadecimal, of the guest's ID block
    host_data                    32 bytes in hexadecimal, which the host set at launch
    id_keys, author_keys         digests of the keys that may have signed the ID block, 48 bytes
    migration = true             allows a migration agent, which can move the guest elsewhere
    require = ["alias-check"]    bits that have to be set, of the guest's policy or the platform's
    refuse = ["smt"]             bits that mustn't be (tee.snp.abi: POLICY_BITS, PLATFORM_BITS)
    mitigations = 0              bits that have to be set in both mitigation vectors, of version 5
    revocation = true            asks for a revocation list of that time
    [attestation.snp.tcb.genoa]  least versions: bootloader, tee, snp, microcode; fmc for turin, of
                                 the TCB that is reported, committed, current, and that of the
                                 guest's launch. With tcb, each product allowed has its table

There is no way to allow a debug guest: its host reads its memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zk_autograd.core.errors import AttestationShort, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import listed
from zk_autograd.tee.snp.abi import GENOA, HOST, PLATFORM_BITS, POLICY_BITS, PRODUCTS, TURIN, VCEK, VLEK
from zk_autograd.tee.snp.chain import SnpClaim

MEASUREMENT_BYTES = 48
MAX_ITEMS = 64
BITS = tuple(sorted({*POLICY_BITS, *PLATFORM_BITS} - {"debug", "migration-agent"}))
"""Bits that a policy may require or refuse."""

_PARTS = ("bootloader", "tee", "snp", "microcode")


@dataclass(frozen=True, slots=True)
class SnpPolicy:
    """See above. Of what may be left out, None or nothing stands for any."""

    measurements: frozenset[bytes]
    products: frozenset[str] = frozenset({GENOA, TURIN})
    signer: str | None = None
    vmpl: int = 0
    guest_svn: int = 0
    family_id: bytes | None = None
    image_id: bytes | None = None
    host_data: bytes | None = None
    id_keys: frozenset[bytes] = frozenset()
    author_keys: frozenset[bytes] = frozenset()
    migration: bool = False
    require: frozenset[str] = frozenset()
    refuse: frozenset[str] = frozenset()
    mitigations: int = 0
    revocation: bool = False
    tcb: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read(fields: Fields) -> SnpPolicy:
    """The policy of a table; the caller ends the fields. VerificationError for one that makes no
    sense, and for one that allows no measurement."""
    measurements = _digests(fields, "measurements", least=1)
    if bytes(MEASUREMENT_BYTES) in measurements:
        raise VerificationError("[attestation.snp] measurements allows zero, which is no guest's launch digest")
    products = _names(fields, "products", PRODUCTS, least=1) if "products" in fields else frozenset({GENOA, TURIN})
    require, refuse = _names(fields, "require", BITS), _names(fields, "refuse", BITS)
    if require & refuse:
        both = listed(sorted(require & refuse), 3)
        raise VerificationError(f"[attestation.snp] requires and refuses the same bits: {both}")
    return SnpPolicy(
        measurements=measurements,
        products=products,
        signer=fields.choice("signer", (VCEK, VLEK)) if "signer" in fields else None,
        vmpl=fields.integer("vmpl", 0, 3) if "vmpl" in fields else 0,
        guest_svn=fields.integer("guest_svn", 0, 2**32 - 1) if "guest_svn" in fields else 0,
        family_id=_bytes(fields, "family_id", 16),
        image_id=_bytes(fields, "image_id", 16),
        host_data=_bytes(fields, "host_data", 32),
        id_keys=_digests(fields, "id_keys"),
        author_keys=_digests(fields, "author_keys"),
        migration=_flag(fields, "migration"),
        require=require,
        refuse=refuse,
        mitigations=fields.integer("mitigations", 0, 2**63 - 1) if "mitigations" in fields else 0,
        revocation=_flag(fields, "revocation"),
        tcb=_minima(fields.object("tcb"), products) if "tcb" in fields else {},
    )


def judge(claim: SnpClaim, policy: SnpPolicy) -> tuple[str, ...]:
    """What was asked for and found, in sentences. AttestationShort names all that falls short."""
    short = [*_who(claim, policy), *_what(claim, policy), *_bits(claim, policy), *_versions(claim, policy)]
    if short:
        raise AttestationShort(f"the SEV-SNP report is genuine, but falls short of your policy: {'; '.join(short)}")
    said = [f"the launch digest is {claim.report.measurement.hex()}, which your policy allows"]
    said.append(f"a {claim.product} platform's {claim.signer.upper()} signed it, of the TCB {claim.reported}")
    said.append(f"no debug guest, VMPL {claim.report.vmpl}" + ("" if policy.migration else ", no migration agent"))
    if policy.require or policy.refuse:
        wanted = [*sorted(policy.require), *(f"no {name}" for name in sorted(policy.refuse))]
        said.append(f"as required: {', '.join(wanted)}")
    return tuple(said)


def _who(claim: SnpClaim, policy: SnpPolicy) -> list[str]:
    """Which platform, and who speaks for it."""
    short = []
    if claim.product not in policy.products:
        short.append(f"it is of the product line {claim.product}, and you allow {listed(sorted(policy.products), 3)}")
    if policy.signer not in (None, claim.signer):
        short.append(f"a {claim.signer.upper()} signed it, and you require a {str(policy.signer).upper()}")
    if policy.revocation and not claim.unrevoked:
        short.append("no revocation list of that time was there")
    if claim.report.vmpl == HOST:
        short.append("the host asked for it, not the guest")
    elif claim.report.vmpl > policy.vmpl:
        short.append(f"VMPL {claim.report.vmpl} asked for it, and you allow {policy.vmpl} at most")
    return short


def _what(claim: SnpClaim, policy: SnpPolicy) -> list[str]:
    """Which guest."""
    report, short = claim.report, []
    if not any(report.measurement) or report.measurement not in policy.measurements:
        short.append(f"the launch digest {report.measurement.hex()} is none that you allow")
    if report.guest_svn < policy.guest_svn:
        short.append(f"guest_svn is {report.guest_svn}, below {policy.guest_svn}")
    for name in ("family_id", "image_id", "host_data"):
        wanted, found = getattr(policy, name), getattr(report, name)
        if wanted is not None and wanted != found:
            short.append(f"{name} is {found.hex()}, not {wanted.hex()}")
    if policy.id_keys and report.id_key_digest not in policy.id_keys:
        short.append("its ID block was not signed with a key that you allow")
    if policy.author_keys and not (report.author_key_en and report.author_key_digest in policy.author_keys):
        short.append("its ID block's key was not signed with an author's key that you allow")
    return short


def _bits(claim: SnpClaim, policy: SnpPolicy) -> list[str]:
    report, short, flags = claim.report, [], claim.report.flags()
    if "debug" in flags:
        short.append("it is a debug guest, whose host can read and change it")
    if "migration-agent" in flags and not policy.migration:
        short.append("its guest policy allows a migration agent")
    short += [f"{name} is not set" for name in sorted(policy.require - flags)]
    short += [f"{name} is set" for name in sorted(policy.refuse & flags)]
    unknown = report.unknown_bits()
    if any(unknown):
        short.append(
            f"bits are set that have no meaning here: {unknown[0]:#x} of its policy, {unknown[1]:#x} of its platform"
        )
    for name, vector in (("launch", report.launch_mitigations), ("current", report.current_mitigations)):
        if policy.mitigations & ~vector:
            short.append(f"mitigations are missing ({name}): {policy.mitigations & ~vector:#x}")
    return short


def _versions(claim: SnpClaim, policy: SnpPolicy) -> list[str]:
    least = policy.tcb.get(claim.product, {})
    if policy.tcb and not least:
        return [f"you give TCB minima, and none for {claim.product}"]
    short = []
    for name in ("reported", "committed", "current", "launch"):
        found = getattr(claim, name).parts()
        short += [
            f"{part} of the {name} TCB is {found.get(part, 'not there')}, below {value}"
            for part, value in least.items()
            if found.get(part, -1) < value
        ]
    return short


def _minima(fields: Fields, products: frozenset[str]) -> dict[str, dict[str, int]]:
    found = {}
    for product in sorted(products):
        table = fields.object(product)
        names = [name for name in (("fmc",) if product == TURIN else ()) + _PARTS if name in table]
        found[product] = {name: table.integer(name, 0, 255) for name in names}
        table.end()
        if not names:
            raise VerificationError(f"[attestation.snp.tcb.{product}] has no minimum")
    fields.end()
    return found


def _digests(fields: Fields, name: str, least: int = 0) -> frozenset[bytes]:
    if name not in fields and not least:
        return frozenset()
    return frozenset(value.hex(MEASUREMENT_BYTES) for value in fields.array(name, MAX_ITEMS, min_items=max(least, 1)))


def _names(fields: Fields, name: str, options: tuple[str, ...], least: int = 0) -> frozenset[str]:
    if name not in fields:
        return frozenset()
    return frozenset(value.choice(options) for value in fields.array(name, MAX_ITEMS, min_items=least))


def _bytes(fields: Fields, name: str, size: int) -> bytes | None:
    return fields.hex(name, size) if name in fields else None


def _flag(fields: Fields, name: str) -> bool:
    return fields.boolean(name) if name in fields else False
