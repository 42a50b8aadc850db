"""What is measured for a forecast is the training itself and real proofs, and none of it stays."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.train.test_session import SMALL
from zk_autograd.core.errors import RangeError
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.native.choice import SAMPLE_LOG_ROWS
from zk_autograd.prove.protocol import Wanted
from zk_autograd.train import rehearsal
from zk_autograd.train.rehearsal import LEAST, place_near, rehearse, time_proofs
from zk_autograd.train.session import repeatable
from zk_autograd.train.settings import Machine


def test_a_rehearsal_takes_the_plans_own_steps_and_records_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "SECONDS", 600)
    with repeatable():
        found = rehearse(replace(SMALL, prover="native", steps=12), Machine(), tmp_path, there=True)
    assert found.steps == 12  # it is short enough
    assert 0 < found.step < 1
    assert found.once > 0
    assert found.step_bytes >= 4 * 31
    assert found.start_bytes >= 8 * 3 * 31 * 0.5
    assert found.public_bytes > 1000
    (run,) = tmp_path.iterdir()
    private = sum(path.stat().st_size for path in (run / "private" / "segments").rglob("*") if path.is_file())
    assert private == pytest.approx(12 * found.step_bytes + 2 * found.start_bytes, rel=0.2)


def test_a_rehearsal_ends_when_enough_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "SECONDS", 0)
    with repeatable():
        assert rehearse(replace(SMALL, steps=10**6), Machine(), tmp_path, there=True).steps == LEAST


def test_one_step_is_enough_of_a_run_of_one(tmp_path: Path) -> None:
    with repeatable():
        found = rehearse(replace(SMALL, steps=1), Machine(), tmp_path, there=True)
    assert (found.steps, found.step_bytes) == (1, 0)
    assert found.start_bytes > 0  # all that was written


def test_a_training_that_fails_at_its_first_steps_fails_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "SECONDS", 600)
    plan = replace(SMALL, rule=Rule.SGD, lr="2", seed=0, steps=100)
    with repeatable(), pytest.raises(RangeError, match=r"update of linear\.weight"):
        rehearse(plan, Machine(), tmp_path, there=True)


@pytest.mark.usefixtures("native_prover")
def test_proofs_are_made_and_timed(tmp_path: Path) -> None:
    sample = choice_of("native").sample(Wanted(Rule.ADAM, [31], 8))
    assert sample is not None
    assert sample.times == 1  # the smallest shape is its own sample
    assert sample.words == "proofs of 2^16 rows"
    found = time_proofs(replace(SMALL, prover="native"), sample, tmp_path)
    assert found.each > 0
    assert found.first >= 0
    assert found.size > 100_000
    assert len(list((tmp_path / "proofs" / "proofs").iterdir())) == 3


@pytest.mark.usefixtures("native_prover")
def test_a_large_proof_is_scaled_from_a_small_one() -> None:
    sample = choice_of("native").sample(Wanted(Rule.ADAM, [4810], 100))
    assert sample is not None
    prover = sample.backend.prover
    assert prover.block * prover.steps == 2**SAMPLE_LOG_ROWS
    assert 8 < sample.times < 10
    assert "scaled to 2^20" in sample.words


def test_what_takes_too_long_or_proves_nothing_has_no_sample() -> None:
    wanted = Wanted(Rule.ADAM, [31], 8)
    assert choice_of("none").sample(wanted) is None
    assert choice_of("ezkl").sample(wanted) is None


@pytest.mark.usefixtures("without_native")
def test_a_prover_that_is_not_built_has_no_sample() -> None:
    assert choice_of("native").sample(Wanted(Rule.ADAM, [31], 8)) is None


def test_the_place_is_beside_the_run_and_is_removed(tmp_path: Path) -> None:
    with place_near(tmp_path / "runs" / "one") as (folder, there):
        assert there
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), place_near(tmp_path / "run") as (folder, _):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with place_near(tmp_path / "run") as (folder, there):
        assert not there
        assert tmp_path not in folder.parents
    assert not folder.exists()
