"""A data set's training rows as cells (core.cells), and how they are made again from its table."""

import numpy as np

from zk_autograd.core.cells import Cells, cells_of, one_hot
from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph.formats import ACTIVATION_BOUND, ONE
from zk_autograd.core.text import has_control
from zk_autograd.evidence.data_secrets import MAX_NAME, MAX_ROWS, Table
from zk_autograd.train.data import DataSet
from zk_autograd.train.names import shown


def training_cells(data: DataSet) -> Cells:
    """int32 (rows, columns + classes): scaled features, then the class, one-hot. UsageError, which
    names row and column, for a number that no cell holds."""
    features = data.train.features
    beyond = np.argwhere(np.abs(np.rint(features.astype(np.float64) * ONE)) >= ACTIVATION_BOUND)
    if len(beyond):
        example, column = (int(i) for i in beyond[0])
        assert data.scaling is not None
        raise UsageError(
            f"{data.source}: row {int(data.rows[example]) + 1} below the names, column {shown(data.scaling.columns[column])}: the value is "
            f"{abs(float(features[example, column])):,.0f} deviations from the column's mean, and at L3 it must be below {ACTIVATION_BOUND // ONE:,}: "
            "leave out the row, or use --level L1"
        )
    return cells_of(features, one_hot(data.train.labels, data.classes))


def table_of(data: DataSet) -> Table:
    """How the cells are made again. UsageError for a table that can't be told to an auditor."""
    scaling = data.scaling
    assert scaling is not None
    for name in (scaling.label, *scaling.columns, *scaling.classes):
        if not 0 < len(name) <= MAX_NAME or has_control(name):
            raise UsageError(
                f"{data.source}: {shown(name)} can't be told to an auditor: at L3 the name of a column or class has 1 to {MAX_NAME:,} printable characters"
            )
    if len(data.train) > MAX_ROWS:
        raise UsageError(
            f"{data.source} has {len(data.train):,} rows to train on; at L3 there are at most {MAX_ROWS:,}"
        )
    return Table(
        name=str(data.source),
        label=scaling.label,
        classes=scaling.classes,
        columns=scaling.columns,
        means=tuple(repr(mean) for mean in scaling.means),
        deviations=tuple(repr(deviation) for deviation in scaling.deviations),
        rows=tuple(data.rows.tolist()),
    )
