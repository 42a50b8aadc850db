"""Proofs made by workers: several tasks in flight, in the order in which they are needed, and what
comes back verified before anything of it is written.

No worker is believed. An answer counts only if it is a proof that verifies for the statement, and
if its commitments are those of the journal's own states, gradients and salts: a valid proof of
something else would put a foreign step into the record. (Only of this user's own processes the
gradients' commitment is taken as it is, as of a proof that is made in this one: making it costs a
tenth of the proof.) Whatever else comes back, or nothing, is
counted, and the task goes out again, MAX_TRIES times in all; then it is poisoned, and the run stops
where that proof is needed.

A proof is asked for once at a time. Where it has to be asked for again, the first right one is
taken, and the other one forgotten: of a block only one becomes known.
"""

import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from zk_autograd.core.errors import ProverError, UnreadableError, VerificationError
from zk_autograd.core.records import Header
from zk_autograd.core.statement import Statement
from zk_autograd.core.text import printable
from zk_autograd.prove.executors.protocol import Place, Workers
from zk_autograd.prove.executors.task import MAX_SENTENCE, proof_of, task_of
from zk_autograd.prove.protocol import BlockProof, BlockWitness, Committing
from zk_autograd.run.events import Listener, ProofFailed, ProofStarted
from zk_autograd.run.sealed import SealedSegments

MAX_TRIES = 3
"""How often a proof is attempted before the prover's failure is reported."""

STOPPED = "proving was stopped; resume the run to continue"

PATIENCE = 3600.0
"""Seconds until a task that brought no answer goes out again."""

QUEUED = 2
"""Tasks in flight for each slot: the next one is there when a proof is done."""
KEPT = 4
"""Tasks in flight and proofs that wait for those before them, for each slot."""

MAX_NAME = 100

_LOOK_AFTER = 0.2  # seconds
_PAUSE = 1.0
"""Seconds before a task goes out again that no worker took."""

Key = tuple[int, int]
"""Segment and block."""


@dataclass(frozen=True, slots=True)
class Commitments:
    """Those of a block of a segment, made here of what the journal has."""

    state_in: Mapping[str, bytes]
    state_out: Mapping[str, bytes]
    gradient: bytes | None


