"""Servers that tests start: on 127.0.0.1, on a free port, each stopped by its own process id.

`make test-deps` and `make test-deps-go` install what isn't in the environment; without it a test is
skipped and says so.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pytest

TEST_DEPS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zk-autograd-test-deps"
GO_BIN = Path(__file__).parents[2] / ".cache" / "go-bin"
_DYNAMODB = TEST_DEPS / "dynamodb-local-2.6.1"
_LAUNCH = Path(__file__).parent / "dynamodb" / "local" / "Launch.java"
_START_S = 60


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(command: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """The port of a server, as long as it is needed. It has to listen on `port` within a minute."""
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **(environment or {})}) as process,
    ):
        try:
            if not _listens(process, port):
                said.seek(0)
                raise AssertionError(f"{command[0]} did not start: {said.read()[-2000:]!r}")
            yield port
        finally:
            process.kill()


@contextmanager
def dynamodb_local() -> Iterator[int]:
    """The port of DynamoDB Local, which keeps its tables in memory."""
    if not (_DYNAMODB / "DynamoDBLocal-2.6.1.jar").exists() or shutil.which("java") is None:
        pytest.skip("DynamoDB Local or java is not here: make test-deps")
    port = free_port()
    options = ["-Xmx256m", f"-Dsqlite4java.library.path={_DYNAMODB}", "-cp", f"{_DYNAMODB}/*"]
    with served(["java", *options, str(_LAUNCH), "-inMemory", "-disableTelemetry", "-port", str(port)], port):
        yield port


@contextmanager
def moto_server() -> Iterator[int]:
    """The port of moto's S3."""
    port = free_port()
    with served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        yield port


@contextmanager
def versitygw(folder: Path, key: str, secret: str) -> Iterator[int]:
    """The port of versitygw, an S3 server, on a folder."""
    program, port = go_tool("versitygw"), free_port()
    for name in ("iam", "versions", "data"):
        (folder / name).mkdir()
    options = ["--port", f"127.0.0.1:{port}", "--iam-dir", str(folder / "iam")]
    backend = ["posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")]
    with served([program, *options, *backend], port, {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}):
        yield port


@contextmanager
def rclone(folder: Path, key: str, secret: str) -> Iterator[int]:
    """The port of rclone's S3, which ignores conditions and locks."""
    program, port = go_tool("rclone"), free_port()
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{key},{secret}", "--vfs-cache-mode", "full"]
    with served([program, "serve", "s3", *options, str(folder)], port, {"RCLONE_CONFIG": os.devnull}):
        yield port


def go_tool(name: str) -> str:
    """The path of a program that `make test-deps-go` builds."""
    if not (GO_BIN / name).exists():
        pytest.skip(f"{name} is not built here: make test-deps-go")
    return str(GO_BIN / name)


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Whether somebody listens on the port, before the process ends and within a minute."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-tests",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    """The tests' own credentials, and none of this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in AWS_ENVIRONMENT.items():
            patch.setenv(name, value)
        yield
