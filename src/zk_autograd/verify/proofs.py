"""Step 7, Proofs: each one checked is valid for the statement that the records make, and is about
their commitments.

All of them by default, or a sample (verify.sampling). A proof's file must be there and have the
SHA-256 that its record gives; the statement, and with it every public input, is rebuilt from the
records: header digest, segment, first step, block, constants. The commitments in the proof must be
the record's, state-in, state-out and gradient.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from hashlib import sha256
from math import ceil, floor
from typing import TYPE_CHECKING

from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import Log, Segment
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.core.text import counted, listed
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, SampleTaken, Source, Status
from zk_autograd.verify.parallel import Task, in_order
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.proof_system import Commitments, ProofChecker
from zk_autograd.verify.sampling import Detection, draw, miss_probability, surely_found
from zk_autograd.verify.statement import SEGMENT_RECORD, Basis

if TYPE_CHECKING:
    from zk_autograd.verify.earlier import Earlier

MAX_PROOF = 2**23
"""Bytes of one proof. Proofs of the published EZKL circuits have about 4,000, those of the native
prover about a million."""

_SEED_BYTES = 32


def check_proofs(
    log: Log, files: Evidence, basis: Basis, policy: Policy, head: TreeHead, progress: Progress
) -> tuple[SampleTaken | None, Outcome]:
    """Step 7, and the sample if one was drawn. The segments are in order (step 6), and the
    constants have been checked (step 5)."""
    count = len(log.segments) * len(log.header.blocks)
    if basis.proofless:
        return None, _unproved(log, Status.ABSENT, basis.proofless)
    if isinstance(basis.checker, Missing):
        found = f"proofs that were not looked at (step 5): {count}"
        return None, _unproved(log, Status.SKIPPED, basis.checker.reason, found)
    if count == 0:
        return None, _unproved(log, Status.ABSENT, "no step was recorded, so none is proved")
    drawn = _drawn(count, policy, head)
    _verify(drawn.chosen, log, files, basis.checker, policy.keep_going, progress)
    trust = () if basis.trust is None else (basis.trust.limit,)
    limits = (L1_LIMIT, *trust)
    if policy.earlier is not None:
        return _continued(log, drawn, policy.earlier, limits)
    if len(drawn.chosen) == count:
        whole = "the one proof is" if count == 1 else f"all {count} proofs are"
        return None, Outcome(
            Finding(Status.PASSED, (f"{whole} valid for the statements of the records",)),
            shown=frozenset({Level.L1}),
            claims=(Claim(f"each optimizer step, {_steps(log)}", Source.PROVED), GRADIENTS),
            limits=limits,
        )
    sample = _sample(drawn, policy)
    return sample, Outcome(
        Finding(Status.PASSED, (*_sentences(sample), *_aimed(sample, policy.detection))),
        shown=frozenset({Level.L1_SAMPLED}),
        fix="verify all proofs, without a sample, or give --accept-sample if a sample is enough for you",
        missing={
            Level.L1: f"L1 was not reached: one bad proof is missed {_missed(sample)} of the time; a sample reaches L1-sampled; verify all proofs, "
            "or give --accept-sample"
        },
        claims=(
            Claim(f"the optimizer steps of {len(sample.verified)} of {count} proofs", Source.PROVED),
            Claim(f"the optimizer steps of the other {count - len(sample.verified)} proofs", Source.CLAIMED),
            GRADIENTS,
        ),
        limits=(*_sample_limits(sample, files), *limits),  # what was not looked at weighs more
    )


@dataclass(frozen=True, slots=True)
class _Draw:
    """The numbers of the proofs to be verified, of `count`, and the seed that they were drawn
    from."""

    count: int
    chosen: Sequence[int]
    seed: bytes


def _drawn(count: int, policy: Policy, head: TreeHead) -> _Draw:
    if policy.earlier is not None:
        return _Draw(count, policy.earlier.left(count, head), policy.earlier.seed)
    seed = os.urandom(_SEED_BYTES) if policy.beacon is None else policy.beacon.encode("utf-8")
    size = policy.sample_of(count)
    return _Draw(count, draw(count, size, seed, head.root, head.size) if size < count else range(count), seed)


def _verify(
    chosen: Sequence[int], log: Log, files: Evidence, checker: ProofChecker, keep_going: bool, progress: Progress
) -> None:
    """Verifies these proofs, several at a time. The error is that of the first false one, whichever
    thread was faster; with `keep_going` it names the others. One that this machine can't read or
    verify is reported after all others, so that nothing false hides behind it."""
    unread: VerificationError | None = None
    false: list[VerificationError] = []
    tasks = _tasks(chosen, log, files, checker)
    for done, (segment, error) in enumerate(in_order(tasks)):
        if isinstance(error, UnreadableError):
            unread = unread or error.at(0, SEGMENT_RECORD + segment)
        elif error is not None:
            false.append(error.at(0, SEGMENT_RECORD + segment))
            if not keep_going:
                break
        progress("proofs", done + 1, len(chosen))
    if len(false) > 1:
        others = [str(error.record) for error in false[1:]]
        first = false[0]
        raise VerificationError(
            f"{first.message}; {counted(len(false) - 1, 'other proof')} failed, too, of the records {listed(others, 20)}",
            record=first.record,
            expected=first.expected,
            found=first.found,
        ) from first
    if false:
        raise false[0]
    if unread is not None:
        raise unread


def _tasks(chosen: Sequence[int], log: Log, files: Evidence, checker: ProofChecker) -> Iterator[Task]:
    """For each proof its segment, and what verifies it. Its file is read before the next task is
    asked for, by whoever asks: readers aren't made for several threads."""
    builder = StatementBuilder(log.header, log.header_digest)
    statements: list[Statement] = []
    segment: Segment | None = None
    blocks = len(log.header.blocks)
    for number in chosen:
        place, block = divmod(number, blocks)
        if segment is None or segment.index != place:  # unpacked once, not for each of its blocks
            segment = log.segments[place]
            statements = builder.of_segment(segment)
        try:
            proof = _read(segment, block, files)
        except VerificationError as error:
            yield segment.index, partial(_refused, error)
        else:
            yield segment.index, partial(_check, segment, block, statements[block], proof, checker)


