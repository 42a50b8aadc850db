"""A graph's tensors as edges between its runs: what the pass walks along."""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.graph.units import Graph, Kind, TensorKind


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor between two runs: its number among the tensors, its layer's name, the runs that it
    leads from and to, which of their units it joins, and its elements of the flat vector."""

    number: int
    name: str
    is_bias: bool
    shape: tuple[int, ...]
    source: int
    inputs: slice
    target: int
    outputs: slice
    elements: slice


@dataclass(frozen=True, slots=True)
class Edges:
    """All of a graph's, in the tensors' order; those `into` each run that is computed from weights,
    and those `out` of each ReLU run, by the run's number, in its order."""

    all: tuple[Edge, ...]
    into: dict[int, list[Edge]]
    out: dict[int, list[Edge]]

    def name(self, run: int, unit: int) -> tuple[str, int]:
        """The layer that computes unit `unit` of a run, and which of its outputs that is."""
        for edge in self.into.get(run, ()):
            if edge.outputs.start <= unit < edge.outputs.stop:
                return edge.name, unit - edge.outputs.start
        return "the features", unit


def edges_of(graph: Graph, names: Sequence[str] = ()) -> Edges:
    """The edges of an acceptable graph; `names` are the layers' names, by tensor."""
    names = names or [f"the tensor at {tensor.offset}" for tensor in graph.tensors]
    found = []
    for number, (tensor, name) in enumerate(zip(graph.tensors, names, strict=True)):
        source, target = graph.index_of(tensor.a), graph.index_of(tensor.b)
        first, row = tensor.a - graph.units[source].first, graph.units[target].outputs.index(tensor.b)
        is_bias = tensor.kind is TensorKind.BIAS
        found.append(
            Edge(
                number,
                name,
                is_bias,
                (tensor.rows,) if is_bias else (tensor.rows, tensor.columns),
                source,
                slice(first, first + tensor.columns),
                target,
                slice(row, row + tensor.rows),
                slice(tensor.offset, tensor.offset + tensor.size),
            )
        )
    into: dict[int, list[Edge]] = {i: [] for i, run in enumerate(graph.units) if run.kind.takes}
    out: dict[int, list[Edge]] = {i: [] for i, run in enumerate(graph.units) if run.kind is Kind.RELU}
    for edge in found:
        into[edge.target].append(edge)
        if edge.source in out:
            out[edge.source].append(edge)
    return Edges(tuple(found), into, out)
