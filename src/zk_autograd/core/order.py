"""The sampler order/v1: which examples a step sees, as anybody computes it from the seed that stands
in the header, or that a beacon gave.

The examples are cut into shards (core.cells). An epoch takes the shards in an order of its own, and
the examples of each in an order of its own, in batches of the batch's size; what doesn't fill a
batch at the end of a shard is left out. Step t = 1, 2, 3 ... takes the t-th batch.

A permutation of 0 .. n - 1 is the stable order of n words of Philox-4x64 (Salmon et al., 2011)
under the key (seed, purpose 2^48 + index); NumPy guarantees a bit generator's words for ever (NEP
19). Of purpose 4 with the epoch as index: the shards. Of purpose 5 with epoch * shards + shard: the
examples of a shard.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.cells import Shards

SAMPLER = "order/v1"

_SHARDS, _EXAMPLES = 4, 5
"""Purposes of a seed's streams; train.seeded has others."""
_INDEX_BITS = 48


def words(seed: int, purpose: int, index: int, count: int) -> NDArray[np.uint64]:
    """`count` words of the stream of `seed` (below 2^64), `purpose` and `index` (below 2^48)."""
    key = np.array([seed, (purpose << _INDEX_BITS) | index], dtype=np.uint64)
    drawn: NDArray[np.uint64] = np.random.Philox(key=key).random_raw(count)
    return drawn


def permutation(seed: int, purpose: int, index: int, count: int) -> NDArray[np.int64]:
    """A permutation of 0 .. `count` - 1: the order of as many words, of which two are equal with
    probability below count^2 / 2^65."""
    return np.argsort(words(seed, purpose, index, count), kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Order:
    """The order of a data set cut into `shards`, in batches of `batch_size`, which is at most the
    smallest shard's examples; `seed` is below 2^64."""

    shards: Shards
    batch_size: int
    seed: int

    @cached_property
    def _batches(self) -> tuple[int, ...]:
        """How many batches each shard gives."""
        return tuple(count // self.batch_size for count in self.shards.counts)

    @cached_property
    def steps_per_epoch(self) -> int:
        return sum(self._batches)

    def batch(self, step: int) -> NDArray[np.int64]:
        """The examples of step 1, 2, 3 ..., numbered through all shards: int64 (batch_size,)."""
        epoch, shard, at = self._place(step)
        order = _examples(self.seed, epoch * len(self.shards.counts) + shard, self.shards.counts[shard])
        return self.shards.firsts[shard] + order[at * self.batch_size : (at + 1) * self.batch_size]

    def shard(self, step: int) -> int:
        """The shard that a step's batch is of."""
        return self._place(step)[1]

    def ends_shard(self, step: int) -> bool:
        """Whether the step takes the last batch of its shard, of several: the next one begins
        another, and a segment ends here."""
        if len(self.shards.counts) == 1:
            return False
        _, shard, at = self._place(step)
        return at == self._batches[shard] - 1

    def _place(self, step: int) -> tuple[int, int, int]:
        """Epoch, shard, and which of its batches."""
        epoch, at = divmod(step - 1, self.steps_per_epoch)
        for shard in _shards(self.seed, epoch, len(self.shards.counts)):
            if at < self._batches[shard]:
                return epoch, int(shard), at
            at -= self._batches[shard]
        raise AssertionError("an epoch's shards hold its steps")


@lru_cache(maxsize=4)
def _examples(seed: int, index: int, count: int) -> NDArray[np.int64]:
    found = permutation(seed, _EXAMPLES, index, count)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=4)
def _shards(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    found = permutation(seed, _SHARDS, epoch, count)
    found.setflags(write=False)
    return found
