"""Small models and gradients that the optimizer's tests share."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core.formats import FloatArray
from zk_autograd.optim import ZKOptimizer

RULES = ("sgd", "sgd-momentum", "sgd-nesterov", "adam", "adamw", "lion", "rmsprop")


def vector(values: Sequence[float] | NDArray[np.float64] | FloatArray) -> torch.nn.Parameter:
    """A float32 parameter."""
    return torch.nn.Parameter(torch.tensor(np.asarray(values, dtype=np.float32)))


def network() -> torch.nn.Sequential:
    """Two layers with a batch norm between them, the same each time: 4 inputs, 3 classes."""
    torch.manual_seed(5)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 3))


def backward(model: torch.nn.Module, step: int) -> float:
    """Puts the gradients of the step's own batch on the model, and returns the loss."""
    random = np.random.default_rng(step)
    features = torch.tensor(random.normal(size=(16, 4)).astype(np.float32))
    labels = torch.tensor(random.integers(0, 3, 16))
    for parameter in model.parameters():
        parameter.grad = None
    loss = torch.nn.functional.cross_entropy(model(features), labels)
    loss.backward()
    return float(loss.detach())


def train(model: torch.nn.Module, optimizer: ZKOptimizer, steps: range) -> None:
    """Makes the steps of these numbers."""
    for step in steps:
        optimizer.note(loss=backward(model, step), batch=[step], loop_state=str(step).encode())
        optimizer.step()


def weights(model: torch.nn.Module) -> FloatArray:
    """All parameters in one vector."""
    return np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])
