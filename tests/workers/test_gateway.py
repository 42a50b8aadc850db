"""The process that speaks with a cluster: what it may read, and what it may say."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy
import pytest

import zk_autograd.local
from zk_autograd.core.errors import ProverError
from zk_autograd.local.child_processes import python_alone
from zk_autograd.local.confinement import available
from zk_autograd.prove.executors.frames import BrokenFrameError
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.workers.gateway import GatewayWorkers
from zk_autograd.workers.messages import MAX_NAME, Asked, Said

PROBE = """
import os, sys
from zk_autograd.workers.gateway_process import _confined
from pathlib import Path
arguments = sys.argv[2:]
sys.path.insert(0, arguments.pop())
unconfined, places = _confined(arguments[0], Path(arguments[1])), arguments[2:]
def readable(place):
    try:
        with open(place, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
def writable(place):
    try:
        with open(place, "wb") as file:
            return True
    except OSError:
        return False
capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
print(
    [unconfined, any(int(c, 16) for c in capabilities), writable(f"/dev/shm/zk-probe-{sys.argv[1]}"),
     *map(readable, places)]
)
"""


def probed(kind: str, own: Path, places: list[str], script: Path) -> str:
    arguments = [sys.executable, "-c", PROBE, str(os.getpid()), kind, str(own), *places, str(script)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_gateway_reads_no_file_of_its_user_and_no_environment(kind: str, tmp_path: Path) -> None:
    """A hostile cluster can run code there: keys and tokens would be what it looks for. The
    script's folder, where they lie, is in the trainer's sys.path. Root owns other files, too, and
    its capabilities would open the memory of other processes. (A Ray cluster runs code on this
    machine anyway, which is one of its nodes.)"""
    if reason := available():
        pytest.skip(f"no gateway can be confined here: {reason}")
    script = tmp_path / "script"
    for folder in (script, tmp_path / "own"):
        folder.mkdir()
    secrets = [script / "log.key", tmp_path / "other.key"]
    for secret in secrets:
        secret.write_text("secret", encoding="ascii")
    closed = {str(secret): False for secret in secrets} | {
        f"/proc/{os.getpid()}/environ": False,
        f"/proc/{os.getpid()}/cmdline": kind == "ray",
        "/etc/shadow": False,
    }
    places = [*closed, os.__file__, str(numpy.__file__), "/proc/self/stat", "/etc/passwd"]
    found = probed(kind, tmp_path / "own", places, script)
    for left in Path("/dev/shm").glob(f"zk-probe-{os.getpid()}"):
        left.unlink(missing_ok=True)
    assert found == f"{['', False, kind == 'ray', *closed.values(), True, True, True, True]}\n"


def test_a_gateway_is_told_nothing_of_the_scripts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the script is not the gateway's, and this package is the same one."""
    (tmp_path / "distributed.py").write_text("raise SystemExit(9)", encoding="ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = python_alone("zk_autograd.workers.gateway_process")
    assert not any(str(tmp_path) in word for word in command)
    shown = "import zk_autograd.local, sys; print(zk_autograd.local.__file__, sys.path)"
    command[3] = command[3].rpartition("from ")[0] + shown
    environment = {"PATH": os.environ["PATH"]}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert found.startswith(zk_autograd.local.__file__ or "-")
    assert str(tmp_path) not in found


def test_what_is_said_is_read_again() -> None:
    for said in (
        Said(b"S", 3),
        Said(b"A", 1, "tcp://x", b"Pproof"),
        Said(b"X", 2, "", b"why"),
        Said(b"F", content=b"no"),
        Said(b"U", content=b"old"),
    ):
        assert Said.parse(said.encode()) == said
    asked = Asked(1, 2, 3, 4, b"task")
    assert Asked.parse(b"".join(asked.parts())) == asked


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"Z",
        b"S" + bytes(9),
        b"A" + bytes(8) + (MAX_NAME + 1).to_bytes(8, "big") + bytes(MAX_NAME + 1),
        b"A" + bytes(8) + b"\xff" * 8,
    ],
)
def test_a_gateway_that_was_taken_over_says_nothing_that_is_obeyed(frame: bytes) -> None:
    with pytest.raises(BrokenFrameError):
        Said.parse(frame)


GATEWAYS = {
    "stuck": "say(b'S', 2**40)\ntime.sleep(600)",
    "dies": "say(b'S', 1)",
}


def gateway(folder: Path, kind: str) -> GatewayWorkers:
    """A gateway that was taken over."""
    program = folder / "gateway.py"
    head = "import os, sys, time\nout = os.fdopen(1, 'wb')\ndef say(kind, number):\n"
    frame = "    out.write((9).to_bytes(8, 'big') + kind + number.to_bytes(8, 'big'))\n    out.flush()\n"
    program.write_text(head + frame + GATEWAYS[kind], encoding="ascii")
    return GatewayWorkers("dask", "x:1", [RecipientKey.generate().recipient], [sys.executable, str(program)])


def test_a_gateway_that_reads_nothing_blocks_nobody(tmp_path: Path) -> None:
    """The proving thread would wait for ever otherwise, past all patience. And a gateway can't say
    how much memory a trainer uses."""
    workers = gateway(tmp_path, "stuck")
    try:
        workers.start()
        assert workers.slots == 256
        began = time.monotonic()
        futures = [workers.submit(bytes(2**22), Place(bytes(32), 0, block), 1) for block in range(3)]
        assert workers.slots == 2**31 // (4 * 2**22) - 1  # a seal is longer than its task
        assert futures[2].cancel()
        assert time.monotonic() - began < 10
    finally:
        workers.stop()
    assert isinstance(futures[0].exception(10), ProverError)
    assert isinstance(futures[1].exception(10), ProverError)


def test_a_full_queue_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_autograd.workers.gateway._MAX_QUEUED", 2)
    workers = gateway(tmp_path, "stuck")
    try:
        with pytest.raises(ProverError, match="the gateway reads nothing more: 2 tasks wait"):
            for block in range(9):
                workers.submit(bytes(2**18), Place(bytes(32), 0, block), 1)
    finally:
        workers.stop()


def test_a_number_that_was_reaped_is_nobodys_to_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another process's by then."""
    workers = gateway(tmp_path, "dies")
    with suppress(ProverError):
        workers.start()
    assert workers._gateway is not None
    assert workers._gateway._gone.wait(20)
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _: killed.append(pid))
    workers._gateway.stop()
    monkeypatch.setattr(workers._gateway._process, "returncode", None)  # as if somebody else had reaped it
    workers._gateway.stop()
    assert not killed


def test_a_fork_stops_nothing_and_waits_for_no_lock(tmp_path: Path) -> None:
    workers = gateway(tmp_path, "stuck")
    workers.start()
    with workers._lock:  # as another thread may have it when a data loader forks
        if (child := os.fork()) == 0:
            signal.alarm(10)
            workers.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert workers._gateway is not None
    assert workers._gateway.alive
    workers.stop()
    assert not workers._gateway.alive


@pytest.mark.parametrize("error", [MemoryError("no room"), BrokenFrameError("cut")])
def test_no_task_waits_for_a_listener_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object) -> bytes:
        raise error

    workers = gateway(tmp_path, "stuck")
    monkeypatch.setattr("zk_autograd.workers.gateway.receive", failing)
    with pytest.raises(ProverError, match=str(error)):
        workers.start()
    workers.stop()
