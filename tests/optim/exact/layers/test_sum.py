"""Sums of what linear layers give: a hidden layer that feeds two later ones."""

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


def test_hidden_layer_feeds_two_later_ones() -> None:
    def forward(m: Any, x: torch.Tensor) -> Any:
        one = torch.relu(m.a(x))
        two = torch.relu(m.b(one) + m.c(x))
        found = m.d(two)
        found += m.e(one)
        return found

    torch.manual_seed(5)
    layers = (
        nn.Linear(4, 6),
        nn.Linear(6, 5),
        nn.Linear(4, 5, bias=False),
        nn.Linear(5, 3),
        nn.Linear(6, 3, bias=False),
    )
    found = compared(Forward(forward, *layers), "cross-entropy", features=4)
    (first,) = (run for run in found.graph.units if run.kind == "relu" and run.count == 6)
    fed = {found.graph.run_of(tensor.b).kind for tensor in found.graph.tensors if first.first <= tensor.a < first.end}
    assert fed == {"relu", "class"}
    assert found.error < 2e-3


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda m, x: m.b(torch.relu(m.a(x))) + m.d(x), "b and d are added up, and both have a bias"),
        (lambda m, x: m.d(x) + m.e(x), "adds up two linear layers of the same inputs"),
        (lambda m, x: m.d(x) + 1, r"add at test_sum.py:\d+ has an exact pass only as a sum"),
        (lambda m, x: m.d(x) + x, "has an exact pass only as a sum"),
        (lambda m, x: torch.add(m.d(x), m.c(torch.relu(m.a(x))), alpha=2), "has an exact pass only as a sum"),
        (lambda m, x: m.d(x) + m.a(torch.relu(m.f(x))), "has an exact pass only as a sum"),
    ],
    ids=["biases", "inputs", "number", "features", "alpha", "widths"],
)
def test_other_sums_are_refused(forward: Callable[[Any, torch.Tensor], Any], message: str) -> None:
    layers = (
        nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2, bias=False), nn.Linear(3, 2), nn.Linear(3, 2, bias=False),
        nn.Linear(3, 3),
    )  # fmt: skip
    with pytest.raises(UsageError, match=message):
        exact_graph(Forward(forward, *layers), features=3)
