"""A run with exact gradients is resumed with the same ones, and with no others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.optim.exact.problem import SEED, X, Y, gradient, network, optimizer
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ExactGradient, exact_graph
from zk_autograd.prove.hashed.backend import HashedBackend

pytestmark = pytest.mark.torch

Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path, signer: Ed25519Signer) -> Make:
    """The optimizer of a model for the run in tmp_path / "run", in segments of 3 steps."""

    def made(model: nn.Module, **options: Any) -> Any:
        settings = {
            "prover": HashedBackend(20, 3),
            "key": signer,
            "run": tmp_path / "run",
            "register": False,
            **options,
        }
        return optimizer(model, **settings)

    return made


@pytest.mark.parametrize("seed", [SEED, None], ids=["given", "the run's"])
@pytest.mark.parametrize("public", [False, True], ids=["private", "public"])
@pytest.mark.parametrize("stop", [2, 3])
def test_resumed_run_ends_as_if_it_had_not_been_stopped(
    stop: int, public: bool, seed: int | None, tmp_path: Path, make: Make
) -> None:
    whole = optimizer(network())
    expected = [whole.step() for _ in range(7)]
    first = network()
    with make(first, gradient=gradient(first, public=public)) as zk:
        losses = [zk.step() for _ in range(stop)]
        zk.abandon()
    again = network(seed=9)
    with make(again, resume=True, gradient=gradient(again, seed=seed, public=public)) as zk:
        losses += [zk.step() for _ in range(7 - stop)]
        assert all(np.array_equal(zk.integers[name], values) for name, values in whole.integers.items())
    assert losses == expected


def deeper() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3, bias=False))


def others(model: nn.Module) -> ExactGradient:
    """The same tensors, but the loss of another graph."""
    return ExactGradient(exact_graph(model, "mse", features=4), (X, np.eye(3)[Y]), 16, SEED)


def one_label_changed(model: nn.Module) -> ExactGradient:
    labels = Y.copy()
    labels[41] = (labels[41] + 1) % 3
    return gradient(model, data=(X, labels))


def one_feature_changed(model: nn.Module) -> ExactGradient:
    features = X.copy()
    features[7, 3] += 2.0**-12
    return gradient(model, data=(features, Y))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (others, "the run has another graph than the model: make the same model, with the same loss"),
        (lambda m: gradient(m, batch_size=15), "the run has batches of 16, and batch_size is 15"),
        (lambda m: gradient(m, seed=12), "the run's order has the seed 11, and seed is 12; leave it out"),
        (lambda m: gradient(m, public=True), "the run's data are private, and public is True"),
        (lambda m: gradient(m, data=(X[:-1], Y[:-1])), "the run's data have 60 examples, and these 59"),
        (one_label_changed, "the run has other data than these: they differ first in example 41"),
        (one_feature_changed, "the run has other data than these: they differ first in example 7"),
    ],
    ids=["graph", "batch", "seed", "visibility", "examples", "label", "feature"],
)
def test_other_gradients_are_refused_and_the_run_stays(
    other: Callable[[nn.Module], ExactGradient], message: str, tmp_path: Path, make: Make
) -> None:
    model = network()
    with make(model) as zk:
        zk.step()
        zk.abandon()
    again = network()
    with pytest.raises(UsageError, match=f"run is not a run of this ExactGradient: {message}"):
        make(again, resume=True, gradient=other(again))
    with make(again, resume=True) as zk:
        assert zk.steps == 1


def test_exact_and_float_gradients_are_not_exchanged(tmp_path: Path, make: Make) -> None:
    exact, floating = network(), network()
    with make(exact) as zk:
        zk.step()
        zk.abandon()
    with pytest.raises(
        UsageError, match=r"the gradients of .*run are exact: give the optimizer gradient=ExactGradient"
    ):
        make(network(), resume=True, gradient=None)
    with make(floating, gradient=None, run=tmp_path / "floating") as zk:
        nn.functional.cross_entropy(floating(torch.from_numpy(X)), torch.from_numpy(Y)).backward()
        zk.step()
        zk.abandon()
    with pytest.raises(UsageError, match=r"the gradients of .*floating are autograd's floats: leave gradient= out"):
        make(network(), resume=True, run=tmp_path / "floating")
