"""Workers that make a run's proofs: honest ones, and one for each kind of lie. What a lie would
gain is said at each; what it gains is a count."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.run.native_run import SHAPE, create, resume, train
from tests.run.plain_run import create as create_plain
from tests.run.settled import create as create_small
from tests.run.trainer import FaultyProver, audit
from tests.run.trainer import train as train_small
from zk_autograd.core.errors import ProverError, RunError, UsageError
from zk_autograd.core.records import header_digest
from zk_autograd.core.rules import step
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.prove.executors.processes import ProcessWorkers
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.executors.task import answer_task, read_task, task_of
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.verify import NativeVerifier
from zk_autograd.run import coordinator
from zk_autograd.run.events import Event, ProofDone, ProofFailed, ProofStarted, Waiting
from zk_autograd.run.writer import RunWriter

STEPS = 20
"""Two segments and a half, of two blocks each."""

Lie = Callable[[bytes, Place, int], Any]


class HostileWorkers:
    """Threads that prove, and, as far as `lie` wants, return something else: it gets the task, its
    place and the attempt, and returns an answer or NotImplemented, for the truth."""

    def __init__(self, lie: Lie, slots: int = 2) -> None:
        self._lie = lie
        self._slots = slots
        self._executor = ThreadPoolExecutor(slots)
        self.tasks: list[tuple[Place, int]] = []
        self.stopped = False

    name = "hostile"
    own = False

    @property
    def slots(self) -> int:
        return self._slots

    def start(self) -> None:
        pass

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        if self.stopped:
            raise ProverError("they were stopped")
        self.tasks.append((place, attempt))
        return self._executor.submit(self._answer, task, place, attempt)

    def stop(self) -> None:
        self.stopped = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answer(self, task: bytes, place: Place, attempt: int) -> Any:
        answer = self._lie(task, place, attempt)
        return answer_task(task) if answer is NotImplemented else answer


def honest(task: bytes, place: Place, attempt: int) -> Any:
    return NotImplemented


def require_right(path: Path, steps: int = STEPS) -> None:
    """What a stranger finds of a closed run: every proof valid, and of the trainer's own steps."""
    log = audit(path, NativeBackend(SHAPE))
    assert log.close is not None
    assert log.close.last_step == steps
    verifier = NativeVerifier(SHAPE)
    builder = StatementBuilder(log.header, header_digest((path / "log/records.jsonl").read_bytes().splitlines()[0]))
    for segment in log.segments:
        for statement in builder.of_segment(segment):
            proof = (path / f"proofs/{segment.index}-{statement.block}").read_bytes()
            assert verifier.verify(statement, proof).gradient == segment.gradients[statement.block]


def run_with(path: Path, workers: Any, steps: int = STEPS, **options: Any) -> list[Event]:
    events: list[Event] = []
    writer = create(path, workers=workers, on_event=events.append, **options)
    try:
        train(writer, steps)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return events


def test_processes_prove_a_run_and_say_who_does_what(tmp_path: Path) -> None:
    events = run_with(tmp_path / "run", ProcessWorkers(2))
    require_right(tmp_path / "run")
    done = [event for event in events if isinstance(event, ProofDone)]
    assert [(event.segment, event.block) for event in done] == [(s, b) for s in range(3) for b in range(2)]
    assert all(event.worker.startswith("process ") for event in done)
    started = [event for event in events if isinstance(event, ProofStarted)]
    assert sorted((event.segment, event.block) for event in started) == [(s, b) for s in range(3) for b in range(2)]
    assert max(event.in_flight for event in started) > 1


PROOFS: dict[tuple[int, int], bytes] = {}


def _of_another_block(task: bytes, place: Place, attempt: int) -> Any:
    """Valid, and public: another block's would let a trainer leave a block out."""
    answer = PROOFS.setdefault((place.segment, place.block), answer_task(task))
    return next((a for key, a in PROOFS.items() if key != (place.segment, place.block)), answer)


