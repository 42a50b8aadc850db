"""When a training trained, waited and proved: a listener that notes the time of a run's events.

Times are this process's, from the moment the listener was made; a resumed run's earlier sessions
are not part of it. Training is what lies between two steps in the journal; a wait for the prover
ends with the next record, which makes room for another segment, or with the next step. A proof
ends when it is taken into the run, and has taken the time that its end says, but for what would lie
before its beginning.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from zk_autograd.run import events
from zk_autograd.train.spans import Lane, Marks, Span

if TYPE_CHECKING:
    from zk_autograd.core.records import Header
    from zk_autograd.train.command import Teller

MAX_LANES = 12
"""Lanes of proving: the workers after the first ones share the last lane."""
OTHERS = "others"
_MAX_OPEN = 4096


@dataclass(frozen=True, slots=True)
class Course:
    """A session, in seconds from its beginning: `end` is its length, `stepped` when its last step
    was in the journal. `proving` has the lanes of the workers by name, `failed` the moments at
    which a proof failed. `records`, `entries` and `anchored` are times in order, of which some may
    be left out; `record_count` and `failures` count all. `proved` is false where the run's records
    hold hashes alone; `proof_count` counts blocks."""

    end: float = 0
    stepped: float = 0
    first_step: int = 0
    last_step: int = 0
    segments: int = 0
    training: tuple[Span, ...] = ()
    waiting: tuple[Span, ...] = ()
    proving: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    proof_count: int = 0
    proof_seconds: float = 0
    proved: bool = False
    failed: tuple[float, ...] = ()
    failures: int = 0
    records: tuple[float, ...] = ()
    record_count: int = 0
    entries: tuple[float, ...] = ()
    anchored: tuple[float, ...] = ()


class Timeline:
    """A `train.command.Teller` that passes everything on to `tell`, and notes when it came."""

    def __init__(self, tell: "Teller", clock: Callable[[], float] = monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._changing = threading.Lock()
        self._began = clock()
        self._now = 0.0
        self._training, self._waiting = Lane(), Lane()
        self._proving: dict[str, Lane] = {}
        self._records, self._entries, self._anchored, self._failed = Marks(), Marks(), Marks(), Marks()
        self._open: dict[tuple[int, int], tuple[str, float]] = {}
        self._stood: tuple[float, str] | None = None  # since when training waits, and for what
        self._left: float | None = None  # when the last work of the training thread ended
        self._stepped = 0.0  # when the last step was in the journal
        self._recorded = 0.0  # when the last record was in the log
        self._unsealed = (0, 0)  # steps since the last sealing, first and last
        self._steps = (0, 0)
        self._segments = self._proofs = 0
        self._proved = False

    def note(self, text: str) -> None:
        self._tell.note(text)

    def header(self, header: "Header | None") -> None:
        """Training begins when there is a run."""
        if header is not None:
            with self._changing:
                self._goes_on(self._time())
                self._left = self._now
        self._tell.header(header)

    def __call__(self, event: object) -> None:
        with self._changing:
            self._note(event, self._time())
        self._tell(event)

    def course(self) -> Course:
        """What was noted; what is still going on ends now. Call it once."""
        with self._changing:
            now = self._time()
            self._goes_on(now)
            self._finish(now)
            return Course(
                end=now,
                stepped=self._stepped,
                first_step=self._steps[0],
                last_step=self._steps[1],
                segments=self._segments,
                training=self._training.spans,
                waiting=self._waiting.spans,
                proving=tuple((name, lane.spans) for name, lane in self._proving.items()),
                proof_count=self._proofs,
                proof_seconds=sum(lane.busy for lane in self._proving.values()),
                proved=self._proved,
                failed=self._failed.times,
                failures=self._failed.count,
                records=self._records.times,
                record_count=self._records.count,
                entries=self._entries.times,
                anchored=self._anchored.times,
            )

    def _finish(self, now: float) -> None:
        """Ends what is open, and shows what came after the last step."""
        first, last = self._unsealed
        if last:
            begin = self._stepped if self._left is None else self._left
            self._training.add(Span.of(begin, self._stepped, self._segments, f"steps {first} to {last}"))
        if self._recorded > self._stepped and last == 0 and self._steps[1]:
            why = "after the last step: waiting for the last records"
            self._waiting.add(Span.of(self._stepped, self._recorded, max(self._segments - 1, 0), why))
        for (segment, block), (worker, begin) in sorted(self._open.items()):
            self._lane(worker).add(Span.of(begin, now, segment, f"block {block} of segment {segment}, not finished"))
        self._open.clear()

    def _time(self) -> float:
        """Never before what was noted already: two threads may come in another order than they
        read the clock."""
        self._now = max(self._now, self._clock() - self._began)
        return self._now

    def _note(self, event: object, now: float) -> None:
        match event:
            case events.StepLogged(step):
                self._goes_on(now)
                self._stepped = now
                self._left = now if self._left is None else self._left
                self._steps = (self._steps[0] or step, step)
                self._unsealed = (self._unsealed[0] or step, step)
            case events.SegmentSealed(segment, first, last):
                begin = now if self._left is None else self._left
                self._training.add(Span.of(begin, now, segment, f"segment {segment}, steps {first} to {last}"))
                self._segments += 1
                self._left, self._unsealed = now, (0, 0)
            case events.Waiting(pending):
                self._stands(now, f"waiting for the prover: {pending} segments not proved")
            case events.BeaconAwaited():
                self._stands(now, "waiting for the beacon")
            case events.AnchorsAwaited():
                self._stands(now, "waiting for anchors")
            case events.ProofStarted(segment, block):
                self._starts(segment, block, _worker_of(event), now)
            case events.ProofFailed():
                self._failed.add(now)
            case events.ProofDone(segment, block, _, seconds, size, found):
                self._ends(segment, block, seconds, _worker_of(event), now, found=found)
                self._proved = self._proved or size > 0
            case events.RecordWritten():
                self._records.add(now)
                self._recorded = now
                self._goes_on(now)
            case events.Entered():
                self._entries.add(now)
            case events.Anchored():
                self._anchored.add(now)

    def _stands(self, now: float, why: str) -> None:
        if self._stood is None:
            self._stood = (now, why)

    def _goes_on(self, now: float) -> None:
        """Ends a wait, if there is one: training begins again."""
        if self._stood is not None:
            begin, why = self._stood
            self._waiting.add(Span.of(begin, now, max(self._segments - 1, 0), why))
            self._stood, self._left = None, now

    def _starts(self, segment: int, block: int, worker: str, now: float) -> None:
        if (segment, block) in self._open:  # tried again
            return
        if not worker:
            taken = {name for name, _ in self._open.values()}
            worker = next(name for name in map(str, range(1, _MAX_OPEN + 2)) if name not in taken)
        if len(self._open) >= _MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[segment, block] = (worker, now)

    def _ends(self, segment: int, block: int, seconds: float, worker: str, now: float, *, found: bool) -> None:
        began_by, started = self._open.pop((segment, block), ("1", 0.0))
        begin = max(now - max(seconds, 0), started)  # it may have waited for a worker
        name = f"block {block} of segment {segment}" + (", found from an earlier session" if found else "")
        self._lane(worker or began_by).add(Span.of(begin, now, segment, name))
        self._proofs += 1

    def _lane(self, worker: str) -> Lane:
        full = len(self._proving) >= MAX_LANES - 1
        return self._proving.setdefault(OTHERS if full and worker not in self._proving else worker, Lane())


def _worker_of(event: object) -> str:
    """Who proves, where the event says so."""
    return str(getattr(event, "worker", "") or "")
