"""Anchors beside the register's own file: each has a thread of its own, and a training never fails
for want of one.

`Faulty` is the anchor `file` at a place of its own, with faults that are injected.
"""

import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.run.registered import ORIGIN, begun, complete, create, entries, look, receipts, resume, views
from tests.run.trainer import SIGNER, FailingFiles, TracedFiles, train
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, RunError, StorageError
from zk_autograd.core.register import Entry, Kind, sign_head
from zk_autograd.register.register import Register
from zk_autograd.run import anchoring
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.events import Anchored, AnchorFailed, AnchorsAwaited, Event
from zk_autograd.run.files import Files
from zk_autograd.run.registering import Registration
from zk_autograd.run.writer import RunWriter

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "FIRST_WAIT", 0.005)
    monkeypatch.setattr(anchoring, "LONGEST_WAIT", 0.02)


class Faulty:
    """Calls the faults one after the other, one for each publication, before it publishes."""

    kind = "elsewhere"

    def __init__(self, path: Path, faults: Iterable[Callable[[], None]] = (), name: str = "") -> None:
        self._file = FileAnchor(path)
        self._faults = iter(faults)
        self.spec = f"elsewhere:{name or path.name}"
        self.tries = 0
        self.sizes: list[int] = []

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        self.tries += 1
        if (fault := next(self._faults, None)) is not None:
            fault()
        found = [replace(receipt, kind=self.kind) for receipt in self._file.publish(checkpoint, history)]
        self.sizes.append(checkpoint.head.size)
        return found


def raising(error: BaseException) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        sleep(0.002)


def registered(tmp_path: Path, *anchors: Faulty, every: int = 1) -> Registration:
    return begun(tmp_path / "register", anchors=anchors, every=every)


def whole(run: Path, registration: Registration, kind: str = "elsewhere") -> None:
    """All of the run is anchored, and look() finds nothing wrong."""
    look(run, registration.folder)
    shown = views(run)
    by_size = {view.head.size: view for view in shown}
    newest = max((r.size for r in receipts(run) if r.kind == kind), default=0)
    assert newest
    assert by_size[newest].entry == shown[-1].entry


def test_a_finished_run_is_whole_with_each_anchor(tmp_path: Path) -> None:
    first, second = Faulty(tmp_path / "a"), Faulty(tmp_path / "b")
    registration = registered(tmp_path, first, second)
    events: list[Event] = []
    writer = create(tmp_path / "run", registration, on_event=events.append)
    complete(writer)
    whole(tmp_path / "run", registration)
    assert writer.anchors == [AnchorState(one.spec, 5, 5, False, "", False) for one in (first, second)]
    assert {e.anchor for e in events if isinstance(e, Anchored)} == {first.spec, second.spec}
    for anchor in (first, second):
        assert anchor.sizes == sorted(set(anchor.sizes))


def test_an_anchor_that_is_down_is_tried_again_while_training_goes_on(tmp_path: Path) -> None:
    back = threading.Event()

    def down() -> None:
        if not back.is_set():
            raise AnchorDown("the witness can't be reached")

    anchor = Faulty(tmp_path / "a", [down] * 10**6)
    registration = registered(tmp_path, anchor)
    events: list[Event] = []
    writer = create(tmp_path / "run", registration, on_event=events.append)
    train(writer, 3)
    until(lambda: anchor.tries > 3)
    train(writer, 6)
    writer.drain()
    assert writer.anchors[0].pending
    assert writer.anchors[0].trouble == "the witness can't be reached"
    back.set()
    writer.close()
    whole(tmp_path / "run", registration)
    assert writer.anchors[0] == AnchorState(anchor.spec, 6, 6, False, "", False)
    told = [event for event in events if isinstance(event, AnchorFailed)]
    assert told == [AnchorFailed(anchor.spec, "the witness can't be reached")]  # once, however often it was tried


def test_a_run_whose_anchor_stays_down_finishes_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "LAST_WAIT", 0.2)
    anchor = Faulty(tmp_path / "a", [raising(AnchorDown("no answer"))] * 10**6)
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration)
    began = monotonic()
    complete(writer)
    assert monotonic() - began < PATIENCE
    assert writer.anchors == [AnchorState(anchor.spec, 0, 0, True, "no answer", False)]
    look(tmp_path / "run", registration.folder)
    assert {receipt.kind for receipt in receipts(tmp_path / "run")} == {"file"}


