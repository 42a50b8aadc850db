"""Step 9, replay: every gradient of the opened segments computed again, and every step taken again.

It takes the data, and what the trainer opened for this auditor (evidence.openings). First the data:
with the opened secrets they must be what the header commits to (public ones are a file of the run).
Then each opened segment, one in memory at a time: the state before and the gradients must open the
record's commitments (verify.opened); at each step, the pass of the declared graph (core.graph), at
the weights there, on the batch that the order names, must give the opened gradient to the bit; the
rule must lead to the state after, which is committed to as well.

L3 is shown if that is every segment, and L1 was. L3-sampled is shown if the auditor drew segments
from this log's root (verify.challenge), and all of those are among the opened ones. Segments that
the trainer chose show themselves alone: no level.

Who made a file of openings isn't shown by it. So what doesn't open a commitment fails here and says
no more than that; a gradient that does, and isn't the graph's, is the trainer's.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.errors import RangeError, UsageError, VerificationError
from zk_autograd.core.graph import Graph, Pass
from zk_autograd.core.order import Order
from zk_autograd.core.progress import Progress, silent
from zk_autograd.core.records import PUBLIC, Header, Log
from zk_autograd.core.text import quoted
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.openings import OpenedSegment, Openings
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.exact_data import Described, require_of
from zk_autograd.verify.log import LogView
from zk_autograd.verify.opened import OpenedSteps
from zk_autograd.verify.outcome import Level, Outcome
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.proof_system import DataChecker, ProofChecker
from zk_autograd.verify.replayed import Replayed, not_replayed, outcome
from zk_autograd.verify.statement import SEGMENT_RECORD, Basis

Cells: TypeAlias = NDArray[np.int32]
DATA_GIVEN = "the data that were given"

GiveData: TypeAlias = Callable[[Graph, DataSecrets | None], Cells]
"""The cells of the auditor's data, int32 (examples, stride): of a file of cells as they are, of a
table as the secrets say how. UsageError for data that can't be read as such."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What an auditor has beside the run. `opened` gives the openings in clear, for the header's
    digest: UsageError for those of another run (vault.openings.opened). `data` gives the cells,
    None where the run's are public; `challenge` is the auditor's own, None for whatever the trainer
    chose."""

    opened: Callable[[bytes], BinaryIO] = field(repr=False)
    data: GiveData | None = field(default=None, repr=False)
    challenge: Challenge | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A replay of one view: its openings, in clear."""

    replay: Replay
    file: BinaryIO = field(repr=False)


def begin(view: LogView, replay: Replay, *, allow_beacon: bool) -> Begun:
    """Refuses, before any proof is looked at, what the auditor gave for another run or view, and
    segments that were drawn from a beacon where the policy doesn't allow one. UsageError."""
    header = view.log.header
    if header.exact is None:
        raise UsageError(
            "the gradients of this run are not exact: they came from floats, which nobody can compute again bit for bit; leave out --data and "
            "--openings (zk-run replay compares floats)"
        )
    _require_challenge(replay.challenge, view.head, len(view.log.segments), allow_beacon)
    if header.exact.visibility != PUBLIC and replay.data is None:
        raise UsageError("the data of this run are private: name yours with --data")
    file = replay.opened(view.log.header_digest)
    with suppress(VerificationError):  # what is false in them is step 9's to say
        _require_head(Openings(file, view.log), view.head)
    file.seek(0)
    return Begun(replay, file)


def check_replay(
    view: LogView, described: Described, basis: Basis, proved: frozenset[Level], begun: Begun, progress: Progress
) -> tuple[Replayed | None, Outcome]:
    """The step's outcome, and what was computed again. UsageError for data that can't be read."""
    log, replay = view.log, begun.replay
    if isinstance(basis.checker, Missing):
        return None, not_replayed(described, basis.checker.reason)
    openings = Openings(begun.file, log)
    cells = _cells(log.header, described, openings.index.data, replay.data, basis.checker, progress)
    assert described.order is not None  # a view with segments has a genesis (step 6)
    recompute = Recomputation(log, described.graph, described.order, cells, basis.checker)
    count = len(openings.index.segments)
    for done, opened in enumerate(openings.segments()):
        recompute.segment(opened)
        progress("replay", done + 1, count)
    replayed = Replayed.of(log, openings.index.segments, replay.challenge)
    return replayed, outcome(described, replayed, log, proved)


