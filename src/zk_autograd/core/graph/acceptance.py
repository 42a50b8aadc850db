"""What is refused of a graph: the text is the trainer's, and could describe anything.

* The runs come in the order features, constant (one unit), hidden, outputs, close, pads; there is
  at least one feature, one output and one pad, and the units' number is a power of two.
* Outputs are values, or classes: then at most the first run is a zero class, of one; classes have
  exactly one close row after them, values none.
* A place (a, b) has a < b, leads from a feature, the constant or a ReLU unit to a ReLU unit, a
  class or a value, and stays within one run at each end, another one; a bias is the constant's, a
  weight isn't.
* No two parameters stand at one place, and the tensors are all parameters in their order.
* Every ReLU unit feeds something, and every unit that is computed from weights has one.
* At most 2^18 inputs of a unit, 2^13 hidden outputs, and what int64 holds of both.

Dead or unconnected units would have derivatives of the trainer's choice in a proof; the limits keep
every sum of the pass, and of the proof, from wrapping (docs/gradients.md).
"""

from bisect import bisect_left
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind, Units

MAX_UNITS = 2**20
MAX_INPUTS = 2**18
MAX_HIDDEN_OUTPUTS = 2**13
_AS_LOGITS = 2**8
"""How many times a logit's derivative a hidden unit's or value's may be: 2^28 for 2^20. With 2^22
for the weight, 2^13 of these, or 2^21 logits, add up to 2^63."""

_ORDER = {
    Kind.FEATURE: 0, Kind.CONSTANT: 1, Kind.RELU: 2, Kind.ZERO_CLASS: 3, Kind.CLASS: 3, Kind.VALUE: 3, Kind.CLOSE: 4,
    Kind.PAD: 5,
}  # fmt: skip


def require_acceptable(graph: Graph, size: int) -> None:
    """VerificationError, one sentence, for a graph that is refused; `size` is the number of the
    run's parameters. Takes time in proportion to the text, and memory to the units."""
    _check_units(graph)
    _check_outputs(graph)
    end = 0
    placed = []
    for tensor in graph.tensors:
        if tensor.offset != end or not tensor.size:
            raise VerificationError(
                "the graph's tensors are not the run's parameters in their order",
                expected=f"offset {end}, at least one element",
                found=f"offset {tensor.offset}, {tensor.size} elements",
            )
        end += tensor.size
        placed.append(_placed(graph, tensor))
    if end != size:
        raise VerificationError("the graph has other parameters than the run", expected=str(size), found=str(end))
    _check_overlaps(placed)
    _check_connected(graph, placed)


class _Placed(NamedTuple):
    """A tensor with the numbers of the runs that it joins, and which of their units it begins
    with."""

    tensor: Tensor
    source: int
    column: int
    target: int
    row: int


def _check_units(graph: Graph) -> None:
    if not graph.units:
        raise VerificationError("the graph has no units")
    if graph.count > MAX_UNITS:
        raise VerificationError("the graph has too many units", expected=f"at most {MAX_UNITS}", found=str(graph.count))
    if graph.count & (graph.count - 1):
        raise VerificationError(
            "the number of the graph's units is another", expected="a power of two", found=str(graph.count)
        )
    for one, after in pairwise((Units(Kind.FEATURE, 0, 0), *graph.units)):
        if not after.count or after.first != one.end:
            raise VerificationError(
                "the graph's runs of units don't follow one another",
                expected=f"unit {one.end} next, and units in it",
                found=f"{after.count} {after.kind} units from {after.first} on",
            )
        if _ORDER[one.kind] > _ORDER[after.kind]:
            raise VerificationError(f"in the graph, {after.kind} units come after {one.kind}")
    counts = dict.fromkeys(Kind, 0)
    for run in graph.units:
        counts[run.kind] += run.count
    for kind in (Kind.FEATURE, Kind.CONSTANT, Kind.PAD):
        if not counts[kind]:
            raise VerificationError(f"the graph has no {kind} unit")
    for kind in (Kind.CONSTANT, Kind.CLOSE, Kind.ZERO_CLASS):
        if counts[kind] > 1:
            raise VerificationError(f"the graph has more than one {kind} unit", expected="one", found=str(counts[kind]))
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


