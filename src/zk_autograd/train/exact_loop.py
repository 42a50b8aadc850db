"""The training loop of exact gradients: a step is one call, which takes its own batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from zk_autograd.optim.exact import ExactGradient
from zk_autograd.train.data import DataSet
from zk_autograd.train.loop import accuracy


class ExactOptimizer(Protocol):
    """An optimizer that was given the gradient."""

    def step(self, closure: None = None) -> object: ...


@dataclass(frozen=True, slots=True)
class ExactLoop:
    """Trains `model` by `gradient`, whose data are the training rows of `data`."""

    model: nn.Module
    data: DataSet
    gradient: ExactGradient

    def run(
        self,
        optimizer: ExactOptimizer,
        first: int,
        last: int,
        go_on: Callable[[int, float], bool],
        before_first: Callable[[], None] = lambda: None,
    ) -> int:
        """Takes steps `first` .. `last`, and returns the last one taken. `go_on(step, loss)` is
        asked after each whether to take another; `before_first` is called before the first."""
        step = first - 1
        while step < last:
            if step + 1 == first:
                before_first()
            loss = optimizer.step()
            assert isinstance(loss, float)
            step += 1
            if not go_on(step, loss):
                break
        return step

    def restore(self, state: bytes) -> None:
        """An exact step draws nothing and counts nothing: there is no state beside the weights."""

    def accuracy(self) -> float:
        """The fraction of the test rows that the float model classifies correctly."""
        return accuracy(self.model, self.data.test)
