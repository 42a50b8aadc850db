"""Cells made from a table by an auditor: the bits of the trainer's."""

from dataclasses import replace

import numpy as np
import pytest

from zk_autograd.core.cells import cells_of, one_hot
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.evidence.data_secrets import Table
from zk_autograd.evidence.table_cells import cells_from_table

TABLE = Table("csv:t.csv", "y", ("a", "b"), ("u", "v"), ("0.1", "-7.3"), ("3.0", "0.7"), (3, 0, 2))
LABELS = ["b", "a", "a", "b"]
VALUES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])


def test_examples_are_the_rows_named_in_their_order() -> None:
    found = cells_from_table(VALUES, ["u", "v"], LABELS, TABLE, 3)
    assert found.dtype == np.int32
    wanted = [[(7 - 0.1) / 3, (8 + 7.3) / 0.7], [(1 - 0.1) / 3, (2 + 7.3) / 0.7], [(5 - 0.1) / 3, (6 + 7.3) / 0.7]]
    assert found[:, :2].tolist() == np.rint(np.array(wanted, np.float32).astype(np.float64) * 4096).tolist()
    assert found[:, 2:].tolist() == [[0, 4096, 0], [0, 4096, 0], [4096, 0, 0]], "a third target, of no class"


def test_numbers_between_two_cells_fall_as_the_trainer_s_do() -> None:
    """Between half a cell and the next float32 it hangs on the last bit of the quotient."""
    from zk_autograd.train.scaling import Scaling

    means, deviations = (0.1, -7.3), (3.0, 0.7)
    halves = ((np.arange(-200_000, 200_000) + 0.5) / 4096).astype(np.float32)
    middles = (halves.astype(np.float64) + np.nextafter(halves, np.float32(np.inf))) / 2
    values = np.stack([mean + deviation * middles for mean, deviation in zip(means, deviations, strict=True)], axis=1)
    rows = tuple(range(len(values)))
    labels = ["a", "b"] * (len(values) // 2)
    found = cells_from_table(values, ["u", "v"], labels, replace(TABLE, rows=rows), 2)
    scaling = Scaling(("u", "v"), means, deviations, "y", ("a", "b"))
    classes = np.array([0, 1] * (len(values) // 2))
    assert np.array_equal(found, cells_of(scaling.applied(values), one_hot(classes, 2)))
    inverse = np.rint(((values[:, 0] - 0.1) * (1 / 3.0)).astype(np.float32).astype(np.float64) * 4096)
    assert not np.array_equal(found[:, 0], inverse), "another way to divide shows here"


@pytest.mark.parametrize(
    ("columns", "labels", "table", "targets", "message"),
    [
        (["v", "u"], LABELS, TABLE, 2, r"the columns that the openings name \(expected 2: 'u', 'v', found 2: 'v', 'u'\)"),
        (["u", "v"], LABELS, replace(TABLE, rows=(0, 1, 2, 3, 3)), 2, r"as many rows as the openings take \(expected 5, found 4\)"),
        (["u", "v"], LABELS, replace(TABLE, rows=(0, 4)), 2, r"row 4, counted from 0, found 4 rows"),
        (["u", "v"], ["b", "a", "c", "b"], TABLE, 2, r"found 'c' in row 2"),
        (["u", "v"], LABELS, replace(TABLE, deviations=("5e-324", "1.0")), 2, "no cell of the run holds"),
        (["u", "v"], LABELS, TABLE, 1, "no cell of the run holds"),
    ],
)  # fmt: skip
def test_another_table_is_refused(
    columns: list[str], labels: list[str], table: Table, targets: int, message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        cells_from_table(VALUES, columns, labels, table, targets)


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match=r"the features are \(4, 2\), and there are 3 labels"):
        cells_from_table(VALUES, ["u", "v"], LABELS[:3], TABLE, 2)