def test_ctrl_c_ends_the_waiting_and_nothing_else(tmp_path: Path) -> None:
    anchor = Faulty(tmp_path / "a", [raising(AnchorDown("no answer"))] * 10**6)
    registration = registered(tmp_path, anchor)
    waiting = threading.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, AnchorsAwaited):
            waiting.set()

    writer = create(tmp_path / "run", registration, on_event=on_event)
    train(writer, 3)

    def press() -> None:
        waiting.wait(PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    writer.close()
    thread.join()
    look(tmp_path / "run", registration.folder)
    assert writer.anchors[0].pending


def test_who_is_waited_for_is_told_and_the_listener_ends_it(tmp_path: Path) -> None:
    anchor, other = Faulty(tmp_path / "a", [raising(AnchorDown("no answer"))] * 10**6), Faulty(tmp_path / "b")
    registration = registered(tmp_path, anchor, other)
    told: list[tuple[str, ...]] = []

    def on_event(event: Event) -> None:
        if isinstance(event, AnchorsAwaited):
            told.append(event.anchors)
            if len(told) == 1:
                raise ZeroDivisionError
            if len(told) > 2 and event.anchors == (anchor.spec,):
                raise KeyboardInterrupt

    writer = create(tmp_path / "run", registration, on_event=on_event)
    train(writer, 3)
    began = monotonic()
    writer.close()
    assert monotonic() - began < PATIENCE
    assert told[-1] == (anchor.spec,)
    look(tmp_path / "run", registration.folder)
    assert [state.pending for state in writer.anchors] == [True, False]


def test_an_anchor_that_hangs_stops_neither_training_nor_abandon(tmp_path: Path) -> None:
    go_on, begun_to = threading.Event(), threading.Event()

    def hang() -> None:
        begun_to.set()
        go_on.wait()

    anchor = Faulty(tmp_path / "a", [hang] * 100)
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration)
    train(writer, 6)
    writer.drain()
    assert begun_to.wait(PATIENCE)
    began = monotonic()
    writer.abandon()
    assert monotonic() - began < 2
    before = (tmp_path / "run/anchors/receipts.jsonl").read_bytes()
    again = resume(tmp_path / "run", replace(registration, anchors=()))
    go_on.set()  # what it gives now is of a run that another writer has
    until(lambda: not any(thread.name == "anchor elsewhere" for thread in threading.enumerate()))
    assert (tmp_path / "run/anchors/receipts.jsonl").read_bytes() == before
    again.close()
    look(tmp_path / "run", registration.folder)


def test_only_the_newest_checkpoint_is_published(tmp_path: Path) -> None:
    go_on, begun_to = threading.Event(), threading.Event()

    def hang() -> None:
        begun_to.set()
        assert go_on.wait(PATIENCE)

    anchor = Faulty(tmp_path / "a", [hang])
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration)
    assert begun_to.wait(PATIENCE)
    train(writer, 20)
    writer.drain()
    go_on.set()
    writer.close()
    whole(tmp_path / "run", registration)
    assert len(anchor.sizes) <= 4
    assert anchor.sizes[-1] == len(entries(registration.folder))


def test_an_anchor_behind_which_we_are_gets_a_fresh_checkpoint(tmp_path: Path) -> None:
    """Another run of the same register was anchored meanwhile."""
    registration = registered(tmp_path)

    def another() -> None:
        complete(create(tmp_path / "other", replace(registration, anchors=(FileAnchor(tmp_path / "a"),)), 5))

    anchor = Faulty(tmp_path / "a", [another])
    writer = create(tmp_path / "run", replace(registration, anchors=(anchor,)))
    until(lambda: anchor.tries >= 2)
    complete(writer)
    whole(tmp_path / "run", registration)
    assert not writer.anchors[0].trouble


def test_one_that_stays_ahead_of_the_register_ends_the_entries(tmp_path: Path) -> None:
    """It couldn't be asked at the start, and says now that the register is an older copy: each
    entry more would be one of a second branch. Without that anchor the run goes on."""
    anchor = Faulty(tmp_path / "a", [raising(AnchorBehind("it holds 10^9 entries"))] * 10**6)
    events: list[Event] = []
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration, on_event=events.append)
    until(lambda: any(isinstance(event, AnchorFailed) and event.final for event in [*events]))
    before = entries(registration.folder)
    with pytest.raises(RunError, match=r"it holds 10\^9 entries. Nothing is signed: .*going on would fork it"):
        complete(writer)
    writer.abandon()
    assert anchoring.BEHIND <= anchor.tries < anchoring.BEHIND + 5  # one more where the register grew meanwhile
    assert entries(registration.folder) == before
    complete(resume(tmp_path / "run", replace(registration, anchors=())))
    look(tmp_path / "run", registration.folder)