@dataclass(slots=True, eq=False)
class Flight:
    """A task that is on its way, and what its proof has to be about, once that is computed."""

    key: Key
    statement: Statement
    witness: BlockWitness
    attempt: int
    began: float
    wanted: Commitments | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A proof that was verified and staged; `worker` made it in `seconds`."""

    proof: BlockProof
    seconds: float
    worker: str


class Coordinator:
    """Has a run's proofs made. Used by the proving thread, but for `stop`."""

    def __init__(
        self,
        workers: Workers,
        backend: Committing,
        header: Header,
        digest: bytes,
        sealed: SealedSegments,
        newest: Callable[[], int],
        left: Callable[[int, int], bool],
        stage: Callable[[int, int, bytes], None],
        emit: Listener,
        stopped: Callable[[], bool],
    ) -> None:
        """`newest()` is the newest sealed segment, `left` whether an interrupted run left a proof
        of a block, which is looked at when it is its turn; `stage` keeps a proof that is right."""
        self._workers = workers
        self._backend = backend
        self._header = header
        self._digest = digest
        self._sealed = sealed
        self._newest = newest
        self._left = left
        self._stage = stage
        self._emit = emit
        self._stopped = stopped
        self._flights: dict[Future[Any], Flight] = {}
        self._ready: dict[Key, Made] = {}
        self._poisoned: dict[Key, ProverError] = {}
        self._attempts: dict[Key, int] = {}
        self._ends: dict[Key, Mapping[str, bytes]] = {}
        self._answers: queue.SimpleQueue[tuple[Future[Any], float]] = queue.SimpleQueue()

    @property
    def slots(self) -> int:
        """As `Workers.slots`."""
        return self._workers.slots

    def begun(self, segment: int, block: int) -> bool:
        """Whether this proof was asked for, and nothing was left of it then."""
        return (segment, block) in self._busy

    def made(self, segment: int, block: int) -> Made:
        """The proof of a block, when it is there; what comes after it is asked for meanwhile.
        ProverError if it is poisoned, or the work was abandoned."""
        key = (segment, block)
        while True:
            self._require_going()
            self._fill(key)
            if key in self._poisoned:
                raise self._poisoned[key]
            if key in self._ready:
                self._attempts.pop(key, None)
                self._ends.pop((segment - 1, block), None)
                return self._ready.pop(key)
            self._wait()

    def stop(self) -> None:
        """Ends what the workers do. From any thread."""
        self._workers.stop()

    @property
    def _busy(self) -> set[Key]:
        return {flight.key for flight in self._flights.values()} | set(self._ready) | set(self._poisoned)

    def _require_going(self) -> None:
        if self._stopped():
            raise ProverError(STOPPED)

    def _fill(self, first: Key) -> None:
        """Sends tasks out, `first` and those after it, as far as the workers take them."""
        busy = self._busy
        for key in self._from(first):
            waits = (
                len(self._flights) >= QUEUED * self.slots or len(self._flights) + len(self._ready) >= KEPT * self.slots
            )
            if waits and (key != first or key in busy):
                return
            if key not in busy and (key == first or not self._left(*key)):
                self._send(key, quiet=key == first)

    def _from(self, first: Key) -> Iterator[Key]:
        segment, block = first
        blocks = len(self._header.blocks)
        yield from ((segment, b) for b in range(block, blocks))
        yield from ((s, b) for s in range(segment + 1, self._newest() + 1) for b in range(blocks))

    def _send(self, key: Key, *, quiet: bool = False) -> None:
        self._require_going()
        segment, block = key
        statement = self._sealed.segment(segment).statements[block]
        witness = self._sealed.witness(segment, block, follow=False)
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        flight = Flight(key, statement, witness, attempt, monotonic())
        task = task_of(self._backend.prover, statement, witness)
        try:
            future = self._workers.submit(task, Place(self._digest, segment, block), attempt)
        except ProverError as error:
            self._failed(flight, str(error), "")
            self._pause()
            return
        self._flights[future] = flight
        future.add_done_callback(lambda done: self._answers.put((done, monotonic())))
        if attempt == 1 and not quiet:
            self._emit(ProofStarted(segment, block, len(self._header.blocks), len(self._flights)))
        flight.wanted = self._commitments(key, witness)  # while the worker is at it

    def _pause(self) -> None:
        end = monotonic() + _PAUSE
        while monotonic() < end and not self._stopped():
            with suppress(queue.Empty):
                self._take(*self._answers.get(timeout=_LOOK_AFTER))

    def _wait(self) -> None:
        """Until an answer is there, or it is time to look at something else."""
        with suppress(queue.Empty):
            self._take(*self._answers.get(timeout=_LOOK_AFTER))
        now = monotonic()
        for future, flight in list(self._flights.items()):
            if now - flight.began > PATIENCE:
                del self._flights[future]
                future.cancel()
                self._failed(flight, f"no answer came in {PATIENCE:.0f} s", worker_of(future))

    def _take(self, future: "Future[Any]", ended: float) -> None:
        flight = self._flights.pop(future, None)
        if flight is None:  # too late: its task went out again
            return
        worker = worker_of(future)
        try:
            proof = proof_of(_answer(future))
            checked = self._checked(flight, proof)
        except ProverError as error:
            self._require_going()
            self._failed(flight, str(error), worker)
            return
        try:
            self._stage(*flight.key, proof)
        except ProverError as error:  # it must not become known, whoever made it
            self._poisoned[flight.key] = error
            return
        began = getattr(future, "began", flight.began)
        self._ready[flight.key] = Made(checked, ended - began, worker)

    def _checked(self, flight: Flight, proof: bytes) -> BlockProof:
        """ProverError for a proof that is not of what the journal has."""
        try:
            found = self._backend.check(flight.statement, proof)
        except UnreadableError as error:
            raise ProverError(f"the proof could not be checked here: {error}") from error
        except VerificationError as error:
            raise ProverError(f"the worker returned a wrong proof: {error}") from error
        wanted = flight.wanted or self._commitments(flight.key, flight.witness)
        for what, own, other in (
            ("the state before", wanted.state_in, found.state_in),
            ("the state after", wanted.state_out, found.state_out),
            ("the gradients", wanted.gradient, found.gradient),
        ):
            if own is not None and own != other:
                raise ProverError(
                    f"the worker returned a valid proof, but of other values: {what} are not the journal's"
                )
        return found

    def _failed(self, flight: Flight, reason: str, worker: str) -> None:
        segment, block = flight.key
        self._emit(ProofFailed(segment, block, flight.attempt, reason, worker, len(self._flights)))
        if flight.attempt >= MAX_TRIES:
            said = f" ({worker})" if worker else ""
            self._poisoned[flight.key] = ProverError(
                f"poisoned task: block {block} of segment {segment} could not be proved in {MAX_TRIES} attempts by the workers "
                f"{self._workers.name}; the last{said}: {reason}. Nothing is lost: fix the cause and resume the run"
            )

    def _commitments(self, key: Key, witness: BlockWitness) -> Commitments:
        segment, block = key
        before, after = self._ends.get((segment - 1, block)), self._ends.get(key)
        wanted = [
            (values, witness.salts[f"{name}_{end}"])
            for end, known, states in (("in", before, witness.start), ("out", after, witness.end))
            for name, values in states.items()
            if known is None
        ]
        made = iter(self._backend.commit_all(wanted))
        names = self._header.states
        before = before or {name: next(made) for name in names}
        after = self._ends[key] = after or {name: next(made) for name in names}
        gradient = None
        if not self._workers.own:
            gradient = self._backend.commit_gradients(witness.gradients, witness.salts["G"])
        return Commitments(before, after, gradient)


def worker_of(future: "Future[Any]") -> str:
    """Who took a task, as far as its executor says so; "" else."""
    name = getattr(future, "worker", "")
    return printable(name[:MAX_NAME]) if isinstance(name, str) else ""


def _answer(future: "Future[Any]") -> Any:
    """ProverError for a task that failed in whatever way."""
    try:
        return future.result(timeout=0)
    except CancelledError:
        raise ProverError("the task was cancelled") from None
    except ProverError:
        raise
    except BaseException as error:  # whatever a worker raised
        said = printable(f"{type(error).__name__}: {_text(error)}"[:MAX_SENTENCE])
        raise ProverError(f"the worker failed with {said}") from None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as worse:  # its __str__ is the worker's code, too
        return f"without a text, which failed with {type(worse).__name__}"
