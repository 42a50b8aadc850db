"""Copies and pickles: of what holds a run or a secret there are none."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.optim.models import network, train, weights
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.run.lock import RunLock

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

WAYS: dict[str, Callable[[object], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "torch.save": lambda thing: torch.save(thing, io.BytesIO()),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_optimizer_is_not_copied_and_says_what_to_do_instead(way: str) -> None:
    model = network()
    optimizer = ZKOptimizer(model.named_parameters())
    train(model, optimizer, range(2))
    with pytest.raises(UsageError, match=r"^ZKOptimizer can't be copied or pickled: .* load state_dict\(\) into it"):
        WAYS[way](optimizer)
    with pytest.raises(UsageError, match="can't be copied"):
        optimizer.__getstate__()
    other = network()
    copied = ZKOptimizer(other.named_parameters())
    copied.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert (weights(other) == weights(model)).all()


@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle"])
def test_nor_is_anything_of_a_recorded_run(way: str, tmp_path: Path, signer: Ed25519Signer) -> None:
    model = network()
    run = tmp_path / "run"
    with ZKOptimizer(model.named_parameters(), run=run, key=signer, prover=HashedBackend(20, 3)) as optimizer:
        train(model, optimizer, range(2))
        trajectory = optimizer._trajectory
        recorder = trajectory._writer
        assert recorder is not None
        for thing in (optimizer, trajectory, recorder, recorder._writer):
            with pytest.raises(UsageError, match="can't be copied or pickled: "):
                WAYS[way](thing)
    with RunLock(tmp_path / "run" / "private" / "lock") as lock, pytest.raises(UsageError, match="can't be copied"):
        WAYS[way](lock)


def test_a_key_is_copied_as_itself_and_its_secret_is_in_no_pickle_and_no_text(signer: Ed25519Signer) -> None:
    assert copy.copy(signer) is signer
    assert copy.deepcopy({"key": signer})["key"] is signer
    with pytest.raises(UsageError, match=r"the key trainer can't be pickled, .* the path of the key's file") as caught:
        pickle.dumps({"key": signer})
    for text in (repr(signer), str(signer), str(caught.value)):
        assert signer.seed.hex() not in text and repr(signer.seed) not in text