def test_one_that_is_ahead_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    """As a witness whose answer was of another time."""
    fault = raising(AnchorBehind("it holds 10^9 entries"))
    anchor = Faulty(tmp_path / "a", [fault, fault, lambda: None, fault, fault])
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration)
    until(lambda: anchor.tries >= 3)
    complete(writer)
    whole(tmp_path / "run", registration)


def test_a_disk_that_is_full_for_a_moment_ends_no_anchor(tmp_path: Path) -> None:
    def full() -> None:
        raise StorageError("the disk is full; free some space")

    anchor = Faulty(tmp_path / "a", [full])
    registration = registered(tmp_path, anchor)
    writer = create(tmp_path / "run", registration)
    complete(writer)
    whole(tmp_path / "run", registration)
    assert not writer.anchors[0].trouble


def test_however_many_others_are_quicker_no_older_copy_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty times another process enters and files between our look and our filing."""
    registration = registered(tmp_path)
    others = iter(range(100, 120))
    original = FileAnchor.publish

    def publish(self: FileAnchor, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        if (number := next(others, None)) is not None:
            with Register(registration.folder, [SIGNER]) as register:
                register.enter(Entry(Kind.BEGIN, bytes([number] * 16), 1, bytes(32)))
                original(self, register.checkpoint, register)
        return original(self, checkpoint, history)

    monkeypatch.setattr(FileAnchor, "publish", publish)
    complete(create(tmp_path / "run", registration))
    monkeypatch.undo()
    look(tmp_path / "run", registration.folder)
    assert len(entries(registration.folder)) == 25


def test_a_fork_is_told_and_kept_and_that_anchor_is_not_used_again(tmp_path: Path) -> None:
    registration = registered(tmp_path)
    note = sign_head(Checkpoint(ORIGIN, 3, bytes(32)), [SIGNER])
    anchor = Faulty(tmp_path / "a", [raising(AnchorForked("it holds another branch", note))] * 100)
    other = Faulty(tmp_path / "b")
    events: list[Event] = []
    writer = create(tmp_path / "run", replace(registration, anchors=(anchor, other)), on_event=events.append)
    complete(writer)
    look(tmp_path / "run", registration.folder)
    assert anchor.tries == 1
    (kept,) = registration.folder.glob("forked-*.note")
    assert kept.read_bytes() == note
    (told,) = [event for event in events if isinstance(event, AnchorFailed)]
    assert told.final
    assert told.forked
    assert str(kept) in told.reason
    assert [(state.pending, state.forked) for state in writer.anchors] == [(True, True), (False, False)]


@pytest.mark.parametrize("note", [b"", b"\xff" * 70])
def test_a_fork_without_a_note_is_a_fork(tmp_path: Path, note: bytes) -> None:
    anchor = Faulty(tmp_path / "a", [raising(AnchorForked("it holds another branch", note))])
    writer = create(tmp_path / "run", registered(tmp_path, anchor))
    complete(writer)
    assert writer.anchors[0].forked


@pytest.mark.parametrize("error", [AnchorError("the key is refused"), ZeroDivisionError(), KeyboardInterrupt()])
def test_what_won_t_get_better_is_told_once_and_ends_no_training(tmp_path: Path, error: BaseException) -> None:
    anchor = Faulty(tmp_path / "a", [raising(error)] * 100)
    registration = registered(tmp_path, anchor)
    events: list[Event] = []
    writer = create(tmp_path / "run", registration, on_event=events.append)
    complete(writer)
    look(tmp_path / "run", registration.folder)
    (told,) = [event for event in events if isinstance(event, AnchorFailed)]
    assert told.final
    assert anchor.tries == 1
    assert writer.anchors[0].pending


def test_a_listener_that_raises_ends_no_training(tmp_path: Path) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, Anchored | AnchorFailed):
            raise ZeroDivisionError

    anchor = Faulty(tmp_path / "a")
    registration = registered(tmp_path, anchor)
    complete(create(tmp_path / "run", registration, on_event=on_event))
    look(tmp_path / "run", registration.folder)


def test_what_an_earlier_process_left_is_anchored_when_the_run_goes_on(tmp_path: Path) -> None:
    registration = registered(tmp_path, every=64)
    writer = create(tmp_path / "run", registration)
    train(writer, 2)
    writer.abandon()
    anchor = Faulty(tmp_path / "a")
    again = resume(tmp_path / "run", replace(registration, anchors=(anchor,)))
    until(lambda: not again.anchors[0].pending)  # before there is another entry
    again.abandon()
    assert {receipt.kind for receipt in receipts(tmp_path / "run")} == {"file", "elsewhere"}


@pytest.mark.parametrize("way", ["lost", "kept", "torn"])
@pytest.mark.parametrize("name", ["register/views.jsonl", "anchors/receipts.jsonl"])
def test_a_write_that_fails_in_the_thread_is_made_up_for(tmp_path: Path, way: str, name: str) -> None:
    """The thread's own writes, seen where the training makes none: it was entered long ago, and
    another run has been entered since."""
    registration = registered(tmp_path, every=64)
    run = tmp_path / "run"
    create(run, registration).abandon()
    create(tmp_path / "other", registration, 4).abandon()
    anchor = Faulty(tmp_path / "a")
    writer = resume(run, replace(registration, anchors=(anchor,)), files=FailingFiles(run, f"append {name} #0", way))
    until(lambda: bool(writer.anchors[0].trouble))
    assert f"failed and was {way}" in writer.anchors[0].trouble
    train(writer, 2)
    complete(writer)
    whole(run, registration)
    assert not writer.anchors[0].pending


def test_a_dropped_run_ends_its_threads_too(tmp_path: Path) -> None:
    anchor = Faulty(tmp_path / "a", [raising(AnchorDown("no answer"))] * 10**6)
    registration = registered(tmp_path, anchor)

    def drop() -> None:
        train(create(tmp_path / "run", registration), 2)

    with pytest.warns(UserWarning, match="was dropped without close"):
        drop()
    until(lambda: not any(thread.name == "anchor elsewhere" for thread in threading.enumerate()))
    again = resume(tmp_path / "run", replace(registration, anchors=()))
    complete(again)
    look(tmp_path / "run", registration.folder)


def test_nothing_is_anchored_for_a_copy_of_a_run_that_goes_on_elsewhere(tmp_path: Path) -> None:
    """Its receipts would speak for records that it doesn't have."""
    registration = registered(tmp_path)
    first = create(tmp_path / "run", registration)
    first.abandon()
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    gone_on = threading.Event()

    def waits() -> None:
        assert gone_on.wait(PATIENCE)
        raise AnchorDown("once more")

    anchor = Faulty(tmp_path / "a", [waits])
    second = resume(tmp_path / "copy", replace(registration, anchors=(anchor,)))
    until(lambda: anchor.tries == 1)
    first = resume(tmp_path / "run", registration)
    train(first, 2)
    first.drain()
    gone_on.set()
    until(
        lambda: "goes on elsewhere" in second.anchors[0].trouble or "continued elsewhere" in second.anchors[0].trouble
    )
    second.abandon()
    assert {receipt.kind for receipt in receipts(tmp_path / "copy")} == {"file"}
    assert {view.entry.size for view in views(tmp_path / "copy")} == {1, 2}
    complete(first)
    look(tmp_path / "run", registration.folder)


def test_waits_grow_and_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing depends on the clock of the day: what is waited for is a span."""
    monkeypatch.setattr(anchoring, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(anchoring, "LONGEST_WAIT", 8.0)
    anchor = Faulty(tmp_path / "a")
    registration = registered(tmp_path, anchor)
    writer: RunWriter = create(tmp_path / "run", registration, files=Files())
    assert writer._following._anchoring is not None
    (worker,) = writer._following._anchoring._workers
    until(lambda: not worker.state.pending)
    spans = []
    for _ in range(6):
        worker._failed(AnchorDown("no answer"))
        spans.append(worker._until - monotonic())
    writer.abandon()
    for span, most in zip(spans, [1, 2, 4, 8, 8, 8], strict=True):
        assert most / 2 - 0.1 < span <= most
    assert isinstance(TracedFiles(tmp_path), Files)
