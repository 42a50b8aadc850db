"""A network while its graph is being made: what forward's values are, and the units and places that
they lead to.

A value is Given (the features, or a hidden run's activations), Affine (what one linear layer gives,
or the sum of several), or one of two steps on the way to two logits, Zeros and TwoLogits. An affine
value becomes units where a ReLU, or the loss, takes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Kind, Tensor, TensorKind, Units
from zk_autograd.core.graph.acceptance import MAX_HIDDEN_OUTPUTS, MAX_INPUTS, MAX_UNITS


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The values of a run of units; `name` is what gave them."""

    units: Units
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear layer over `source`: a weight (outputs, inputs), and a bias or None."""

    name: str
    source: Given
    weight: torch.Tensor
    bias: torch.Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """The sum of what linear layers give, all of `width` outputs."""

    layers: tuple[Linear, ...]
    width: int

    @property
    def name(self) -> str:
        return " + ".join(layer.name for layer in self.layers)


@dataclass(frozen=True, slots=True, eq=False)
class Zeros:
    """As many zeros as `like` has values."""

    like: Affine


@dataclass(frozen=True, slots=True, eq=False)
class TwoLogits:
    """Two logits, of which the first is 0."""

    logit: Affine


Value: TypeAlias = Given | Affine | Zeros | TwoLogits


class Network:
    """Runs of units so far, and where each parameter's elements stand."""

    def __init__(self, features: int) -> None:
        self.units = [Units(Kind.FEATURE, 0, features), Units(Kind.CONSTANT, features, 1)]
        self.features = Given(self.units[0], "the features")
        self._places: dict[int, tuple[Tensor, str]] = {}
        self._hidden: list[Given] = []
        self._fed: dict[int, int] = {}

    def hidden(self, value: Affine, name: str) -> Given:
        """The units of a ReLU called `name` over `value`."""
        for layer in value.layers:
            self._feed(layer.source, value.width)
        found = Given(self.outputs(Kind.RELU, value), name)
        self._hidden.append(found)
        return found

    def outputs(self, kind: Kind, value: Affine) -> Units:
        """A new run of a kind that is computed from `value`."""
        inputs = sum(layer.weight.shape[1] + (layer.bias is not None) for layer in value.layers)
        if inputs > MAX_INPUTS:
            raise UsageError(
                f"{value.name} has {inputs:,} inputs a unit, its bias among them, and an exact pass has at most {MAX_INPUTS:,}: "
                "use fewer inputs, or --level L1"
            )
        run = self.append(kind, value.width)
        for layer in value.layers:
            source = layer.source.units
            self._place(layer, TensorKind.WEIGHT, source.first, run, source.count, layer.weight)
            self._feed(layer.source, 0)
            if layer.bias is not None:
                self._place(layer, TensorKind.BIAS, self.units[1].first, run, 1, layer.bias)
        return run

    def append(self, kind: Kind, count: int) -> Units:
        """A new run of `count` units, or pairs."""
        run = Units(kind, self.units[-1].end, count)
        if run.end >= MAX_UNITS:  # a pad is still to come
            raise UsageError(
                f"the model has {run.end:,} units, and an exact pass has at most {MAX_UNITS - 1:,}: use narrower layers, or --level L1"
            )
        self.units.append(run)
        return run

    def closed(self, parameters: Sequence[tuple[str, torch.Tensor]]) -> tuple[list[Tensor], list[str]]:
        """Appends the close row, if there are classes, and the pads. The places of `parameters`,
        with their names, in that order, and the layers that they are of. UsageError for one that
        has no place, and for hidden units that lead nowhere, or to too many others."""
        for given in self._hidden:
            fed = self._fed.get(given.units.first)
            if fed is None:
                raise UsageError(
                    f"nothing is computed from {given.name}: leave it, and what leads to it, out of the model"
                )
            if fed > MAX_HIDDEN_OUTPUTS:
                raise UsageError(
                    f"{given.name} leads to {fed:,} hidden units, and in an exact pass it may lead to {MAX_HIDDEN_OUTPUTS:,}: "
                    "make the next layer narrower, or use --level L1"
                )
        if any(run.kind is Kind.CLASS for run in self.units):
            self.append(Kind.CLOSE, 1)
        end = self.units[-1].end
        self.units.append(Units(Kind.PAD, end, (1 << end.bit_length()) - end))
        tensors, layers, offset = [], [], 0
        for name, parameter in parameters:
            if id(parameter) not in self._places:
                raise UsageError(f"{name} takes no part in forward: leave it out of the model, or use --level L1")
            tensor, layer = self._places[id(parameter)]
            tensors.append(Tensor(tensor.kind, tensor.a, tensor.b, tensor.rows, tensor.columns, offset))
            layers.append(layer)
            offset += tensor.size
        return tensors, layers

    def _feed(self, source: Given, hidden: int) -> None:
        first = source.units.first
        self._fed[first] = self._fed.get(first, 0) + hidden

    def _place(
        self, layer: Linear, kind: TensorKind, a: int, run: Units, columns: int, parameter: torch.Tensor
    ) -> None:
        if id(parameter) in self._places:
            raise UsageError(
                f"{layer.name} is used twice: its weights would stand at two places of the pass, and at L3 each stands at one; use two "
                "layers, or --level L1"
            )
        self._places[id(parameter)] = Tensor(kind, a, run.outputs[0], run.count, columns, 0), layer.name
