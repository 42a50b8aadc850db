"""How the columns of a table were scaled, and what its classes are called: what it takes to use a
model trained on it.

It is computed from the training rows, so it is kept private, as private/table.json: canonical JSON
whose numbers are texts, the shortest that read as the same float64. Nothing in a run depends on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.canonical import encode
from zk_autograd.core.cells import scaled
from zk_autograd.run.files import PRIVATE_FILE, Files
from zk_autograd.run.layout import Layout

FORMAT = "zk-autograd/table/v0"
FILE = "table.json"


@dataclass(frozen=True, slots=True)
class Scaling:
    """`columns` are the features' names, `means` and `deviations` (1 for a column that never
    changes) float64 values in that order; `classes` is what class 0, 1, 2 ... is called, `label`
    the column that says it."""

    columns: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    label: str
    classes: tuple[str, ...]

    @classmethod
    def of(cls, trained: NDArray[np.float64], columns: Sequence[str], label: str, classes: Sequence[str]) -> "Scaling":
        """By mean and standard deviation of the training rows `trained`, float64 (rows, columns),
        with sums that are rounded once."""
        means, deviations = [], []
        for values in trained.T.tolist():
            mean = math.fsum(values) / len(values)
            deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
            means.append(mean)
            deviations.append(deviation or 1.0)  # a column that never changes becomes 0
        return cls(tuple(columns), tuple(means), tuple(deviations), label, tuple(classes))

    def applied(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """The columns, as `core.cells.scaled` has them: what is beyond a float32's range, as a row
        that wasn't trained on may be, becomes its largest value."""
        found = np.empty(features.shape, np.float32)
        for i, (mean, deviation) in enumerate(zip(self.means, self.deviations, strict=True)):
            found[:, i] = scaled(features[:, i], mean, deviation)
        return found

    def write(self, run: Path) -> None:
        """Keeps it in the private folder of the run directory `run`. Raises RunError."""
        content = encode(
            {
                "format": FORMAT,
                "columns": self.columns,
                "mean": [repr(mean) for mean in self.means],
                "deviation": [repr(deviation) for deviation in self.deviations],
                "label": self.label,
                "classes": self.classes,
            }
        )
        Files().write_atomic(Layout(run).private / FILE, content, PRIVATE_FILE)
