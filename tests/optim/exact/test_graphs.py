"""Graphs of whole models: the built-in ones, and what none is made of."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.optim.exact.autograd import compared
from tests.optim.exact.forwards import Forward
from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import require_acceptable, text
from zk_autograd.optim.exact import exact_graph
from zk_autograd.train.built_in import Logistic, Mlp, Softmax

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("model", "loss", "kinds"),
    [
        (Logistic(9), "cross-entropy", "feature constant zero-class class close pad"),
        (Softmax(9, 4), "cross-entropy", "feature constant class close pad"),
        (Mlp(9, 4), "cross-entropy", "feature constant relu class close pad"),
        (Mlp(9, 4), "mse", "feature constant relu value pad"),
    ],
    ids=["logistic", "softmax", "mlp", "mlp mse"],
)
def test_built_in_models_have_graphs_whose_gradients_are_autograds(model: nn.Module, loss: str, kinds: str) -> None:
    torch.manual_seed(9)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    found = compared(model, loss, features=9)
    assert [str(run.kind) for run in found.graph.units] == kinds.split()
    assert found.error < 2e-3
    parsed = text.parse(text.encode(found.graph))
    require_acceptable(parsed, sum(parameter.numel() for parameter in model.parameters()))
    assert (parsed.units, parsed.tensors) == (found.graph.units, found.graph.tensors)


def test_arguments_that_forward_has_and_the_pass_does_not_use_are_allowed() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, features: torch.Tensor, mask: torch.Tensor | None = None, **more: Any) -> Any:
            return self.layer(features)

    assert exact_graph(Model(), features=3).size == 8


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].weight.requires_grad_(False)
    return model


def shared() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


class Wants(nn.Module):
    """A forward of two arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, features: torch.Tensor, scale: torch.Tensor) -> Any:
        return self.layer(features)


def unused() -> nn.Module:
    return Forward(lambda m, x: m.a(x), nn.Linear(3, 2), nn.Linear(3, 2))


def in_parallel() -> nn.Module:
    return nn.DataParallel(nn.Linear(3, 2))


class Own(nn.Linear):
    """A layer that torch.fx looks into, since it isn't torch's."""


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(1))

    def forward(self, features: torch.Tensor) -> Any:
        return self.layer(features) * self.scale


STATISTICS = "its statistics join the examples of a batch, and L3 recomputes each example by itself"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (frozen, "0.weight is frozen: L3 recomputes passes through trained weights alone"),
        (shared, "2.weight is the same tensor as 0.weight: at L3 a parameter stands at one place"),
        (unused, "b.weight takes no part in forward"),
        (Wants, "forward takes scale beside the features"),
        (Scaled, r"forward calls mul at test_graphs.py:\d+: it has no exact pass"),
        (lambda: nn.Sequential(Own(3, 2)), "^forward calls torch.nn.functional.linear: it is called on parameters by themselves; use an nn.Lin"),
        (in_parallel, "the model is a DataParallel, and exact gradients are computed by one process"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), f"layer 1 is a BatchNorm1d: {STATISTICS}"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), "layer 1 is a LayerNorm: it has no exact pass"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3)), "layer 0 is a Conv2d: it has no exact pass; exact passes are made"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(1)), "layer 1 is a Softmax: the loss takes logits"),
        (lambda: Forward(lambda m, x: torch.sigmoid(m.a(x)), nn.Linear(3, 1)), "calls torch.sigmoid.*takes logits"),
        (nn.Sequential, "the model gives its features as they are"),
        (lambda: Forward(lambda m, x: (m.a(x), x), nn.Linear(3, 2)), "forward must give one tensor"),
        (lambda: Forward(lambda m, x: None, nn.Linear(3, 2)), "forward must give one tensor"),
        (lambda: torch.relu, "the model is a builtin_function_or_method; give an nn.Module"),
    ],
    ids=[
        "frozen", "shared", "unused", "two arguments", "scaled", "own layer", "parallel", "batch norm", "layer norm", "conv", "softmax",
        "sigmoid", "empty", "two results", "no result", "function",
    ],
)  # fmt: skip
def test_model_without_an_exact_pass_is_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exact_graph(make(), features=3)


@pytest.mark.parametrize(
    "compiled",
    [
        pytest.param(lambda model: torch.compile(model, backend="eager"), marks=pytest.mark.slow),
        lambda model: torch.jit.trace(model, torch.zeros(1, 3)),
    ],
    ids=["compile", "jit"],
)
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning")
def test_compiled_model_is_refused(compiled: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(UsageError, match=r"was compiled: give exact_graph the nn.Module that it was compiled from"):
        exact_graph(compiled(nn.Linear(3, 2)), features=3)


@pytest.mark.parametrize(
    ("loss", "features", "message"),
    [
        ("hinge", 3, "loss is 'hinge'; exact gradients have cross-entropy, logistic, mse"),
        ("mse", 0, "features is 0; it must be an integer of 1 to 262,144"),
        ("mse", 2.5, "features is 2.5; it must be an integer"),
        ("mse", True, "features is True; it must be an integer"),
        ("mse", 2**18 + 1, "features is 262145; it must be"),
    ],
    ids=["loss", "none", "half", "bool", "many"],
)
def test_other_arguments_are_refused(loss: str, features: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exact_graph(nn.Linear(3, 2), loss, features=features)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((2**18, 2), "layer 0 has 262,145 inputs a unit, its bias among them.*at most 262,144"),
        ((4, 2**13 + 1, 2**13 + 1, 2), "layer 1 leads to 8,193 hidden units.*may lead to 8,192"),
        ((4, 2**20, 2), "the model has 1,048,581 units.*at most 1,048,575"),
        ((4, 2**19), "the model has 1,048,581 units"),
    ],
    ids=["inputs", "outputs", "units", "classes"],
)
def test_sizes_beyond_the_pass_are_refused_and_named(widths: tuple[int, ...], message: str) -> None:
    with torch.device("meta"):  # the graph needs shapes alone
        layers = [layer for i in range(len(widths) - 1) for layer in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]
    with pytest.raises(UsageError, match=message):
        exact_graph(nn.Sequential(*layers[:-1]), features=widths[0])


def test_largest_sizes_are_taken() -> None:
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Linear(2**18, 4, bias=False), nn.ReLU(), nn.Linear(4, 2**13), nn.ReLU(), nn.Linear(2**13, 2)
        )
    assert exact_graph(model, features=2**18).count == 2**19
