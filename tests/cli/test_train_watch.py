"""What a watcher of a training sees: bars that move, and each failure told once."""

from io import StringIO

import pytest

from tests.train.test_summary import HEADER
from zk_autograd.cli.output import Output
from zk_autograd.cli.train_watch import Watch
from zk_autograd.run.events import Event, ProofDone, ProofFailed, StepLogged, Waiting


@pytest.fixture
def shown() -> tuple[Watch, list[tuple[str, int, int]], StringIO]:
    """A watch over 100 steps of a run in segments of 64 with 2 blocks; the bars it moves; what it
    writes."""
    bars: list[tuple[str, int, int]] = []
    words = StringIO()
    watch = Watch(100, lambda what, done, total: bars.append((what, done, total)), Output(json_output=False, err=words))
    watch.header(HEADER)
    return watch, bars, words


def told(shown: tuple[Watch, list[tuple[str, int, int]], StringIO], *events: Event) -> list[str]:
    for event in events:
        shown[0](event)
    return shown[2].getvalue().splitlines()


def test_steps_and_proofs_move_their_bars(shown: tuple[Watch, list[tuple[str, int, int]], StringIO]) -> None:
    lines = told(shown, StepLogged(64), ProofDone(0, 1, 2, 9.87, 4064, False), ProofDone(1, 0, 2, 10.0, 4064, True))
    assert shown[1] == [("training", 64, 100), ("proving", 2, 4), ("proving", 3, 4)]
    assert lines == ["proof 2 of 4: 4,064 bytes in 9.9 s", "proof 3 of 4: 4,064 bytes in 10.0 s"]


def test_hashes_are_no_proofs(shown: tuple[Watch, list[tuple[str, int, int]], StringIO]) -> None:
    assert told(shown, ProofDone(0, 0, 2, 0.0, 0, False)) == []
    assert shown[1] == []


def test_waiting_is_told_once_and_each_failure(shown: tuple[Watch, list[tuple[str, int, int]], StringIO]) -> None:
    failed = ProofFailed(1, 0, 2, "it died")
    lines = told(shown, Waiting(3), Waiting(3), failed, failed)
    assert lines == [
        "training waits for the prover: 3 segments are not proved yet",
        *["attempt 2 to prove block 0 of segment 1 failed: it died"] * 2,
    ]


def test_first_interrupt_says_what_happens_now(shown: tuple[Watch, list[tuple[str, int, int]], StringIO]) -> None:
    shown[0].interrupted()
    assert "Ctrl-C again stops at once, and the run can be resumed" in shown[2].getvalue()
