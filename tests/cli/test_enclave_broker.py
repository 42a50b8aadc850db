"""`zk-enclave broker`: what it says when it starts, and what it refuses to start with."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker.brokers import Place
from zk_autograd.cli.enclave import main


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def command(place: Place, *more: str) -> list[str]:
    flags = ["--policy", place.policy, "--jobs", place.jobs, "--kek-file", place.kek_file, "--state", place.state]
    return ["broker", *map(str, flags), "--listen", "127.0.0.1:0", *more]


def test_it_says_where_it_listens_and_what_to_pin(place: Place) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "zk_autograd.cli.enclave", *command(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines = [child.stdout.readline() for _ in range(4)]
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM
        assert child.stderr.read().startswith("the policy takes emulated devices, which show nothing")
    key = (place.state / "broker.key.pub").read_text()
    assert re.fullmatch(r"listening at http://127\.0\.0\.1:\d+/\n", lines[0])
    assert lines[1] == f"key {key}"
    assert lines[2] == f"log {key.partition('+')[0]}, 0 decisions\n"
    assert lines[3] == "keys of 2 jobs\n"


Spoil = Callable[[Place], object]
REFUSED: dict[str, tuple[Spoil, str]] = {
    "no policy": (lambda place: place.policy.unlink(), "the policy"),
    "a policy that allows nothing": (
        lambda place: place.policy.write_text('format = "zk-autograd/policy/v1"\nrequire = ["L1"]\n'),
        "allows no enclave",
    ),
    "no jobs": (lambda place: place.jobs.rename(place.path / "away"), "--jobs"),
    "no key": (lambda place: place.kek_file.unlink(), "--kek-file"),
    "another key": (lambda place: place.kek_file.write_bytes(os.urandom(32)), "that this broker can use"),
    "a file for a folder": (lambda place: place.state.write_text(""), "--state"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_to_start(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message = REFUSED[name]
    spoil(place)
    assert main([*command(place), "--json"]) == 2
    printed = capsys.readouterr()
    assert message in json.loads(printed.out)["error"]["message"]
    assert "Traceback" not in printed.err
    assert not (place.state / "broker.key").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--tls-cert", "a.pem"], "go together"),
        (["--tls-cert", "a.pem", "--tls-key", "a.key"], "are no certificate"),
        (["--listen", "nowhere"], "--listen takes HOST:PORT"),
    ],
)
def test_flags_that_make_no_sense(
    more: list[str], message: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(place, *more)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "9" * 30, "\u0663"])
def test_numbers_are_bounded(number: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(command(place, "--releases", number))
    assert caught.value.code == 2
    assert "1000000" in capsys.readouterr().err


def test_without_the_extra(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(command(place)) == 2
    assert "zk-autograd[broker]" in capsys.readouterr().err
