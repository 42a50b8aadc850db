"""`zk-verify monitor` as a process and as a function."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_compare import other, written
from tests.verify.run_builder import KEY
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import VerificationError
from zk_autograd.monitoring.watching import Watcher

VKEY = KEY.encode()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A link that leads to the run of the moment."""
    written(tmp_path / "4", signed=4)
    written(tmp_path / "6")
    written(tmp_path / "forked", other)
    show(tmp_path / "run", "4")
    return tmp_path / "run"


def show(place: Path, name: str) -> None:
    """From now on this run is served; at no moment none."""
    new = place.with_name("new")
    new.symlink_to(name)
    new.rename(place)


def watch(place: Path, *flags: str) -> int:
    return main(["monitor", str(place), "--key", VKEY, "--state", str(place.parent / "state"), *flags])


def test_once_after_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for name in ("4", "4", "6", "4", "forked"):
        show(place, name)
        status = watch(place, "--json")
        value = json.loads(capsys.readouterr().out)
        assert value["exit_status"] == status
        told.append((status, value["event"], value["size"]))
    assert told == [
        (0, "first checkpoint", 4),
        (0, "nothing new", 4),
        (0, "new checkpoint", 6),
        (3, "older checkpoint", 4),
        (1, "fork proved", 6),
    ]
    evidence = value["evidence"]
    assert main([evidence, "--key", VKEY]) == 1
    show(place, "6")
    assert watch(place, "--once") == 1
    shown = capsys.readouterr().out
    assert f"evidence: {evidence}" in shown
    assert "fork proved" in shown


@contextmanager
def monitor(place: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    words = [sys.executable, "-m", "zk_autograd.cli.verify", "monitor", str(place), "--key", VKEY]
    words += ["--state", str(place.parent / "state"), *flags]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_monitor_at_work_tells_at_once_and_ends_at_a_fork(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with monitor(place, "--every", "1", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "first checkpoint"
        assert watch(place) == 2
        assert "another monitor uses" in capsys.readouterr().err
        show(place, "6")
        events = [json.loads(process.stdout.readline())["event"]]
        if events == ["nothing new"]:  # a look between the two
            events = [json.loads(process.stdout.readline())["event"]]
        assert events == ["new checkpoint"]
        show(place, "forked")
        rest = [json.loads(line)["event"] for line in process.stdout]
        assert rest[-1] == "fork proved"
        assert process.wait(60) == 1
    assert watch(place) == 1


def test_usage(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(place.parent / "state")
    for words, text in (
        (["monitor", str(place), "--state", state], "needs the trainer's key"),
        (["monitor", str(place), "--state", state, "--key", VKEY, "--every", "0"], "--every takes 1 to"),
        (["monitor", str(place.parent / "none"), "--state", state, "--key", VKEY], "is not a run"),
        (["monitor", str(place), "--state", str(place / "log/checkpoint"), "--key", VKEY], "can't be used"),
    ):
        assert main(words) == 2
        assert text in capsys.readouterr().err


def test_no_other_failure_has_the_status_of_a_fork(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise VerificationError("something else")

    monkeypatch.setattr(Watcher, "look", fails)
    assert watch(place) == 3
