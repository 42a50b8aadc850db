"""Data sets that ship with scikit-learn and tables on disk, split and scaled the same way everywhere, and a commitment to their training rows.

Rules: the split is a permutation from the seed, the first fifth is for tests. Columns are standardised by the training rows' mean and
standard deviation in float64, with sums that are rounded once (math.fsum), so that no order of addition shows; then rounded to float32.
"""

import hmac
import math
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import merkle
from zk_autograd.core.errors import UsageError
from zk_autograd.core.records import Data
from zk_autograd.workload import csv_file
from zk_autograd.workload.names import CsvFile, DataName, DataSource
from zk_autograd.workload.randomness import Purpose, permutation

SECRET_BYTES = 32
_LARGEST = float(np.finfo(np.float32).max)
SAMPLER = "philox-permutation/v0"
"""Each epoch takes the rows in an order of its own (workload.sampler)."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`features` are float32 (rows, columns), `labels` int64 (rows,) in 0 .. classes - 1."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Rows to train on and rows to test with. `names` holds what class 0, 1, 2 ... is called where a table says it."""

    source: DataSource
    train: Rows
    test: Rows
    classes: int
    names: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """How many features a row has."""
        return int(self.train.features.shape[1])


def load(source: DataSource, seed: int) -> DataSet:
    """The data set, split by the seed. UsageError if scikit-learn is missing, or for a table that can't be trained on."""
    names: tuple[str, ...] = ()
    if isinstance(source, CsvFile):
        table = csv_file.read(source)
        features, classes, names = table.features, table.classes, table.names
    else:
        features, classes = _shipped(source)
    order = permutation(seed, Purpose.SPLIT, 0, len(classes))
    tested, trained = order[: len(order) // 5], order[len(order) // 5 :]
    scaled = _standardised(features, trained)
    return DataSet(
        source,
        Rows(scaled[trained], classes[trained]),
        Rows(scaled[tested], classes[tested]),
        len(names) or int(classes.max()) + 1,
        names,
    )


def commitment(rows: Rows, secret: bytes, *, seed: int, batch_size: int) -> Data:
    """What a run's header says of its training data.

    The root is that of an RFC 9162 tree whose leaf i is salt_i | features | label, little-endian, with salt_i = HMAC-SHA256(secret,
    "row" | i): a row can be shown, with its path, without saying anything of the others. The seed's commitment is
    HMAC-SHA256(secret, "seed" | seed). `secret` has 32 random bytes and stays with the trainer.
    """
    leaves = [
        merkle.leaf_hash(_mac(secret, b"row", i) + features.astype("<f4").tobytes() + int(label).to_bytes(8, "little"))
        for i, (features, label) in enumerate(zip(rows.features, rows.labels, strict=True))
    ]
    return Data(merkle.root(leaves), len(rows), SAMPLER, batch_size, _mac(secret, b"seed", seed))


def _shipped(name: DataName) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn import datasets
    except ModuleNotFoundError:
        raise UsageError("the data ship with scikit-learn: pip install 'zk-autograd[train]'") from None
    loader = {DataName.BREAST_CANCER: datasets.load_breast_cancer, DataName.DIGITS: datasets.load_digits}[name]
    features, labels = loader(return_X_y=True)
    return np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.int64)


def _mac(secret: bytes, purpose: bytes, number: int) -> bytes:
    return hmac.digest(secret, b"zk-autograd/data/v0\n" + purpose + number.to_bytes(8, "big"), sha256)


def _standardised(features: NDArray[np.float64], trained: NDArray[np.int64]) -> NDArray[np.float32]:
    scaled = np.empty(features.shape, np.float32)
    for column, values in enumerate(features.T):
        known = values[trained].tolist()
        mean = math.fsum(known) / len(known)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / len(known))
        apart = (values - mean) / (deviation or 1.0)  # a column that never changes becomes 0
        scaled[:, column] = np.clip(apart, -_LARGEST, _LARGEST)  # a test row may lie anywhere
    return scaled
