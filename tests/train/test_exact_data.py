"""Training rows as cells, and what is kept of how they are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.cells import cells_of, one_hot, scaled
from zk_autograd.core.errors import UsageError
from zk_autograd.core.fields import Fields
from zk_autograd.evidence.data_secrets import DataSecrets, read_data, write_data
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train import data
from zk_autograd.train.exact_data import table_of, training_cells
from zk_autograd.train.names import DataName

TEXT = "b,kind,a\n" + "".join(f"{i * i % 7},{'xyz'[i % 3]},{i / 8 - 3}\n" for i in range(40))


@pytest.fixture
def source(tmp_path: Path) -> CsvFile:
    (tmp_path / "t.csv").write_text(TEXT)
    return CsvFile(str(tmp_path / "t.csv"), "kind")


def test_cells_are_made_again_from_the_table_by_what_is_kept_of_it(source: CsvFile) -> None:
    """From the numbers' texts, as an auditor has them, and without a sum over rows."""
    rows = data.load(source, 7)
    cells = training_cells(rows)
    assert cells.shape == (32, 5)
    said = decode(encode(write_data(DataSecrets((), table_of(rows)))), max_bytes=10**6)
    kept = read_data(Fields(said, "it")).table
    assert kept is not None
    assert (kept.name, kept.label, kept.classes, kept.columns) == ("csv:t.csv", "kind", ("x", "y", "z"), ("b", "a"))
    given = csv_file.read(source)
    columns = [
        scaled(given.features[list(kept.rows), given.columns.index(name)], float(mean), float(deviation))
        for name, mean, deviation in zip(kept.columns, kept.means, kept.deviations, strict=True)
    ]
    again = cells_of(np.stack(columns, axis=1), one_hot(given.classes[list(kept.rows)], 3))
    np.testing.assert_array_equal(again, cells)
    assert sorted({*kept.rows}) != list(range(32))  # a split by the seed, not the first rows
    assert len({*kept.rows}) == 32


@pytest.mark.parametrize("name", list(DataName))
def test_built_in_sets_have_the_rows_of_the_float_training(name: DataName) -> None:
    rows = data.load(name, 3)
    cells = training_cells(rows)
    np.testing.assert_array_equal(cells[:, rows.columns :].argmax(1), rows.train.labels)
    assert np.abs(cells[:, : rows.columns] / 4096 - rows.train.features).max() <= 2**-13
    assert len(table_of(rows).rows) == len(rows.train) == len(cells)


def test_number_that_no_cell_holds_is_named_by_row_and_column(source: CsvFile) -> None:
    rows = data.load(source, 7)
    rows.train.features[5, 1] = -1023.9999
    with pytest.raises(UsageError) as caught:
        training_cells(rows)
    assert str(caught.value) == (
        f"csv:t.csv: row {rows.rows[5] + 1} below the names, column a: the value is 1,024 deviations from the column's mean, and at L3 it "
        "must be below 1,024: leave out the row, or use --level L1"
    )
    rows.train.features[5, 1] = -1023.9998
    training_cells(rows)


@pytest.mark.parametrize("name", ["c" * 1001, "a\tb"])
def test_name_that_no_auditor_could_be_told_is_refused(name: str, source: CsvFile) -> None:
    rows = data.load(source, 7)
    assert rows.scaling is not None
    with pytest.raises(
        UsageError, match="can't be told to an auditor: at L3 the name of a column or class has 1 to 1,000"
    ):
        table_of(replace(rows, scaling=replace(rows.scaling, classes=("x", name, "z"))))
