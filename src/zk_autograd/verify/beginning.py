"""Step 6, the beginning: whether the first weights are the trainer's choice.

Where the header leaves them to a beacon, they are made again from header and beacon
(core.first_weights), and their commitments from the salts in the genesis. That alone shows nothing
of who chose: whoever makes up the beacon can try as many as they like. It takes an anchor that the
auditor trusts, which took the register's tree with this run's header in it, and none with it
before, and gives this beacon under the terms that the header names: then the beacon was not known
when the header was fixed, and the weights follow from the two.

The salts of the first W are published for it, as those of the zero states are in every run. They
open W_0, which anybody can compute then, and nothing else:

* `native`: a state's mask and its tree's salts come from its own salt and values (crates/prover,
  `state.rs`), those of a proof's other columns from all salts of both ends and the gradient's
  (`segment.rs`), of which the states' after the segment and the gradient's stay secret.
* `ezkl`: a salt fills the last rows of its own column alone; every other column has its own.
* `none`: a salt goes into its own hash alone.

docs/soundness.md and docs/soundness-ezkl.md have the argument.

No salt is used twice: the state after a segment has its own (run/journal.py), even if no weight
moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zk_autograd.core.anchors import AnchorClaim, Standing
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.first_weights import first_blocks
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import BEACON, Genesis, Header, Log
from zk_autograd.core.trust import Missing
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status
from zk_autograd.verify.proof_system import ProofChecker
from zk_autograd.verify.statement import Basis

GENESIS_RECORD = 1

FIRST_WEIGHTS = "the first weights"
"""What the claim of this step is about."""

_TRAINERS = "initial weights and data order chosen by the trainer"
_ONE_OF_MANY = (
    "the first weights of the trained tensors were not the trainer's choice, but which of the runs in their register is "
    "shown was: each that was begun had its own, and so had each time that one run was begun again, which only who reads all of the "
    "register's entries sees (--online); frozen tensors, and constants in the model's code, are the trainer's"
)

_UNOPENED_ORDER = "that the data order follows from the beacon is the trainer's word: nothing shows it until the gradients are computed again"

_ONE_INSTANCE = (
    "that the first weights are not one choice among many is not shown: the register is an enclave's own, and shows no other instance that "
    "was started, which had a beacon and weights of its own"
)


def check_beginning(log: Log, at_begin: Sequence[AnchorClaim], basis: Basis, progress: Progress) -> Outcome:
    """Step 6, of its parts. `at_begin` are the claims of receipts for the first of the register's
    trees with this run's header that their anchor took."""
    genesis = log.genesis
    if genesis is None:
        return _outcome(log, (), Source.ABSENT)
    if log.header.weights_by != BEACON:
        return _outcome(log, (), Source.CLAIMED)
    anchor = _anchor(log.header, genesis, at_begin)
    if isinstance(basis.checker, Missing):
        why = (
            "whether the first weights are the beacon's was not checked: their commitments can't be recomputed (step 5)"
        )
        return _outcome(log, (why,), Source.CLAIMED)
    _check_weights(log, genesis, basis.checker, progress)
    found = f"the first weights follow from the header and the beacon {genesis.beacon.hex()}: their commitments were recomputed"
    if anchor is None:
        less = f"that the beacon came after the header is not shown: {_why_not(log.header, at_begin)}"
        return _outcome(log, (found, less), Source.CLAIMED)
    shown = f"the beacon came after the header: {anchor.kind} gives it, which rests {anchor.rests_on}"
    if log.header.proving:
        return _outcome(log, (found, shown, _ONE_INSTANCE), Source.CLAIMED)
    return _outcome(log, (found, shown), Source.ANCHORED)


def _anchor(header: Header, genesis: Genesis, at_begin: Sequence[AnchorClaim]) -> AnchorClaim | None:
    """What shows that the genesis's beacon is what the header's terms say; None if nothing does.
    VerificationError if one that counts shows another."""
    found = [claim for claim in at_begin if _gives_it(claim, header)]
    for claim in found:
        if claim.beacon != genesis.beacon:
            assert claim.beacon is not None
            raise VerificationError(
                f"the genesis does not have the beacon that {claim.kind} gives for this header",
                record=GENESIS_RECORD,
                expected=claim.beacon.hex(),
                found=genesis.beacon.hex(),
            )
    return found[0] if found else None


def _gives_it(claim: AnchorClaim, header: Header) -> bool:
    """Whether it counts, and gives a beacon under the header's terms."""
    terms = {**claim.beacon_terms, "kind": claim.kind}
    return claim.standing is Standing.SHOWN and claim.beacon is not None and terms == dict(header.beacon)


def _why_not(header: Header, at_begin: Sequence[AnchorClaim]) -> str:
    kind = dict(header.beacon)["kind"]
    of_it = [claim for claim in at_begin if claim.kind == kind]
    if not of_it:
        return f"there is no receipt of {kind} for the register's tree that first held the header (step 4)"
    if all(claim.standing is not Standing.SHOWN for claim in of_it):
        return f"the receipt of {kind} does not count (step 4)"
    return f"the receipt of {kind} gives no beacon under the header's terms (step 4)"


def _check_weights(log: Log, genesis: Genesis, checker: ProofChecker, progress: Progress) -> None:
    count = len(log.header.blocks)
    blocks = first_blocks(log.header, log.header_digest, genesis.beacon)
    commitments = checker.commitments(zip(blocks, genesis.weight_salts, strict=True))
    try:
        for i, (made, found) in enumerate(zip(commitments, genesis.state["W"], strict=True)):
            if made != found:
                raise VerificationError(
                    f"W of block {i} is not what the beacon gives", expected=made.hex(), found=found.hex()
                )
            progress("first weights", i + 1, count)
    except VerificationError as error:
        raise error.at(0, GENESIS_RECORD) from error


def _outcome(log: Log, sentences: tuple[str, ...], source: Source) -> Outcome:
    claim = Claim(FIRST_WEIGHTS, source)
    limits = tuple(_limits(log.header, shown=source is Source.ANCHORED))
    return Outcome(Finding(Status.PASSED, sentences), claims=(claim,), limits=limits)


def _limits(header: Header, *, shown: bool) -> Iterator[str]:
    by_beacon = header.order_by == BEACON
    if not shown:
        said = "both" if by_beacon else "the weights"
        word = f"{_TRAINERS}, for all that is shown: that a beacon decided {said} is the trainer's word"
        yield word if header.weights_by == BEACON else _TRAINERS
        return
    yield _ONE_OF_MANY
    yield _UNOPENED_ORDER if by_beacon else "data order chosen by the trainer"


def ordered(outcome: Outcome, *, whole: bool) -> Outcome:
    """Step 6's outcome where step 9 computed gradients again, `whole`: all of them, in the order
    that the header or its beacon gives. That the order is the beacon's is then no word."""
    limits = tuple(limit for limit in outcome.limits if not (whole and limit == _UNOPENED_ORDER))
    return replace(outcome, limits=limits)
