"""Writers that go away without close or abandon: what becomes of their runs, and who is told."""

import gc
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.test_recovery import begin, resume
from tests.run.trainer import SIGNER, FaultyProver, audit, first_weights, hang, hashed_backend, make_header, train
from zk_autograd.core.errors import RunError
from zk_autograd.run.files import Files
from zk_autograd.run.lock import RunLock, holder
from zk_autograd.run.unclosed import UnclosedRun
from zk_autograd.run.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]


def proving() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "proving"]


def test_a_dropped_writer_gives_its_run_back_and_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = begin(run, Files(lambda _: None))
    train(writer, 3)
    with pytest.warns(
        UnclosedRun, match=r"of its 3 steps, \d (is|are) not proved and recorded. Nothing is lost"
    ) as told:
        del writer
        gc.collect()
    assert f"`ZKOptimizer(..., run={str(run)!r}, resume=True)` resumes it" in str(told[0].message)
    assert proving() == []
    writer = resume(run)
    assert writer.step == 3
    writer.close()
    assert audit(run, FaultyProver()).close is not None


def test_what_was_recorded_before_a_resumption_counts_as_recorded(tmp_path: Path) -> None:
    writer = begin(tmp_path / "run", Files(lambda _: None))
    train(writer, 2)
    writer.drain()
    train(writer, 3)
    writer.abandon()
    writer = resume(tmp_path / "run")
    with pytest.warns(UnclosedRun, match="of its 3 steps, 1 is not proved and recorded"):
        del writer
        gc.collect()


def test_a_dropped_writer_ends_the_proof_in_progress(tmp_path: Path) -> None:
    backend = FaultyProver([hang])
    writer = RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights())
    train(writer, 3)
    with pytest.warns(UnclosedRun, match="of its 3 steps, 3 are not proved and recorded"):
        del writer
        gc.collect()
    assert backend.stopped.is_set()
    assert proving() == []
    RunLock(tmp_path / "run" / "private" / "lock").release()


@pytest.mark.filterwarnings("ignore::zk_autograd.run.unclosed.UnclosedRun")
def test_the_proving_thread_may_be_the_one_that_finds_its_writer_dropped(tmp_path: Path) -> None:
    dropped, collected = threading.Event(), threading.Event()

    def collect(_: FaultyProver) -> None:
        assert dropped.wait(30)
        gc.collect()
        collected.set()

    backend = FaultyProver([collect])
    gc.collect()
    gc.disable()
    try:
        cycle: list[object] = [
            RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights())
        ]
        cycle.append(cycle)
        assert isinstance(cycle[0], RunWriter)
        train(cycle[0], 2)
        del cycle
        dropped.set()
        assert collected.wait(30)
    finally:
        gc.enable()
    end = time.monotonic() + 30
    while proving() and time.monotonic() < end:
        time.sleep(0.01)
    assert proving() == []
    while holder(tmp_path / "run" / "private" / "lock") and time.monotonic() < end:
        time.sleep(0.01)
    resume(tmp_path / "run").abandon()


def test_who_begins_again_need_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        cycle: list[object] = [begin(tmp_path / "run", Files(lambda _: None))]
        cycle.append(cycle)
        del cycle
        with pytest.warns(UnclosedRun, match="it has no steps yet"):
            writer = resume(tmp_path / "run")
        writer.abandon()
    finally:
        gc.enable()


def test_a_run_that_this_process_holds_is_said_to_be_its_own(tmp_path: Path) -> None:
    old = begin(tmp_path / "run", Files(lambda _: None))
    with pytest.raises(
        RunError, match=rf"this very process \({os.getpid()}\): call close\(\) or abandon\(\) on the opt"
    ):
        resume(tmp_path / "run")
    old.abandon()
    resume(tmp_path / "run").abandon()


def test_nothing_is_said_of_a_run_that_was_closed_abandoned_or_removed(tmp_path: Path) -> None:
    acts: list[Callable[[RunWriter], object]] = [RunWriter.close, RunWriter.abandon]
    for i, act in enumerate(acts):
        writer = begin(tmp_path / str(i), Files(lambda _: None))
        act(writer)
        del writer
    gc.collect()  # a warning would be an error


# ---- the end of the process ----------------------------------------------------------------------

SCRIPT = """
import os, sys
from pathlib import Path
from tests.run.trainer import SIGNER, first_weights, hashed_backend, make_header, train
from zk_autograd.run.writer import RunWriter

run = Path(sys.argv[1])
backend = hashed_backend()
writer = RunWriter.create(run, make_header(backend), backend, [SIGNER], first_weights())
train(writer, 2)
writer.drain()
train(writer, 3)
"""


def ended(run: Path, end: str, *flags: str) -> tuple[int, str]:
    """The status and the standard error of a script that has made three steps, and then does
    `end`."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", SCRIPT + end, str(run)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def line(run: Path) -> str:
    return (
        f"warning: the run {run} was not closed: of its 3 steps, 1 is not recorded. Nothing is lost: "
        f"`ZKOptimizer(..., run={str(run)!r}, resume=True)` resumes it\n"
    )


@pytest.mark.parametrize("flags", [(), ("-W", "error")])
@pytest.mark.parametrize(("end", "status"), [("", 0), ("sys.exit(3)", 3), ("print('nobody', file=sys.stderr)", 0)])
def test_the_end_of_a_script_tells_of_an_open_run(
    end: str, status: int, flags: tuple[str, ...], tmp_path: Path
) -> None:
    found, errors = ended(tmp_path / "run", end, *flags)
    assert found == status
    assert errors.removeprefix("nobody\n") == line(tmp_path / "run")
    writer = RunWriter.resume(tmp_path / "run", lambda _: hashed_backend(), [SIGNER])
    assert writer.step == 3
    writer.close()


def test_an_error_that_ends_the_script_is_followed_by_the_line(tmp_path: Path) -> None:
    status, errors = ended(tmp_path / "run", "1 / 0")
    assert status == 1
    assert re.search(r"Traceback.*\nZeroDivisionError: division by zero\nwarning: the run ", errors, re.DOTALL)
    assert errors.endswith(line(tmp_path / "run"))


@pytest.mark.parametrize(
    "end",
    ["writer.close()", "writer.abandon()", "import shutil; shutil.rmtree(run)", "os._exit(0)", "sys.stderr.close()"],
)
def test_nothing_is_said_where_nothing_is_left_or_nobody_listens(end: str, tmp_path: Path) -> None:
    assert ended(tmp_path / "run", end) == (0, "")


def test_the_run_of_zk_train_is_gone_on_with_by_it(tmp_path: Path) -> None:
    _, errors = ended(tmp_path / "a run", "(run / 'private' / 'train.json').write_text('{}')")
    assert f"`zk-train --resume '{tmp_path}/a run'` resumes it" in errors
