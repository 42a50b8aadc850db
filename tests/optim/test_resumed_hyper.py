"""A state that is loaded brings its own hyper-parameters: whatever the optimizer was made with, it
goes on as the one that was saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.models import network, train, weights
from zk_autograd.optim import ZKOptimizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

SAVED: dict[str, dict[str, Any]] = {
    "adam": {"lr": "0.01", "betas": ("0.8", "0.99"), "eps": "1e-6"},
    "adamw": {"lr": "0.01", "betas": ("0.8", "0.99"), "eps": "1e-6", "weight_decay": "0.1"},
    "sgd-momentum": {"lr": "0.1", "momentum": "0.8", "weight_decay": "0.1"},
}
MADE: dict[str, dict[str, Any]] = {
    "adam": {"lr": "0.2", "betas": ("0.1", "0.5"), "eps": "1e-3"},
    "adamw": {"lr": "0.2", "betas": ("0.1", "0.5"), "eps": "1e-3", "weight_decay": "0"},
    "sgd-momentum": {"lr": "0.5", "momentum": "0.1", "weight_decay": "0"},
}
SCHEDULE = "cosine:steps=8,end=0.1,warm_up=2"


@pytest.mark.parametrize("rule", SAVED)
@pytest.mark.parametrize(("schedule", "other", "steps"), [(SCHEDULE, "constant", 4), ("constant", SCHEDULE, 0)])
def test_state_goes_on_with_the_hyper_parameters_that_were_saved(
    rule: str, schedule: str, other: str, steps: int, tmp_path: Path
) -> None:
    """Powers of the betas, rates and decays are those of the saved run: none is computed before
    they are restored."""
    whole, half = network(), network()
    optimizer = ZKOptimizer(whole.named_parameters(), rule, schedule=schedule, **SAVED[rule])
    train(whole, optimizer, range(8))
    first = ZKOptimizer(half.named_parameters(), rule, schedule=schedule, **SAVED[rule])
    train(half, first, range(steps))
    torch.save(first.state_dict(), tmp_path / "optimizer.pt")

    loaded = network()
    loaded.load_state_dict(half.state_dict())
    second = ZKOptimizer(loaded.named_parameters(), rule, schedule=other, **MADE[rule])
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    train(loaded, second, range(steps, 8))
    np.testing.assert_array_equal(weights(loaded), weights(whole))
    for name, values in optimizer.integers.items():
        np.testing.assert_array_equal(second.integers[name], values)
    assert second.header is not None
    assert optimizer.header is not None
    assert second.header.groups == optimizer.header.groups
    assert second.header.schedule == optimizer.header.schedule