class Recomputation:
    """Computes the gradients of one run's opened segments again, and takes the steps."""

    def __init__(self, log: Log, graph: Graph, order: Order, cells: Cells, checker: ProofChecker) -> None:
        """`cells` are the committed data, (examples, stride), `order` is theirs; `checker` makes
        the commitments of the run's backend."""
        self._log, self._order, self._cells = log, order, cells
        self._steps = OpenedSteps(log, checker)
        self._pass = Pass(graph, [quoted(p.name) for p in log.header.parameters])

    def segment(self, opened: OpenedSegment, progress: Progress = silent) -> None:
        """Holds a segment against its record, the graph and the data; `progress` counts its steps.
        Ask in the segments' order. VerificationError: the first element that differs, if it is a
        gradient's."""
        record = self._log.segments[opened.secrets.index]
        for one in self._steps.of(opened):
            try:
                self._require_gradient(one.number, one.weights, one.gradients)
            except VerificationError as error:
                raise error.at(0, SEGMENT_RECORD + record.index) from error
            progress("steps", one.number - record.first + 1, record.last - record.first + 1)

    def _require_gradient(self, step: int, weights: NDArray[np.int64], opened: NDArray[np.int32]) -> None:
        header = self._log.header
        assert header.exact is not None
        size, log_batch = header.data.batch_size, header.exact.log_batch
        rows = self._order.batch(step)
        if size < 2**log_batch:  # the dead examples are example 0
            rows = np.append(rows, 0)
        try:
            G = self._pass.step(weights, self._cells[rows], size, log_batch, header.grad_scale).G
        except RangeError as error:
            raise VerificationError(f"step {step} has no exact gradient: {error}") from error
        if np.array_equal(G, opened):
            return
        at = int(np.flatnonzero(opened != G)[0])
        parameter = next(p for p in header.parameters if p.offset <= at < p.offset + p.size)
        raise VerificationError(
            f"the gradient of step {step} is not what the graph gives on the data: {quoted(parameter.name)}, element {at - parameter.offset}",
            expected=str(int(G[at])),
            found=str(int(opened[at])),
        )


def _cells(
    header: Header,
    described: Described,
    secrets: DataSecrets | None,
    give: GiveData | None,
    checker: ProofChecker,
    progress: Progress,
) -> Cells:
    """The data, which were found to be those of the header. VerificationError for others."""
    if described.cells is not None and give is None:
        return described.cells
    assert give is not None
    cells = give(described.graph, secrets)
    if described.cells is not None:
        if not np.array_equal(cells, described.cells):
            raise VerificationError(f"{DATA_GIVEN} are not the run's own data/cells")
        return cells
    require_of(header, described.graph, cells, DATA_GIVEN)
    if secrets is None:
        raise VerificationError("the openings don't have what opens the commitment to the data")
    _require_committed(header, cells, secrets.salts, checker, progress)
    return cells


def _require_committed(
    header: Header, cells: Cells, salts: tuple[bytes, ...], checker: ProofChecker, progress: Progress
) -> None:
    exact = header.exact
    assert exact is not None
    wanted, shards = exact.shards or (header.data.root,), header.shards
    if len(salts) != len(wanted):
        raise VerificationError(
            "the openings have another number of secrets of the data than the header commitments",
            expected=str(len(wanted)),
            found=str(len(salts)),
        )
    for shard, (commitment, salt) in enumerate(zip(wanted, salts, strict=True)):
        if exact.shards:
            assert isinstance(checker, DataChecker)  # backends whose headers have shards do
            found = checker.commit_data(shards.padded(cells, shard), salt)
        else:
            found = cells_format.tree_root(cells, salt)
        if found != commitment:
            which = f"shard {shard} of {DATA_GIVEN} is" if len(wanted) > 1 else f"{DATA_GIVEN} are"
            raise VerificationError(
                f"{which} not what the header commits to, with the secrets that were opened",
                record=0,
                expected=commitment.hex(),
                found=found.hex(),
            )
        progress("data", shard + 1, len(wanted))


def _require_challenge(challenge: Challenge | None, head: TreeHead, segments: int, allow_beacon: bool) -> None:
    """UsageError for one that isn't about this view, or that the policy doesn't allow."""
    if challenge is None:
        return
    if challenge.beacon and not allow_beacon:
        raise UsageError(
            "the challenge was drawn from a beacon, which would loosen the policy's sample.beacon: draw from this verifier's randomness"
        )
    if challenge.head != head:
        raise UsageError(
            f"the challenge was drawn for the root {challenge.head}, and this is {head}: judge that one with {challenge.head} --from RUN"
        )
    if challenge.count != segments:
        raise UsageError(f"the challenge was drawn among {challenge.count} segments, and this log has {segments}")


def _require_head(openings: Openings, head: TreeHead) -> None:
    found = TreeHead(openings.index.root, openings.index.size)
    if found != head:
        raise UsageError(
            f"the openings were made for the root {found}, and this is {head}: judge that one with {found} --from RUN, or ask for "
            "openings of this one"
        )
