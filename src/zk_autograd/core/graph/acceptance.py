"""What is refused of a graph: the text is the trainer's, and could describe anything.

* The runs come in the order features, constant (one unit), hidden, outputs, close, pads; there is at
  least one feature, one output and one pad, and the units' number is a power of two.
* Outputs are values, or classes: then at most the first run is a zero class, of one; classes have
  exactly one close row after them, values none.
* A place (a, b) has a < b, leads from a feature, the constant or a ReLU unit to a ReLU unit, a class
  or a value, and stays within one run at each end; a bias is the constant's, a weight isn't.
* No two parameters stand at one place, and the tensors are all parameters in their order.
* Every ReLU unit feeds something, and every unit that is computed from weights has one.
* At most 2^18 inputs of a unit, 2^13 hidden outputs, and what int64 holds of both.

Dead or unconnected units would have derivatives of the trainer's choice in a proof; the limits keep
every sum of the pass, and of the proof, from wrapping (docs/gradients.md).
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind, Units

MAX_UNITS = 2**20
MAX_INPUTS = 2**18
MAX_HIDDEN_OUTPUTS = 2**13
_SUM_BITS = 63
_HIDDEN_BITS, _LOGIT_BITS = 50, 42
"""Bits of a weight times the derivative of a hidden unit or value, and of a logit."""

_ORDER = {
    Kind.FEATURE: 0, Kind.CONSTANT: 1, Kind.RELU: 2, Kind.ZERO_CLASS: 3, Kind.CLASS: 3, Kind.VALUE: 3, Kind.CLOSE: 4,
    Kind.PAD: 5,
}  # fmt: skip


def require_acceptable(graph: Graph, size: int) -> None:
    """VerificationError, one sentence, for a graph that is refused; `size` is the number of the
    run's parameters."""
    _check_units(graph)
    _check_outputs(graph)
    end = 0
    for tensor in graph.tensors:
        if tensor.offset != end or not tensor.size:
            raise VerificationError(
                "the graph's tensors are not the run's parameters in their order",
                expected=f"offset {end}, at least one element",
                found=f"offset {tensor.offset}, {tensor.size} elements",
            )
        end += tensor.size
        _check_places(graph, tensor)
    if end != size:
        raise VerificationError("the graph has other parameters than the run", expected=str(size), found=str(end))
    _check_overlaps(graph)
    for run in graph.units:
        _check_connected(graph, run)


def _check_units(graph: Graph) -> None:
    if not graph.units:
        raise VerificationError("the graph has no units")
    if graph.count > MAX_UNITS:
        raise VerificationError("the graph has too many units", expected=f"at most {MAX_UNITS}", found=str(graph.count))
    if graph.count & (graph.count - 1):
        raise VerificationError("the number of the graph's units is not a power of two", found=str(graph.count))
    for one, after in pairwise(graph.units):
        if _ORDER[one.kind] > _ORDER[after.kind]:
            raise VerificationError(f"in the graph, {after.kind} units come after {one.kind}")
    counts = {kind: sum(run.count for run in graph.units if run.kind is kind) for kind in Kind}
    for kind in (Kind.FEATURE, Kind.CONSTANT, Kind.PAD):
        if not counts[kind]:
            raise VerificationError(f"the graph has no {kind} unit")
    for kind in (Kind.CONSTANT, Kind.CLOSE, Kind.ZERO_CLASS):
        if counts[kind] > 1:
            raise VerificationError(f"the graph has more than one {kind} unit", found=str(counts[kind]))
    if sum(run.kind is Kind.FEATURE for run in graph.units) > 1:
        raise VerificationError("the graph's features are not one run")


def _check_outputs(graph: Graph) -> None:
    kinds = [run.kind for run in graph.outputs]
    if not kinds:
        raise VerificationError("the graph has no outputs")
    if Kind.VALUE in kinds and kinds != [Kind.VALUE]:
        raise VerificationError("the graph's values are not one run, or come with classes")
    if Kind.ZERO_CLASS in kinds and kinds != [Kind.ZERO_CLASS, Kind.CLASS]:
        raise VerificationError("a zero class of the graph is not the first of two runs of classes")
    closes = sum(run.kind is Kind.CLOSE for run in graph.units)
    if closes != (Kind.VALUE not in kinds):
        raise VerificationError(
            "the graph's close rows don't go with its outputs",
            expected="one after classes, none after values",
            found=str(closes),
        )
    if Kind.CLASS in kinds and graph.targets < 2:
        raise VerificationError("the graph has classes, but fewer than two")


