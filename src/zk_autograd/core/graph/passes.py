"""The exact pass: forward and backward over a batch, as integers with one answer each.

    Linear      Y = sum over inputs Wf A + 2^12 bf;   Z = floor((Y + 2^15) / 2^16)
                D = floor((sum over outputs Wf dZ + 2^15) / 2^16)
    ReLU        A = max(Z, 0);   dZ = D if Z > 0, else 0
    classes     p_i = T[min(c - Z_i, 65535)],  c the least integer, and at least every Z, for which
                the p_i add up to at most 2^20;   dZ_i = p_i - 2^8 t_i
    values      dZ = 2^8 (Z - t), the derivative of half the squared error
    gradient    I = sum over the batch of A dZ (bias: 2^12 dZ);   G = floor((I + half) / 2^s)

with Wf = floor(W / 2^16), targets t (of classes 0 or 2^12, one of them), T of `exponential`, the
formats of `graph.formats`, s = 4 + l - k and half = floor(2^(s-1)). A batch has 2^l examples: those
beyond its own are dead, and their dZ is 0. A result that leaves its range is an error: nothing is
clipped.

Trainer and verifier run this module. The design and its measurements: docs/gradients.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import GRADIENT_BITS, GRADIENT_BOUND, IntArray
from zk_autograd.core.graph import exponential
from zk_autograd.core.graph.errors import UnitRangeError
from zk_autograd.core.graph.formats import (
    ACTIVATION_BITS,
    ACTIVATION_BOUND,
    DERIVATIVE_BITS,
    DERIVATIVE_BOUND,
    ONE,
    SHIFTS,
    TARGET_SHIFT,
    WEIGHT_BITS,
    WEIGHT_MAX,
    WEIGHT_SHIFT,
    gradient_shift,
)
from zk_autograd.core.graph.products import EXACT, Floats, Matmul, largest, product, rounded
from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind

Cells = NDArray[np.int32]
"""Of a batch: (examples, graph.stride), features and then targets, in units of 2^-12."""


class Gradient(NamedTuple):
    """A step's gradient, int32 (parameters,), and the batch's loss: the mean over its own examples,
    of classes (c - Z of the own class) / 4096, of values half the squared error's sum."""

    G: NDArray[np.int32]
    loss: float


@dataclass(frozen=True, slots=True)
class _Edge:
    """A tensor between two runs: its number among the tensors, its layer's name, the runs that it
    leads from and to, which of their columns it joins, and its elements of the flat vector."""

    number: int
    name: str
    is_bias: bool
    shape: tuple[int, ...]
    source: int
    inputs: slice
    target: int
    outputs: slice
    elements: slice


class _Matrix(NamedTuple):
    """Integers as float64, and the largest of them in size."""

    values: Floats
    largest: float


class _Sums(NamedTuple):
    """The sums I, by tensor, float64 or int64, and the loss."""

    I: list[NDArray[Any]]  # noqa: E741, as the docs and the rules call it
    loss: float


