"""The cells of a run's data, made again from the table that its trainer read, by whoever was given
how (`data_secrets.Table`): elementwise IEEE operations alone, so that the bits are the same on any
machine."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.cells import Cells, cells_of, one_hot, scaled
from zk_autograd.core.errors import RangeError, UsageError, VerificationError
from zk_autograd.core.text import counted, quoted
from zk_autograd.evidence.data_secrets import Table


def cells_from_table(
    values: NDArray[np.float64], columns: Sequence[str], labels: Sequence[str], table: Table, targets: int
) -> Cells:
    """int32 (examples, columns + targets): the examples that `table` names, of a table that holds
    the features `values`, float64 (rows, columns), under the names `columns`, and the class of each
    row, `labels`. `targets` is how many the graph has, of which those beyond the classes are 0.

    VerificationError if this isn't the table that `table` speaks of, as one with a number that no
    cell holds; UsageError for arrays that don't fit each other.
    """
    if tuple(columns) != table.columns:
        raise _differs("the columns that the openings name", _shown(table.columns), _shown(tuple(columns)))
    if values.shape != (len(labels), len(columns)):
        raise UsageError(f"the features are {values.shape}, and there are {len(labels)} labels")
    rows = np.array(table.rows, np.int64)
    if rows.size > len(labels):  # so that the cells take no more memory than the table
        raise _differs("as many rows as the openings take", str(rows.size), str(len(labels)))
    if rows.size and int(rows.max()) >= len(labels):
        found = counted(len(labels), "row")
        raise _differs("the rows that the openings take", f"row {int(rows.max())}, counted from 0", found)
    number = {name: i for i, name in enumerate(table.classes)}
    classes = np.array([number.get(text, -1) for text in labels], np.int64)[rows]
    if (unknown := np.flatnonzero(classes < 0)).size:
        row = int(rows[unknown[0]])
        raise _differs(
            "the classes that the openings name", _shown(table.classes), f"{quoted(labels[row])} in row {row}"
        )
    features = np.empty((len(rows), len(columns)), np.float32)
    for i, (mean, deviation) in enumerate(zip(table.means, table.deviations, strict=True)):
        features[:, i] = scaled(values[rows, i], float(mean), float(deviation))
    try:
        return cells_of(features, one_hot(classes, targets))
    except (RangeError, UsageError) as error:
        raise VerificationError(
            f"the table given has a number or a class that no cell of the run holds: {error}"
        ) from error


def _differs(what: str, expected: str, found: str) -> VerificationError:
    return VerificationError(f"the table given doesn't have {what}", expected=expected, found=found)


def _shown(names: Sequence[str]) -> str:
    return f"{len(names)}: {', '.join(quoted(name, 20) for name in names[:4])}{', ...' if len(names) > 4 else ''}"
