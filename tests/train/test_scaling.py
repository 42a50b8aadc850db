"""How a table was scaled is kept exactly, with the run's private part alone."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from zk_autograd.local.csv_name import CsvFile
from zk_autograd.run.layout import Layout
from zk_autograd.train.data import load
from zk_autograd.train.names import DataName
from zk_autograd.train.scaling import Scaling
from zk_autograd.train.seeded import Purpose, permutation


@pytest.fixture
def run(tmp_path: Path) -> Path:
    Layout(tmp_path / "run").private.mkdir(parents=True)
    return tmp_path / "run"


def test_what_is_written_scales_a_table_bit_for_bit(run: Path, tmp_path: Path) -> None:
    drawn = np.random.default_rng(1).normal(3e5, 7e-3, (50, 2))
    rows = "".join(f"{a!r},{'no' if i % 2 else 'yes'},{b!r},7\n" for i, (a, b) in enumerate(drawn.tolist()))
    (tmp_path / "t.csv").write_text("large,sold,\u00e9,same\n" + rows, encoding="utf-8")
    data = load(CsvFile(str(tmp_path / "t.csv"), "sold"), 5)
    assert data.scaling is not None
    data.scaling.write(run)
    path = run / "private" / "table.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    table = json.loads(path.read_bytes())
    assert (table["columns"], table["label"], table["classes"]) == (["large", "\u00e9", "same"], "sold", ["no", "yes"])
    mean, deviation = (np.array([float(text) for text in table[name]]) for name in ("mean", "deviation"))
    features = np.column_stack([drawn, np.full(50, 7.0)])
    order = permutation(5, Purpose.SPLIT, 0, 50)
    scaled = ((features - mean) / deviation).astype(np.float32)
    np.testing.assert_array_equal(scaled[order[10:]], data.train.features)
    np.testing.assert_array_equal(scaled[order[:10]], data.test.features)
    assert deviation[2] == 1


@pytest.mark.parametrize(
    ("name", "first", "classes"),
    [(DataName.BREAST_CANCER, "mean radius", ["malignant", "benign"]), (DataName.DIGITS, "pixel_0_0", [*"0123456789"])],
)
def test_shipped_data_have_theirs_too(run: Path, name: DataName, first: str, classes: list[str]) -> None:
    data = load(name, 0)
    assert data.scaling is not None
    data.scaling.write(run)
    table = json.loads((run / "private" / "table.json").read_bytes())
    assert (table["columns"][0], table["classes"], len(table["mean"])) == (first, classes, data.columns)
    assert data.names == ()


def test_a_row_that_was_not_trained_on_may_lie_anywhere() -> None:
    scaling = Scaling.of(np.array([[0.0], [1.0]]), ["x"], "c", ["a", "b"])
    assert (scaling.means, scaling.deviations) == ((0.5,), (0.5,))
    found = scaling.applied(np.array([[1e99], [-1e99], [0.5]]))
    assert found.dtype == np.float32
    assert found[:, 0].tolist() == [np.finfo(np.float32).max, np.finfo(np.float32).min, 0]
