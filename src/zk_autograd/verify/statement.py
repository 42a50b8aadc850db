"""Step 5, Statement: what the proofs of this run must show, from the verifier's own code and the
records alone.

* The rule is one that the backend proves, and every constant of every step is recomputed from the
  header's decimals and its schedule (or the recorded learning rates) by core.constants and
  core.schedules; one that leaves its range is refused, as is one that the circuit would not see.
* The circuit is the verifier's *own*, found by its name: its digest, shape and version must match
  the header.
* The SRS, where the backend has one, is one that the policy allows by digest. Whoever made it can
  forge, so without an allowed one the proofs show nothing, and neither do commitments under it. A
  backend without an SRS says how many bits of security its proofs have.

Nothing is computed for a step that the log doesn't hold: segments are taken as long as their steps
are consecutive (step 6 refuses the others), and each holds at most the steps of the verifier's own
circuit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.progress import Progress
from zk_autograd.core.records import Header, Log
from zk_autograd.core.schedules import CONSTANT
from zk_autograd.core.segments import Segments
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.core.text import counted, quoted
from zk_autograd.core.trust import Missing, Trust
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status
from zk_autograd.verify.proof_system import Circuit, ProofChecker, ProofSystem

SEGMENT_RECORD = 2
"""Index of the first segment's record: the header and the genesis come before it."""

MAX_CONSTANTS = 2**25
"""Steps, times the groups that differ in them, whose constants are recomputed: some three minutes,
5 us each. A step takes no byte of the log, so the log's size doesn't bound them."""

_GROUPS_SHOWN = 20
"""Those with the most parameters: a stranger can't hide one behind twenty small ones."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What steps 6, 7 and 10 rest on: a checker of commitments and proofs, or why there is none;
    and what its proofs rest on.

    `proofless` says why the run's backend has no proofs, "" if it has.
    """

    checker: ProofChecker | Missing
    trust: Trust | None = None
    proofless: str = ""


def check_statement(
    log: Log, systems: Mapping[str, ProofSystem], allowed: frozenset[bytes], progress: Progress
) -> tuple[Basis, Outcome]:
    """Step 5. `systems` are the verifier's backends by name, `allowed` the policy's SRS digests."""
    prover = log.header.prover
    system = systems.get(prover.backend)
    if system is None:
        raise VerificationError(
            "the backend is not known", record=0, expected=", ".join(sorted(systems)), found=prover.backend
        )
    sentences: list[str] = []
    basis = _own(log.header, system, allowed, sentences)
    steps = _recompute(log, system, progress)
    rule = f"rule {log.header.rule.value}: the constants of steps 1..{steps} recomputed"
    sentences[:0] = [rule, *_schedule(log.header), *_hyper(log.header)]
    status = Status.PASSED
    if isinstance(basis.checker, Missing):
        status = Status.NOT_SHOWN
        sentences.append(basis.checker.reason)
    spread = rates(log)
    if spread is None:
        return basis, Outcome(Finding(status, tuple(sentences)))
    limit = f"the learning rates ({spread}) were recorded as the run went: the schedule was the trainer's choice"
    claim = Claim("the schedule of the learning rates", Source.CLAIMED)
    return basis, Outcome(Finding(status, tuple(sentences)), claims=(claim,), limits=(limit,))


def in_order(segments: Segments) -> Iterator[tuple[int, int, int]]:
    """Number, first and last step of each segment, up to the first that isn't consecutive."""
    step = 1
    for number, (_, first, last) in enumerate(segments.places()):
        if first != step:
            return
        yield number, first, last
        step = last + 1


def _own(header: Header, system: ProofSystem, allowed: frozenset[bytes], sentences: list[str]) -> Basis:
    """The checker of the verifier's own circuit, if it is the run's and its trust is allowed."""
    prover = header.prover
    try:
        own = system.circuit(prover)
    except VerificationError as error:
        raise error.at(0, 0) from error
    if isinstance(own, Missing):
        return Basis(own)
    _require_circuit(header, own, system)
    if own.digest:
        sentences.append(f"circuit {prover.circuit} is this verifier's own, digest {prover.circuit_digest.hex()}")
    trust = system.trust(prover, allowed)
    if isinstance(trust, Missing):
        return Basis(trust)
    if trust is not None:
        sentences.append(trust.finding)
    return Basis(system.checker(prover), trust, system.proofless)


