"""The process that speaks with a cluster: what it may read, and what it may say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zk_autograd.local
from zk_autograd.local.child_processes import python_alone
from zk_autograd.local.confinement import available
from zk_autograd.prove.executors.frames import BrokenFrameError
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
    closed = [*map(str, secrets), f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/cmdline", "/etc/shadow"]
    places = [*closed, os.__file__, __import__("numpy").__file__, "/proc/self/stat", "/etc/passwd"]
    found = probed(kind, tmp_path / "own", places, script)
    for left in Path("/dev/shm").glob(f"zk-probe-{os.getpid()}"):
        left.unlink(missing_ok=True)
    assert found == f"{['', False, kind == 'ray', *[False] * len(closed), True, True, True, True]}\n"


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
