"""nn.Linear in a graph: with a bias and without, one after another, of the right width."""

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from tests.optim.exact.forwards import Forward
from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import text
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


def test_model_of_one_layer_alone() -> None:
    found = compared(nn.Linear(5, 3), "cross-entropy", features=5)
    lines = text.encode(found.graph).decode().splitlines()
    assert lines[1:] == [
        "feature 5",
        "constant 1",
        "class 3",
        "close 1",
        "pad 3",
        "weight 0 7 3 5 0",
        "bias 5 7 3 1 15",
    ]
    assert found.graph.layers == ("model", "model")
    assert found.error < 1e-3


def test_layers_without_a_bias_and_several_hidden_ones() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 7)),
        nn.Sequential(nn.ReLU(), nn.Linear(7, 5, bias=False), nn.ReLU()),
        nn.Linear(5, 3),
    )
    found = compared(model, "cross-entropy", features=6)
    assert [tensor.kind for tensor in found.graph.tensors] == ["weight", "weight", "bias", "weight", "weight", "bias"]
    assert found.graph.layers == ("layer 0.0", "layer 0.2", "layer 0.2", "layer 1.1", "layer 2", "layer 2")
    assert found.error < 2e-3


def test_tensors_stand_in_the_order_of_the_models_not_of_their_use() -> None:
    torch.manual_seed(3)
    model = Forward(lambda m, x: m.a(m.b(x).relu()), nn.Linear(4, 2), nn.Linear(3, 4))
    found = compared(model, "cross-entropy", features=3)
    assert found.graph.names == ("a.weight", "a.bias", "b.weight", "b.bias")
    assert all(source is p for source, p in zip(found.graph.sources, model.parameters(), strict=True))
    assert found.error < 1e-3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)),
            "layer 1 takes what layer 0 gives with no ReLU between them, and two linear layers are one",
        ),
        (nn.Linear(4, 2), "model takes 4 numbers, and gets 3 from the features"),
        (
            nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2)),
            "layer 2 takes 5 numbers, and gets 4 from layer 1",
        ),
        (
            Forward(lambda m, x: m.b(torch.relu(m.a(torch.relu(m.a(x))))), nn.Linear(3, 3), nn.Linear(3, 2)),
            "a is used twice: its weights would stand at two places",
        ),
        (
            Forward(lambda m, x: m.a(x) + 0 * m.a(x), nn.Linear(3, 2)),
            "forward calls mul at test_linear.py:.*has no exact pass",
        ),
        (
            Forward(
                lambda m, x: m.b(torch.cat([torch.zeros_like(z := m.a(x)), z], 1)), nn.Linear(3, 1), nn.Linear(2, 2)
            ),
            "b takes two logits, which belong to the loss",
        ),
        (nn.LazyLinear(2), "model is a LazyLinear: it has no shape yet; run the model once before"),
    ],
)
def test_what_no_linear_layer_takes_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exact_graph(model, features=3)


@pytest.mark.parametrize("change", ["forward hook", "pre-hook", "forward", "gradient hook"])
def test_layer_that_computes_something_else_than_its_class_is_refused(change: str) -> None:
    layer = nn.Linear(3, 2)
    match change:
        case "forward hook":
            layer.register_forward_hook(lambda module, inputs, output: output * 2)
        case "pre-hook":
            layer.register_forward_pre_hook(lambda module, inputs: None)
        case "forward":
            layer.forward = lambda input: input  # type: ignore[method-assign]
        case _:
            layer.weight.register_hook(lambda gradient: gradient * 2)
    with pytest.raises(UsageError, match="layer 0 has a hook, or a forward of its own"):
        exact_graph(nn.Sequential(layer), features=3)


def test_what_has_a_parametrisation_is_no_linear_layer() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    with pytest.raises(UsageError, match="layer 0 is a ParametrizedLinear: it has no exact pass"):
        exact_graph(nn.Sequential(layer), features=3)
