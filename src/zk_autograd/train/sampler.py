"""Which rows a step sees: a function of seed and step number, so that a loop that goes on needs to
know its step and nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zk_autograd.train.seeded import Purpose, permutation


@dataclass(frozen=True, slots=True)
class Sampler:
    """Each epoch goes through all of `rows` rows in an order of its own; its last batch may be
    smaller than `batch_size`."""

    rows: int
    batch_size: int
    seed: int

    def batch(self, step: int) -> NDArray[np.int64]:
        """The rows of step 1, 2, 3 ..."""
        epoch, position = divmod(step - 1, -(-self.rows // self.batch_size))
        order = permutation(self.seed, Purpose.ORDER, epoch, self.rows)
        return order[position * self.batch_size : (position + 1) * self.batch_size]
