"""Going on with a run: from where it was, under the same conditions, and not at all where it is no
run of ours."""

import json
import shutil
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.run.plain_run import create, expected_states, resume
from tests.run.trainer import (
    FailingFiles,
    FaultyProver,
    TracedFiles,
    audit,
    gradients,
    hashed_backend,
    train,
)
from zk_autograd.core.errors import RunError
from zk_autograd.core.hyper import Rule
from zk_autograd.run.private_file import encode, read


def test_resuming_a_run_that_is_in_order_writes_nothing(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    train(writer, 2)
    writer.drain()
    train(writer, 3)
    writer.abandon()
    files = TracedFiles(tmp_path / "run")
    writer = resume(tmp_path / "run", files=files)
    assert writer.head.size == 3
    writer.abandon()
    # The last trainer may have been killed between the write of its step and the sync.
    assert files.done == ["make_private_dir private #0", "sync private/segments/1/journal #0"]


def test_a_second_trainer_is_refused(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    with pytest.raises(RunError, match="is being written by this very process"):
        resume(tmp_path / "run")
    train(writer, 1)
    writer.abandon()
    resume(tmp_path / "run").abandon()


def test_an_abandoned_run_goes_on_where_it_was(tmp_path: Path) -> None:
    writer = create(tmp_path / "run", loop_state=bytes(4))
    assert (writer.step, writer.loop_state) == (0, bytes(4))
    for steps in (0, 1, 2, 3, 5):
        train(writer, steps)
        before = writer
        writer.abandon()
        writer.abandon()
        with pytest.raises(RunError, match="was abandoned; resume it"):
            writer.append(gradients(1))
        writer = resume(tmp_path / "run")
        assert (writer.step, writer.loop_state) == (steps, steps.to_bytes(4, "big"))
        assert (writer.header, writer.header_digest) == (before.header, before.header_digest)
        assert writer.path == tmp_path / "run"
        for name, values in before.state.items():
            np.testing.assert_array_equal(writer.state[name], values)
    writer.close()
    assert [s.last for s in audit(tmp_path / "run", hashed_backend()).segments] == [2, 4, 5]
    np.testing.assert_array_equal(writer.state["V"], expected_states(Rule.ADAM, 5)[5]["V"])


def test_a_folder_that_is_no_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(RunError, match="can't be resumed: there is no run"):
            resume(path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("missing", ["header", "lock"])
def test_a_run_whose_creation_was_interrupted_says_so(tmp_path: Path, missing: str) -> None:
    create(tmp_path / "run").abandon()
    (tmp_path / "run" / "private" / "header").unlink()
    if missing == "lock":
        (tmp_path / "run" / "private" / "lock").unlink()
    with pytest.raises(RunError, match="its creation was interrupted before the first step; remove it"):
        resume(tmp_path / "run")


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    writer.abandon()
    path = tmp_path / "run" / "private" / "header"
    leaf = read(path, "header", None)[1]["leaf"]
    later = json.loads(leaf) | {"format": "zk-autograd/run/v9"}
    text = json.dumps(later, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(encode("header", bytes(32), {}, {"leaf": text}))
    with pytest.raises(RunError, match=r"can't resume: .*v9.*; use the version that began it"):
        resume(tmp_path / "run")


def test_another_prover_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "run").abandon()
    with pytest.raises(RunError, match=r"the run's prover is .*; use the version, circuit and SRS that began the run"):
        resume(tmp_path / "run", FaultyProver())
    resume(tmp_path / "run").abandon()  # the lock was released
    backend = FaultyProver()
    with pytest.raises(RunError):
        resume(tmp_path / "run", backend)
    assert backend.stopped.is_set()


def test_no_step_follows_a_failed_write(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = create(run, files=FailingFiles(run, "append private/segments/0/journal #1", "lost"))
    writer.append(gradients(1))
    with pytest.raises(RunError, match="journal #1 failed"):
        writer.append(gradients(2))
    for use in (lambda: writer.append(gradients(2)), writer.drain, writer.close):
        with pytest.raises(RunError, match=r"takes no more steps after a failed write .*; abandon it and resume it"):
            use()
    writer.abandon()
    assert resumed_step(run) == 1


def resumed_step(run: Path) -> int:
    writer = resume(run)
    writer.abandon()
    return writer.step


def test_a_failed_sealing_while_resuming_leaves_no_thread(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = "write_stream private/segments/1/journal #0"
    writer = create(run, files=FailingFiles(run, start, "lost"))
    with pytest.raises(RunError, match="journal #0 failed"):
        train(writer, 2)
    writer.abandon()
    with pytest.raises(RunError, match="journal #0 failed"):
        resume(run, files=FailingFiles(run, start, "lost"))
    assert [thread.name for thread in threading.enumerate() if thread.name == "proving"] == []


def test_a_copied_run_is_closed_to_others_again(tmp_path: Path) -> None:
    create(tmp_path / "run").abandon()
    (tmp_path / "run" / "private").chmod(0o755)
    resume(tmp_path / "run").abandon()
    assert stat.S_IMODE((tmp_path / "run" / "private").stat().st_mode) == 0o700


def test_a_moved_run_goes_on(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    train(writer, 3)
    writer.abandon()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    writer = resume(tmp_path / "moved")
    train(writer, 4)
    writer.close()
    assert len(audit(tmp_path / "moved", hashed_backend()).segments) == 2
