"""The auditor's opinion on a genuine Nitro document: whose code it is, that it wasn't debugged, how
fresh it is. Nothing here looks at a signature.

The table [attestation.nitro] of a policy:

    measurements = [{pcr0 = "...", pcr1 = "...", pcr2 = "...", pcr8 = "..."}, ...]
                           what `zk-enclave measure` prints of the images that are allowed, 48 bytes
                           each in hexadecimal; pcr8, of the certificate that signed the image,
                           counts where it is there
    max_age = 3600         seconds that may lie between the document's own time and the time for
                           which it was verified
    nonce = "..."          16 to 64 bytes that the document's nonce has to be
    revocation = true      asks for a revocation list of the time for each certificate that names
                           one (the enclave's and its instance's, of AWS, name none)
    emulated = true        the root whose private key is public is taken too: for demonstrations
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.attestation import LEAST_NONCE, MAX_NONCE
from zk_autograd.core.errors import AttestationShort, VerificationError
from zk_autograd.core.fields import Fields, Value
from zk_autograd.core.text import counted
from zk_autograd.tee.nitro.abi import PCR_BYTES
from zk_autograd.tee.nitro.claim import NitroClaim

MAX_MEASUREMENTS = 64
MAX_AGE = 10 * 366 * 86_400
MAX_SKEW = 300
"""Seconds that the document's clock may be ahead of the one that vouches for `at`."""

_ZERO = bytes(PCR_BYTES)


@dataclass(frozen=True, slots=True)
class Measurement:
    """An image, by its registers, 48 bytes each: PCR0 (kernel, command line, ramdisks), PCR1
    (kernel, command line, first ramdisk), PCR2 (the other ramdisks), and PCR8 (who signed it), of
    which None says nothing."""

    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None = None

    def registers(self) -> dict[int, bytes]:
        """Those that count, by number."""
        named = {0: self.pcr0, 1: self.pcr1, 2: self.pcr2}
        return named if self.pcr8 is None else {**named, 8: self.pcr8}


@dataclass(frozen=True, slots=True)
class NitroPolicy:
    """What an auditor asks of a document: see the module. No measurement allows no document."""

    measurements: tuple[Measurement, ...]
    max_age: int | None = None
    nonce: bytes | None = None
    revocation: bool = False
    emulated: bool = False


def read(fields: Fields) -> NitroPolicy:
    """The policy of a table, whose fields the caller ends. VerificationError."""
    measurements = tuple(_measurement(item) for item in fields.array("measurements", MAX_MEASUREMENTS, min_items=1))
    max_age = fields.integer("max_age", 0, MAX_AGE) if "max_age" in fields else None
    nonce = _nonce(fields.value("nonce")) if "nonce" in fields else None
    revocation, emulated = (fields.boolean(name) if name in fields else False for name in ("revocation", "emulated"))
    return NitroPolicy(measurements, max_age, nonce, revocation, emulated)


def judge(claim: NitroClaim, policy: NitroPolicy) -> tuple[str, ...]:
    """What was asked for and found, in sentences. AttestationShort names what the claim falls short
    of."""
    found = [_root(claim, policy), _measured(claim, policy)]
    if policy.nonce is not None:
        found.append(_fresh_nonce(claim, policy.nonce))
    if policy.max_age is not None:
        found.append(_young(claim, policy.max_age))
    if policy.revocation:
        found.append(_unrevoked(claim))
    return tuple(found)


def _root(claim: NitroClaim, policy: NitroPolicy) -> str:
    if not claim.emulated:
        return f"the document's chain begins with the root {claim.root}"
    if policy.emulated is not True:
        raise AttestationShort(
            "the document comes from the emulated device, whose root anybody can sign under: it shows nothing",
            expected="a root of AWS Nitro, or emulated = true in the policy, for demonstrations",
            found=f"the root {claim.root!r}",
        )
    return "the document comes from the emulated device, which the policy takes, and which shows nothing"


