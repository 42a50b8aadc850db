"""What the integers cost in accuracy: training on digits beside torch.optim, with the same data,
weights and batches."""

import warnings
from typing import Any

import pytest
import torch

from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.trajectory import CoarseEps
from zk_autograd.train import data, models
from zk_autograd.train.loop import Loop
from zk_autograd.train.names import DataName, ModelName
from zk_autograd.train.sampler import Sampler

pytestmark = pytest.mark.torch

STEPS = 200
SEED = 3


@pytest.fixture(scope="module")
def digits() -> data.DataSet:
    pytest.importorskip("sklearn", reason="the [train] extra is not installed")
    return data.load(DataName.DIGITS, SEED)


class Quiet:
    """An optimizer of torch that takes notes, and forgets them."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self.zero_grad = optimizer.zero_grad

    def note(self, *, loss: object = None, batch: object = None, loop_state: object = None) -> None:
        pass

    def step(self, closure: None = None) -> None:
        self._optimizer.step()


class Lion(torch.optim.Optimizer):
    """In floats, as in algorithm 2 of Chen et al., 2023, without decay."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(group["lr"] * torch.sign(beta1 * m + (1 - beta1) * p.grad))
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


def loop_of(digits: data.DataSet) -> Loop:
    model = models.build(ModelName.SOFTMAX, digits.columns, digits.classes, SEED)
    return Loop(model, digits, Sampler(len(digits.train), 64, SEED))


@pytest.mark.parametrize(
    ("rule", "options", "peer"),
    [
        ("sgd", {"lr": 0.1}, torch.optim.SGD),
        ("sgd-momentum", {"lr": 0.02, "momentum": 0.9}, torch.optim.SGD),
        ("sgd-nesterov", {"lr": 0.02, "momentum": 0.9, "nesterov": True}, torch.optim.SGD),
        ("adam", {"lr": 0.01}, torch.optim.Adam),
        ("adamw", {"lr": 0.01, "weight_decay": 0.01}, torch.optim.AdamW),
        ("lion", {"lr": 0.005, "betas": (0.9, 0.99)}, Lion),
        ("rmsprop", {"lr": 0.005, "alpha": 0.99, "eps": 1e-6}, torch.optim.RMSprop),
    ],
)
def test_digits_are_told_apart_as_well_as_by_floats(
    rule: str, options: dict[str, Any], peer: Any, digits: data.DataSet
) -> None:
    exact, floating = loop_of(digits), loop_of(digits)
    with models.one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", CoarseEps)
        exact.run(ZKOptimizer(exact.model.named_parameters(), rule, **options), 1, STEPS, lambda step, loss: True)
        floating.run(Quiet(peer(floating.model.parameters(), **options)), 1, STEPS, lambda step, loss: True)
    assert floating.accuracy() > 0.93  # or there would be nothing to compare with
    assert abs(exact.accuracy() - floating.accuracy()) <= 0.005