def _refused(error: VerificationError) -> None:
    raise error


def _continued(log: Log, drawn: _Draw, earlier: "Earlier", limits: tuple[str, ...]) -> tuple[SampleTaken, Outcome]:
    """All proofs, of which an earlier report verified some."""
    before, now = len(earlier.verified), len(drawn.chosen)
    word = f"that {before} of the {drawn.count} proofs are valid is the word of the report that was continued, SHA-256 {earlier.digest.hex()}"
    sample = SampleTaken(
        proofs=drawn.count,
        verified=tuple(drawn.chosen),
        seed=drawn.seed,
        beacon=False,
        miss_one="0/1",
        surely_found=1,
        earlier=tuple(sorted(earlier.verified)),
        report=earlier.digest,
    )
    return sample, Outcome(
        Finding(
            Status.PASSED,
            (f"the {now} of {drawn.count} proofs that were left are valid for the statements of the records", word),
        ),
        shown=frozenset({Level.L1}),
        claims=(
            Claim(f"the optimizer steps of {now} of {drawn.count} proofs, {_steps(log)}", Source.PROVED),
            Claim(f"the optimizer steps of the other {before}, if your earlier report is right", Source.PROVED),
            GRADIENTS,
        ),
        limits=(word, *limits),  # the brief report has room for one
    )


GRADIENTS = Claim("the gradients", Source.CLAIMED)
L1_LIMIT = (
    "L1 does not say where a gradient came from: almost any next state can be reached with some gradient. The data, the model's code and "
    "the loss are the trainer's word"
)


def attested(outcome: Outcome) -> Outcome:
    """The step's outcome where step 8 shows which code computed the gradients: that they are the
    trainer's word is no longer so."""
    return replace(
        outcome,
        claims=tuple(claim for claim in outcome.claims if claim != GRADIENTS),
        limits=tuple(limit for limit in outcome.limits if limit != L1_LIMIT),
    )


def _unproved(log: Log, status: Status, why: str, found: str = "") -> Outcome:
    return Outcome(
        Finding(status, (found or why,)),
        missing={Level.L1: f"L1 was not reached: {why}"},
        claims=(Claim(f"each optimizer step, {_steps(log)}", Source.CLAIMED), GRADIENTS) if log.segments else (),
        fix="" if found else "ask for a run whose steps are proved; of this one, --require L0 is all that can be shown",
        limits=(
            "that the records tell what was computed: no step of the rule is shown, and each state and gradient is the trainer's word",
        ),
    )


