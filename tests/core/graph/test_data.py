import numpy as np
import pytest

from tests.core.graph.texts import text
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.data import require_cells

CLASSES = graph_text.parse(text(2, [], 3).encode())
VALUES = graph_text.parse(text(2, [], 1, "mse").encode())
MOST = 2**22 - 1


def test_good_cells_are_taken() -> None:
    require_cells(CLASSES, np.array([[MOST, -MOST, 0, 4096, 0], [0, 0, 4096, 0, 0]], np.int32))
    require_cells(VALUES, np.array([[MOST, -MOST, MOST]], np.int32))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([0, 2**22, 4096, 0, 0], "the value of the features, unit 1, example 1 of the data, is 1,024 and must stay below 1,024"),
        ([-(2**31), 0, 4096, 0, 0], "the value of the features, unit 0, example 1 of the data, is -524,288 and must"),
        ([0, 0, 0, 0, 0], "the targets of example 1 of the data are not those of one class"),
        ([0, 0, 4096, 4096, 0], "the targets of example 1 of the data are not those of one class"),
        ([0, 0, 4095, 1, 0], "the targets of example 1 of the data are not those of one class"),
        ([0, 0, 4096, -1, 1], "the targets of example 1 of the data are not those of one class"),
        ([0, 0, 2**31 - 1, 0, 0], "the targets of example 1 of the data are not those of one class"),
    ],
)  # fmt: skip
def test_cells_of_classes(row: list[int], sentence: str) -> None:
    with pytest.raises(RangeError) as error:
        require_cells(CLASSES, np.array([[0, 0, 4096, 0, 0], row], np.int32))
    assert sentence in str(error.value)


@pytest.mark.parametrize("target", [2**22, -(2**22), -(2**31)])
def test_values_out_of_range(target: int) -> None:
    with pytest.raises(RangeError, match="the value of the targets, unit 0, example 0 of the data, is "):
        require_cells(VALUES, np.array([[0, 0, target]], np.int32))


@pytest.mark.parametrize("cells", [np.zeros((2, 4), np.int32), np.zeros((2, 5), np.int64), np.zeros(5, np.int32)])
def test_another_shape_is_refused(cells: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"must be int32 \(examples, 5\)"):
        require_cells(CLASSES, cells)
