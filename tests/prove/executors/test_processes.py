"""Worker processes: that they answer, die with their trainer, and are nobody's second training."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.prove.executors.tasks import task
from zk_autograd.core.errors import ProverError
from zk_autograd.local.child_processes import python
from zk_autograd.prove.executors.processes import WORKER, ProcessExecutor, ProcessWorkers
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.executors.task import answer_task, proof_of, prove_task

PLACE = Place(bytes(32), 0, 0)

SCRIPT = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write("imported\\n")
from zk_autograd.prove.executors.processes import ProcessExecutor
from zk_autograd.prove.executors.task import answer_task
executor = ProcessExecutor(2)
print(*[running.process.pid for running in executor._running.values()], flush=True)
{rest}
"""
"""A training without a main guard."""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return False
    return not state.startswith(" Z")


def gone(pids: list[int], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


@contextmanager
def trainer(folder: Path, rest: str) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """The script in a process of its own, and its workers' ids."""
    script = folder / "train.py"
    script.write_text(SCRIPT.format(rest=rest), encoding="utf-8")
    command = [sys.executable, str(script), str(folder / "log")]
    process: subprocess.Popen[str]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        yield process, [int(pid) for pid in process.stdout.readline().split()]


def test_processes_answer_what_this_one_would() -> None:
    executor = ProcessExecutor(1)
    futures = [executor.submit(answer_task, task()), executor.submit(answer_task, b"no task")]
    assert proof_of(futures[0].result(60)) == prove_task(task())
    with pytest.raises(ProverError, match="this is no task"):
        proof_of(futures[1].result(60))
    assert vars(futures[0])["worker"] == vars(futures[1])["worker"] != ""
    executor.shutdown()
    assert not executor._running
    for called in (answer_task, print):
        with pytest.raises(RuntimeError):
            executor.submit(called, b"")


def test_a_worker_that_is_killed_fails_its_task_and_is_begun_again() -> None:
    executor = ProcessExecutor(1)
    first = executor._running[0].process
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert proof_of(executor.submit(answer_task, task()).result(60))
    running = executor._running[0].process
    os.kill(running.pid, signal.SIGSTOP)  # so that it can't be done before it is killed
    future = executor.submit(answer_task, task())
    while not future.running():
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(ProverError, match="the worker process ended with status -9"):
        future.result(60)
    assert proof_of(executor.submit(answer_task, task()).result(60))
    executor.stop()
    assert gone([running.pid])


def test_a_worker_that_cannot_start_says_why() -> None:
    executor = ProcessExecutor(1, module="zk_autograd.no_such_module")
    with pytest.raises(ProverError, match=r"ended with status 1 .*No module named 'zk_autograd.no_such_module'"):
        executor.submit(answer_task, task()).result(60)
    executor.stop()


def test_stopping_is_prompt_and_leaves_nothing() -> None:
    workers = ProcessWorkers(1)
    futures = [workers.submit(task(), PLACE, 1) for _ in range(3)]
    assert workers._executor is not None
    pid = workers._executor._running[0].process.pid
    began = time.monotonic()
    workers.stop()
    for future in futures:
        assert future.cancelled() or future.exception(20) is not None
    assert gone([pid])
    assert time.monotonic() - began < 20
    with pytest.raises(ProverError, match="stopped"):
        workers.submit(task(), PLACE, 1)


def test_no_thread_waits_for_a_process_that_died() -> None:
    executor = ProcessExecutor(2)
    for running in executor._running.values():
        running.process.kill()
        running.process.wait()
    for thread_number in (0, 1):  # as a thread leaves it whose process cannot be begun again
        executor._running.pop(thread_number).end()
    executor.stop()
    assert not any(thread.is_alive() for thread in executor._threads)


def test_what_a_killed_trainer_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """A witness may lie there."""
    (tmp_path / "zk-prove-left").mkdir()
    (tmp_path / "zk-prove-left/witness.json").write_bytes(b"secret")
    (tmp_path / "kept").mkdir()
    workers = ProcessWorkers(1, tmp_path)
    workers.start()
    workers.stop()
    assert [place.name for place in tmp_path.iterdir()] == ["kept"]


def test_a_training_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    with trainer(tmp_path, "assert executor.submit(answer_task, b'').result(60)[:1] == b'E'") as (process, pids):
        assert process.wait(60) == 0
    assert (tmp_path / "log").read_text(encoding="utf-8") == "imported\n"
    assert gone(pids)


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_a_trainer_that_is_killed(tmp_path: Path, way: signal.Signals) -> None:
    """Even while a fork of the trainer, as a data loader makes them, keeps its pipes open."""
    with trainer(tmp_path, "fork = os.fork()\nif fork: print(fork, flush=True)\ntime.sleep(600)") as (process, pids):
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert all(alive(pid) for pid in (*pids, child))
        os.kill(process.pid, way)
        process.wait(20)
        try:
            assert alive(child)
            assert gone(pids)
        finally:
            os.kill(child, signal.SIGKILL)


def test_ctrl_c_is_for_the_trainer_alone(tmp_path: Path) -> None:
    rest = """
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print(executor.submit(answer_task, b"").result(60)[:1] == b"E", flush=True)
"""
    with trainer(tmp_path, rest) as (process, _):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.stdout.readline() == "True\n"


def test_a_worker_loads_no_torch() -> None:
    """It would take seconds to start."""
    code = "import sys, zk_autograd.prove.executors.worker; print([m for m in ('torch', 'ezkl', 'ray') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_worker_whose_trainer_was_gone_before_it_began_ends(tmp_path: Path) -> None:
    command = python(WORKER)
    assert command[-1] == str(os.getpid())
    with subprocess.Popen([*command[:-1], "1"], stdin=subprocess.PIPE) as process:  # as one that init took over
        assert process.wait(30) == 0


def test_a_worker_that_ends_leaves_nothing_on_disk(tmp_path: Path) -> None:
    """Not even one that is stopped in the middle of a proof: a witness may lie there."""
    workers = ProcessWorkers(1, tmp_path)
    assert proof_of(workers.submit(task(), PLACE, 1).result(60))
    (folder,) = tmp_path.iterdir()
    (folder / "witness.json").write_bytes(b"secret")
    future = workers.submit(task(), PLACE, 1)
    while not future.running():
        time.sleep(0.001)
    workers.stop()
    assert future.exception(20) is not None
    assert not [*tmp_path.iterdir()]
