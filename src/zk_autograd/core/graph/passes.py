"""The exact pass: forward and backward over a batch, as integers with one answer each.

    Linear      Y = sum over inputs Wf A + 2^12 bf;   Z = floor((Y + 2^15) / 2^16)
                D = floor((sum over outputs Wf dZ + 2^15) / 2^16)
    ReLU        A = max(Z, 0);   dZ = D if Z > 0, else 0
    outputs     dZ as `graph.losses` has it
    gradient    I = sum over the batch of A dZ (bias: 2^12 dZ);   G = floor((I + half) / 2^s)

with Wf = floor(W / 2^16), the formats of `graph.formats`, s = 4 + l - k and half =
floor(2^(s-1)). A batch has 2^l examples: those beyond its own are dead, and their dZ is 0. A result
that leaves its range is an error: nothing is clipped.

Trainer and verifier run this module. The design and its measurements: docs/gradients.md.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import GRADIENT_BITS, GRADIENT_BOUND, IntArray
from zk_autograd.core.graph import losses
from zk_autograd.core.graph.data import require_range
from zk_autograd.core.graph.edges import Edge, edges_of
from zk_autograd.core.graph.errors import UnitRangeError
from zk_autograd.core.graph.formats import (
    ACTIVATION_BITS,
    ACTIVATION_BOUND,
    DERIVATIVE_BITS,
    DERIVATIVE_BOUND,
    ONE,
    SHIFTS,
    WEIGHT_BITS,
    WEIGHT_MAX,
    WEIGHT_SHIFT,
    gradient_shift,
)
from zk_autograd.core.graph.products import (
    Floats,
    Matmul,
    Matrix,
    Sums,
    added,
    largest,
    narrowed,
    pieces,
    product,
    rounded,
    rounded_total,
)
from zk_autograd.core.graph.units import Graph, Kind

Cells = NDArray[np.int32]
"""Of a batch: (examples, graph.stride), features and then targets, in units of 2^-12."""

AT_ONCE = 2**24
"""Units times examples that are computed together, which bounds the memory."""


class Gradient(NamedTuple):
    """A step's gradient, int32 (parameters,), and the batch's loss (graph.losses): the mean over
    its own examples."""

    G: NDArray[np.int32]
    loss: float


class _Found(NamedTuple):
    """The sums I, by tensor, and the sum of the examples' losses."""

    I: list[Sums]  # noqa: E741, as the docs and the rules call it
    loss: int


