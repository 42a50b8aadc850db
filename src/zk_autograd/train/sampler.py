"""Which rows a step sees: a function of seed and step number, so that a resumed loop needs to know
its step and nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zk_autograd.train.seeded import Purpose, permutation


@dataclass(frozen=True, slots=True)
class Sampler:
    """Each epoch takes all `rows` rows in its own order; its last batch may be smaller."""

    rows: int
    batch_size: int
    seed: int

    def batch(self, step: int) -> NDArray[np.int64]:
        """The rows of step 1, 2, 3 ..."""
        epoch, position = divmod(step - 1, -(-self.rows // self.batch_size))
        order = permutation(self.seed, Purpose.ORDER, epoch, self.rows)
        return order[position * self.batch_size : (position + 1) * self.batch_size]
