"""Runs that earlier versions made (tests/data/runs/) are verified for ever, and the open ones go
on."""

import shutil
from pathlib import Path

import pytest
import torch

from zk_autograd import ZKOptimizer
from zk_autograd.cli import train as zk_train
from zk_autograd.core.keys import Algorithm, PublicKey, parse_keys
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim.resuming import ResumedLr
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

RUNS = Path(__file__).parent.parent / "data" / "runs"
PUBLIC = (RUNS / "test.key.pub").read_text().strip()
ROOT_V1 = "36b9148815a9b86c152ba7af7df844820d4433b1cc4e228b0f9237216dce61fe@4"
ROOT = "84181b5ef48d86b6cc78f6f0026a42d15219a4d9f70fd690a37c94aa1f143889@4"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The key that signed the runs, closed to others: git doesn't keep that."""
    path = tmp_path / "log.key"
    shutil.copyfile(RUNS / "test.key", path)
    path.chmod(0o600)
    return path


def copied(name: str, place: Path) -> Path:
    """A copy of the run `name`, with the empty folders that git doesn't keep."""
    run = Path(shutil.copytree(RUNS / name, place / name))
    for folder in ("log", "proofs", "model"):
        (run / folder).mkdir(exist_ok=True)
    return run


def judged(run: Path, level: Level, head: TreeHead | None = None) -> Report:
    policy = Policy(keys=(PublicKey.parse(PUBLIC),), require=frozenset({level}), head=head)
    with RunFolder(run) as files:
        return Verifier(policy, Systems()).verify(files)


@pytest.mark.usefixtures("native_prover")
def test_a_finished_native_run_of_v0_is_verified() -> None:
    report = judged(RUNS / "native-finished", Level.L1, TreeHead.parse(ROOT))
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1", 0, ())


@pytest.mark.usefixtures("native_prover")
def test_a_finished_native_run_of_v1_is_verified_by_both_its_keys() -> None:
    keys = parse_keys((RUNS / "test-v1.key.pub").read_text())
    assert [key.algorithm for key in keys] == [Algorithm.ED25519, Algorithm.ML_DSA_44]
    with RunFolder(RUNS / "native-v1") as files:
        report = Verifier(Policy(keys=keys, head=TreeHead.parse(ROOT_V1)), Systems()).verify(files)
    assert (report.verdict, report.exit_status, report.missing) == ("L0, L1", 0, ())
    signed = report.findings[Step.SIGNATURES].sentences
    assert signed == tuple(f"signed by the pinned key {key.label}" for key in keys)


@pytest.mark.parametrize("name", ["none-open", "train-open"])
def test_an_unfinished_run_of_v0_is_verified(name: str, tmp_path: Path) -> None:
    report = judged(copied(name, tmp_path), Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (16, False)


@pytest.mark.torch
def test_an_open_run_of_v0_of_an_own_loop_goes_on(tmp_path: Path, key: Path) -> None:
    run = copied("none-open", tmp_path)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3)
    with ZKOptimizer(
        model.named_parameters(),
        "adam",
        lr=0.01,
        eps=1e-6,
        run=run,
        resume=True,
        key=key,
        prover="none",
        unproved=model,
    ) as optimizer:
        assert optimizer.steps == 18
        model(inputs).pow(2).sum().backward()
        # A scheduler had set lr, and no version of that time kept what it set for step 19.
        with pytest.warns(
            ResumedLr, match="lr of parameter group 0 is 0.01 at step 19, .* step 18 had 0.00166.*an earlier version"
        ):
            optimizer.step()
    report = judged(run, Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (19, True)


@pytest.mark.torch
def test_an_open_run_of_v0_of_zk_train_goes_on(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copied("train-open", tmp_path)
    assert zk_train.main(["--resume", str(run), "--key-file", str(key)]) == 0, capsys.readouterr().err
    report = judged(run, Level.L0)
    assert (report.verdict, report.exit_status) == ("L0", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (40, True)
