"""The training loop, from any step to any other. It knows nothing behind a torch optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.train import loop_state
from zk_autograd.train.data import DataSet, Rows
from zk_autograd.train.loop_state import Fresh
from zk_autograd.train.sampler import Sampler


class NotingOptimizer(Protocol):
    """An optimizer that is told what a step's gradients can't say."""

    def zero_grad(self) -> None: ...
    def note(
        self, *, loss: object = None, batch: NDArray[np.int64] | None = None, loop_state: bytes | None = None
    ) -> None: ...
    def step(self, closure: None = None) -> None: ...


@dataclass(slots=True)
class Loop:
    """Trains `model` on the data with cross-entropy; step t takes the sampler's batch t.

    `generator` is the state of torch's when the loop is made, and must be the same whenever the
    loop is made. Which parameters are trained is settled before the first step: the rest is looked
    at then.
    """

    model: nn.Module
    data: DataSet
    sampler: Sampler
    generator: torch.Tensor = field(default_factory=torch.get_rng_state)
    _fresh: Fresh | None = field(init=False, default=None)

    def gradients(self, step: int, optimizer: NotingOptimizer) -> float:
        """Puts the gradients of step 1, 2, 3 ... on the model's parameters, notes loss, rows and
        the loop's state, and returns the loss.

        A model that draws or counts does so here, once a step. UsageError if the model fails, or
        makes buffers while it is trained.
        """
        fresh = self._begun()
        rows = self.sampler.batch(step)
        optimizer.zero_grad()
        self.model.train()
        try:
            logits = self.model(torch.from_numpy(self.data.train.features[rows]))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(self.data.train.labels[rows]))
            loss.backward()
        except Exception as error:  # whatever a user's model raises
            raise UsageError(
                f"the model failed at step {step}, on {len(rows)} rows: {type(error).__name__}: {error}"
            ) from error
        value = float(loss.detach())
        optimizer.note(loss=value, batch=rows, loop_state=loop_state.taken(self.model, fresh))
        return value

    def run(
        self,
        optimizer: NotingOptimizer,
        first: int,
        last: int,
        go_on: Callable[[int, float], bool],
        before_first: Callable[[], None] = lambda: None,
    ) -> int:
        """Takes steps `first` .. `last`, and returns the last one taken.

        `go_on(step, loss)` is asked after each whether to take another; `before_first` is called
        when the first gradients are there.
        """
        step = first - 1
        while step < last:
            loss = self.gradients(step + 1, optimizer)
            if step + 1 == first:
                before_first()
            optimizer.step()
            step += 1
            if not go_on(step, loss):
                break
        return step

    def restore(self, state: bytes) -> None:
        """Continues from what the last step noted. RunError if that was another model's."""
        loop_state.restored(state, self.model, self._begun())

    def _begun(self) -> Fresh:
        if self._fresh is None:
            self._fresh = Fresh.of(self.model, self.generator)
        return self._fresh

    def accuracy(self) -> float:
        """The fraction of the test rows that the model classifies correctly."""
        return accuracy(self.model, self.data.test)


def accuracy(model: nn.Module, rows: Rows) -> float:
    """The fraction of `rows` that the model, which is left in eval(), classifies correctly."""
    model.eval()
    with torch.no_grad():
        found = model(torch.from_numpy(rows.features)).argmax(dim=1)
    return int((found == torch.from_numpy(rows.labels)).sum()) / len(rows)
