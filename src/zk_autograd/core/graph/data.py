"""What the data of a graph have to be: cells in their range, and targets of classes one-hot."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph.errors import TargetsError, UnitRangeError
from zk_autograd.core.graph.formats import ACTIVATION_BITS, ACTIVATION_BOUND, ONE
from zk_autograd.core.graph.products import largest
from zk_autograd.core.graph.units import Graph, Kind

SCALE_DOWN = "scale the data down"


def require_cells(graph: Graph, cells: NDArray[np.int32], first: int = 0) -> None:
    """UsageError unless `cells` are int32 (examples, graph.stride); UnitRangeError for one that is
    2^22 or more in size, TargetsError for targets of classes that aren't one-hot. Of all examples
    of a data set, so that no step fails for its data; `first` is the number of the first one."""
    if cells.dtype != np.int32 or cells.ndim != 2 or cells.shape[1] != graph.stride:
        raise UsageError(f"the cells are {cells.dtype} {cells.shape}, and must be int32 (examples, {graph.stride})")
    require_range("the features", cells[:, : graph.features], "the data", first)
    targets = cells[:, graph.features :]
    if graph.outputs[0].kind is Kind.VALUE:
        require_range("the targets", targets, "the data", first)
    else:
        require_one_hot(targets, "the data", first)


def require_range(name: str, values: NDArray[Any], among: str = "the batch", first: int = 0) -> None:
    """UnitRangeError unless all `values`, integers of whatever type (examples, units), are below
    2^22 in size. `first` is the number of the first example."""
    if largest(values) < ACTIVATION_BOUND:
        return
    beyond = (values >= ACTIVATION_BOUND) | (values <= -ACTIVATION_BOUND)
    example, unit = (int(x) for x in np.argwhere(beyond)[0])
    value = int(values[example, unit])
    raise UnitRangeError(
        "the value", name, unit, value, ACTIVATION_BOUND, SCALE_DOWN, first + example, ACTIVATION_BITS, among
    )


def require_one_hot(targets: NDArray[Any], among: str = "the batch", first: int = 0) -> None:
    """TargetsError unless each row of `targets`, (examples, classes), is 2^12 once and else 0.
    `first` is the number of the first example."""
    hot = targets == ONE
    right = (np.count_nonzero(hot, axis=1) == 1) & (np.count_nonzero(targets, axis=1) == 1)
    if right.all():
        return
    example = int(np.flatnonzero(~right)[0])
    row = targets[example]
    odd = np.flatnonzero((row != 0) & (row != ONE))
    index = int(odd[0]) if odd.size else -1
    value = int(row[index]) if odd.size else int(np.count_nonzero(row))
    advice = "give labels, 0 to classes - 1"
    raise TargetsError("a target", "the targets", index, value, ONE, advice, first + example, among)
