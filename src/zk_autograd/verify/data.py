"""Step 9, Data: that the gradients come from the committed data. Not implemented yet: absent."""

from zk_autograd.core.records import Header
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status

_WHICH = "what the committed data are, and the seed that their order follows from"
_UNOPENED = (
    "no opened data: what the data are that the header commits to is the trainer's word, and theirs is the choice of the seed from which "
    "their order, the first weights and the division into rows for training and for testing follow"
)
_WHAT = "the data, their order, and that the gradients come from them"


def check_data(header: Header, *, attested: bool = False) -> Outcome:
    """Step 9. `attested`: step 8 showed which code took the committed data, in an order that it
    drew from a seed of the trainer's."""
    named = bool(header.data.root)
    limit = (
        "no opened data: nothing shows that the gradients come from the data that the header commits to"
        if named
        else "the header commits to no data: nothing says what the gradients come from"
    )
    return Outcome(
        Finding(Status.ABSENT, ("no opened data or batch order: L3 was not looked for",)),
        claims=(Claim(_WHICH if attested else _WHAT, Source.CLAIMED if named else Source.ABSENT),),
        limits=(_UNOPENED if attested else limit,),
    )
