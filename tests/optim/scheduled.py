"""A training of a few steps under a scheduler of torch, recorded, for the tests that interrupt it,
and what they compare it with."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.optim import lr_scheduler

from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.rules import State
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim import ZKOptimizer
from zk_autograd.prove.hashed.backend import HashedBackend

SIGNER = Ed25519Signer("trainer", bytes(range(32)))
STEPS = 9
SEGMENT = 3

Scheduler: TypeAlias = Any
"""One of torch's: they have no common type that takes a metric."""


def model() -> torch.nn.Sequential:
    """The same one each time."""
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def optimizer(
    run: Path | None, *, lr: float = 0.01, groups: int = 1, **options: Any
) -> tuple[torch.nn.Module, ZKOptimizer]:
    """A fresh model and its optimizer, of one group or of two."""
    made = model()
    named = list(made.named_parameters())
    parameters = named if groups == 1 else [{"params": named[:2]}, {"params": named[2:], "lr": lr / 2}]
    settings = {"eps": 1e-5, "grad_scale": 6, **options}
    if run is not None:
        settings |= {"run": run, "key": SIGNER, "prover": HashedBackend(16, SEGMENT)}
    return made, ZKOptimizer(parameters, "adam", lr, **settings)


def gradients(module: torch.nn.Module, step: int) -> float:
    """Puts the gradients of the step on the model, and returns the loss."""
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    module.zero_grad()
    loss = module(inputs).square().mean() / 64  # small enough for the scale
    loss.backward()
    return float(loss.detach())


def exponential(o: ZKOptimizer, **k: Any) -> Scheduler:
    return lr_scheduler.ExponentialLR(o, 0.5, **k)


def stairs(o: ZKOptimizer, **k: Any) -> Scheduler:
    return lr_scheduler.StepLR(o, 2, 0.3, **k)


def cosine(o: ZKOptimizer, **k: Any) -> Scheduler:
    return lr_scheduler.CosineAnnealingLR(o, STEPS, **k)


def warm_up(o: ZKOptimizer, **k: Any) -> Scheduler:
    return lr_scheduler.LambdaLR(o, lambda epoch: (epoch + 1) / STEPS, **k)


def one_cycle(o: ZKOptimizer, **k: Any) -> Scheduler:
    return lr_scheduler.OneCycleLR(o, 0.02, total_steps=STEPS + 1, cycle_momentum=False, **k)


def sequence(o: ZKOptimizer) -> Scheduler:
    first = lr_scheduler.LinearLR(o, 0.2, total_iters=3)
    return lr_scheduler.SequentialLR(o, [first, lr_scheduler.ExponentialLR(o, 0.6)], [3])


def plateau(o: ZKOptimizer) -> Scheduler:
    return lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0.5)


class ByHand:
    """lr as a loop of one's own sets it."""

    def __init__(self, o: ZKOptimizer) -> None:
        self._optimizer = o

    def step(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["lr"] * 0.75

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state == {}


SCHEDULERS: dict[str, Callable[..., Scheduler]] = {
    "exponential": exponential,
    "stairs": stairs,
    "cosine": cosine,
    "warm_up": warm_up,
    "one_cycle": one_cycle,
    "sequence": sequence,
    "plateau": plateau,
    "by_hand": ByHand,
}
KEEPING_LR = ("exponential", "stairs", "cosine", "plateau", "by_hand")
"""Those whose making leaves lr where it is."""
BY_NUMBER = ("exponential", "stairs", "cosine", "warm_up", "one_cycle")
"""Those that torch makes anew from the number of steps they have made."""


def train(module: torch.nn.Module, o: ZKOptimizer, scheduler: Scheduler, steps: Sequence[int]) -> None:
    """Makes steps, each followed by one of the scheduler."""
    for step in steps:
        loss = gradients(module, step)
        o.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss)
        else:
            scheduler.step()


def rates(run: Path) -> list[tuple[str, ...]]:
    """What each step's record says of lr."""
    with RunFolder(run) as reader:
        return [lr for segment in parse_log(reader.leaves()).segments for lr in segment.lr]


def undisturbed(place: Path, name: str, **options: Any) -> tuple[list[tuple[str, ...]], State]:
    """The lr and the last integers of a run that is never left."""
    run = place / "undisturbed"
    module, o = optimizer(run, **options)
    with o:
        train(module, o, SCHEDULERS[name](o), range(STEPS))
    return rates(run), o.integers


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    loaded: dict[str, Any] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    return loaded


def require_same(run: Path, o: ZKOptimizer, expected: tuple[list[tuple[str, ...]], State]) -> None:
    lr, integers = expected
    assert rates(run) == lr
    for name, values in integers.items():
        np.testing.assert_array_equal(o.integers[name], values)
