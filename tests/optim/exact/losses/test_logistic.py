"""Logistic regression's loss, over one logit."""

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("hidden", [0, 12])
def test_gradient_and_loss_are_torchs(hidden: int) -> None:
    torch.manual_seed(7)
    layers = [nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 1)] if hidden else [nn.Linear(6, 1)]
    found = compared(nn.Sequential(*layers), "logistic", features=6, examples=64)
    assert found.error < 2e-3
    exact, floating = found.losses
    assert exact == pytest.approx(floating, abs=3e-4)


def test_several_outputs_are_refused() -> None:
    with pytest.raises(UsageError, match='model gives 3 outputs, and loss="logistic" takes one logit'):
        exact_graph(nn.Linear(3, 3), "logistic", features=3)
