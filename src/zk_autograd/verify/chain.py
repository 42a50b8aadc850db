"""Step 6, Chain: the records fit together, from the first state to the last.

* Segments are numbered 0, 1, 2 ... and hold the steps 1 .. T without gap, overlap or repeat.
* The genesis commits to zeros in every state but W: those commitments are recomputed from the
  published salts. That is work for each block, so two things are checked first: no salt occurs
  twice (or a trainer who made one commitment could have it recomputed a thousand times), and every
  block is full but the last of a group (or so could one with a thousand parameters, in blocks of a
  million).
* The first W is the beacon's where the header says so: verify.beginning. Its salts are among those
  of which none occurs twice.
* Each state-in is the state-out before it, for each state and block; the first one is the genesis.
* The close record, where there is one, has the same last step, number of segments and final state.
  Without it the run is *unfinished*: nothing says that its trainer stopped there.

A segment may hold fewer steps than the circuit anywhere in the run, not only at its end (as in a
resumed run, or one that publishes often): the rest of the circuit is no-ops, whose constants are in
the statement and whose effect is proved, and where the segment begins and ends is in the statement
too. How many steps each segment holds is therefore public, and can't be misstated.

Step 1 checks that a record has a commitment, a proof hash and gradients for each block
(core.record_bytes).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from zk_autograd.core.anchors import AnchorClaim
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.progress import Progress
from zk_autograd.core.recomputable import require_recomputable
from zk_autograd.core.records import Genesis, Header, Log, StateCommitments
from zk_autograd.core.text import listed, quoted
from zk_autograd.core.trust import Missing
from zk_autograd.verify.beginning import GENESIS_RECORD, check_beginning
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status, combined
from zk_autograd.verify.statement import SEGMENT_RECORD, Basis

_NAMES_SHOWN = 10


def check_chain(log: Log, at_begin: Sequence[AnchorClaim], basis: Basis, progress: Progress) -> Outcome:
    """Step 6. `at_begin` is for verify.beginning."""
    chain = Outcome(_chain(log, basis, progress), claims=tuple(_claims(log)), limits=tuple(_limits(log)))
    beginning = check_beginning(log, at_begin, basis, progress)
    return combined(chain.finding.status, beginning, chain)


def _chain(log: Log, basis: Basis, progress: Progress) -> Finding:
    header, genesis = log.header, log.genesis
    if genesis is None:
        return Finding(Status.PASSED, ("the log holds a header and nothing else: the run has not begun",))
    _check_blocks(header)
    _check_salts(header, genesis)
    steps = _check_segments(log, genesis.state)
    last_state = log.segments[-1].state_out if log.segments else genesis.state
    sentences = [
        f"steps 1..{steps} without a gap (segments: {len(log.segments)}), every state-out the next state-in (blocks: {len(header.blocks)})"
        if log.segments
        else "no segment: no step was recorded"
    ]
    short = sum(last - first + 1 < header.prover.steps for _, first, last in log.segments.places())
    if short:
        sentences.append(f"segments with fewer than {header.prover.steps} steps, padded with no-ops: {short}")
    if log.close is None:
        sentences.append("no close record: the run is unfinished")
    else:
        _check_close(log, last_state, SEGMENT_RECORD + len(log.segments))
        sentences.append("the close record agrees: last step, number of segments, final state")
    if isinstance(basis.checker, Missing):
        sentences.append(
            "whether the first state is zero except for W was not checked: its commitments can't be recomputed (step 5)"
        )
        return Finding(Status.NOT_SHOWN, tuple(sentences))
    if header.states[1:]:
        _check_zero(header, genesis, basis, progress)
        sentences.append(f"{' and '.join(header.states[1:])} are zero at the start: their commitments were recomputed")
    return Finding(Status.PASSED, tuple(sentences))


def _check_segments(log: Log, genesis: StateCommitments) -> int:
    """The last step."""
    step = 0
    for number, (index, first, last) in enumerate(log.segments.places()):
        record = SEGMENT_RECORD + number
        if index != number:
            raise VerificationError(
                "a segment is out of place", record=record, expected=f"segment {number}", found=str(index)
            )
        if first != step + 1:
            raise VerificationError(
                "steps are not consecutive", record=record, expected=f"step {step + 1}", found=f"step {first}"
            )
        if not log.segments.follows(number):
            state, source = genesis, "the genesis"
            if number:
                state, source = log.segments[number - 1].state_out, f"the state-out of segment {number - 1}"
            what = f"the state-in of segment {number} is not {source}"
            _compare(what, state, log.segments[number].state_in, record)
        step = last
    return step


def _check_close(log: Log, state: StateCommitments, record: int) -> None:
    close = log.close
    assert close is not None
    last = log.segments[-1].last if log.segments else 0
    for what, expected, found in (
        ("last step", last, close.last_step),
        ("number of segments", len(log.segments), close.segments),
    ):
        if found != expected:
            raise VerificationError(
                f"the close record has the wrong {what}", record=record, expected=str(expected), found=str(found)
            )
    _compare("the final state of the close record is not the last state of the chain", state, close.state, record)


def _check_blocks(header: Header) -> None:
    block = header.prover.block
    require_recomputable(header, record=0)
    for i, (one, after) in enumerate(pairwise(header.blocks)):
        if one.size < block and one.group == after.group:
            raise VerificationError(
                f"block {i} is neither full nor the last of its group",
                record=0,
                expected=f"{block} elements",
                found=str(one.size),
            )


def _check_salts(header: Header, genesis: Genesis) -> None:
    seen: dict[bytes, str] = {}
    for name in header.states:
        for i, salt in enumerate(genesis.zero_salts.get(name, genesis.weight_salts)):
            place = f"{name} of block {i}"
            if salt in seen:
                raise VerificationError(
                    f"{place} has the salt of {seen[salt]}: a trainer draws a fresh one each time",
                    record=GENESIS_RECORD,
                    expected="distinct salts",
                    found=salt[:32].hex(),
                )
            seen[salt] = place


def _check_zero(header: Header, genesis: Genesis, basis: Basis, progress: Progress) -> None:
    names, block, count = header.states[1:], header.prover.block, len(header.blocks)
    assert not isinstance(basis.checker, Missing)
    zeros = np.zeros(block, dtype=np.int64)

    def messages() -> Iterator[tuple[IntArray, bytes]]:
        return ((zeros, salt) for name in names for salt in genesis.zero_salts[name])

    places = [(name, i) for name in names for i in range(count)]
    try:
        for done, ((name, i), found) in enumerate(zip(places, basis.checker.commitments(messages()), strict=True)):
            if found != genesis.state[name][i]:
                raise VerificationError(
                    f"{name} of block {i} is not zero at the start",
                    expected=found.hex(),
                    found=genesis.state[name][i].hex(),
                )
            progress("first state", done + 1, len(places))
    except VerificationError as error:
        raise error.at(0, GENESIS_RECORD) from error


def _compare(what: str, expected: StateCommitments, found: StateCommitments, record: int) -> None:
    for name, blocks in expected.items():
        for i, (one, other) in enumerate(zip(blocks, found[name], strict=True)):
            if one != other:
                raise VerificationError(
                    f"{what}: {name} of block {i}", record=record, expected=one.hex(), found=other.hex()
                )


def _claims(log: Log) -> Iterator[Claim]:
    said = Source.CLAIMED if log.segments.claims else Source.ABSENT
    yield Claim("loss, metrics and saturation counts", said)


def _limits(log: Log) -> Iterator[str]:
    if log.segments.claims:
        yield "loss, metrics and saturation counts are claimed, not shown"
    for kind, what in (("buffer", "buffers"), ("frozen", "frozen parameters")):
        names = [quoted(u.name) for u in log.header.unproved if u.kind == kind]
        if names:
            yield f"{what} that no proof covers and no published file holds: {listed(names, _NAMES_SHOWN)}"
    if log.close is None:
        yield "unfinished run: no close record, so nothing says that the trainer stopped here"