def _placed(graph: Graph, tensor: Tensor) -> _Placed:
    where = f"the graph's tensor at offset {tensor.offset}"
    if tensor.a >= tensor.b:
        raise VerificationError(
            f"{where} leads backwards", expected=f"a unit after {tensor.a}", found=f"unit {tensor.b}"
        )
    try:
        source, target = graph.index_of(tensor.a), graph.index_of(tensor.b)
    except KeyError as error:
        raise VerificationError(
            f"{where} is about a unit that there isn't", expected=f"below {graph.count}", found=str(error)
        ) from error
    one, other = graph.units[source], graph.units[target]
    if not one.kind.gives or not other.kind.takes:
        raise VerificationError(f"{where} leads from {one.kind} to {other.kind} units")
    if source == target:
        raise VerificationError(f"{where} leads from units to units of the same run")
    if (tensor.kind is TensorKind.BIAS) != (one.kind is Kind.CONSTANT):
        raise VerificationError(f"{where} is a {tensor.kind} from {one.kind} units")
    if tensor.b not in other.outputs:
        raise VerificationError(f"{where} leads to a target", expected="an output", found=f"unit {tensor.b}")
    column, row = tensor.a - one.first, other.outputs.index(tensor.b)
    if column + tensor.columns > one.count or row + tensor.rows > other.count:
        raise VerificationError(f"{where} goes beyond a run of units")
    return _Placed(tensor, source, column, target, row)


def _check_overlaps(placed: list[_Placed]) -> None:
    """Rectangles of places, within one pair of runs each, by a sweep over the rows: the columns
    of those that are open are disjoint, so that a new one can only meet its neighbours."""
    by_runs: dict[tuple[int, int], list[_Placed]] = {}
    for one in placed:
        by_runs.setdefault((one.source, one.target), []).append(one)
    for group in by_runs.values():
        columns: list[tuple[int, int]] = []  # of the open ones: first, end
        ends: list[tuple[int, tuple[int, int]]] = []  # where their rows end
        for tensor, _, column, _, row in sorted(group, key=lambda p: (p.row, p.column)):
            while ends and ends[0][0] <= row:
                columns.pop(bisect_left(columns, heappop(ends)[1]))
            own = (column, column + tensor.columns)
            at = bisect_left(columns, own)
            if (at and columns[at - 1][1] > own[0]) or (at < len(columns) and columns[at][0] < own[1]):
                raise VerificationError(
                    f"two parameters of the graph stand at one place, one of the tensor at offset {tensor.offset}"
                )
            columns.insert(at, own)
            heappush(ends, (row + tensor.rows, own))


def _check_connected(graph: Graph, placed: list[_Placed]) -> None:
    """Counts, for each unit that takes or gives, the places at it."""
    firsts = np.cumsum([0, *(run.count for run in graph.units)])
    takes = np.repeat([run.kind.takes for run in graph.units], np.diff(firsts))
    relu = np.repeat([run.kind is Kind.RELU for run in graph.units], np.diff(firsts))
    inputs = _counts(firsts, ((p.target, p.row, p.tensor.rows, p.tensor.columns) for p in placed))
    to_classes = [graph.units[p.target].kind is Kind.CLASS for p in placed]
    hidden, logits = (
        _counts(
            firsts,
            (
                (p.source, p.column, p.tensor.columns, p.tensor.rows)
                for p, to_class in zip(placed, to_classes, strict=True)
                if to_class == classes
            ),
        )
        for classes in (False, True)
    )

    def unit(at: int) -> tuple[str, int]:
        index = int(np.searchsorted(firsts, at, side="right")) - 1
        run = graph.units[index]
        return run.kind, run.outputs[at - int(firsts[index])]

    if (bare := np.flatnonzero(takes & (inputs == 0))).size:
        kind, number = unit(int(bare[0]))
        raise VerificationError(
            f"a {kind} unit of the graph has no weights", expected="at least one", found=f"none of unit {number}"
        )
    if (most := int(inputs.max())) > MAX_INPUTS:
        raise VerificationError(
            "a unit of the graph has too many inputs", expected=f"at most {MAX_INPUTS}", found=str(most)
        )
    if (dead := np.flatnonzero(relu & (hidden + logits == 0))).size:
        number = unit(int(dead[0]))[1]
        raise VerificationError(
            "a relu unit of the graph feeds nothing", expected="a later unit", found=f"none for unit {number}"
        )
    sums = np.where(relu, hidden * _AS_LOGITS + logits, 0)
    if sums[at := int(np.argmax(sums))] > MAX_HIDDEN_OUTPUTS * _AS_LOGITS:
        raise VerificationError(
            "a relu unit of the graph feeds too many units",
            expected=f"at most {MAX_HIDDEN_OUTPUTS} hidden ones",
            found=f"{hidden[at]}, and {logits[at]} logits",
        )


def _counts(firsts: NDArray[np.int64], spans: Iterable[tuple[int, int, int, int]]) -> NDArray[np.int64]:
    """For each unit that weights may lead to or from how many places it has at this end: of `spans`
    (run, its first unit in it, units, places of each)."""
    changes = np.zeros(int(firsts[-1]) + 1, np.int64)
    for run, first, units, each in spans:
        at = int(firsts[run]) + first
        changes[at] += each
        changes[at + units] -= each
    return np.cumsum(changes)[:-1]
