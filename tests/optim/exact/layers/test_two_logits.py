"""Two logits of one: the built-in logistic model's, and what only looks like it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from tests.optim.exact.forwards import Forward
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch

cat, zeros = torch.cat, torch.zeros_like


@pytest.mark.parametrize("loss", ["cross-entropy", "logistic"])
@pytest.mark.parametrize("dim", [1, -1])
def test_two_logits_of_one_output(loss: str, dim: int) -> None:
    torch.manual_seed(4)
    model = Forward(lambda m, x: cat((zeros(z := m.a(x)), z), dim=dim), nn.Linear(6, 1))
    found = compared(model, loss, features=6)
    assert [run.kind for run in found.graph.outputs] == ["zero-class", "class"]
    assert found.error < 1e-3


@pytest.mark.parametrize(
    "form",
    [
        lambda z: cat([z, zeros(z)], 1),
        lambda z: cat([zeros(z), z], 0),
        lambda z: cat([zeros(z), zeros(z)], 1),
        lambda z: cat([z, z], 1),
        lambda z: cat([zeros(z), z, z], 1),
        lambda z: cat([zeros(torch.relu(z)), z], 1),
        lambda z: cat([torch.ones_like(z), z], 1),
        lambda z: cat([zeros(z, dtype=torch.float64), z], 1),
    ],
    ids=["order", "rows", "zeros", "no zeros", "three", "relu", "ones", "float64"],
)
def test_anything_else_is_refused(form: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(UsageError, match=r"test_two_logits.py:\d+.*(exact pass|exact passes)"):
        exact_graph(Forward(lambda m, x: form(m.a(x)), nn.Linear(3, 1)), features=3)


def test_of_several_outputs_it_is_refused() -> None:
    with pytest.raises(UsageError, match=r"torch.cat at test_two_logits.py:\d+ has an exact pass only as"):
        exact_graph(Forward(lambda m, x: cat([zeros(z := m.a(x)), z], 1), nn.Linear(3, 2)), features=3)


def test_zeros_of_another_width_are_refused() -> None:
    def forward(m: Any, x: torch.Tensor) -> Any:
        wide = m.a(x)
        return cat([zeros(wide), m.b(torch.relu(wide))], 1)

    with pytest.raises(UsageError, match=r"torch.cat at test_two_logits.py:\d+ has an exact pass only as"):
        exact_graph(Forward(forward, nn.Linear(3, 4), nn.Linear(4, 1)), features=3)
