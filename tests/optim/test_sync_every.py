"""`sync_every` and `--sync-every` reach the journal, whose frames say what was durable before
them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import trainer_key
from tests.run.journals import durable_before_last
from zk_autograd import ZKOptimizer
from zk_autograd.cli import train as zk_train
from zk_autograd.core.errors import UsageError

pytestmark = pytest.mark.torch

SMALL = ("--data", "breast-cancer", "--model", "logistic", "--prover", "none")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "log.key"
    trainer_key.create(path, "trainer")
    return path


def trained(run: Path, key: Path, steps: int, *, resume: bool = False, sync_every: int | None = None) -> None:
    tensor = torch.nn.Parameter(torch.ones(3))
    place: dict[str, Any] = {"run": run, "key": key, "prover": "none", "resume": resume}
    if sync_every is not None:
        place["sync_every"] = sync_every
    optimizer = ZKOptimizer([tensor], "sgd", 0.1, **place)
    while optimizer.steps < steps:
        tensor.grad = torch.full((3,), 0.5)
        optimizer.step()
    optimizer.abandon()


@pytest.mark.parametrize(("every", "durable"), [(None, 8), (3, 7), (100, 1)])
def test_an_optimizer_syncs_so_often(tmp_path: Path, key: Path, every: int | None, durable: int) -> None:
    """Of eight steps: the start, and the steps before the eighth that were synced."""
    trained(tmp_path / "run", key, 8, sync_every=every)
    assert durable_before_last(tmp_path / "run", 0) == durable


def test_a_resumed_run_may_have_another(tmp_path: Path, key: Path) -> None:
    trained(tmp_path / "run", key, 4)
    trained(tmp_path / "run", key, 9, resume=True, sync_every=100)
    assert durable_before_last(tmp_path / "run", 0) == 1 + 4


def test_the_command_syncs_so_often(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for every, durable in (("1", 8), ("5", 6)):
        run = tmp_path / every
        flags = (*SMALL, "--steps", "8", "--key-file", str(key), "--out", str(run), "--sync-every", every)
        assert zk_train.main([*flags]) == 0, capsys.readouterr().err
        assert durable_before_last(run, 0) == durable
    capsys.readouterr()


def test_what_cannot_be_is_refused(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="sync_every is 0; it must be an integer from 1 to 65536"):
        trained(tmp_path / "run", key, 1, sync_every=0)
    assert not (tmp_path / "run").exists()
    assert zk_train.main([*SMALL, "--out", str(tmp_path / "run"), "--sync-every", "0"]) == 2
    assert "--sync-every is 0; it must be at least 1 and below 65537" in capsys.readouterr().err
