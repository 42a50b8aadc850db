"""What changes nothing in a graph; and dropout that would, and flattening across examples."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.optim.exact.forwards import two_layers
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "form",
    [
        nn.Identity(),
        nn.Flatten(),
        nn.Dropout(0),
        lambda z: functional.dropout(z, p=0.0),
        lambda z: torch.flatten(z, 1),
        lambda z: z.flatten(start_dim=1),
    ],
    ids=["Identity", "Flatten", "Dropout", "dropout", "flatten", "method"],
)
def test_what_changes_nothing_leaves_no_trace(form: Callable[[torch.Tensor], torch.Tensor]) -> None:
    plain = exact_graph(two_layers(torch.relu), features=3)
    for order in (lambda z: form(torch.relu(z)), lambda z: torch.relu(form(z))):
        model = two_layers(order)
        if isinstance(form, nn.Module):
            model.form = form
        graph = exact_graph(model, features=3)
        assert (graph.units, graph.tensors) == (plain.units, plain.tensors)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            lambda z: functional.dropout(z, 0.25),
            r"functional.dropout at test_identity.py:\d+ is a Dropout with p = 0.25",
        ),
        (torch.flatten, r"torch.flatten at test_identity.py:\d+ flattens from dimension 0 to -1"),
        (lambda z: z.view(-1, 4), r"calls .view\(\) at test_identity.py:\d+: examples are flat rows"),
        (lambda z: z.reshape(z.shape[0], -1), "examples are flat rows"),
    ],
    ids=["dropout", "flatten", "view", "reshape"],
)
def test_what_would_change_something_is_refused(form: Callable[[torch.Tensor], torch.Tensor], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exact_graph(two_layers(lambda z: form(torch.relu(z))), features=3)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_refused_whatever_the_models_mode(training: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    model.add_module("drop", nn.Dropout(0.1))
    model.add_module("out", nn.Linear(4, 2))
    message = "drop is a Dropout with p = 0.1: its mask would be the trainer's choice; set p = 0, or --level L1"
    with pytest.raises(UsageError, match=message):
        exact_graph(model.train(training), features=3)