class Pass:
    """The pass of one graph, which must be acceptable (`graph.acceptance`).

    `names` are the layers' names in errors, one for each tensor; `matmul` multiplies matrices.
    """

    def __init__(self, graph: Graph, names: Sequence[str] = (), matmul: Matmul = np.matmul) -> None:
        self.graph = graph
        self._matmul = matmul
        self._runs = graph.units
        names = names or [f"the tensor at {tensor.offset}" for tensor in graph.tensors]
        self._edges = [
            _edge(graph, number, tensor, name)
            for number, (tensor, name) in enumerate(zip(graph.tensors, names, strict=True))
        ]
        self._into = {
            i: [e for e in self._edges if e.target == i] for i, run in enumerate(graph.units) if run.kind.takes
        }
        self._from = {
            i: [e for e in self._edges if e.source == i] for i, run in enumerate(graph.units) if run.kind is Kind.RELU
        }

    def step(self, weights: IntArray, cells: Cells, live: int, log_batch: int, k: int) -> Gradient:
        """The gradient at `weights` W, int64 (parameters,), of the first `live` examples of `cells`.

        The rest of `cells`, at most one example, stands for the dead ones: its forward pass must be
        in range, too. UsageError for an s = 4 + log_batch - k that isn't in 0 .. 16, UnitRangeError
        for what leaves its range.
        """
        s = gradient_shift(log_batch, k)
        if s not in SHIFTS:
            raise UsageError(
                f"grad_scale is {k}; with batches of {2**log_batch} an exact gradient needs one of {log_batch - 12} to {log_batch + 4}"
            )
        found = self._sums(weights, cells, live)
        G = np.empty(self.graph.size, np.int32)
        for edge, sums in zip(self._edges, found.I, strict=True):
            values = rounded(sums, s)
            if largest(values) >= GRADIENT_BOUND:
                raise self._of_tensor(
                    "the gradient", edge, values, GRADIENT_BOUND, GRADIENT_BITS + k, "lower grad_scale"
                )
            G[edge.elements] = values.reshape(-1)
        return Gradient(G, found.loss)

    def largest_sum(self, weights: IntArray, cells: Cells, live: int) -> float:
        """The largest I in size, from which a grad_scale may be chosen. As `step`."""
        return max(largest(sums) for sums in self._sums(weights, cells, live).I)

    def outputs(self, weights: IntArray, cells: Cells) -> IntArray:
        """The outputs Z, int64 (examples, outputs): what the model answers. Only the features of
        `cells` count. UnitRangeError."""
        _, values = self._forward(self._read(weights), cells)
        found = [values[i] for i, run in enumerate(self._runs) if run.kind.width == 2]
        return np.concatenate(found, axis=1).astype(np.int64)

    def _read(self, weights: IntArray) -> list[_Matrix]:
        """Each tensor's Wf."""
        read = (weights >> WEIGHT_SHIFT).astype(np.float64)
        found = []
        for edge in self._edges:
            values = read[edge.elements]
            size = largest(values)
            if size > WEIGHT_MAX:
                raise self._of_tensor(
                    "a weight", edge, values, WEIGHT_MAX, WEIGHT_BITS, "lower lr, or use weight decay"
                )
            found.append(_Matrix(values.reshape(edge.shape), size))
        return found

    def _forward(self, read: list[_Matrix], cells: Cells) -> tuple[dict[int, _Matrix], dict[int, Floats]]:
        """The activations of the runs that feed others, and the Z of the outputs, by run."""
        activations: dict[int, _Matrix] = {}
        values: dict[int, Floats] = {}
        for i, run in enumerate(self._runs):
            if run.kind is Kind.FEATURE:
                features = cells[:, : run.count].astype(np.float64)
                self._require("the value", i, features, ACTIVATION_BOUND, ACTIVATION_BITS, "scale the data down")
                activations[i] = _Matrix(features, largest(features))
            elif run.kind is Kind.ZERO_CLASS:
                values[i] = np.zeros((len(cells), run.count))
            elif run.kind.takes:
                Z = self._computed(i, read, activations, len(cells))
                advice = "lower lr, or normalise the layer's inputs"
                self._require("Z", i, Z, ACTIVATION_BOUND, ACTIVATION_BITS, advice)
                if run.kind is Kind.RELU:
                    np.maximum(Z, 0.0, out=Z)
                    activations[i] = _Matrix(Z, largest(Z))
                else:
                    values[i] = Z
        return activations, values

    def _computed(self, i: int, read: list[_Matrix], activations: dict[int, _Matrix], examples: int) -> Floats:
        """The Z of run `i`."""
        parts = []
        for edge in self._into[i]:
            weights = read[edge.number]
            if edge.is_bias:
                parts.append((edge.outputs, weights.values * ONE, weights.largest * ONE))
            else:
                a = activations[edge.source]
                found = product(a.values[:, edge.inputs], weights.values.T, self._matmul, a.largest, weights.largest)
                parts.append((edge.outputs, *found))
        return _rounded_total(parts, (examples, self._runs[i].count))

    def _loss(self, values: dict[int, Floats], targets: Cells, live: int) -> tuple[dict[int, Floats], float]:
        """The outputs' derivatives dZ, by run, and the loss."""
        runs = sorted(values)
        Z = values[runs[0]] if len(runs) == 1 else np.concatenate([values[i] for i in runs], axis=1)
        Z, t = Z[:live], targets[:live].astype(np.float64)
        if self._runs[runs[0]].kind is Kind.VALUE:
            d = (Z - t) * 2.0**TARGET_SHIFT
            loss = float(((Z - t) ** 2).sum()) / (2 * live * ONE * ONE)
        else:
            c, p = exponential.probabilities(Z)
            d = p - t * 2.0**TARGET_SHIFT
            loss = float((c * ONE - (Z * t).sum(axis=1)).sum()) / (live * ONE * ONE)
        ends = np.cumsum([0, *(self._runs[i].count for i in runs)])
        found = {i: d[:, ends[n] : ends[n + 1]] for n, i in enumerate(runs)}
        for i, part in found.items():
            self._require("the derivative", i, part, DERIVATIVE_BOUND, DERIVATIVE_BITS, "scale the targets down")
        return found, loss

    def _sums(self, weights: IntArray, cells: Cells, live: int) -> _Sums:
        read = self._read(weights)
        activations, values = self._forward(read, cells)
        outputs, loss = self._loss(values, cells[:, self.graph.features :], live)
        backwards = {i: _Matrix(d, largest(d)) for i, d in outputs.items()}
        for i in sorted(self._from, reverse=True):
            parts = []
            for edge in self._from[i]:
                d, w = backwards[edge.target], read[edge.number]
                parts.append(
                    (edge.inputs, *product(d.values[:, edge.outputs], w.values, self._matmul, d.largest, w.largest))
                )
            D = _rounded_total(parts, (live, self._runs[i].count))
            self._require("the derivative", i, D, DERIVATIVE_BOUND, DERIVATIVE_BITS, "lower lr, or scale the data down")
            D *= activations[i].values[:live] > 0
            backwards[i] = _Matrix(D, largest(D))
        sums = []
        for edge in self._edges:
            d = backwards[edge.target]
            own = d.values[:, edge.outputs]
            if edge.is_bias:
                sums.append(own.sum(axis=0) * ONE)  # below 2^13 2^28 2^12
                continue
            a = activations[edge.source]
            sums.append(product(own.T, a.values[:live, edge.inputs], self._matmul, d.largest, a.largest)[0])
        return _Sums(sums, loss)

    def _require(self, what: str, i: int, values: Floats, bound: int, bits: int, advice: str) -> None:
        """UnitRangeError unless the values of run `i`, (examples, units), are below `bound`."""
        if largest(values) < bound:
            return
        example, unit = (int(x) for x in np.argwhere(np.abs(values) >= bound)[0])
        names = [e.name for e in self._into.get(i, ()) if e.outputs.start <= unit < e.outputs.stop]
        name, index = "the features", unit
        if names:
            name, index = names[0], unit - next(e.outputs.start for e in self._into[i] if e.name == names[0])
        raise UnitRangeError(what, name, index, int(values[example, unit]), bound, advice, example, bits)

    def _of_tensor(
        self, what: str, edge: _Edge, values: NDArray[Any], bound: int, bits: int, advice: str
    ) -> UnitRangeError:
        """The error of a tensor's elements, of which one is out of range."""
        flat = values.reshape(-1)
        element = int(np.abs(flat).argmax())
        unit = element // (edge.shape[1] if len(edge.shape) > 1 else 1)
        return UnitRangeError(what, edge.name, unit, int(flat[element]), bound, advice, -1, bits)


