"""A trainer at the command line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import trainer_key
from tests.cli.training import Start, Train
from zk_autograd.cli import train as command
from zk_autograd.credentials import keyfile


@pytest.fixture
def trainer_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a log key and an empty cache, in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    trainer_key.create(keyfile.default_path(), "trainer")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def zk_train(trainer_home: None, capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the command; gives exit status, standard output and standard error."""

    def run(*flags: str) -> tuple[int, str, str]:
        status = command.main(flags)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts Python with these arguments; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        words = [sys.executable, *arguments]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()
