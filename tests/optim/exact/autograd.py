"""Exact gradients beside torch's autograd in float64, on the same rounded weights and data."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zk_autograd.core.formats import GRADIENT_BITS, IntArray, quantize_weight
from zk_autograd.core.graph.formats import ONE
from zk_autograd.optim.exact import ExactGradient, ModelGraph, exact_graph

WEIGHT = 2.0**16
K = 0
_CLOSE = 2.0**-9


class Compared(NamedTuple):
    """The graph; both gradients, (parameters,), and both losses."""

    graph: ModelGraph
    exact: NDArray[np.float64]
    floating: NDArray[np.float64]
    losses: tuple[float, float]

    @property
    def error(self) -> float:
        """The largest difference, as a part of the largest element."""
        return float(np.abs(self.exact - self.floating).max() / np.abs(self.floating).max())


def compared(model: nn.Module, loss: str, *, features: int, examples: int = 32, seed: int = 0) -> Compared:
    """Of one batch of random data. The model's weights become multiples of 2^-16, which the pass
    reads as they are, so that what is left are the roundings of activations and derivatives; and
    no ReLU of an example is so close to 0 that it falls on the other side."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.round(parameter * WEIGHT) / WEIGHT)
    graph = exact_graph(model, loss, features=features)
    x = _clear(model, random.normal(size=(8 * examples, features)).astype(np.float32))[:examples]
    assert len(x) == examples
    values = random.normal(size=(examples, graph.targets)).astype(np.float32)
    labels = random.integers(0, graph.targets, examples)
    data = (x, values if loss == "mse" else labels)
    gradient = ExactGradient(graph, data, batch_size=examples, seed=seed)
    W = weights_of(model)
    found = gradient.step(W, 1, K)
    cells = torch.from_numpy(gradient.batch(1)[:examples] / ONE)
    double = copy.deepcopy(model).double()
    value = _loss(double(cells[:, :features]), cells[:, features:], loss)
    value.backward()
    floating = np.concatenate([p.grad.numpy().reshape(-1) for p in double.parameters() if p.grad is not None])
    return Compared(graph, found.G / 2.0 ** (GRADIENT_BITS + K), floating, (found.loss, float(value.detach())))


def _clear(model: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows for which no linear layer gives a number within `_CLOSE` of 0."""
    smallest: list[torch.Tensor] = []
    watched = copy.deepcopy(model)
    for layer in watched.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda module, inputs, output: smallest.append(output.abs().amin(1)))
    with torch.no_grad():
        watched(torch.from_numpy(x))
    found: NDArray[np.float32] = x[(torch.stack(smallest).amin(0) > _CLOSE).numpy()]
    return found


def weights_of(model: nn.Module) -> IntArray:
    """The integers W, int64 (parameters,)."""
    floats = np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])
    found: IntArray = quantize_weight(floats, "weights")
    return found


def _loss(outputs: torch.Tensor, targets: torch.Tensor, loss: str) -> torch.Tensor:
    if loss == "mse":
        return nn.functional.mse_loss(outputs, targets, reduction="sum") / (2 * len(outputs))
    if outputs.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets[:, 1])
    return nn.functional.cross_entropy(outputs, targets)
