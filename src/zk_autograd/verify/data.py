"""Step 9, Data: that the gradients come from the committed data.

A run whose gradients are exact (core.graph) says which function of which data they are. Its graph
and what it says of the data are looked at in every verification (verify.exact_data); whether the
gradients are that function's is shown by computing them again (verify.replay), which takes the data
and what the trainer opened. Of any other run there is nothing to compute: absent.
"""

from typing import TYPE_CHECKING

from zk_autograd.core.progress import Progress
from zk_autograd.core.records import Header
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.log import LogView
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status
from zk_autograd.verify.statement import Basis

if TYPE_CHECKING:
    from zk_autograd.verify.replay import Begun
    from zk_autograd.verify.replayed import Replayed

_WHICH = "what the committed data are, and the seed that their order follows from"
_UNOPENED = (
    "no opened data: what the data are that the header commits to is the trainer's word, and theirs is the choice of the seed from which "
    "their order, the first weights and the division into rows for training and for testing follow"
)
_WHAT = "the data, their order, and that the gradients come from them"
_NOT_EXACT = (
    "the gradients of this run are not exact: they came from floats, which nobody can compute again bit for bit"
)


def check_data(
    files: Evidence,
    view: LogView,
    basis: Basis,
    proved: frozenset[Level],
    replay: "Begun | None",
    progress: Progress,
    *,
    attested: bool = False,
) -> "tuple[Replayed | None, Outcome]":
    """Step 9, and which segments were computed again. `proved` are the levels that step 7 showed;
    `replay` is what the auditor has, None for nothing, and always of a run of floats. `attested`:
    step 8 showed which code took the committed data, in an order that it drew from a seed of the
    trainer's. UsageError for data that can't be read."""
    if view.log.header.exact is None:
        return None, _of_floats(view.log.header, attested=attested)
    from zk_autograd.verify.exact_data import check_exact_data  # a run of floats takes none of it

    described = check_exact_data(files, view.log, progress, keep=replay is not None)
    if replay is None:
        return None, described.unopened(attested=attested)
    from zk_autograd.verify.replay import check_replay  # nor a verdict without openings

    return check_replay(view, described, basis, proved, replay, progress)


def _of_floats(header: Header, *, attested: bool) -> Outcome:
    named = bool(header.data.root)
    limit = (
        "no opened data: nothing shows that the gradients come from the data that the header commits to"
        if named
        else "the header commits to no data: nothing says what the gradients come from"
    )
    return Outcome(
        Finding(Status.ABSENT, ("no opened data or batch order: L3 was not looked for",)),
        missing={Level.L3: f"L3 was not reached: {_NOT_EXACT}"},
        claims=(Claim(_WHICH if attested else _WHAT, Source.CLAIMED if named else Source.ABSENT),),
        limits=(_UNOPENED if attested else limit,),
        fix="ask for a run with exact gradients (zk-train --level L3); of this one, --require L1 is the most that can be shown",
    )
