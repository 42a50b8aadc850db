"""The training loop, from any step to any other. It knows of a torch optimizer and of nothing that is behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zk_autograd.workload.data import DataSet, Rows
from zk_autograd.workload.sampler import Sampler


class NotingOptimizer(Protocol):
    """An optimizer that is told of each step what its gradients can't say."""

    def zero_grad(self) -> None: ...
    def note(self, *, loss: object = None, batch: NDArray[np.int64] | None = None) -> None: ...
    def step(self, closure: None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Loop:
    """Trains `model` on the data with cross-entropy; step t takes the sampler's batch t."""

    model: nn.Module
    data: DataSet
    sampler: Sampler

    def gradients(self, step: int, optimizer: NotingOptimizer) -> float:
        """Puts the gradients of step 1, 2, 3 ... on the model's parameters, notes loss and rows, and returns the loss."""
        rows = self.sampler.batch(step)
        optimizer.zero_grad()
        logits = self.model(torch.from_numpy(self.data.train.features[rows]))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(self.data.train.labels[rows]))
        loss.backward()
        value = float(loss.detach())
        optimizer.note(loss=value, batch=rows)
        return value

    def run(self, optimizer: NotingOptimizer, first: int, last: int, go_on: Callable[[int, float], bool]) -> int:
        """Makes steps `first` .. `last`, and returns the last one made. `go_on(step, loss)` is asked after each whether to make another."""
        step = first - 1
        while step < last:
            loss = self.gradients(step + 1, optimizer)
            optimizer.step()
            step += 1
            if not go_on(step, loss):
                break
        return step

    def accuracy(self) -> float:
        """The part of the test rows that the model classifies right."""
        return accuracy(self.model, self.data.test)


def accuracy(model: nn.Module, rows: Rows) -> float:
    """The part of `rows` that the model classifies right."""
    with torch.no_grad():
        found = model(torch.from_numpy(rows.features)).argmax(dim=1)
    return int((found == torch.from_numpy(rows.labels)).sum()) / len(rows)
