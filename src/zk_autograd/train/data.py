"""Data sets that ship with scikit-learn and tables on disk, split and scaled the same way
everywhere, and a commitment to their training rows.

Rules: the split is a permutation from the seed, whose first fifth is for tests. Columns are
standardised by the training rows' mean and standard deviation in float64, with sums that are
rounded once (math.fsum), so that no order of addition shows; then rounded to float32.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import merkle
from zk_autograd.core.errors import UsageError
from zk_autograd.core.records import Data
from zk_autograd.local import csv_file
from zk_autograd.local.csv_file import Table
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train.names import DataName, DataSource
from zk_autograd.train.scaling import Scaling
from zk_autograd.train.seeded import Purpose, permutation

SAMPLER = "philox-permutation/v0"
"""Each epoch takes the rows in its own order (train.sampler)."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`features` are float32 (rows, columns), `labels` int64 (rows,) in 0 .. classes - 1."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Rows to train on and rows to test with. `names` holds the names of classes 0, 1, 2 ... where
    a table has them; `scaling` is None for rows that were not scaled. `rows` are the rows of the
    table, from 0, that `train` holds, in order: int64."""

    source: DataSource
    train: Rows
    test: Rows
    classes: int
    names: tuple[str, ...] = ()
    scaling: Scaling | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def columns(self) -> int:
        """How many features a row has."""
        return int(self.train.features.shape[1])


def load(source: DataSource, seed: int) -> DataSet:
    """The data set, split by the seed. UsageError if scikit-learn is missing, or for a table that
    can't be trained on."""
    return divided(csv_file.read(source) if isinstance(source, CsvFile) else _shipped(source), source, seed)


def divided(table: Table, source: DataSource, seed: int) -> DataSet:
    """The table's rows, split by the seed and scaled."""
    features, classes = table.features, table.classes
    names = table.names if isinstance(source, CsvFile) else ()
    order = permutation(seed, Purpose.SPLIT, 0, len(classes))
    tested, trained = order[: len(order) // 5], order[len(order) // 5 :]
    scaling = Scaling.of(features[trained], table.columns, table.label, table.names)
    scaled = scaling.applied(features)
    return DataSet(
        source,
        Rows(scaled[trained], classes[trained]),
        Rows(scaled[tested], classes[tested]),
        len(names) or int(classes.max()) + 1,
        names,
        scaling,
        trained,
    )


def commitment(rows: Rows, secret: bytes, *, seed: int, batch_size: int) -> Data:
    """What a run's header says of its training data.

    The root is that of an RFC 9162 tree whose leaf i is salt_i | features | label, little-endian,
    with salt_i = HMAC-SHA256(secret, "row" | i): a row can be shown, with its path, without
    revealing anything about the others. The seed's commitment is HMAC-SHA256(secret, "seed" |
    seed). `secret` is 32 random bytes and stays with the trainer.
    """
    leaves = [
        merkle.leaf_hash(_mac(secret, b"row", i) + features.astype("<f4").tobytes() + int(label).to_bytes(8, "little"))
        for i, (features, label) in enumerate(zip(rows.features, rows.labels, strict=True))
    ]
    return Data(merkle.root(leaves), len(rows), SAMPLER, batch_size, seed_commitment(secret, seed))


def seed_commitment(secret: bytes, seed: int) -> bytes:
    """That of `commitment` to the seed, alone."""
    return _mac(secret, b"seed", seed)


def _shipped(name: DataName) -> Table:
    try:
        from sklearn import datasets
    except ModuleNotFoundError:
        raise UsageError("the data ship with scikit-learn: pip install 'zk-autograd[train]'") from None
    loader = {DataName.BREAST_CANCER: datasets.load_breast_cancer, DataName.DIGITS: datasets.load_digits}[name]
    found = loader()
    return Table(
        np.asarray(found.data, dtype=np.float64),
        np.asarray(found.target, dtype=np.int64),
        tuple(str(name) for name in found.target_names),
        tuple(str(name) for name in found.feature_names),
        "target",
    )


def _mac(secret: bytes, purpose: bytes, number: int) -> bytes:
    return hmac.digest(secret, b"zk-autograd/data/v0\n" + purpose + number.to_bytes(8, "big"), sha256)
