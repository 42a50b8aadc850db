"""The graph of a model of torch: core's graph, with the tensors whose elements it places."""

from dataclasses import dataclass, field

import torch
from torch import nn

from zk_autograd.core.graph import Graph


@dataclass(frozen=True)
class ModelGraph(Graph):
    """`sources[i]` is the parameter whose elements stand at the places of `tensors[i]`, `names[i]`
    its name in the model, `layers[i]` that of the layer that it is of. `model` is the model
    itself, whose float forward pass the exact one is compared with."""

    sources: tuple[torch.Tensor, ...] = field(default=(), compare=False, repr=False)
    layers: tuple[str, ...] = field(default=(), compare=False)
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)
    model: nn.Module | None = field(default=None, compare=False, repr=False)
