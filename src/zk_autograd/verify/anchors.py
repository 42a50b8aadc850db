"""Step 4, Register and anchors: that there is no other view of this log, and when it was written.
Not implemented yet: absent."""

from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status


def check_anchors() -> Outcome:
    """Step 4."""
    return Outcome(
        Finding(Status.ABSENT, ("no anchor",)),
        claims=(Claim("that there is no other view of this log, and when it was written", Source.ABSENT),),
        limits=("no anchor: nothing shows that there is no other view of this log, nor when it was written",),
    )
