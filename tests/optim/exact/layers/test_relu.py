"""ReLU in a graph: as a module, a function and a method, and where it has no place."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.optim.exact.autograd import compared
from tests.optim.exact.forwards import Forward, two_layers
from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Graph
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch

FORMS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    nn.ReLU(),
    nn.ReLU(inplace=True),
    torch.relu,
    torch.relu_,
    functional.relu,
    lambda z: functional.relu(z, inplace=True),
    lambda z: z.relu(),
    lambda z: torch.relu(torch.relu(z)),  # of what isn't negative, nothing
]


def test_all_forms_are_the_same_graph_and_it_is_theirs() -> None:
    graphs = [exact_graph(two_layers(form), features=3) for form in FORMS]
    assert all(Graph(g.units, g.tensors) == Graph(graphs[0].units, graphs[0].tensors) for g in graphs)
    assert compared(two_layers(torch.relu), "cross-entropy", features=3).error < 2e-3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), "layer 0 is a ReLU of what no linear layer gives"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.ReLU()),
            "the model ends with layer 1, a ReLU, and the loss takes what a Linear gives: leave it out",
        ),
        (
            Forward(lambda m, x: [torch.relu(m.a(x)), m.b(x)][1], nn.Linear(3, 2), nn.Linear(3, 2)),
            "nothing is computed from torch.relu at test_relu.py",
        ),
        (
            # What is changed in place and not used looks like no ReLU at all.
            Forward(lambda m, x: [h := m.a(x), torch.relu_(h), m.b(h)][2], nn.Linear(3, 4), nn.Linear(4, 2)),
            "b takes what a gives with no ReLU between them",
        ),
    ],
)
def test_relu_without_its_place_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exact_graph(model, features=3)