class Pass:
    """The pass of one graph, which must be acceptable (`graph.acceptance`).

    `names` are the layers' names in errors, one for each tensor; `matmul` multiplies matrices;
    `at_once` is how many units times examples are computed together.
    """

    def __init__(
        self, graph: Graph, names: Sequence[str] = (), matmul: Matmul = np.matmul, at_once: int = AT_ONCE
    ) -> None:
        self.graph = graph
        self._matmul = matmul
        self._edges = edges_of(graph, names)
        self._counts = [run.count for run in graph.units]
        self._outputs = [i for i, run in enumerate(graph.units) if run.kind.width == 2]
        self._zero = [i for i in self._outputs if graph.units[i].kind is Kind.ZERO_CLASS]
        values = graph.units[self._outputs[0]].kind is Kind.VALUE
        self._loss, self._loss_bits = (
            (losses.values, losses.VALUES_BITS) if values else (losses.classes, losses.CLASSES_BITS)
        )
        self._at_once = max(1, at_once // graph.count)

    def step(self, weights: IntArray, cells: Cells, live: int, log_batch: int, k: int) -> Gradient:
        """The gradient at `weights` W, int64 (parameters,), of the first `live` examples of
        `cells`, 1 to 2^log_batch.

        The rest of `cells`, at most one example, stands for the dead ones: its forward pass must be
        in range, too. UsageError for an s = 4 + log_batch - k that isn't in 0 .. 16, UnitRangeError
        for what leaves its range, TargetsError for targets of classes that aren't one-hot.
        """
        s = gradient_shift(log_batch, k)
        if s not in SHIFTS:
            raise UsageError(
                f"grad_scale is {k}; with batches of {2**log_batch} an exact gradient needs one of {log_batch - 12} to {log_batch + 4}"
            )
        found = self._found(weights, cells, live)
        G = np.empty(self.graph.size, np.int32)
        for edge, (values, _) in zip(self._edges.all, found.I, strict=True):
            beyond = narrowed(values, s, GRADIENT_BOUND, G[edge.elements])
            if beyond is not None:
                value = int(rounded(values.reshape(-1)[beyond : beyond + 1], s)[0])
                bits = GRADIENT_BITS + k
                raise _of_element("the gradient", edge, beyond, value, GRADIENT_BOUND, bits, "lower grad_scale")
        return Gradient(G, found.loss / (live << self._loss_bits))

    def largest_sum(self, weights: IntArray, cells: Cells, live: int) -> float:
        """The largest I in size, from which a grad_scale may be chosen. As `step`."""
        return max(largest(sums.values) for sums in self._found(weights, cells, live).I)

    def outputs(self, weights: IntArray, cells: Cells) -> IntArray:
        """The outputs Z, int64 (examples, outputs): what the model answers. Only the features of
        `cells` count. UnitRangeError."""
        read = self._read(weights)
        found = [self._forward(read, part, first)[1].astype(np.int64) for first, part in self._parts(cells)]
        return np.concatenate(found)

    def _parts(self, cells: Cells) -> Iterator[tuple[int, Cells]]:
        """As many examples as are computed together, with the number of the first."""
        return ((i, cells[i : i + self._at_once]) for i in range(0, len(cells), self._at_once))

    def _found(self, weights: IntArray, cells: Cells, live: int) -> _Found:
        read = self._read(weights)
        total: _Found | None = None
        for first, part in self._parts(cells):
            activations, Z = self._forward(read, part, first)
            own = min(live - first, len(part))  # none, if the dead one is here alone
            found = self._backward(read, activations, Z, part, first, own)
            if total is not None:
                found = _Found([added(*pair) for pair in zip(total.I, found.I, strict=True)], total.loss + found.loss)
            total = found
        assert total is not None, "a batch has an example"
        return total

    def _read(self, weights: IntArray) -> list[Matrix]:
        """Each tensor's Wf, under one bound."""
        read = np.empty(len(weights))
        most = 0.0
        for piece in pieces(len(weights)):
            own = read[piece]
            np.multiply(weights[piece], 2.0**-WEIGHT_SHIFT, out=own)  # exact below 2^53, and far out of range beyond
            np.floor(own, out=own)
            most = max(most, largest(own))
        if most > WEIGHT_MAX:
            element = int(np.flatnonzero(np.abs(read) > WEIGHT_MAX)[0])
            edge = next(e for e in self._edges.all if element < e.elements.stop)
            value, advice = int(weights[element]) >> WEIGHT_SHIFT, "lower lr, or use weight decay"
            raise _of_element("a weight", edge, element - edge.elements.start, value, WEIGHT_MAX, WEIGHT_BITS, advice)
        return [Matrix(read[edge.elements].reshape(edge.shape), most) for edge in self._edges.all]

    def _forward(self, read: list[Matrix], cells: Cells, first: int) -> tuple[dict[int, Matrix], Floats]:
        """The activations of the runs that feed others, by run, and the outputs' Z. `first` is the
        number of the first example in the batch."""
        features = cells[:, : self.graph.features].astype(np.float64)
        require_range("the features", features, first=first)
        activations = {0: Matrix(features, largest(features))}
        outputs = {i: np.zeros((len(cells), 1)) for i in self._zero}
        for i, edges in self._edges.into.items():
            parts = []
            for edge in edges:
                weights = read[edge.number]
                if edge.is_bias:
                    parts.append((edge.outputs, Sums(weights.values * ONE, weights.largest * ONE)))
                else:
                    a = activations[edge.source]
                    inputs = a.values[:, edge.inputs]
                    sums = product(inputs, weights.values.T, self._matmul, a.largest, weights.largest)
                    parts.append((edge.outputs, sums))
            Z = rounded_total(parts, (len(cells), self._counts[i]), WEIGHT_BITS)
            most = largest(Z)
            if most >= ACTIVATION_BOUND:
                advice = "lower lr, or normalise its inputs"
                raise self._of_unit("Z", i, Z, first, ACTIVATION_BOUND, ACTIVATION_BITS, advice)
            if i in self._edges.out:
                activations[i] = Matrix(np.maximum(Z, 0.0, out=Z), most)
            else:
                outputs[i] = Z
        found = [outputs[i] for i in self._outputs]
        return activations, found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def _backward(
        self, read: list[Matrix], activations: dict[int, Matrix], Z: Floats, cells: Cells, first: int, live: int
    ) -> _Found:
        targets = cells[:live, self.graph.features :].astype(np.float64)
        d, loss = self._loss(Z[:live], targets, first)
        derivatives: dict[int, Matrix] = {}
        at = 0
        for i in self._outputs:
            own = d[:, at : at + self._counts[i]]
            derivatives[i] = Matrix(own, self._derivative(i, own, first, "scale the targets down"))
            at += self._counts[i]
        for i, edges in reversed(self._edges.out.items()):
            parts = []
            for edge in edges:
                dZ, w = derivatives[edge.target], read[edge.number]
                sums = product(dZ.values[:, edge.outputs], w.values, self._matmul, dZ.largest, w.largest)
                parts.append((edge.inputs, sums))
            D = rounded_total(parts, (live, self._counts[i]), WEIGHT_BITS)
            most = self._derivative(i, D, first, "lower lr, or scale the data down")
            D *= activations[i].values[:live] > 0
            derivatives[i] = Matrix(D, most)
        found = []
        for edge in self._edges.all:
            dZ = derivatives[edge.target]
            own = dZ.values[:, edge.outputs]
            if edge.is_bias:  # below 2^13 2^28 2^12
                found.append(Sums(own.sum(axis=0).astype(np.int64) * ONE, dZ.largest * live * ONE))
            else:
                a = activations[edge.source]
                inputs = a.values[:live, edge.inputs]
                found.append(product(own.T, inputs, self._matmul, dZ.largest, a.largest))
        return _Found(found, loss)

    def _derivative(self, i: int, values: Floats, first: int, advice: str) -> float:
        """The largest of a run's derivatives, which must be in range."""
        most = largest(values)
        if most >= DERIVATIVE_BOUND:
            raise self._of_unit("the derivative", i, values, first, DERIVATIVE_BOUND, DERIVATIVE_BITS, advice)
        return most

    def _of_unit(
        self, what: str, i: int, values: Floats, first: int, bound: int, bits: int, advice: str
    ) -> UnitRangeError:
        """The error of the first value of run `i`, (examples, units), that is out of range."""
        example, unit = (int(x) for x in np.argwhere(np.abs(values) >= bound)[0])
        name, index = self._edges.name(i, unit)
        return UnitRangeError(what, name, index, int(values[example, unit]), bound, advice, first + example, bits)


def _of_element(what: str, edge: Edge, element: int, value: int, bound: int, bits: int, advice: str) -> UnitRangeError:
    """The error of an element of a tensor."""
    unit = element // (edge.shape[1] if len(edge.shape) > 1 else 1)
    return UnitRangeError(what, edge.name, unit, value, bound, advice, -1, bits)
