"""`zk-train` as a process that is interrupted or killed, and gone on with."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from tests.cli.training import SMALL, TRAINER, Start, Train, published
from tests.run.journals import wait_for_step
from zk_autograd.cli import verify

pytestmark = TRAINER

STUCK = Path(__file__).with_name("stuck_training.py")


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the path is there. Fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def read_until(stream: IO[str] | None, words: str) -> str:
    assert stream is not None
    seen = ""
    while words not in seen:
        line = stream.readline()
        assert line, f"ended without {words!r}: {seen}"
        seen += line
    return seen


@pytest.mark.slow
def test_killed_training_is_resumed_with_the_weights_of_one_that_was_not(zk_train: Train, started: Start) -> None:
    flags = (*SMALL, "--prover", "none", "--steps", "120", "--seed", "3")
    process = started("-m", "zk_autograd.cli.train", *flags, "--out", "run")
    wait_for(Path("run/private/segments/1"), process)
    process.kill()
    process.communicate()
    assert not Path("run/private/close").exists()
    status, _, err = zk_train("--resume", "run")
    assert status == 0, err
    assert zk_train(*flags, "--out", "whole")[0] == 0
    assert published("run") == published("whole")


@pytest.mark.slow
def test_first_interrupt_closes_the_run_with_the_steps_that_were_made(
    started: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (*SMALL, "--prover", "none", "--steps", "1000000", "--out", "run", "--json")
    process = started("-m", "zk_autograd.cli.train", *flags)
    wait_for(Path("run/private/segments/1"), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "finishing this step, proving what is left and closing the run" in err
    found = json.loads(out)
    assert 16 <= found["steps"] < found["steps_asked"] == 1000000
    assert verify.main(shlex.split(found["verify"])[1:]) == 0
    capsys.readouterr()


@pytest.mark.slow
def test_second_interrupt_stops_at_once_and_the_run_is_resumed(zk_train: Train, started: Start) -> None:
    process = started(str(STUCK), *SMALL, "--prover", "none", "--steps", "20", "--out", "run", "--json")
    wait_for_step(Path("run"), 20, process)
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "finishing this step")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    # Step 20 is in the journal a moment before the optimizer counts the step, and the interrupt
    # may come in between.
    found = json.loads(out)
    assert found["steps"] in (19, 20)
    assert found == {"interrupted": True, "run": "run", "steps": found["steps"], "resumable": True}
    assert f"stopped after step {found['steps']}; nothing is lost: `zk-train --resume run` resumes the run" in err
    assert zk_train("--resume", "run")[0] == 0
    assert zk_train(*SMALL, "--prover", "none", "--steps", "20", "--out", "whole")[0] == 0
    assert published("run") == published("whole")


LONG = ("--model", "softmax", "--steps", "65")
"""One native proof of 2^20 rows."""


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_second_interrupt_ends_a_native_proof_long_before_its_end(zk_train: Train, started: Start) -> None:
    process = started("-m", "zk_autograd.cli.train", *LONG, "--out", "run", "--json")
    wait_for_step(Path("run"), 65, process)
    time.sleep(0.5)  # into the proof
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "finishing this step")
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    taken = time.monotonic() - sent
    assert process.returncode == 130, err
    assert json.loads(out)["resumable"]
    assert not list(Path("run/proofs").iterdir())
    status, _, err = zk_train("--resume", "run")
    assert status == 0
    whole = float(re.findall(r"bytes in ([0-9.]+) s", err)[0])
    assert taken < max(2, 0.5 * whole), f"{taken} s, of a proof that takes {whole} s on this machine now"


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_native_run_that_was_killed_is_resumed_to_one_log_and_one_proof(
    zk_train: Train, started: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    process = started("-m", "zk_autograd.cli.train", *LONG, "--seed", "5", "--out", "run", "--no-register")
    wait_for_step(Path("run"), 65, process)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    assert not list(Path("run/proofs").iterdir())
    shutil.copytree("run", "twin")
    found = []
    for run in ("run", "twin"):
        status, out, err = zk_train("--resume", run, "--json")
        assert status == 0, err
        found.append(json.loads(out))
    assert Path("run/proofs/0-0").read_bytes() == Path("twin/proofs/0-0").read_bytes()
    records = [(Path(run) / "log/records.jsonl").read_bytes().splitlines() for run in ("run", "twin")]
    assert records[0][:-1] == records[1][:-1]
    closes = [json.loads(lines[-1]) for lines in records]
    for close in closes:
        del close["artefacts"]["train_log.jsonl"]  # which tells how long things took
    assert closes[0] == closes[1]
    for each in found:
        assert verify.main(shlex.split(each["verify"])[1:]) == 0
    assert zk_train("--prover", "none", *LONG, "--seed", "5", "--out", "whole")[0] == 0
    assert published("run") == published("whole")
    capsys.readouterr()