def _require_circuit(header: Header, own: Circuit, system: ProofSystem) -> None:
    prover = header.prover
    for what, expected, found in (
        ("rule", header.rule.value if system.proofless else own.rule, header.rule.value),
        ("digest", own.digest.hex(), prover.circuit_digest.hex()),
        ("block", str(own.block), str(prover.block)),
        ("steps", str(own.steps), str(prover.steps)),
        ("version", system.version, prover.version),
    ):
        if found != expected:
            raise VerificationError(
                f"the run's circuit {prover.circuit} is not this verifier's own: its {what} differs",
                record=0,
                expected=expected,
                found=quoted(found) if what == "version" else found,
            )


def _recompute(log: Log, system: ProofSystem, progress: Progress) -> int:
    """The number of steps whose constants were computed."""
    builder = StatementBuilder(log.header, log.header_digest)
    steps = work = 0
    recorded, prover = log.header.declared is None, log.header.prover
    for number, first, last in in_order(log.segments):
        lr = log.segments.lr(number) if recorded else ()
        groups = builder.different(lr)
        work += (last - first + 1) * len(groups)
        if work > MAX_CONSTANTS:
            raise VerificationError(
                "the run has too many constants to recompute: steps, times groups that differ in hyper-parameters or recorded lr",
                record=SEGMENT_RECORD + number,
                expected=f"at most {MAX_CONSTANTS}",
                found=f"{work} up to step {last}",
            )
        try:
            for group in groups:
                for step in builder.constants(group, first, last, lr)[: last - first + 1]:
                    system.check_constants(prover, step)
        except VerificationError as error:
            raise error.at(0, SEGMENT_RECORD + number) from error
        steps = last
        progress("constants", number + 1, len(log.segments))
    return steps


def _schedule(header: Header) -> list[str]:
    """Where the learning rates come from, unless it is the groups' own lr at every step."""
    declared = header.declared
    if declared == CONSTANT:
        return []
    if declared is None:
        return ["lr of each step and group as recorded: the schedule was the trainer's choice"]
    return [f"lr of each step recomputed from each group's lr by the schedule {declared.text}: {declared.words}"]


def _hyper(header: Header) -> list[str]:
    """The hyper-parameters in force, which are the header's rounded to the rule's integers."""
    lines = []
    sizes = [0] * len(header.groups)
    for parameter in header.parameters:
        sizes[parameter.group] += parameter.size
    largest = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    for index in sorted(largest[:_GROUPS_SHOWN]):
        group = header.groups[index]
        given = ", ".join(f"{name} {text}" for name, text in group.hyper)
        sequence = header.sequence(index)
        effective = {name: decimal_text(value) for name, value in sequence.effective().items()}
        first = effective.pop("eps_at_step_1", None)
        in_force = ", ".join(f"{name} {text}" for name, text in effective.items())
        if first is not None:
            in_force += f", and {first} at step 1, where its floor weighs more"
        if (coarse := sequence.coarse()) is not None:
            in_force += f" ({coarse.effect})"
        lines.append(f"group {index} ({counted(sizes[index], 'parameter')}): {given}; in force: {in_force}")
    if rest := largest[_GROUPS_SHOWN:]:
        lr = sorted(
            (dict(header.groups[index].hyper)["lr"] for index in rest), key=lambda text: parse_decimal(text, "lr")
        )
        lines.append(
            f"and {counted(len(rest), 'more group')} ({counted(sum(sizes[index] for index in rest), 'parameter')}): lr {lr[0]} to {lr[-1]}"
        )
    return lines


def rates(log: Log) -> str | None:
    """The range of the learning rates that a recorded schedule used, as decimals; None if the
    header declares one."""
    if log.header.declared is not None:
        return None
    lowest: tuple[Fraction, str] | None = None
    highest: tuple[Fraction, str] | None = None
    for number in range(len(log.segments)):
        for text in chain.from_iterable(log.segments.lr(number)):
            found = parse_decimal(text, "lr"), text
            lowest, highest = min(lowest or found, found), max(highest or found, found)
    return None if lowest is None or highest is None else f"{lowest[1]} to {highest[1]}"
