"""Step 8, Attestation: which code computed the gradients, and where. Not implemented: absent."""

from zk_autograd.core.records import Header
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status


def check_attestation(header: Header) -> Outcome:
    """Step 8."""
    source = Source.CLAIMED if header.model_code else Source.ABSENT
    return Outcome(
        Finding(Status.ABSENT, ("no attestation: L2 was not looked for",)),
        claims=(Claim("the code that computed the gradients", source),),
        limits=("no attestation: nothing shows which code computed the gradients, nor on what machine",),
    )
