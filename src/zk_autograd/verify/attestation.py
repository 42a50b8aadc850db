"""Step 8, Attestation: which code computed the gradients, and where.

A run of an enclave names its device's document in the genesis record; what that shows is for
verify.attested, and the opinion on it for the auditor's policy. Any other run has none: absent.

Where the policy trusts a measurement and pins no key, the keys that the header names stand for
pinned ones in the steps before this one. Whose they are is what the document says, so L0 then rests
on this step: a run of which it shows less is as one of which no key is pinned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.attestation import AttestationVerifier
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Header
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.anchoring import Anchoring
from zk_autograd.verify.log import LogView
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status
from zk_autograd.verify.policy import Policy

CODE = "the code that computed the gradients"
UNATTESTED = "no attestation: nothing shows which code computed the gradients, nor on what machine"
_ABSENT = "the run is no enclave's: its header names no attestation"


@dataclass(frozen=True, slots=True)
class Attestation:
    """What step 8 knows of a run's document, as values. `document` and `raw` are the SHA-256 of
    attestation/document.json and of the device's own document in it, `job` that of the sealed job
    which it names (b"": none); `root`, `emulated`,
    `measurement` and `time` are core.attestation.Attested's (None and "" if it wasn't verified);
    `at` is the time that it was judged for, POSIX seconds (None: no anchor says one); `judged` is
    what the policy asked and found, `short` why it doesn't count: nothing, if it does."""

    kind: str
    document: bytes
    raw: bytes
    job: bytes = b""
    root: str = ""
    emulated: bool = False
    measurement: str = ""
    time: int | None = None
    at: int | None = None
    judged: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it was judged, and falls short of nothing."""
        return not self.short


def vouched_keys(header: Header, policy: Policy) -> tuple[PublicKey, ...]:
    """The keys that an enclave's document has to vouch for, since none is pinned and the policy
    trusts a measurement instead: all that the header names. None for any other run or policy."""
    if policy.keys or not policy.attestations or not header.proving:
        return ()
    return tuple(map(PublicKey.parse, header.keys))


def check_attestation(
    files: Evidence,
    view: LogView,
    policy: Policy,
    verifiers: Mapping[str, AttestationVerifier],
    anchoring: Anchoring,
) -> tuple[Attestation | None, Outcome]:
    """Step 8."""
    header = view.log.header
    if header.proving:
        from zk_autograd.verify.attested import check_document  # a verdict without one takes none of it

        return check_document(files, view, policy, verifiers, anchoring)
    source = Source.CLAIMED if header.model_code else Source.ABSENT
    return None, Outcome(
        Finding(Status.ABSENT, ("no attestation: L2 was not looked for",)),
        missing={Level.L2: f"L2 was not reached: {_ABSENT}"},
        claims=(Claim(CODE, source),),
        limits=(UNATTESTED,),
    )