def _steps(log: Log) -> str:
    return f"1..{log.segments[-1].last}"


def _sample_limits(sample: SampleTaken, files: Evidence) -> Iterator[str]:
    yield (
        f"{sample.proofs - len(sample.verified)} proofs were not looked at: a bad one among them is missed {_missed(sample)} of the time, and one "
        "can replace the model; a sample reaches L1-sampled, never L1"
    )
    if sample.beacon:
        yield "nothing shows that the trainer did not know the beacon when the log was made: no anchor's time is held against it"
    if files.served:
        yield (
            "the server saw which proofs were asked for: if it failed to give one in an earlier try with another sample, that one may have "
            "been bad; a sample means something only if none was drawn again"
        )


def _read(segment: Segment, block: int, files: Evidence) -> bytes:
    proof = files.proof(segment.index, block, MAX_PROOF)
    found = sha256(proof).digest()
    if found != segment.proofs[block]:
        raise VerificationError(
            f"proof {segment.index}-{block} does not match the record's hash",
            expected=segment.proofs[block].hex(),
            found=found.hex(),
        )
    return proof


def _check(segment: Segment, block: int, statement: Statement, proof: bytes, checker: ProofChecker) -> None:
    what = f"proof {segment.index}-{block}"
    try:
        shown = checker.verify(statement, proof)
    except VerificationError as error:
        raise type(error)(f"{what}: {error.message}", expected=error.expected, found=error.found) from error
    _compare(what, segment, block, shown)


def _compare(what: str, segment: Segment, block: int, shown: Commitments) -> None:
    pairs = [("gradient", segment.gradients[block], shown.gradient)]
    pairs += [
        (f"{name} before the segment", blocks[block], shown.state_in[name]) for name, blocks in segment.state_in.items()
    ]
    pairs += [
        (f"{name} after the segment", blocks[block], shown.state_out[name])
        for name, blocks in segment.state_out.items()
    ]
    for name, expected, found in pairs:
        if found != expected:
            raise VerificationError(
                f"{what} commits to another {name} than its record", expected=expected.hex(), found=found.hex()
            )


def _sample(drawn: _Draw, policy: Policy) -> SampleTaken:
    missed = miss_probability(drawn.count, len(drawn.chosen), 1)
    return SampleTaken(
        proofs=drawn.count,
        verified=tuple(drawn.chosen),
        seed=drawn.seed,
        beacon=policy.beacon is not None,
        miss_one=f"{missed.numerator}/{missed.denominator}",
        surely_found=surely_found(drawn.count, len(drawn.chosen)),
    )


def _aimed(sample: SampleTaken, detection: Detection | None) -> Iterator[str]:
    """What the sample was chosen to find."""
    if detection is not None:
        bad = detection.count(sample.proofs)
        found = 1 - miss_probability(sample.proofs, len(sample.verified), min(bad, sample.proofs - 2))
        asked = decimal_text(100 * detection.target)
        places = max(1, len(asked.partition(".")[2]))
        yield (
            f"if {counted(bad, 'proof')} or more are bad, at least one is found with a probability of {_percent(found, places)} %, "
            f"where {asked} % was asked for"
        )


def _percent(share: Fraction, places: int = 1) -> str:
    """A probability in percent, rounded down: what is not certain is never 100."""
    whole, rest = divmod(floor(share * 100 * 10**places), 10**places)
    return f"{whole}.{rest:0{places}d}"


def _missed(sample: SampleTaken) -> str:
    """How often the sample misses one bad proof, in percent, rounded up: what can happen is never
    0."""
    tenths = ceil(Fraction(sample.miss_one) * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def _sentences(sample: SampleTaken) -> tuple[str, ...]:
    if sample.surely_found is None:
        found = "bad proofs in between are never found"
    else:
        found = f"if {sample.surely_found} or more are bad, at least one is found with a probability of at least 99 %"
    drawn = "the beacon that was given" if sample.beacon else f"this verifier's randomness, {sample.seed.hex()}"
    return (
        f"{len(sample.verified)} of {sample.proofs} proofs, first and last included, are valid for the statements of the records",
        f"one bad proof elsewhere is missed with probability {sample.miss_one} ({_missed(sample)}), and one can replace the model; {found}",
        f"the sample was drawn from {drawn}",
    )
