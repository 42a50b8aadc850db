"""Data as cells, from arrays, tensors and cells; and what none are made of."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.optim.exact import exact_graph
from zk_autograd.optim.exact.data_cells import cells_of

pytestmark = pytest.mark.torch

CLASSES = exact_graph(nn.Linear(2, 3), features=2)
VALUES = exact_graph(nn.Linear(2, 3), "mse", features=2)
LOGISTIC = exact_graph(nn.Linear(2, 1), "logistic", features=2)

X = np.array([[1.0, -0.5], [2.0**-12, 2.0**-13], [1023.9998, 3 * 2.0**-13]])
ROUNDED = [[4096, -2048], [1, 0], [4194303, 2]]  # half to even
ONE_HOT = [[0, 0, 4096], [4096, 0, 0], [0, 4096, 0]]


@pytest.mark.parametrize(
    "features", [X, X.astype(np.float32), torch.from_numpy(X), torch.from_numpy(X).float().requires_grad_()]
)
@pytest.mark.parametrize("labels", [np.array([2, 0, 1]), torch.tensor([2, 0, 1]), np.array([2, 0, 1], np.uint8)])
def test_features_and_labels(features: Any, labels: Any) -> None:
    cells = cells_of(CLASSES, (features, labels))
    assert cells.dtype == np.int32
    assert cells.tolist() == [[*x, *t] for x, t in zip(ROUNDED, ONE_HOT, strict=True)]
    assert np.array_equal(cells_of(CLASSES, cells), cells)
    assert np.array_equal(cells_of(CLASSES, torch.from_numpy(cells)), cells)


def test_values_and_two_classes() -> None:
    values = np.array([[0.5, -2.0, 2.0**-13]] * 3)
    assert cells_of(VALUES, [X, values])[:, 2:].tolist() == [[2048, -8192, 0]] * 3
    assert cells_of(LOGISTIC, (X, np.array([True, False, True])))[:, 2:].tolist() == [[0, 4096], [4096, 0], [0, 4096]]


def changed(value: float) -> np.ndarray:
    found = X.copy()
    found[1, 0] = value
    return found


LABELS = np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X[:, :1], LABELS), r"the features have the shape \(3, 1\); this model takes \(examples, 2\)"),
        ((X[:, 0], LABELS), r"the features have the shape \(3,\)"),
        ((X[None], LABELS), r"the features have the shape \(1, 3, 2\)"),
        ((X, LABELS[:2]), "features of 3 examples, and targets of 2"),
        ((X[:0], LABELS[:0]), "the data have no examples"),
        ((X, LABELS + 1), "the label of example 2 is 3; the model has classes 0 to 2"),
        ((X, LABELS - 1), "the label of example 0 is -1"),
        ((X, LABELS.astype(float)), r"the labels are float64 of shape \(3,\); give integers"),
        ((X, LABELS[:, None]), r"the labels are int64 of shape \(3, 1\)"),
        ((X, LABELS.astype(np.uint64) + np.uint64(2**63)), "a label is 2.63 or more"),
        ((changed(np.nan), LABELS), "number 0 of example 1 in the features is nan, which no cell holds: leave it out"),
        ((changed(-np.inf), LABELS), "number 0 of example 1 in the features is -inf"),
        ((changed(1e300), LABELS), "number 0 of example 1 in the features is inf"),
        ((X.astype(object), LABELS), "the features are object; give numbers"),
        ((X.astype(complex), LABELS), "the features are complex128; give numbers"),
        ((X.tolist(), LABELS), "the features are a list; give arrays or tensors"),
        ((X, None), "the targets are a NoneType; give arrays or tensors"),
        (
            (X, LABELS, LABELS),
            r"the data are a tuple; give features \(examples, 2\) with labels, integers \(examples,\)",
        ),
        ({"x": X}, "the data are a dict; give features"),
        ((torch.zeros(3, 2, device="meta"), LABELS), "the features hold no dense values .*device meta"),
        (X, r"the data are float64 of shape \(3, 2\); give .*or the cells, int32 \(examples, 5\)"),
        (np.zeros((0, 5), np.int32), r"the data are int32 of shape \(0, 5\)"),
        (np.zeros((2, 4), np.int32), r"the cells are int32 \(2, 4\), and must be int32 \(examples, 5\)"),
    ],
    ids=range(23),
)
def test_data_that_do_not_fit_are_refused_with_their_place(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells_of(CLASSES, data)


def test_numbers_beyond_the_range_are_refused_with_their_place() -> None:
    with pytest.raises(
        RangeError, match=r"the value of the features, unit 0, example 1 of the data, is 1,024 .*scale the data down"
    ):
        cells_of(CLASSES, (changed(1024.0), LABELS))
    values = np.zeros((3, 3), np.float32)
    values[2, 1] = 1e30
    with pytest.raises(RangeError, match=r"the value of the values, unit 1, example 2 of the data, is 1e\+30"):
        cells_of(VALUES, (X, values))
    values[2, 1] = np.nan
    with pytest.raises(UsageError, match="number 1 of example 2 in the values is nan"):
        cells_of(VALUES, (X, values))
    with pytest.raises(UsageError, match=r"the values have the shape \(3,\); this model takes \(examples, 3\)"):
        cells_of(VALUES, (X, LABELS))