def _edge(graph: Graph, number: int, tensor: Tensor, name: str) -> _Edge:
    source, target = graph.run_of(tensor.a), graph.run_of(tensor.b)
    first, row = tensor.a - source.first, target.outputs.index(tensor.b)
    is_bias = tensor.kind is TensorKind.BIAS
    return _Edge(
        number,
        name,
        is_bias,
        (tensor.rows,) if is_bias else (tensor.rows, tensor.columns),
        graph.units.index(source),
        slice(first, first + tensor.columns),
        graph.units.index(target),
        slice(row, row + tensor.rows),
        slice(tensor.offset, tensor.offset + tensor.size),
    )


def _rounded_total(parts: list[tuple[slice, NDArray[Any], float]], shape: tuple[int, int]) -> Floats:
    """floor((sum + 2^15) / 2^16) of parts, each of some columns, with bounds on their sums."""
    exact = sum(bound for _, _, bound in parts) < EXACT
    columns, values, _ = parts[0]
    if values.shape == shape and (exact or values.dtype == np.int64):
        found, rest = values, parts[1:]  # a product's own: nobody else has it
    else:
        found, rest = np.zeros(shape, np.float64 if exact else np.int64), parts
    for columns, values, _ in rest:
        found[:, columns] += values if exact else values.astype(np.int64)
    return rounded(found, WEIGHT_BITS).astype(np.float64, copy=False)
