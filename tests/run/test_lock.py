"""One trainer at a time, whatever becomes of the other."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zk_autograd.core.errors import RunError
from zk_autograd.run.lock import RunLock, holder

HOLDER = """
import os, sys, time
from pathlib import Path
from zk_autograd.run.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
# The child is a data loader's worker, say, that outlives its parent; it speaks when it has begun.
if "fork" not in sys.argv or os.fork() == 0:
    print("held", flush=True)
time.sleep(60)
"""


def test_the_second_is_refused_until_the_first_releases(tmp_path: Path) -> None:
    path = tmp_path / "private" / "lock"
    path.parent.mkdir()
    first = RunLock(path)
    with pytest.raises(
        RunError, match=rf"{tmp_path} is being written by this very process \({os.getpid()}\): call close\(\)"
    ):
        RunLock(path)
    first.release()
    first.release()
    RunLock(path).release()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("forks", ["fork", "no"])
def test_the_lock_dies_with_its_process_even_if_that_had_forked(tmp_path: Path, forks: str) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), forks], stdout=subprocess.PIPE, start_new_session=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(RunError, match=f"process {holder.pid}"):
                RunLock(path)
            holder.kill()
            holder.wait()
            RunLock(path).release()
        finally:
            os.killpg(holder.pid, 9) if forks == "fork" else holder.kill()


def test_the_holder_is_known_to_who_looks(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    with RunLock(path):
        assert holder(path) == str(os.getpid())
        assert holder(path) == str(os.getpid())
    assert holder(path) is None
    with pytest.raises(RunError, match="can't be inspected"):
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
        holder(path)


def test_who_looks_does_not_keep_a_trainer_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    RunLock(path).release()
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.01, os.close, (looking,))
    timer.start()
    with RunLock(path):
        pass
    timer.join()


def test_a_lock_that_cannot_be_made_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be locked: No such file"):
        RunLock(tmp_path / "missing" / "lock")


@pytest.mark.parametrize("target", [".", "..", "beside"])
def test_a_lock_behind_a_link_is_not_taken(tmp_path: Path, target: str) -> None:
    (tmp_path / "run" / "beside").mkdir(parents=True)
    (tmp_path / "run" / "private").symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    for use in (RunLock, holder):
        with pytest.raises(RunError, match="private is a link or not a folder"):
            use(tmp_path / "run" / "private" / "lock")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_no_trainer_locks_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    os.mkfifo(path)
    for use in (RunLock, holder):  # neither waits for the pipe's other end
        with pytest.raises(RunError, match="not a trainer's lock file"):
            use(path)
    path.unlink()
    (tmp_path / "thesis.txt").write_text("ten years of work, and more of it")
    os.link(tmp_path / "thesis.txt", path)
    for use in (RunLock, holder):
        with pytest.raises(RunError, match="not a trainer's lock file"):
            use(path)
    assert path.read_text() == "ten years of work, and more of it"


def test_a_refused_lock_leaves_nothing_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    before = os.listdir("/dev/fd")
    with pytest.raises(RunError, match="not a trainer's lock file"):
        RunLock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    with RunLock(tmp_path / "lock") as lock:
        assert os.path.samestat(os.fstat(lock.folder), os.stat(tmp_path))
        with pytest.raises(RunError, match="this very process"):
            RunLock(tmp_path / "lock")
    assert os.listdir("/dev/fd") == before
