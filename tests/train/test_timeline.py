import threading
from dataclasses import dataclass

import pytest

from zk_autograd.run.events import (
    Anchored,
    AnchorsAwaited,
    Entered,
    Event,
    ProofDone,
    ProofFailed,
    ProofStarted,
    RecordWritten,
    SegmentSealed,
    StepLogged,
    Waiting,
)
from zk_autograd.train.spans import MOST
from zk_autograd.train.timeline import MAX_LANES, OTHERS, Course, Timeline


class Told:
    """A teller that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[object] = []

    def note(self, text: str) -> None:
        self.all.append(text)

    def header(self, header: object) -> None:
        self.all.append(("header", header))

    def __call__(self, event: object) -> None:
        self.all.append(event)


class Session:
    """A timeline whose clock is set by hand."""

    def __init__(self) -> None:
        self.now, self.told = 1000.0, Told()
        self.timeline = Timeline(self.told, lambda: self.now)

    def at(self, seconds: float, *events: Event) -> None:
        self.now = 1000 + seconds
        for event in events:
            self.timeline(event)

    def begins(self, seconds: float) -> None:
        self.now = 1000 + seconds
        self.timeline.header(object())  # type: ignore[arg-type]  # that it is there is all that counts

    def ends(self, seconds: float) -> Course:
        self.now = 1000 + seconds
        return self.timeline.course()


@pytest.fixture
def session() -> Session:
    return Session()


def times(spans: tuple[object, ...]) -> list[tuple[float, float, int]]:
    return [(s.begin, s.end, s.first) for s in spans]  # type: ignore[attr-defined]


def usual(session: Session) -> Course:
    """Two segments of two steps, the second of which waits for the proof of the first."""
    session.begins(1)
    session.at(2, StepLogged(1))
    session.at(3, StepLogged(2), SegmentSealed(0, 1, 2), ProofStarted(0, 0, 1), Waiting(1))
    session.at(6, ProofDone(0, 0, 1, 3.0, 500, False), RecordWritten(0, 2, 3), Entered(0, 3))
    session.at(7, StepLogged(3))
    session.at(8, StepLogged(4), SegmentSealed(1, 3, 4), ProofStarted(1, 0, 1), Anchored("file:x", 1))
    session.at(9, ProofFailed(1, 0, 1, "no memory"))
    session.at(12, ProofDone(1, 0, 1, 4.0, 500, False), RecordWritten(1, 4, 4))
    return session.ends(13)


def test_training_waiting_and_proving_lie_where_they_were(session: Session) -> None:
    course = usual(session)
    assert times(course.training) == [(1, 3, 0), (6, 8, 1)]
    assert times(course.waiting) == [(3, 6, 0), (8, 12, 1)]
    assert [(name, times(spans)) for name, spans in course.proving] == [("1", [(3, 6, 0), (8, 12, 1)])]
    assert (course.first_step, course.last_step, course.segments, course.proof_count) == (1, 4, 2, 2)
    assert (course.end, course.stepped, course.proof_seconds, course.proved) == (13, 8, 7, True)
    assert (course.records, course.failed, course.failures) == ((6, 12), (9,), 1)
    assert (course.entries, course.anchored) == ((6,), (8,))
    assert [span.note for span in course.training] == ["segment 0, steps 1 to 2", "segment 1, steps 3 to 4"]


def test_everything_is_passed_on_in_its_order(session: Session) -> None:
    session.timeline.note("hello")
    session.timeline.header(None)
    session.at(1, StepLogged(1), Waiting(2))
    assert session.told.all == ["hello", ("header", None), StepLogged(1), Waiting(2)]


def test_a_resumed_session_begins_with_its_own_first_step(session: Session) -> None:
    session.begins(1)
    session.at(2, StepLogged(41))
    session.at(3, StepLogged(42), SegmentSealed(5, 33, 42))
    course = session.ends(3)
    assert (course.first_step, course.last_step) == (41, 42)
    assert times(course.training) == [(1, 3, 5)]


def test_a_session_without_events_has_none() -> None:
    assert Session().ends(2) == Course(end=2)


def test_a_wait_ends_with_the_next_step_where_no_record_comes(session: Session) -> None:
    session.at(1, StepLogged(1), SegmentSealed(0, 1, 1), Waiting(2))
    session.at(4, StepLogged(2), SegmentSealed(1, 2, 2))
    assert times(session.ends(5).waiting) == [(1, 4, 0)]


def test_waiting_for_anchors_goes_on_to_the_end(session: Session) -> None:
    session.at(1, StepLogged(1), SegmentSealed(0, 1, 1), RecordWritten(0, 1, 3))
    session.at(2, AnchorsAwaited(("s3:x",)))
    session.at(3, AnchorsAwaited(("s3:x",)))
    course = session.ends(5)
    assert times(course.waiting) == [(2, 5, 0)]
    assert course.waiting[0].note == "waiting for anchors"


def test_a_clock_and_threads_that_disagree_leave_no_time_that_runs_backwards(session: Session) -> None:
    session.at(5, StepLogged(1))
    session.at(3, SegmentSealed(0, 1, 1), ProofDone(0, 0, 1, 100.0, 1, False), ProofDone(0, 1, 2, -1.0, 1, False))
    session.at(-7, RecordWritten(0, 1, 3))
    course = session.ends(0)
    assert course.end == 5
    spans = [*course.training, *course.waiting, *(span for _, lane in course.proving for span in lane)]
    assert all(0 <= span.begin <= span.end <= 5 for span in spans)
    assert course.proof_count == 2


def test_proofs_at_the_same_time_have_a_lane_each(session: Session) -> None:
    session.at(1, ProofStarted(0, 0, 2), ProofStarted(0, 1, 2))
    session.at(2, ProofDone(0, 1, 2, 1.0, 1, False), ProofStarted(1, 0, 2))
    session.at(3, ProofDone(0, 0, 2, 2.0, 1, False), ProofDone(1, 0, 2, 1.0, 1, False))
    lanes = dict(session.ends(3).proving)
    assert {name: times(spans) for name, spans in lanes.items()} == {"1": [(1, 3, 0)], "2": [(1, 2, 0), (2, 3, 1)]}


@dataclass(frozen=True, slots=True)
class _By(ProofDone):
    """A proof of which it is known who made it."""

    worker: str = ""


def test_workers_that_are_named_have_their_lanes_and_the_last_one_is_shared(session: Session) -> None:
    for number in range(MAX_LANES + 5):
        session.at(number + 1, _By(number, 0, 1, 0.5, 1, False, worker=f"w{number}"))
    proving = session.ends(30).proving
    assert len(proving) == MAX_LANES
    assert [name for name, _ in proving] == [*(f"w{i}" for i in range(MAX_LANES - 1)), OTHERS]
    assert len(proving[-1][1]) == 6


def test_a_proof_that_waited_for_a_worker_took_its_own_time_alone(session: Session) -> None:
    session.at(1, ProofStarted(0, 0, 1), ProofStarted(1, 0, 1))
    session.at(3, _By(0, 0, 1, 2.0, 1, False, worker="a"))
    session.at(5, _By(1, 0, 1, 1.5, 1, False, worker="a"))
    course = session.ends(5)
    assert [(name, times(spans)) for name, spans in course.proving] == [("a", [(1, 3, 0), (3.5, 5, 1)])]
    assert course.proof_seconds == 3.5


def test_a_proof_that_is_never_done_goes_on_to_the_end(session: Session) -> None:
    session.at(1, ProofStarted(0, 0, 1), ProofStarted(0, 0, 1))
    course = session.ends(4)
    assert times(course.proving[0][1]) == [(1, 4, 0)]
    assert course.proof_count == 0


def test_steps_that_were_not_sealed_are_training_too(session: Session) -> None:
    session.begins(1)
    session.at(2, StepLogged(1))
    session.at(3, StepLogged(2))
    course = session.ends(9)
    assert times(course.training) == [(1, 3, 0)]
    assert course.waiting == ()


def test_a_long_run_is_kept_in_bounded_memory(session: Session) -> None:
    number = 3 * MOST
    for i in range(number):
        session.at(i + 0.25, StepLogged(i + 1), SegmentSealed(i, i + 1, i + 1), ProofStarted(i, 0, 1))
        session.at(i + 0.75, ProofDone(i, 0, 1, 0.5, 1, False), RecordWritten(i, i + 1, i + 3))
    course = session.ends(number)
    kept = [course.training, course.records, course.proving[0][1]]
    assert all(len(found) <= 2 * MOST for found in kept)
    assert (course.segments, course.record_count, course.proof_count) == (number, number, number)
    assert course.proof_seconds == pytest.approx(number / 2)


def test_events_may_come_from_several_threads() -> None:
    timeline = Timeline(Told())

    def prove(first: int) -> None:
        for i in range(first, first + 500):
            timeline(ProofStarted(i, 0, 1))
            timeline(ProofDone(i, 0, 1, 0.0, 1, False))

    threads = [threading.Thread(target=prove, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    course = timeline.course()
    assert course.proof_count == 2000
    assert sum(span.count for _, lane in course.proving for span in lane) == 2000
