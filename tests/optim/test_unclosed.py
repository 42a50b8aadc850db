"""Recorded optimizers that nobody closes: in a notebook, where a cell is run again, and at the end
of a script."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.optim.models import network, train
from zk_autograd.core.errors import RunError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.optimizer import UnclosedRun

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

ROOT = Path(__file__).resolve().parents[2]


def cell(run: Path, signer: Ed25519Signer, *, resume: bool) -> ZKOptimizer:
    """What a notebook's cell does: an optimizer without `with`, under a scheduler, and a step
    more."""
    model = network()
    optimizer = ZKOptimizer(model.named_parameters(), run=run, key=signer, prover="none", resume=resume)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    train(model, optimizer, range(optimizer.steps, optimizer.steps + 1))
    scheduler.step()
    return optimizer


def test_a_dropped_optimizer_gives_its_run_back(tmp_path: Path, signer: Ed25519Signer) -> None:
    def cell_of(resume: bool) -> ZKOptimizer:
        return cell(tmp_path / "run", signer, resume=resume)

    with pytest.warns(UnclosedRun, match=r"of its 1 step, 1 is not recorded. Nothing is lost: .*resume=True"):
        cell_of(False)
        gc.collect()
    with pytest.warns(UnclosedRun, match=r"of its 2 steps, 2 are not recorded"):
        cell_of(True)
        gc.collect()
    optimizer = cell_of(True)
    assert optimizer.steps == 3
    optimizer.close()
    del optimizer
    gc.collect()  # a warning would be an error


def test_one_that_is_still_there_is_to_be_closed(tmp_path: Path, signer: Ed25519Signer) -> None:
    optimizer = cell(tmp_path / "run", signer, resume=False)
    with pytest.raises(RunError, match=r"this very process \(\d+\): call close\(\) or abandon\(\) on the optimizer"):
        cell(tmp_path / "run", signer, resume=True)
    optimizer.abandon()
    cell(tmp_path / "run", signer, resume=True).close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), KeyboardInterrupt(), ValueError("x")])
def test_a_block_that_is_left_without_a_traceback_says_what_is_left_of_the_run(
    error: BaseException, tmp_path: Path, signer: Ed25519Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(type(error)), cell(run, signer, resume=False):
        raise error
    line = (
        f"warning: the run {run} was left by {type(error).__name__}: of its 1 step, 1 is not recorded. Nothing is lost: "
        f"`ZKOptimizer(..., run={str(run)!r}, resume=True)` resumes it\n"
    )
    assert capsys.readouterr().err == (line if isinstance(error, SystemExit | GeneratorExit) else "")
    with pytest.raises(SystemExit), cell(run, signer, resume=True) as optimizer:
        optimizer.close()
        sys.exit(0)
    assert capsys.readouterr().err == ""  # it is closed
    assert optimizer.steps == 2


SCRIPT = """
import sys, torch
from tests.optim.models import backward, network
from zk_autograd import ZKOptimizer
from zk_autograd.core.keys import Ed25519Signer
model = network()
key = Ed25519Signer("trainer", bytes(range(32)))
optimizer = ZKOptimizer(model.named_parameters(), eps=1e-6, run=sys.argv[1], key=key, prover=sys.argv[2])
for step in range(2):
    backward(model, step)
    optimizer.step()
"""


@pytest.mark.slow
@pytest.mark.parametrize("prover", ["none", "native"])
@pytest.mark.parametrize("end", ["", "optimizer.close()", "optimizer.abandon()", "raise SystemExit(3)"])
def test_the_end_of_a_script_tells_of_the_run_and_of_what_goes_on_with_it(
    end: str, prover: str, tmp_path: Path, native_prover: None
) -> None:
    if prover == "native" and end == "optimizer.close()":
        return  # a proof, for nothing that the other prover doesn't show
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + end, str(run), prover],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=300,
        check=False,
        text=True,
    )
    assert done.returncode == (3 if "SystemExit" in end else 0)
    what = "recorded" if prover == "none" else "proved and recorded"
    line = (
        f"warning: the run {run} was not closed: of its 2 steps, 2 are not {what}. Nothing is lost: "
        f"`ZKOptimizer(..., run={str(run)!r}, resume=True)` resumes it\n"
    )
    assert done.stderr == ("" if "optimizer" in end else line)


HOLDER = """
class Holder:
    def __del__(self):
        optimizer.ACT()
holder = Holder()
Holder.itself = Holder  # a cycle that the interpreter takes apart at its very end
"""


@pytest.mark.slow
@pytest.mark.parametrize("act", ["close", "abandon"])
def test_a_run_that_is_closed_while_the_interpreter_ends_hangs_nowhere_and_is_resumed(
    act: str, tmp_path: Path, signer: Ed25519Signer
) -> None:
    """The proving thread never runs again by then."""
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + HOLDER.replace("ACT", act), str(run), "none"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}", "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=300,
        check=False,
        text=True,
    )
    assert done.returncode == 0
    assert ("close the run before the script ends" in done.stderr) == (act == "close")
    assert "was not closed: of its 2 steps, 2 are not recorded" in done.stderr
    model = network()
    with ZKOptimizer(model.named_parameters(), eps=1e-6, run=run, key=signer, prover="none", resume=True) as optimizer:
        assert optimizer.steps == 2
