"""The process that speaks with a cluster: what it may read, and what it may say."""

import os
import subprocess
import sys

import pytest

from zk_autograd.local.confinement import available
from zk_autograd.prove.executors.frames import BrokenFrameError
from zk_autograd.workers.messages import MAX_NAME, Asked, Said

PROBE = """
import os, sys
from zk_autograd.workers.gateway_process import _confined
from pathlib import Path
unconfined, places = _confined(sys.argv[1], Path(sys.argv[2])), sys.argv[3:]
def readable(place):
    try:
        with open(place, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
print([unconfined, *map(readable, places)])
"""


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_gateway_reads_no_file_of_its_user_and_no_environment(kind: str, tmp_path: os.PathLike[str]) -> None:
    """A hostile cluster can run code there: keys and tokens would be what it looks for. (A Ray
    cluster runs code on this machine anyway, which is one of its nodes.)"""
    if reason := available():
        pytest.skip(f"no gateway can be confined here: {reason}")
    secret = os.path.join(tmp_path, "log.key")
    with open(secret, "w", encoding="ascii") as file:
        file.write("secret")
    own = os.path.join(tmp_path, "own")
    os.mkdir(own)
    places = [own, secret, f"/proc/{os.getpid()}/environ", os.path.expanduser("~/.bashrc"), os.__file__]
    found = subprocess.run([sys.executable, "-c", PROBE, kind, *places], capture_output=True, text=True, check=True)
    assert found.stdout == f"{['', False, kind == 'ray', False, True]}\n"


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
