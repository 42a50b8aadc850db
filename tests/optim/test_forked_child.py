"""A recorded optimizer in a forked child of its process: refused, in a sentence, and the run goes
on as if nothing had been."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.forks import forking, in_child
from tests.optim.models import backward, network, train
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.run.layout import Layout
from zk_autograd.run.train_log import whole_events

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps"),
    forking,
]


@pytest.fixture
def model() -> torch.nn.Sequential:
    return network()


@pytest.fixture
def optimizer(tmp_path: Path, model: torch.nn.Sequential, signer: Ed25519Signer) -> Iterator[ZKOptimizer]:
    with ZKOptimizer(model.named_parameters(), run=tmp_path / "run", prover="none", key=signer) as optimizer:
        yield optimizer
        optimizer.abandon()


def stepped(optimizer: ZKOptimizer) -> None:
    def closure() -> float:
        raise AssertionError("the loss was computed for nothing")

    optimizer.step(closure)


def left(optimizer: ZKOptimizer, error: BaseException | None) -> None:
    """The end of a `with` block in the child."""
    with optimizer:
        if error:
            raise error


ACTS: dict[str, Callable[[ZKOptimizer], object]] = {
    "step": stepped,
    "start": ZKOptimizer.start,
    "close": ZKOptimizer.close,
    "abandon": ZKOptimizer.abandon,
    "leave the block": lambda optimizer: left(optimizer, None),
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("act", ACTS)
def test_a_child_can_not_use_it(
    act: str, begun: bool, tmp_path: Path, model: torch.nn.Sequential, optimizer: ZKOptimizer
) -> None:
    if begun:
        train(model, optimizer, range(1))
    backward(model, 1)
    told = in_child(lambda: ACTS[act](optimizer))
    if act == "start" and begun:
        assert told == "done"  # there is nothing left to do
    else:
        assert told.startswith(f"RunError: {tmp_path / 'run'} belongs to process {os.getpid()}; a forked child can't")
    assert (tmp_path / "run").exists() == begun
    train(model, optimizer, range(int(begun), 3))
    optimizer.close()
    events = whole_events(io.BytesIO(Layout(tmp_path / "run").train_log.read_bytes()))
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 2, 3]


def test_an_error_in_the_child_leaves_the_block_as_it_was(model: torch.nn.Sequential, optimizer: ZKOptimizer) -> None:
    train(model, optimizer, range(1))
    assert in_child(lambda: left(optimizer, KeyError("mine"))) == "KeyError: 'mine'"
    assert in_child(lambda: left(optimizer, SystemExit(0))) == "SystemExit: 0"
    train(model, optimizer, range(1, 2))
    optimizer.close()
    with pytest.raises(UsageError, match="the run is closed"):
        optimizer.step()


def test_what_is_not_recorded_may_be_used_in_a_child(model: torch.nn.Sequential) -> None:
    optimizer = ZKOptimizer(model.named_parameters())
    train(model, optimizer, range(1))

    def act() -> None:
        optimizer.step()  # with the parent's gradients: torch's own threads are not in the child
        optimizer.close()
        assert optimizer.steps == 2

    assert in_child(act) == "done"
    assert optimizer.steps == 1


def test_a_child_reads_the_state(model: torch.nn.Sequential, optimizer: ZKOptimizer) -> None:
    train(model, optimizer, range(1))
    assert in_child(lambda: (optimizer.state_dict(), optimizer.integers, optimizer.head, optimizer.header)) == "done"


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_workers_of_a_data_loader_are_no_trainers(
    context: str, model: torch.nn.Sequential, optimizer: ZKOptimizer
) -> None:
    train(model, optimizer, range(1))
    rows = torch.utils.data.TensorDataset(torch.ones(8, 4), torch.zeros(8, dtype=torch.int64))
    loader = torch.utils.data.DataLoader(
        rows, batch_size=4, num_workers=2, multiprocessing_context=context, persistent_workers=True
    )
    for _ in range(2):
        for features, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features), labels).backward()
            optimizer.step()
    assert optimizer.steps == 5
    del loader
    optimizer.close()
