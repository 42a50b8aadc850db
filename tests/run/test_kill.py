"""A trainer is killed with signal 9 at a write of each kind, and resumed: as if nothing had
happened."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.run.test_recovery import STEPS, recovered, undisturbed
from tests.run.trainer import told

ROOT = Path(__file__).resolve().parents[2]

KILLS = {
    "witness of a step": ("append private/segments/0/journal #1", "torn"),
    "witness of a step, durable": ("append private/segments/1/journal #0", "after"),
    "seal of a segment": ("write_stream private/segments/1/journal #0", "before"),
    "proof, not public": ("write private/segments/0/published #1", "before"),
    "proof": ("write proofs/0-1 #0", "torn"),
    "proof, durable": ("write proofs/0-2 #0", "after"),
    "record": ("append log/records.jsonl #2", "torn"),
    "record, durable": ("append log/records.jsonl #2", "after"),
    "checkpoint": ("write log/checkpoint #1", "torn"),
    "checkpoint, durable": ("write log/checkpoint #2", "after"),
    "genesis": ("append log/records.jsonl #1", "torn"),
    "first checkpoint": ("write log/checkpoint #0", "before"),
    "model": ("write model/weights #0", "torn"),
    "close record": ("append log/records.jsonl #4", "after"),
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_trainer_is_resumed_as_if_nothing_had_happened(tmp_path: Path, kill: str) -> None:
    write, moment = KILLS[kill]
    run = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.run.killed", str(run), write, moment],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state, log, _ = undisturbed(tmp_path / "undisturbed")
    assert log.close is not None
    assert log.close.last_step == STEPS
    resumed = recovered(run, state)
    assert told(resumed) == told(log)
    np.testing.assert_array_equal(state["W"].shape, (log.header.size,))


@pytest.mark.parametrize("write", ["write_stream private/segments/0/journal #0", "write private/header #0"])
def test_a_trainer_killed_before_its_run_began_says_so(tmp_path: Path, write: str) -> None:
    run = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.run.killed", str(run), write, "torn"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": ""},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(AssertionError, match="its creation was interrupted before the first step; remove it"):
        recovered(run, {})
