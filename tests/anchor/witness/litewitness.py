"""litewitness, a witness of another author, as a process with its own database and SSH agent."""

import base64
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from zk_autograd.core.cosigner import CosignerKey, Scheme
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import EMPTY_ROOT
from zk_autograd.core.text import encode_base64

PROGRAM = Path(__file__).resolve().parents[3] / ".cache/go-bin/litewitness"
NAME = "witness.example/litewitness"


@dataclass(frozen=True)
class Litewitness:
    """Where it answers, its key, and its database."""

    url: str
    key: CosignerKey
    database: Path

    def add_log(self, origin: str, keys: Sequence[PublicKey]) -> None:
        """As `witnessctl add-log` and `add-key` do it. Its keys are Ed25519 alone."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("insert into log values (?, 0, ?)", (origin, encode_base64(EMPTY_ROOT)))
            connection.executemany("insert into key values (?, ?)", [(origin, key.encode()) for key in keys])


@contextmanager
def litewitness(folder: Path, seed: int) -> Iterator[Litewitness]:
    """A new one of the folder, with the key of a seed. Skips the test where it can't be had."""
    if not PROGRAM.exists():
        pytest.skip("there is no litewitness here: make test-deps-go")
    if which("ssh-agent") is None or which("ssh-add") is None:
        pytest.skip(
            "litewitness takes its key from an SSH agent, and there is no ssh-agent here: install openssh-client"
        )
    folder.mkdir()
    private = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    public = private.public_key()
    key = CosignerKey(NAME, Scheme.ED25519, public.public_bytes_raw())
    pem = folder / "key.pem"
    pem.touch(0o600)
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    blob = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    with ExitStack() as stack:
        # The path of a socket has at most 107 bytes.
        agent, port = f"{stack.enter_context(TemporaryDirectory())}/a", _free_port()
        stack.enter_context(_process(folder, "ssh-agent", "-D", "-a", agent))
        _wait(Path(agent).exists)
        subprocess.run(["ssh-add", "-q", str(pem)], check=True, env={**os.environ, "SSH_AUTH_SOCK": agent})
        flags = {
            "name": NAME,
            "db": str(folder / "db"),
            "ssh-agent": agent,
            "listen": f"127.0.0.1:{port}",
            "key": _fingerprint(blob),
        }
        stack.enter_context(_process(folder, str(PROGRAM), *(f"-{name}={value}" for name, value in flags.items())))
        _wait(lambda: _answers(port))
        yield Litewitness(f"http://127.0.0.1:{port}", key, folder / "db")


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + encode_base64(sha256(base64.b64decode(blob)).digest()).rstrip("=")


@contextmanager
def _process(folder: Path, *command: str) -> Iterator[None]:
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, "it did not start"
        time.sleep(0.02)
