"""Step 9, Data: that the gradients come from the committed data. Not implemented yet: absent."""

from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status


def check_data() -> Outcome:
    """Step 9."""
    return Outcome(
        Finding(Status.ABSENT, ("no opened data or batch order: L3 was not looked for",)),
        claims=(Claim("the data, their order, and that the gradients come from them", Source.CLAIMED),),
        limits=("no opened data: nothing shows that the gradients come from the data that the header commits to",),
    )
