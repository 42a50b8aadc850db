import hmac
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from zk_autograd.core import merkle
from zk_autograd.core.merkle import verify_inclusion
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train.data import DataSet, commitment, load
from zk_autograd.train.names import DataName
from zk_autograd.train.seeded import Purpose, permutation

SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def cancer() -> DataSet:
    return load(DataName.BREAST_CANCER, 0)


@pytest.mark.parametrize(
    ("name", "rows", "columns", "classes"), [(DataName.BREAST_CANCER, 569, 30, 2), (DataName.DIGITS, 1797, 64, 10)]
)
def test_a_fifth_is_for_tests(name: DataName, rows: int, columns: int, classes: int) -> None:
    data = load(name, 3)
    assert (len(data.test), len(data.train)) == (rows // 5, rows - rows // 5)
    assert (data.columns, data.classes) == (columns, classes)
    assert data.train.features.dtype == np.float32
    assert set(data.train.labels.tolist()) == set(range(classes))


def test_training_columns_have_mean_0_and_deviation_1(cancer: DataSet) -> None:
    features = cancer.train.features.astype(np.float64)
    assert np.abs(features.mean(axis=0)).max() < 1e-6
    assert np.abs(features.std(axis=0) - 1).max() < 1e-6
    assert np.abs(cancer.test.features.mean(axis=0)).max() > 1e-3  # scaled by the training rows, not by its own


def test_column_that_never_changes_becomes_zero() -> None:
    features = load(DataName.DIGITS, 0).train.features
    assert (features[:, 0] == 0).all()
    assert np.isfinite(features).all()


def test_table_is_split_and_scaled_as_the_built_in_data_are(tmp_path: Path) -> None:
    """One test row lies far outside: it is scaled to the largest float, and not to infinity."""
    order = permutation(3, Purpose.SPLIT, 0, 20)
    rows = [[i, 7.0, "ab"[i % 2]] for i in range(20)]
    rows[order[0]][1] = 1e99
    path = tmp_path / "t.csv"
    path.write_text("x,y,c\n" + "".join(f"{x},{y},{c}\n" for x, y, c in rows))
    found = load(CsvFile(str(path)), 3)
    assert (found.columns, found.classes, found.names, len(found.test), len(found.train)) == (2, 2, ("a", "b"), 4, 16)
    trained = order[4:].astype(np.float64)
    wanted = (trained - trained.mean()) / trained.std()
    np.testing.assert_allclose(found.train.features[:, 0], wanted, rtol=1e-6)
    np.testing.assert_array_equal(found.train.labels, order[4:] % 2)
    assert (found.train.features[:, 1] == 0).all()
    assert found.test.features[0, 1] == np.finfo(np.float32).max


def test_every_row_is_there_once_with_its_label(cancer: DataSet) -> None:
    features, labels = load_breast_cancer(return_X_y=True)

    def ranks(columns: NDArray[np.float64]) -> list[int]:
        return sorted(np.argsort(columns[:, 0], kind="stable").tolist())

    both = np.concatenate([cancer.train.features, cancer.test.features])
    of_both = np.concatenate([cancer.train.labels, cancer.test.labels])
    by_first = np.argsort(both[:, 0], kind="stable")
    wanted = np.argsort(features[:, 0], kind="stable")
    assert ranks(both) == ranks(features)
    np.testing.assert_array_equal(np.sort(of_both[by_first][:50]), np.sort(labels[wanted][:50]))
    assert of_both.sum() == labels.sum()


def test_split_depends_on_the_seed(cancer: DataSet) -> None:
    assert not np.array_equal(cancer.train.labels, load(DataName.BREAST_CANCER, 1).train.labels)
    np.testing.assert_array_equal(cancer.train.features, load(DataName.BREAST_CANCER, 0).train.features)


def test_row_can_be_shown_against_the_commitment(cancer: DataSet) -> None:
    committed = commitment(cancer.train, SECRET, seed=4, batch_size=64)
    leaves = []
    for i in range(len(cancer.train)):
        salt = hmac.new(SECRET, b"zk-autograd/data/v0\nrow" + i.to_bytes(8, "big"), sha256).digest()
        row = b"".join(np.float32(x).tobytes() for x in cancer.train.features[i])
        leaves.append(merkle.leaf_hash(salt + row + int(cancer.train.labels[i]).to_bytes(8, "little")))
    verify_inclusion(leaves[7], 7, committed.count, merkle.inclusion_proof(leaves, 7), committed.root)
    assert (committed.count, committed.batch_size, committed.sampler) == (456, 64, "philox-permutation/v0")


def test_commitments_hide_behind_the_secret_and_differ_by_seed(cancer: DataSet) -> None:
    one = commitment(cancer.train, SECRET, seed=4, batch_size=64)
    assert commitment(cancer.train, SECRET, seed=4, batch_size=64) == one
    other_secret = commitment(cancer.train, bytes(32), seed=4, batch_size=64)
    assert other_secret.root != one.root
    assert other_secret.seed != one.seed
    other_seed = commitment(cancer.train, SECRET, seed=5, batch_size=64)
    assert other_seed.seed != one.seed
    assert other_seed.root == one.root