def _of_other_gradients(task: bytes, place: Place, attempt: int) -> Any:
    """A valid proof of this very statement, from the same state, with steps of the worker's own:
    whoever recorded it would have a foreign gradient in their run, and weights that aren't its."""
    prover, statement, witness = read_task(task)
    foreign = np.ascontiguousarray(witness.gradients[::-1] + 1)
    state = witness.start
    for row, constants in zip(foreign, statement.constants, strict=True):
        state = step(SHAPE.rule, state, row.astype(np.int64), constants)
    return answer_task(task_of(prover, statement, replace(witness, gradients=foreign, end=state)))


def _of_other_gradients_to_the_same_end(task: bytes, place: Place, attempt: int) -> Any:
    """The same, but the steps lead where the trainer's own do: only the gradients' commitment
    tells."""
    prover, statement, witness = read_task(task)
    swapped = np.array(witness.gradients)
    if place.segment < 2:
        swapped[[0, 1]] = swapped[[1, 0]]  # the lr is the same, and so is the sum
    state = witness.start
    for row, constants in zip(swapped, statement.constants, strict=True):
        state = step(SHAPE.rule, state, row.astype(np.int64), constants)
    same = np.array_equal(state["W"], witness.end["W"])
    return answer_task(task_of(prover, statement, replace(witness, gradients=swapped, end=state))) if same else b""


def _with_other_salts(task: bytes, place: Place, attempt: int) -> Any:
    """Valid, of the right values, under salts that the worker knows and the trainer doesn't: its
    commitments couldn't be opened, nor the next segment begin with them."""
    prover, statement, witness = read_task(task)
    salts = dict(witness.salts) | {"W_out": bytes(32)}
    return answer_task(task_of(prover, statement, replace(witness, salts=salts)))


def _from_another_salt(task: bytes, place: Place, attempt: int) -> Any:
    """Valid, of the right steps, from a commitment that the record before doesn't have: nothing
    would join the two."""
    prover, statement, witness = read_task(task)
    salts = dict(witness.salts) | {"W_in": bytes(32)}
    return answer_task(task_of(prover, statement, replace(witness, salts=salts)))


class Pickled:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


def _raises(error: BaseException) -> Lie:
    def lie(task: bytes, place: Place, attempt: int) -> Any:
        raise error

    return lie


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


LIES: dict[str, tuple[Lie, str]] = {
    "nothing": (lambda *_: b"", "the worker returned nothing"),
    "none": (lambda *_: None, "no bytes, but an object of type 'NoneType'"),
    "garbage": (lambda *_: b"P" + bytes(400_000), "the worker returned a wrong proof"),
    "an object": (lambda *_: Pickled(), "no bytes, but an object of type 'Pickled'"),
    "too much": (lambda *_: b"P" * (2**26 + 2), "a proof has at most"),
    "another block's proof": (_of_another_block, "the worker returned a wrong proof"),
    "other gradients": (_of_other_gradients, "a valid proof, but of other values: the state after are not"),
    "other salts": (_with_other_salts, "a valid proof, but of other values: the state after are not"),
    "another start": (_from_another_salt, "a valid proof, but of other values: the state before are not"),
    "an exception": (_raises(ZeroDivisionError("\x1b[2J")), r"the worker failed with ZeroDivisionError: \\x1b"),
    "an exception without a text": (_raises(Wordless()), "Wordless: without a text, which failed with ValueError"),
    "a reason": (lambda *_: b"Eno memory", 'the worker says: "no memory"'),
}


