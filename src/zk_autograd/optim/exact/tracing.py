"""A model's graph: from an nn.Sequential, or what torch.fx traces, by a closed registry of layers."""

from dataclasses import dataclass, field

import torch
from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Graph, Kind, Tensor, TensorKind, Units, require_acceptable

LOSSES = ("cross-entropy", "logistic", "mse")


@dataclass(frozen=True)
class ModelGraph(Graph):
    """The graph of a model of torch: `sources` are the parameters whose elements stand at the
    tensors' places, `layers` the names of the layers that they are of."""

    sources: tuple[torch.Tensor, ...] = field(default=(), compare=False, repr=False)
    layers: tuple[str, ...] = field(default=(), compare=False)


def exact_graph(model: nn.Module, loss: str = "cross-entropy", *, features: int) -> ModelGraph:
    """The graph of `model` on examples of `features` numbers, under a loss of LOSSES.

    UsageError, which names the layer, for what has no exact pass.
    """
    assert isinstance(model, nn.Sequential)
    units = [Units(Kind.FEATURE, 0, features), Units(Kind.CONSTANT, features, 1)]
    tensors: list[Tensor] = []
    sources: list[torch.Tensor] = []
    layers: list[str] = []
    source, offset = units[0], 0
    steps = list(model.named_children())
    for number, (name, layer) in enumerate(steps):
        if isinstance(layer, nn.ReLU):
            continue
        if not isinstance(layer, nn.Linear):
            raise UsageError(f"{name} is a {type(layer).__name__}, which has no exact pass")
        kind = Kind.CLASS if number == len(steps) - 1 else Kind.RELU
        run = Units(kind, units[-1].end, layer.out_features)
        units.append(run)
        tensors.append(
            Tensor(TensorKind.WEIGHT, source.first, run.outputs[0], layer.out_features, layer.in_features, offset)
        )
        sources.append(layer.weight)
        offset += layer.weight.numel()
        tensors.append(Tensor(TensorKind.BIAS, features, run.outputs[0], layer.out_features, 1, offset))
        sources.append(layer.bias)
        offset += layer.out_features
        layers += [name, name]
        source = run
    units.append(Units(Kind.CLOSE, units[-1].end, 1))
    count = 1 << units[-1].end.bit_length()
    units.append(Units(Kind.PAD, units[-1].end, count - units[-1].end))
    graph = ModelGraph(tuple(units), tuple(tensors), tuple(sources), tuple(layers))
    require_acceptable(graph, graph.size)
    return graph
