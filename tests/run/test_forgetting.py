"""Forgetting a run: the evidence stays, what is private goes, and a crash in between is completed
by the next time."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.test_inventory import abandoned, finished
from tests.run.test_recovery import begin, resume
from tests.run.trainer import FailingFiles, FaultyProver, TracedFiles, audit, train
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.run.files import Files
from zk_autograd.run.forgetting import Forgetting, forget, plan
from zk_autograd.run.inventory import Condition, Secrets, look_at

ROOT = Path(__file__).resolve().parents[2]
NOW = "2026-02-03T04:05:06Z"
LATER = "2026-03-04T05:06:07Z"


def forgotten(run: Path, *, files: Files | None = None, unfinished: bool = False, now: str = NOW) -> Forgetting:
    return forget(run, files or Files(lambda _: None), now=now, unfinished=unfinished, advance=lambda *_: None)


def test_the_evidence_stays_and_nothing_private_does(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.parent.name in ("log", "proofs", "model")}
    (run / "private" / "segments" / "link").symlink_to(tmp_path)
    (run / "private" / "other").symlink_to(tmp_path)
    (tmp_path / "kept").touch()
    done = forgotten(run)
    assert (done.condition, done.begun, done.remains) == (Condition.FINISHED, None, True)
    assert sorted(os.listdir(run / "private")) == [".gitignore", "forgotten", "lock"]
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "kept").exists()  # a link was removed, not followed
    assert audit(run, FaultyProver()).close is not None
    status = look_at(run)
    assert (status.condition, status.secrets, status.forgotten) == (Condition.FINISHED, Secrets.FORGOTTEN, NOW)


def test_a_forgotten_run_says_so_when_it_is_resumed(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    forgotten(run, unfinished=True)
    with pytest.raises(RunError, match=f"run was forgotten on {NOW}: its gradients, states and salts are deleted"):
        resume(run)
    assert look_at(run).condition is Condition.UNFINISHED


def test_an_unfinished_run_is_not_forgotten_unless_told(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5)
    with pytest.raises(
        RunError, match=r"is unfinished, and without .* never be resumed or repaired: finish it first, or add --force"
    ):
        forgotten(run)
    resumed = resume(run)
    assert resumed.step == 5
    resumed.abandon()


def test_a_run_in_use_is_not_forgotten(tmp_path: Path) -> None:
    writer = begin(tmp_path / "run", Files(lambda _: None))
    with pytest.raises(RunError, match="is being written by this very process"):
        forgotten(tmp_path / "run", unfinished=True)
    train(writer, 3)
    writer.close()
    forgotten(tmp_path / "run")


def test_a_run_without_a_private_folder_has_nothing_to_forget(tmp_path: Path) -> None:
    (tmp_path / "run" / "log").mkdir(parents=True)
    for path in (tmp_path / "run", tmp_path / "missing"):
        with pytest.raises(UsageError, match=r"nothing to forget|there is no run"):
            forgotten(path)
    assert not (tmp_path / "run" / "private").exists()


@pytest.mark.parametrize("way", ["lost", "kept"])
def test_whichever_write_fails_the_next_time_completes_it(tmp_path: Path, way: str) -> None:
    traced = TracedFiles(tmp_path / "traced")
    forgotten(finished(tmp_path / "traced"), files=traced)
    assert traced.done == [
        "write private/forgotten #0",
        "remove private/close #0",
        "remove private/head #0",
        "remove private/header #0",
        "remove_folder private/segments #0",
    ]
    for n, write in enumerate(traced.done):
        run = finished(tmp_path / str(n))
        with pytest.raises(RunError, match="failed and was"):
            forgotten(run, files=FailingFiles(run, write, way))
        begun = NOW if n or way == "kept" else None
        assert look_at(run).forgotten == begun
        assert look_at(run).condition is Condition.FINISHED
        done = forgotten(run, now=LATER)
        assert done.begun == begun
        assert done.remains == (write != traced.done[-1] or way == "lost")
        assert sorted(os.listdir(run / "private")) == [".gitignore", "forgotten", "lock"]
        assert look_at(run).forgotten == (begun or LATER)


KILLED = """
import os, signal, sys
from pathlib import Path
from zk_autograd.run.files import Files
from zk_autograd.run.forgetting import forget

