"""Half the squared error as a graph's loss."""

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from tests.optim.exact.forwards import Forward
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("outputs", [1, 5])
def test_gradient_and_loss_are_torchs(outputs: int) -> None:
    torch.manual_seed(8)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, outputs))
    found = compared(model, "mse", features=6)
    assert [run.kind for run in found.graph.units] == ["feature", "constant", "relu", "value", "pad"]
    assert found.error < 1e-3
    exact, floating = found.losses
    assert exact == pytest.approx(floating, rel=1e-3)


def test_two_logits_are_refused() -> None:
    model = Forward(lambda m, x: torch.cat([torch.zeros_like(z := m.a(x)), z], 1), nn.Linear(3, 1))
    with pytest.raises(UsageError, match='two logits of a, and loss="mse" takes values'):
        exact_graph(model, "mse", features=3)