_ALIKE = ("none", "garbage", "a reason", "too much")
"""Told apart in tests/prove/executors/test_task.py, too."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in _ALIKE else []) for name in LIES]
)
def test_a_lie_is_counted_and_the_proof_made_elsewhere(tmp_path: Path, name: str) -> None:
    lie, says = LIES[name]
    workers = HostileWorkers(lambda task, place, attempt: lie(task, place, attempt) if attempt == 1 else NotImplemented)
    PROOFS.clear()
    events = run_with(tmp_path / "run", workers, 8)
    require_right(tmp_path / "run", 8)
    failed = [event for event in events if isinstance(event, ProofFailed)]
    assert failed
    assert all(event.attempt == 1 for event in failed)
    assert all(re.search(says, event.reason) for event in failed), failed


def _train_alike(writer: RunWriter) -> None:
    """A segment of which two gradients can be exchanged, for a rule whose steps add up: multiples
    of 2^30 / lr would be exact; gradients that round alike are as good."""
    for _ in range(8):
        writer.append(np.full(writer.header.size, 10 * (writer.step + 1) << 10, np.int64))


def test_other_gradients_that_lead_to_the_same_end_are_found(tmp_path: Path) -> None:
    """No answer has them; and none that was refused is adopted by a resumed run, wherever somebody
    put it: it would sign gradients that it never took."""
    path = tmp_path / "run"
    lies: list[bytes] = []

    def lie(task: bytes, place: Place, attempt: int) -> Any:
        lies.append(_of_other_gradients_to_the_same_end(task, place, attempt))
        return lies[-1]

    events: list[Event] = []
    writer = create(path, 1, workers=HostileWorkers(lie), on_event=events.append)
    with pytest.raises(ProverError, match="the gradients are not the journal's"):
        _train_alike(writer)
        writer.drain()
    writer.abandon()
    assert all(lies), "the lie couldn't be told, and nothing was tested"
    for place in (path / "proofs/0-0", path / "private/segments/0/proof-0"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(lies[0][1:])
    events.clear()
    again = resume(path, on_event=events.append)
    again.close()
    assert [event.found for event in events if isinstance(event, ProofDone)] == [False]
    assert (path / "proofs/0-0").read_bytes() != lies[0][1:]
    require_right(path, 8)


def test_a_task_that_no_worker_can_do_is_poisoned_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "run"
    poisoned = HostileWorkers(
        lambda task, place, _: b"Eno memory" if (place.segment, place.block) == (1, 1) else NotImplemented
    )
    events: list[Event] = []
    writer = create(path, workers=poisoned, on_event=events.append)
    with pytest.raises(
        ProverError,
        match=r"poisoned task: block 1 of segment 1 could not be proved in 3 attempts by the workers hostile; the last: "
        r'the worker says: "no memory". Nothing is lost',
    ):
        train(writer, STEPS)
        writer.close()
    assert [e.attempt for e in events if isinstance(e, ProofFailed)] == [1, 2, 3]
    assert writer.segments_done == 1
    writer.abandon()
    assert poisoned.stopped
    events.clear()
    again = resume(path, on_event=events.append)
    train(again, STEPS)
    again.close()
    require_right(path)
    found = {(e.segment, e.block) for e in events if isinstance(e, ProofDone) and e.found}
    assert (1, 0) in found  # made beside the poisoned one, and kept


def test_a_proof_of_another_run_is_refused(tmp_path: Path) -> None:
    """Yesterday's run had the same steps: its proof would make today's unnecessary."""
    kept: dict[tuple[int, int], bytes] = {}

    def keep(task: bytes, place: Place, attempt: int) -> Any:
        kept[place.segment, place.block] = answer_task(task)
        return kept[place.segment, place.block]

    run_with(tmp_path / "yesterday", HostileWorkers(keep), 8)
    replayed = HostileWorkers(
        lambda _, place, attempt: kept[place.segment, place.block] if attempt == 1 else NotImplemented
    )
    events = run_with(tmp_path / "today", replayed, 8, run=bytes([1]) * 16)
    assert "wrong proof" in next(e.reason for e in events if isinstance(e, ProofFailed))
    require_right(tmp_path / "today", 8)


@pytest.mark.long
def test_tasks_exchanged_between_two_runs_are_refused(tmp_path: Path) -> None:
    """A cluster that serves two runs gives each the other's answers."""
    queues: dict[bytes, list[bytes]] = {}
    both = threading.Barrier(2)

    def exchange(task: bytes, place: Place, attempt: int) -> Any:
        if attempt > 1 or (place.segment, place.block) != (0, 0):
            return NotImplemented
        queues.setdefault(place.header_digest, []).append(answer_task(task))
        both.wait(60)
        return next(answers[0] for digest, answers in queues.items() if digest != place.header_digest)

    found: list[list[Event]] = []

    def one(name: str, run: bytes) -> None:
        found.append(run_with(tmp_path / name, HostileWorkers(exchange), 8, run=run))

    threads = [
        threading.Thread(target=one, args=(name, run)) for name, run in (("a", bytes(16)), ("b", bytes([2]) * 16))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    for events in found:
        assert [e.attempt for e in events if isinstance(e, ProofFailed)] == [1]
    for name in "ab":
        require_right(tmp_path / name, 8)


@pytest.mark.long
def test_a_worker_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(task: bytes, place: Place, attempt: int) -> Any:
        if attempt == 1 and place.block == 0:
            released.wait(60)
        return NotImplemented

    monkeypatch.setattr(coordinator, "PATIENCE", 8.0)
    workers = HostileWorkers(hang, 3)
    try:
        events = run_with(tmp_path / "run", workers, 8)
    finally:
        released.set()
    assert "no answer came in 8 s" in next(e.reason for e in events if isinstance(e, ProofFailed))
    require_right(tmp_path / "run", 8)


@pytest.mark.long
def test_a_late_answer_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task went out again: of a block, one proof becomes known."""
    monkeypatch.setattr(coordinator, "PATIENCE", 4.0)

    def slow(task: bytes, place: Place, attempt: int) -> Any:
        if attempt == 1 and (place.segment, place.block) == (0, 0):
            time.sleep(8)
        return NotImplemented

    run_with(tmp_path / "run", HostileWorkers(slow, 3), STEPS)
    require_right(tmp_path / "run")


def test_training_waits_for_workers_and_is_stopped_at_once(tmp_path: Path) -> None:
    released = threading.Event()
    waits: list[Event] = []

    def hang(task: bytes, place: Place, attempt: int) -> Any:
        released.wait(60)
        return NotImplemented

    workers = HostileWorkers(hang, 1)
    writer = create(
        tmp_path / "run", workers=workers, on_event=lambda e: waits.append(e) if isinstance(e, Waiting) else None
    )
    training = threading.Thread(target=lambda: _train_until_ended(writer))
    training.start()
    end = time.monotonic() + 30
    while not waits and time.monotonic() < end:
        time.sleep(0.02)
    assert waits
    assert len(workers.tasks) <= coordinator.QUEUED
    began = time.monotonic()
    writer.abandon()
    assert time.monotonic() - began < 15
    training.join(20)
    assert not training.is_alive()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    released.set()
    time.sleep(0.5)
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}


def _train_until_ended(writer: RunWriter) -> None:
    with pytest.raises((RunError, ProverError)):
        train(writer, 8 * 100)


def test_what_workers_left_after_a_crash_is_adopted_and_nothing_is_made_twice(tmp_path: Path) -> None:
    """Proofs of segments ahead lie staged when the trainer dies; the next one publishes those."""
    path, made = tmp_path / "run", []

    def count(task: bytes, place: Place, attempt: int) -> Any:
        made.append((place.segment, place.block))
        if (place.segment, place.block) == (0, 0) and len(made) < 10:
            raise RuntimeError("it died")
        return NotImplemented

    writer = create(path, workers=HostileWorkers(count, 2), backlog=3)
    with pytest.raises(ProverError, match=r"poisoned task: block 0 of segment 0"):
        train(writer, STEPS)
        writer.drain()
    writer.abandon()
    staged = sorted(p.name for p in path.rglob("proof-*"))
    assert staged
    events: list[Event] = []
    again = resume(path, workers=HostileWorkers(honest), on_event=events.append)
    train(again, STEPS)
    again.close()
    assert sum(e.found for e in events if isinstance(e, ProofDone)) == len(staged)
    require_right(path)


def test_a_backend_that_commits_to_no_gradients_is_refused_to_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be made by a cluster"):
        create_small(tmp_path / "run", FaultyProver(), workers=HostileWorkers(honest))
    assert not (tmp_path / "run").exists()


def test_a_run_without_proofs_leaves_workers_alone(tmp_path: Path) -> None:
    workers = HostileWorkers(honest)
    writer = create_plain(tmp_path / "run", workers=workers)
    train_small(writer, 3)
    writer.close()
    assert workers.stopped
    assert not workers.tasks