def advance(what, done, total):
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

forget(Path(sys.argv[1]), Files(), now=sys.argv[3], unfinished=False, advance=advance)
"""


@pytest.mark.parametrize("done", [1, 4])
def test_a_killed_forgetting_is_completed(tmp_path: Path, done: int) -> None:
    run = finished(tmp_path / "run")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(run), str(done), NOW],
        env={"PYTHONPATH": f"{ROOT}/src", "PATH": ""},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(run / "private")) == 7 - done
    completed = forgotten(run, now=LATER)
    assert (completed.begun, completed.remains) == (NOW, done == 1)
    assert sorted(os.listdir(run / "private")) == [".gitignore", "forgotten", "lock"]


def test_a_half_forgotten_unfinished_run_is_completed_without_being_told_again(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5)
    with pytest.raises(RunError, match="failed and was"):
        forgotten(run, files=FailingFiles(run, "remove private/header #0", "lost"), unfinished=True)
    with pytest.raises(RunError, match="was forgotten on"):
        resume(run)
    assert forgotten(run).begun == NOW
    again = plan(run)
    assert (again.begun, again.remains) == (NOW, False)


def test_a_marker_that_cannot_be_read_is_no_marker(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    (run / "private" / "forgotten").write_bytes(b'{"format":"zk-autograd/forgotten/v9","on":"today"}')
    for use in (resume, plan, forgotten, lambda run: forgotten(run, unfinished=True)):
        with pytest.raises(RunError, match="forgotten is not what forgetting a run leaves"):
            use(run)
    status = look_at(run)
    assert (status.condition, status.forgotten) == (Condition.DAMAGED, None)
    assert "forgotten is not what forgetting a run leaves" in status.reason


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder, links as what they say."""
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else ""
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize("target", ["..", ".", "../other/private", "private2", "../missing", "log"])
def test_a_linked_private_folder_is_left_alone(tmp_path: Path, target: str) -> None:
    run = finished(tmp_path / "place" / "run")
    for name in ("private2", "../other/private"):
        shutil.copytree(run / "private", run / name)
    for folder in (run.parent, run, run / "log"):  # as if each were a private folder
        for name in ("header", "close", "lock"):
            shutil.copy(run / "private" / name, folder)
        shutil.copytree(run / "private" / "segments", folder / "segments")
    (run.parent / "thesis.txt").write_text("ten years")
    shutil.rmtree(run / "private")
    (run / "private").symlink_to(target)
    before = snapshot(tmp_path)
    for use in (plan, forgotten, lambda run: forgotten(run, unfinished=True), resume):
        with pytest.raises(RunError, match=r"private is a link or not a folder|its creation was interrupted"):
            use(run)
    status = look_at(run)
    assert (status.condition, status.secrets) == (Condition.DAMAGED, Secrets.ABSENT)
    assert "private is a link or not a folder" in status.reason
    assert snapshot(tmp_path) == before


def test_a_private_folder_exchanged_for_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other")
    before = snapshot(other)

    def exchange(what: str, done: int, total: int) -> None:
        if done == 1:
            (run / "private").rename(run / "moved")
            (run / "private").symlink_to(other / "private")

    forget(run, Files(lambda _: None), now=NOW, unfinished=False, advance=exchange)
    assert snapshot(other) == before
    assert sorted(os.listdir(run / "moved")) == [".gitignore", "forgotten", "lock"]


def test_a_private_folder_that_is_no_runs_is_left_alone(tmp_path: Path) -> None:
    """Somebody's home, say, named by mistake."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "letters.txt").write_text("dear")
    for use in (plan, forgotten, lambda path: forgotten(path, unfinished=True)):
        with pytest.raises(RunError, match="private holds none of the files that a run keeps there, and is left alone"):
            use(tmp_path)
    assert (tmp_path / "private" / "letters.txt").exists()
    assert not (tmp_path / "private" / "forgotten").exists()
