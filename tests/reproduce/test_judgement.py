"""An open run is gone on with by what began it, and by nothing else: each message names that
one."""

import shutil
from pathlib import Path

import pytest
import torch

from zk_autograd.core.errors import RunError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim import ZKOptimizer
from zk_autograd.prove.verifiers import Systems
from zk_autograd.reproduce.judgement import judged
from zk_autograd.train.plan import Plan

pytestmark = pytest.mark.torch

KEY = Ed25519Signer("trainer", bytes(range(32)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One of a loop of one's own, with a step."""
    run = tmp_path / "a run"
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = ZKOptimizer([parameter], "sgd", run=run, key=KEY, prover="none")
    parameter.grad = torch.ones(2)
    optimizer.step()
    optimizer.abandon()
    return run


def reproduced(run: Path) -> str:
    with RunFolder(run) as files, pytest.raises(RunError) as caught:
        judged(run, files, Systems(), lambda *_: None)
    return str(caught.value)


def test_reproducing_it_advises_what_goes_on_with_it(run: Path) -> None:
    assert reproduced(run).endswith(f"no hashes yet: `ZKOptimizer(..., run={str(run)!r}, resume=True)` resumes it")
    with pytest.raises(RunError) as caught:
        Plan.read(run)  # as zk-train --resume does
    assert f"if your own loop began this one, use `ZKOptimizer(..., run={str(run)!r}, resume=True)` there" in str(
        caught.value
    )
    ZKOptimizer([torch.nn.Parameter(torch.ones(2))], "sgd", run=run, resume=True, key=KEY).close()
    with RunFolder(run) as files:
        judged(run, files, Systems(), lambda *_: None)


def test_the_run_of_zk_train_is_gone_on_with_by_that(run: Path) -> None:
    (run / "private" / "train.json").touch()
    assert reproduced(run).endswith(f"no hashes yet: `zk-train --resume '{run}'` resumes it")


def test_who_has_a_copy_without_the_private_folder_is_told_whose_turn_it_is(run: Path) -> None:
    shutil.rmtree(run / "private")
    assert reproduced(run).endswith("no hashes yet: its trainer must resume and close it")