def _check_places(graph: Graph, tensor: Tensor) -> None:
    where = f"the graph's tensor at offset {tensor.offset}"
    if tensor.a >= tensor.b:
        raise VerificationError(f"{where} leads backwards", found=f"from unit {tensor.a} to unit {tensor.b}")
    try:
        source, target = graph.run_of(tensor.a), graph.run_of(tensor.b)
    except KeyError as error:
        raise VerificationError(f"{where} is about a unit that there isn't", found=str(error)) from error
    if not source.kind.gives or not target.kind.takes:
        raise VerificationError(f"{where} leads from {source.kind} to {target.kind} units")
    if (tensor.kind is TensorKind.BIAS) != (source.kind is Kind.CONSTANT):
        raise VerificationError(f"{where} is a {tensor.kind} from {source.kind} units")
    if tensor.b not in target.outputs:
        raise VerificationError(f"{where} leads to a target", found=f"unit {tensor.b}")
    if tensor.a + tensor.columns > source.end or target.outputs.index(tensor.b) + tensor.rows > target.count:
        raise VerificationError(f"{where} goes beyond a run of units")


def _check_overlaps(graph: Graph) -> None:
    """Rectangles of places, within one pair of runs each. The outputs are ordered: a sweep."""
    by_runs: dict[tuple[int, int], list[Tensor]] = {}
    for tensor in graph.tensors:
        by_runs.setdefault((graph.run_of(tensor.a).first, graph.run_of(tensor.b).first), []).append(tensor)
    for group in by_runs.values():
        group.sort(key=lambda t: (t.b, t.a))
        width = graph.run_of(group[0].b).kind.width
        open_ones: list[Tensor] = []
        for tensor in group:
            open_ones = [o for o in open_ones if o.b + o.rows * width > tensor.b]
            if any(o.a < tensor.a + tensor.columns and tensor.a < o.a + o.columns for o in open_ones):
                raise VerificationError(
                    f"two parameters of the graph stand at one place, one of the tensor at offset {tensor.offset}"
                )
            open_ones.append(tensor)


def _check_connected(graph: Graph, run: Units) -> None:
    if run.kind.takes:
        inputs = _counts(run, ((t.b, t.rows, t.columns) for t in graph.incoming(run)))
        if not inputs.all():
            raise VerificationError(
                f"a {run.kind} unit of the graph has no weights", found=f"unit {_unit(run, inputs)}"
            )
        if inputs.max() > MAX_INPUTS:
            raise VerificationError(
                "a unit of the graph has too many inputs", expected=f"at most {MAX_INPUTS}", found=str(inputs.max())
            )
    if run.kind is not Kind.RELU:
        return
    hidden, logits = (
        _counts(
            run,
            (
                (t.a, t.columns, t.rows)
                for t in graph.outgoing(run)
                if (graph.run_of(t.b).kind is Kind.CLASS) == classes
            ),
        )
        for classes in (False, True)
    )
    if not (hidden + logits).all():
        raise VerificationError("a relu unit of the graph feeds nothing", found=f"unit {_unit(run, hidden + logits)}")
    largest = (int(hidden.max()) << _HIDDEN_BITS) + (int(logits.max()) << _LOGIT_BITS)
    if hidden.max() > MAX_HIDDEN_OUTPUTS or largest > 2**_SUM_BITS:
        raise VerificationError(
            "a relu unit of the graph feeds too many units",
            expected=f"at most {MAX_HIDDEN_OUTPUTS} hidden ones",
            found=f"{hidden.max()}, and {logits.max()} logits",
        )


def _counts(run: Units, spans: Iterator[tuple[int, int, int]]) -> NDArray[np.int64]:
    """For each unit of the run how many places it has at this end: of `spans` (first unit, units,
    places of each)."""
    counts = np.zeros(run.count, np.int64)
    for first, units, each in spans:
        at = run.outputs.index(first)
        counts[at : at + units] += each
    return counts


def _unit(run: Units, counts: NDArray[np.int64]) -> int:
    return run.outputs[int(np.flatnonzero(counts == 0)[0])]
