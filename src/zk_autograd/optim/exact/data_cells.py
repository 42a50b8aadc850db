"""A data set of arrays or tensors as cells (core.cells): what is refused of it, with its place."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells
from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Graph, Kind
from zk_autograd.core.graph.data import require_cells

_FORMS = "features (examples, {features}) with {targets}, or the cells, int32 (examples, {stride})"


def cells_of(graph: Graph, data: Any) -> Cells:
    """The cells, int32 (examples, graph.stride), of `data`: a pair of features, numbers (examples,
    features), and targets; or cells. Targets are labels, integers (examples,), or for squared
    errors values, numbers (examples, outputs). Numbers become float32 first.

    UsageError for anything else, for a label that is no class, and for a number that isn't finite;
    UnitRangeError for one of 2^10 or more in size, TargetsError for cells whose targets are of no
    class.
    """
    values = any(run.kind is Kind.VALUE for run in graph.outputs)
    targets = f"values (examples, {graph.targets})" if values else "labels, integers (examples,)"
    forms = _FORMS.format(features=graph.features, targets=targets, stride=graph.stride)
    if isinstance(data, np.ndarray | torch.Tensor):
        cells = _array(data, "the data", forms)
        if cells.dtype != np.int32 or cells.ndim != 2 or not len(cells):
            raise UsageError(f"the data are {cells.dtype} of shape {cells.shape}; give {forms}")
        require_cells(graph, cells)
        return np.ascontiguousarray(cells)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise UsageError(f"the data are a {type(data).__name__}; give {forms}")
    features = _numbers(_array(data[0], "the features", forms), "the features", graph.features)
    wanted = _array(data[1], "the targets", forms)
    if values:
        found = cells_format.quantized(_numbers(wanted, "the values", graph.targets), "the values")
    else:
        found = cells_format.one_hot(_labels(wanted), graph.targets)
    if len(features) != len(found):
        raise UsageError(f"the data have features of {len(features):,} examples, and targets of {len(found):,}")
    if not len(features):
        raise UsageError("the data have no examples")
    return cells_format.cells_of(features, found)


def _array(data: Any, what: str, forms: str) -> NDArray[Any]:
    if isinstance(data, torch.Tensor):
        if data.layout is not torch.strided or data.is_meta:
            raise UsageError(f"{what} hold no dense values (layout {data.layout}, device {data.device}); give {forms}")
        data = data.detach().cpu()
        plain = (data.float() if data.is_floating_point() else data).resolve_conj().resolve_neg()
        found: NDArray[Any] = plain.numpy()
        return found
    if isinstance(data, np.ndarray):
        return data
    raise UsageError(f"{what} are a {type(data).__name__}; give arrays or tensors: {forms}")


def _numbers(array: NDArray[Any], what: str, columns: int) -> NDArray[np.float32]:
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what} are {array.dtype}; give numbers")
    if array.ndim != 2 or array.shape[1] != columns:
        raise UsageError(f"{what} have the shape {array.shape}; this model takes (examples, {columns})")
    with np.errstate(over="ignore"):
        numbers: NDArray[np.float32] = array.astype(np.float32)
    return numbers


def _labels(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.dtype.kind not in "iub" or array.ndim != 1:
        raise UsageError(f"the labels are {array.dtype} of shape {array.shape}; give integers of shape (examples,)")
    if array.size and array.dtype.kind == "u" and array.max() >= 2**63:
        raise UsageError("a label is 2^63 or more")
    return array.astype(np.int64)
