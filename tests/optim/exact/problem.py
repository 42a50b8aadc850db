"""A small problem: 60 examples of 4 numbers, 3 classes, and a model with a hidden layer."""

from typing import Any

import numpy as np
import torch
from torch import nn

from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(60, 4)).astype(np.float32)
Y = X[:, :3].argmax(1)
SEED = 11


def network(seed: int = 5) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def gradient(model: nn.Module, *, seed: int | None = SEED, **changes: Any) -> ExactGradient:
    settings = {"data": (X, Y), "batch_size": 16, **changes}
    return ExactGradient(exact_graph(model, features=4), settings.pop("data"), seed=seed, **settings)


def optimizer(model: nn.Module, **options: Any) -> ZKOptimizer:
    settings = {"rule": "adam", "lr": "0.01", "eps": "0.0001", **options}
    if settings["rule"] != "adam":
        del settings["eps"]
    if "gradient" not in settings:
        settings["gradient"] = gradient(model)
    return ZKOptimizer(model.named_parameters(), **settings)
