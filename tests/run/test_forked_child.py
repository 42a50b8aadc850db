"""A forked child and the run of its parent: nothing that the child does to it is done, and nothing
of it hurts the parent."""

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forks import forking, in_child
from tests.run.test_recovery import begin
from tests.run.trainer import SIZE, FaultyProver, audit, gradients, make_header, train
from zk_autograd.core.errors import RunError
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.run.files import Files
from zk_autograd.run.lock import RunLock
from zk_autograd.run.writer import RunWriter

pytestmark = forking

ROOT = Path(__file__).resolve().parents[2]


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    """One that stands after three steps of a run, the first two of them recorded."""
    writer = begin(tmp_path / "run", Files(lambda _: None))
    train(writer, 2)
    writer.drain()
    train(writer, 3)
    yield writer
    writer.abandon()


ACTS: dict[str, Callable[[RunWriter], object]] = {
    "append": lambda writer: writer.append(gradients(4)),
    "drain": lambda writer: writer.drain(),
    "close": lambda writer: writer.close(),
    "abandon": lambda writer: writer.abandon(),
    "pending": lambda writer: writer.pending,
}


def test_settings_that_change_in_the_child_are_not_kept(tmp_path: Path, writer: RunWriter) -> None:
    writer.keep_settings(b"mine", durable=False)
    before = contents(tmp_path / "run")
    for durable in (False, True):
        assert in_child(lambda durable=durable: writer.keep_settings(b"a child's", durable=durable)) == "done"  # type: ignore[misc]
    assert contents(tmp_path / "run") == before
    files = Files()
    told = in_child(lambda: files.overwrite(tmp_path / "run" / "private" / "settings", b"a child's"))
    assert "a forked child can't write to it" in told
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("act", ACTS)
def test_the_child_is_refused_and_the_parent_goes_on(act: str, tmp_path: Path, writer: RunWriter) -> None:
    before = contents(tmp_path / "run")
    told = in_child(lambda: ACTS[act](writer))
    assert told.startswith(f"RunError: {tmp_path / 'run'} belongs to process {os.getpid()}; a forked child can't write")
    assert contents(tmp_path / "run") == before
    with pytest.raises(RunError, match="is being written by this very process"):
        RunLock(tmp_path / "run" / "private" / "lock")
    train(writer, 4)
    writer.close()
    log = audit(tmp_path / "run", FaultyProver())
    assert log.close is not None
    assert log.close.last_step == 4


def test_a_child_that_drops_the_writer_gives_nothing_back(tmp_path: Path) -> None:
    found = [begin(tmp_path / "run", Files(lambda _: None))]

    def drop() -> None:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found.clear()
            gc.collect()
        assert told == []

    assert in_child(drop) == "done"
    train(found[0], 3)
    found[0].close()
    assert audit(tmp_path / "run", FaultyProver()).close is not None


def test_files_are_written_by_the_process_that_opened_them_alone(tmp_path: Path) -> None:
    files = Files()
    files.write_atomic(tmp_path / "old", b"old")
    acts: list[Callable[[], object]] = [
        lambda: files.make_dir(tmp_path / "new"),
        lambda: files.make_private_dir(tmp_path / "new"),
        lambda: files.write_atomic(tmp_path / "old", b"new"),
        lambda: files.write_stream(tmp_path / "old", [b"new"]),
        lambda: files.append(tmp_path / "old", b"new"),
        lambda: files.truncate(tmp_path / "old", 0),
        lambda: files.remove(tmp_path / "old"),
        lambda: files.remove_folder(tmp_path),
    ]
    for act in acts:
        assert f"belongs to process {os.getpid()}; a forked child can't write to it" in in_child(act)
    assert contents(tmp_path) == {tmp_path / "old": b"old"}


def test_a_child_writes_a_run_of_its_own(tmp_path: Path, writer: RunWriter) -> None:
    def own() -> None:
        mine = begin(tmp_path / "own", Files(lambda _: None))
        train(mine, 3)
        mine.close()

    assert in_child(own) == "done"
    assert audit(tmp_path / "own", FaultyProver()).close is not None


def test_a_child_does_not_kill_what_its_parent_proves_with() -> None:
    prover = Child()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        prover._process = process  # as `run` has it while EZKL is at work
        prover._lock.acquire()  # by the proving thread, when the fork came
        try:
            assert in_child(prover.stop) == "done"
            assert process.poll() is None
        finally:
            prover._lock.release()
            prover.stop()
        assert process.wait() == -9


SCRIPT = """
import os, sys, time
from pathlib import Path
from tests.run.trainer import FaultyProver, SIGNER, first_weights, make_header, train
from zk_autograd.run.writer import RunWriter

backend = FaultyProver()
writer = RunWriter.create(Path(sys.argv[1]), make_header(backend), backend, [SIGNER], first_weights())
train(writer, 3)
if (child := os.fork()) == 0:
    sys.exit()  # with all that Python does at its end
assert os.waitpid(child, 0) == (child, 0)
train(writer, 4)
writer.close()
"""


def test_a_child_that_ends_as_a_process_does_says_nothing_and_harms_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT, str(tmp_path / "run")],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert audit(tmp_path / "run", FaultyProver()).close is not None


def test_the_helper_tells_what_a_child_raised() -> None:
    assert in_child(lambda: make_header(FaultyProver()).size == SIZE) == "done"
    assert in_child(lambda: 1 // 0) == "ZeroDivisionError: integer division or modulo by zero"