def _measured(claim: NitroClaim, policy: NitroPolicy) -> str:
    for number in (0, 1, 2):
        if claim.pcrs.get(number, _ZERO) == _ZERO:
            raise AttestationShort(
                f"PCR{number} is zero: the enclave runs in debug mode, in which its host can look into it",
                expected="an enclave that was started without debugging",
                found=f"PCR{number} of zero bytes" if number in claim.pcrs else f"no PCR{number}",
            )
    for measurement in policy.measurements:
        registers = measurement.registers()
        if all(claim.pcrs.get(number) == pcr for number, pcr in registers.items()):
            names = ", ".join(f"PCR{number}" for number in registers)
            return f"the enclave's image is one that the policy allows, by its {names}: PCR0 {claim.pcrs[0].hex()}"
    raise AttestationShort(
        "the enclave's image is none that the policy allows",
        expected=_allowed(policy),
        found=_told(claim.pcrs),
    )


def _fresh_nonce(claim: NitroClaim, nonce: bytes) -> str:
    if len(nonce) < LEAST_NONCE:
        raise AttestationShort(f"a nonce of fewer than {LEAST_NONCE} bytes shows nothing: ask with a longer one")
    if claim.nonce != nonce:
        raise AttestationShort(
            "the document's nonce is not the one that was asked for",
            expected=nonce.hex(),
            found="none" if claim.nonce is None else claim.nonce.hex()[: 2 * MAX_NONCE],
        )
    return f"the document has the nonce that was asked for, {nonce.hex()}"


def _young(claim: NitroClaim, max_age: int) -> str:
    if claim.at is None:
        raise AttestationShort("the document's age isn't known: nothing but its own clock says when it was made")
    age = (claim.at - claim.time).total_seconds()
    if not -MAX_SKEW <= age <= max_age:
        raise AttestationShort(
            "the document's own time is too far from the time for which it was verified",
            expected=f"at most {max_age} seconds before it, and {MAX_SKEW} after it",
            found=f"{age:.0f} seconds before it" if age >= 0 else f"{-age:.0f} seconds after it",
        )
    return f"the document was made {age:.0f} seconds before the time for which it was verified, by its own clock"


def _unrevoked(claim: NitroClaim) -> str:
    if claim.unlisted:
        raise AttestationShort(
            "whether a certificate of the document's chain was revoked isn't known",
            expected="a revocation list of the time for each certificate that names one",
            found=f"none for {counted(claim.unlisted, 'certificate')}",
        )
    return f"revocation lists of the time cover {claim.listed} of the chain's certificates, all of those that name one"


def _measurement(value: Value) -> Measurement:
    fields = value.object()
    pcrs = {name: fields.hex(name, PCR_BYTES) for name in ("pcr0", "pcr1", "pcr2")}
    pcr8 = fields.hex("pcr8", PCR_BYTES) if "pcr8" in fields else None
    fields.end()
    for name, pcr in {**pcrs, "pcr8": pcr8}.items():
        if pcr == _ZERO:
            raise VerificationError(f"{value.where}.{name} is zero, which measures nothing: debugging does that")
    return Measurement(**pcrs, pcr8=pcr8)


def _nonce(value: Value) -> bytes:
    text = value.text(2 * MAX_NONCE)
    if len(text) < 2 * LEAST_NONCE or len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise VerificationError(
            f"{value.where} is invalid", expected=f"{LEAST_NONCE} to {MAX_NONCE} bytes in lower-case hexadecimal"
        )
    return bytes.fromhex(text)


def _allowed(policy: NitroPolicy) -> str:
    first = [_told(measurement.registers()) for measurement in policy.measurements[:2]]
    more = len(policy.measurements) - len(first)
    return " or ".join(first) + (f" or {more} more" if more else "") if first else "none: the policy allows no image"


def _told(pcrs: Mapping[int, bytes]) -> str:
    return ", ".join(f"PCR{number} {pcrs[number].hex()}" for number in (0, 1, 2, 8) if number in pcrs)
