"""Optimizers that take turns at the same gradients, so that all of them see the same machine; only
their `step()` is timed.
"""

import gc
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer

SIGNER = Ed25519Signer("benchmark", bytes(range(32)))
LR, EPS = 1e-3, 1e-6
WARM_UP = 3
"""Rounds that aren't counted: they make the run, fill the state and load code."""
_GRADIENTS = 3
"""Different gradients, which come again and again."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of each counted step, by the optimizer's name."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, peer: str) -> float:
        """The median, over the rounds, of one step's time over the other's."""
        pairs = zip(self.seconds[name], self.seconds[peer], strict=True)
        return statistics.median(own / other for own, other in pairs)


class Model(torch.nn.Module):
    """`tensors` tensors of `size` parameters in all, with random weights."""

    def __init__(self, size: int, tensors: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        lengths = [len(part) for part in np.array_split(np.empty(size, np.int8), tensors)]
        self.weights = torch.nn.ParameterList(torch.randn(n, generator=generator) * 0.1 for n in lengths)

    def gradients(self) -> list[list[torch.Tensor]]:
        """A few gradients of all tensors."""
        generator = torch.Generator().manual_seed(1)
        return [[torch.randn(p.shape, generator=generator) * 0.01 for p in self.weights] for _ in range(_GRADIENTS)]


def zk(model: torch.nn.Module, rule: str, kernel: str, run: Path | None = None, **options: Any) -> ZKOptimizer:
    """The optimizer that is measured. `kernel`: as `ZKOptimizer` takes it."""
    return ZKOptimizer(model.named_parameters(), rule, LR, run=run, prover="none", key=SIGNER, kernel=kernel, **options)


def take_turns(models: Mapping[str, Model], optimizers: Mapping[str, torch.optim.Optimizer], rounds: int) -> Timings:
    """The times of `rounds` steps of each optimizer on its model; every other round is in reverse
    order."""
    gradients = next(iter(models.values())).gradients()
    seconds: dict[str, list[float]] = {name: [] for name in optimizers}
    names = list(optimizers)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds + WARM_UP):
            for name in names if number % 2 else reversed(names):
                for tensor, gradient in zip(models[name].weights, gradients[number % _GRADIENTS], strict=True):
                    tensor.grad = gradient
                began = time.perf_counter()
                optimizers[name].step()
                taken = time.perf_counter() - began
                if number >= WARM_UP:
                    seconds[name].append(taken)
    finally:
        gc.enable()
    return Timings(seconds)


def copy_seconds(size: int, rounds: int) -> float:
    """Median seconds in which this machine copies `size` bytes: it reads and writes each."""
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        np.copyto(target, source)
        found.append(time.perf_counter() - began)
    return statistics.median(found)
