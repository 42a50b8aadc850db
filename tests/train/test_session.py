"""A training that is recorded, and the same one made again from its plan."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import trainer_key
from tests.train.noisy_net import NOISY
from tests.train.recorded import Record
from tests.train.test_plan import PLAN
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.train import models
from zk_autograd.train.command import Recording
from zk_autograd.train.names import DataName, Factory, ModelName
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import Session, data_commitment, repeatable, retrain
from zk_autograd.train.settings import ParameterGroup

SMALL = replace(
    PLAN,
    model=ModelName.LOGISTIC,
    data=DataName.BREAST_CANCER,
    rule=Rule.ADAM,
    momentum="",
    grad_scale=0,
    prover="none",
    steps=20,
)


@pytest.mark.parametrize(
    "plan",
    [
        SMALL,
        replace(SMALL, rule=Rule.SGD, momentum="0.5", grad_scale="auto"),
        replace(SMALL, model=ModelName.SOFTMAX, groups=(ParameterGroup(("*.bias",), lr="0.5", eps="0.001"),)),
    ],
    ids=["adam", "sgd, auto scale", "groups"],
)
def test_training_made_again_has_the_recorded_weights(plan: Plan, record: Record) -> None:
    _, weights = record(plan)
    seen: list[tuple[int, int]] = []
    again = retrain(plan, lambda step, steps: seen.append((step, steps)))
    assert again.dtype == np.int64
    np.testing.assert_array_equal(again, weights)
    assert seen == [(step, 20) for step in range(1, 21)]
    assert not np.array_equal(retrain(replace(plan, steps=19), lambda step, steps: None), weights)


def test_commitment_is_the_headers(record: Record) -> None:
    header, _ = record(SMALL)
    assert data_commitment(SMALL) == header.data
    assert data_commitment(replace(SMALL, secret=bytes(32))) != header.data


def test_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(record: Record, tmp_path: Path) -> None:
    record(SMALL, steps=7)
    assert Plan.read(tmp_path / "run") == SMALL
    _, weights = record(SMALL, resume=True)
    np.testing.assert_array_equal(weights, retrain(SMALL, lambda step, steps: None))


def test_stopped_run_whose_forward_passes_move_frozen_parameters_ends_as_one_that_was_not(record: Record) -> None:
    """One that its code made frozen and one that the plan froze: both are put back."""
    plan = replace(SMALL, model=Factory("tests.train.noisy_net", "Averaging"), freeze=("scale",))
    record(plan, steps=7)
    header, weights = record(plan, resume=True)
    assert [u.name for u in header.unproved] == ["mean", "scale"]
    np.testing.assert_array_equal(weights, retrain(plan, lambda step, steps: None))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Late", "the model's buffer count was added, dropped, or given another shape"),
        ("Shared", "the buffer last shares memory with a trained parameter"),
    ],
)
def test_model_whose_run_could_never_be_gone_on_with_begins_none(
    name: str, reason: str, record: Record, tmp_path: Path
) -> None:
    plan = replace(SMALL, model=Factory("tests.train.noisy_net", name))
    with pytest.raises(UsageError, match=reason):
        record(plan)
    assert not (tmp_path / "run").exists()


def test_run_is_not_gone_on_with_on_other_data(record: Record) -> None:
    record(SMALL, steps=7)
    with pytest.raises(RunError, match=r"the data are not those that .*run was begun with: install the scikit-learn"):
        record(replace(SMALL, secret=bytes(32)), resume=True)
    record(SMALL, resume=True)  # the run is free again


def test_training_leaves_torch_as_it_was() -> None:
    torch.manual_seed(5)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    retrain(replace(SMALL, steps=1), lambda step, steps: None)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def whole(plan: Plan, run: Path, key: Path, *, resume: bool) -> tuple[IntArray, dict[str, torch.Tensor], float]:
    """Weights, buffers and accuracy of a training to its end."""
    with repeatable():
        session = Session(plan, Recording(run, "none", key, resume=resume))
        with session.optimizer:
            assert session.train(lambda: True) == plan.steps
        buffers = {name: buffer.clone() for name, buffer in session.loop.model.named_buffers()}
        return session.optimizer.integers["W"], buffers, session.loop.accuracy()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[IntArray, dict[str, torch.Tensor], float]:
    """How a training that draws and counts ends if nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer_key.create(folder / "key", "trainer")
    return whole(NOISY, folder / "run", folder / "key", resume=False)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 23])
def test_killed_training_that_draws_and_counts_goes_on_bit_for_bit(
    step: int, undisturbed: tuple[IntArray, dict[str, torch.Tensor], float], tmp_path: Path
) -> None:
    """Dropout draws from torch's generator and batch norm counts in buffers: both are put back."""
    key = tmp_path / "key"
    trainer_key.create(key, "trainer")
    words = [sys.executable, "-m", "tests.train.noisy_net", str(tmp_path / "killed"), str(key), str(step)]
    killed = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    weights, buffers, accuracy = whole(NOISY, tmp_path / "killed", key, resume=True)
    np.testing.assert_array_equal(weights, undisturbed[0])
    assert buffers.keys() == undisturbed[1].keys() == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    for name, buffer in buffers.items():
        assert torch.equal(buffer, undisturbed[1][name]), name
    assert buffers["1.num_batches_tracked"] == NOISY.steps
    assert accuracy == undisturbed[2] > 0.85


def test_training_that_draws_and_counts_is_made_again(
    undisturbed: tuple[IntArray, dict[str, torch.Tensor], float],
) -> None:
    torch.manual_seed(99)  # whatever the process drew before
    np.testing.assert_array_equal(retrain(NOISY, lambda step, steps: None), undisturbed[0])
    assert not np.array_equal(retrain(replace(NOISY, seed=1), lambda step, steps: None), undisturbed[0])


def test_run_is_not_gone_on_with_by_other_code(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record(SMALL, steps=7)
    monkeypatch.setattr(models, "is_code", lambda source, digest: False)
    with pytest.raises(RunError, match=r"the code of the model logistic is not the one that .*run was begun with"):
        record(SMALL, resume=True)
