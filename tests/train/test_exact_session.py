"""A training with exact gradients: recorded, resumed, made again, the same on any machine."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tests.train.recorded import Record
from tests.train.test_session import SMALL
from zk_autograd.core.cells import parsed
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.records import PRIVATE, PUBLIC, header_digest
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.layout import Layout
from zk_autograd.run.recovery import read_header
from zk_autograd.train import data
from zk_autograd.train.exact_data import table_of, training_cells
from zk_autograd.train.names import Factory
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import retrain

EXACT = replace(SMALL, level="L3", grad_scale="auto", order_seed=2**64 - 5, batch_size=57)
WEIGHTS = "42ec9b32ceed23ba884b770dfe60d51e0eb00be43f4dffbf342c4a1274476005"
"""SHA-256 of the final W of EXACT, as little-endian int64: whatever the processor and the BLAS."""


def net(columns: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, 5), nn.ReLU(), nn.Linear(5, classes))


def normed(columns: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes))


def test_recorded_training_is_made_again_and_its_weights_are_those_of_any_machine(
    record: Record, tmp_path: Path
) -> None:
    header, weights = record(EXACT)
    np.testing.assert_array_equal(retrain(EXACT, lambda step, steps: None), weights)
    assert sha256(weights.astype("<i8").tobytes()).hexdigest() == WEIGHTS
    exact = header.exact
    assert exact is not None
    assert (header.data.sampler, header.data.batch_size, exact.log_batch) == (SAMPLER, 57, 6)
    assert (exact.seed, exact.visibility, exact.stride) == (2**64 - 5, PRIVATE, 32)
    layout = Layout(tmp_path / "run")
    files = ExactFiles.read(layout, header, header_digest(read_header(layout)[1]))
    rows = data.load(EXACT.data, EXACT.seed)
    np.testing.assert_array_equal(files.cells, training_cells(rows))
    assert files.secrets.table == table_of(rows)


def test_another_order_and_other_first_weights_give_other_ones() -> None:
    short = replace(EXACT, steps=2)
    plans = (short, replace(short, order_seed=0), replace(short, seed=1))
    assert len({retrain(plan, lambda step, steps: None).tobytes() for plan in plans}) == 3


def test_stopped_training_goes_on_bit_for_bit(record: Record, tmp_path: Path) -> None:
    record(EXACT, steps=7)
    assert Plan.read(tmp_path / "run") == EXACT
    _, weights = record(EXACT, resume=True)
    assert sha256(weights.astype("<i8").tobytes()).hexdigest() == WEIGHTS


def test_own_model_on_a_table_with_public_rows(record: Record, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "".join(f"{i % 7},{i * i},{'xy'[i % 2]}\n" for i in range(40)))
    source = CsvFile(str(tmp_path / "t.csv"))
    model = Factory("tests.train.test_exact_session", "net")
    plan = replace(EXACT, model=model, data=source, batch_size=10, steps=9, public_data=True)
    header, weights = record(plan)
    assert header.exact is not None
    assert header.exact.visibility == PUBLIC
    cells, features = parsed(Layout(tmp_path / "run").cells.read_bytes())
    assert features == 2
    np.testing.assert_array_equal(cells, training_cells(data.load(source, plan.seed)))
    np.testing.assert_array_equal(retrain(plan, lambda step, steps: None), weights)


def test_rows_are_fewer_than_a_default_batch(record: Record, tmp_path: Path) -> None:
    """A step takes all of them, and is padded."""
    (tmp_path / "t.csv").write_text("a,kind\n" + "".join(f"{i * i % 5},{i % 2}\n" for i in range(20)))
    plan = replace(EXACT, data=CsvFile(str(tmp_path / "t.csv")), steps=2, batch_size=64, batch_size_set=False)
    header, _ = record(plan)
    assert header.exact is not None
    assert (header.data.batch_size, header.data.count, header.exact.log_batch) == (16, 16, 4)


def test_layer_without_an_exact_pass_begins_no_run(record: Record, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="layer 1 is a BatchNorm1d: its statistics join the examples of a batch"):
        record(replace(EXACT, model=Factory("tests.train.test_exact_session", "normed")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("public", [False, True])
def test_run_is_not_gone_on_with_on_other_data(public: bool, record: Record, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    text = "a,b,kind\n" + "".join(f"{i % 7},{i * i},{'xy'[i % 2]}\n" for i in range(40))
    table.write_text(text)
    plan = replace(EXACT, data=CsvFile(str(table)), batch_size=8, public_data=public)
    record(plan, steps=3)
    table.write_text(text.replace("\n3,9,y", "\n3,9,x"))
    with pytest.raises(RunError, match=r"the data are not those that .*run was begun with: .*t.csv has changed since"):
        record(plan, resume=True)
    table.write_text(text)
    _, weights = record(plan, resume=True)  # the run is free again
    np.testing.assert_array_equal(weights, retrain(plan, lambda step, steps: None))


@pytest.mark.parametrize(("begun", "plan"), [(EXACT, SMALL), (SMALL, EXACT)], ids=["L3 as L1", "L1 as L3"])
def test_run_is_not_gone_on_with_at_another_level(begun: Plan, plan: Plan, record: Record) -> None:
    record(begun, steps=2)
    with pytest.raises(RunError, match=r"is not the run of its private plan: its level is L., the plan's L.; restore"):
        record(replace(plan, grad_scale=begun.grad_scale), resume=True)


def test_order_belongs_to_the_run_not_to_the_plan_alone(record: Record) -> None:
    record(EXACT, steps=2)
    with pytest.raises(UsageError, match="the run's order has the seed 18446744073709551611, and seed is 4"):
        record(replace(EXACT, order_seed=4), resume=True)
