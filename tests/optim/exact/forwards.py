"""Small models whose forward is a function."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Forward(nn.Module):
    """`layers` called a, b, c ..., and a forward that is given this module and the features."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any], *layers: nn.Module) -> None:
        super().__init__()
        for name, layer in zip("abcdef", layers, strict=False):
            self.add_module(name, layer)
        self._function = forward

    def forward(self, features: torch.Tensor) -> Any:
        return self._function(self, features)


def two_layers(between: Callable[[torch.Tensor], Any]) -> Forward:
    """3 features, 4 hidden numbers that go through `between`, 2 outputs."""
    torch.manual_seed(1)
    layers = (nn.Linear(3, 4), nn.Linear(4, 2))
    modules = [between] if isinstance(between, nn.Module) else []
    return Forward(lambda m, x: m.b(between(m.a(x))), *layers, *modules)
