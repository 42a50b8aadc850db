"""A real Dask cluster on this machine's loopback: scheduler and workers, each a process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.run.native_run import create, resume, train
from tests.run.test_coordinator import require_right
from tests.workers.clusters import ALL, Keys, done, proved_by, reasons
from zk_autograd.core.errors import ProverError
from zk_autograd.local.confinement import available
from zk_autograd.run import coordinator
from zk_autograd.workers.choice import Proving

pytest.importorskip("distributed", reason="Dask isn't installed: pip install 'zk-autograd[dask]'")
pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]

Start = Callable[..., tuple[str, "subprocess.Popen[str]"]]


@contextmanager
def processes(keys: Keys) -> Iterator[Start]:
    """Starts schedulers and workers, and stops those that it started."""
    with ExitStack() as stack:

        def start(*arguments: str, key: Path | None = keys.private, **more: str) -> tuple[str, "subprocess.Popen[str]"]:
            environment = {**os.environ, **more} | ({"ZK_WORKER_KEY": str(key)} if key else {})
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.dask_worker", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.callback(_stopped, process)
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address
            return address, process

        yield start


def _stopped(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_two_workers_prove_a_run(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    with processes(keys) as start:
        address, _ = start("scheduler")
        workers = {start("worker", address)[0] for _ in range(2)}
        events = proved_by(tmp_path / "run", f"dask:{address}", keys)
    assert done(events) == ALL
    assert {e.worker for e in events if hasattr(e, "worker")} == workers
    assert not reasons(events)


def test_a_worker_that_is_killed_in_the_middle_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    with processes(keys) as start:
        address, _ = start("scheduler")
        (_, victim), _ = start("worker", address), start("worker", address)
        events = proved_by(
            tmp_path / "run", f"dask:{address}", keys, during=lambda: os.kill(victim.pid, signal.SIGKILL)
        )
        victim.wait()
    assert victim.returncode == -signal.SIGKILL
    assert done(events) == ALL
    assert len(list((tmp_path / "run/proofs").iterdir())) == len(ALL)


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ("garbage", "the worker returned a wrong proof"),
        ("raise", "ZeroDivisionError"),
        ("version", "of zk-autograd '.*', and this worker has 9.9.9"),
        ("die", "KilledWorker|CommClosed"),
    ],
)
def test_a_lie_of_one_worker_is_made_good_by_the_other(tmp_path: Path, lie: str, says: str) -> None:
    keys = Keys.make(tmp_path)
    with processes(keys) as start:
        address, _ = start("scheduler")
        liar, _ = start("worker", address, lie)
        start("worker", address)
        events = proved_by(tmp_path / "run", f"dask:{address}", keys)
    assert done(events) == ALL
    if lie != "die":  # the scheduler gives a dead worker's task to the other one by itself
        assert any(re.search(says, reason) for reason in reasons(events)), reasons(events)
        assert liar in {e.worker for e in events if hasattr(e, "worker")}


def test_an_object_of_a_worker_runs_code_where_there_is_nothing_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is unpickled by whoever is connected to the cluster. If that were the trainer, its
    keys and its run's private folder would be the worker's; the gateway can't read them. Dask then
    asks for that result for ever, and the trainer elsewhere."""
    monkeypatch.setattr(coordinator, "PATIENCE", 15.0)
    if reason := available():
        pytest.skip(f"no gateway can be confined here: {reason}")
    keys = Keys.make(tmp_path)
    victim, target = tmp_path / "log.key", Path("/dev/shm") / f"zk-test-{os.getpid()}"
    victim.write_text("secret", encoding="ascii")
    with processes(keys) as start:
        address, _ = start("scheduler")
        start("worker", address, "pickle", VICTIM=str(victim), TARGET=str(target))
        start("worker", address)
        try:
            events = proved_by(tmp_path / "run", f"dask:{address}", keys)
            written = target.read_text(encoding="ascii") if target.exists() else ""
        finally:
            target.unlink(missing_ok=True)
    assert done(events) == ALL
    assert any("no answer came in 15 s" in reason for reason in reasons(events)), reasons(events)
    assert written == ""


def test_a_worker_without_its_key_refuses_in_a_sentence(tmp_path: Path) -> None:
    keys, stranger = Keys.make(tmp_path), Keys.make(tmp_path, "other.key")
    with processes(keys) as start:
        for key, says in (
            (None, "this worker has no key: start it with ZK_WORKER_KEY=FILE"),
            (stranger.private, "is none of those that the task is for"),
        ):
            address, _ = start("scheduler")
            start("worker", address, key=key)
            path = tmp_path / f"run-{key is None}"
            writer = create(path, workers=Proving(f"dask:{address}", (keys.public,)).workers())
            with pytest.raises(ProverError, match=f"poisoned task: block 0 of segment 0 .*{says}"):
                train(writer, 8)
                writer.drain()
            writer.abandon()
    again = resume(path)  # and nothing is lost
    again.close()
    require_right(path, 8)


def test_a_cluster_that_is_lost_can_be_gone_on_with(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    with processes(keys) as start:
        address, scheduler = start("scheduler")
        start("worker", address)
        with pytest.raises(ProverError, match="Nothing is lost"):
            proved_by(tmp_path / "run", f"dask:{address}", keys, during=scheduler.kill)
        address, _ = start("scheduler")
        start("worker", address)
        writer = resume(tmp_path / "run", workers=Proving(f"dask:{address}", (keys.public,)).workers())
        train(writer, 28)
        writer.close()
    require_right(tmp_path / "run", 28)


def test_a_cluster_that_is_not_there_is_told_before_there_is_a_run(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    with pytest.raises(ProverError, match=r"the workers dask:127\.0\.0\.1:9 can't be used: "):
        create(tmp_path / "run", workers=Proving("dask:127.0.0.1:9", (keys.public,)).workers())
    assert not (tmp_path / "run").exists()
