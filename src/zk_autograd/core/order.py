"""The sampler order/v1: which examples a step sees, as anybody computes it from the seed that
stands in the header, or that a beacon gave.

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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.cells import Shards

SAMPLER = "order/v1"

_SHARDS, _EXAMPLES = 4, 5
"""Purposes of a seed's streams; train.seeded has others."""
_INDEX_BITS = 48
_KEPT = 4
"""Epochs whose permutations are kept."""


def words(seed: int, purpose: int, index: int, count: int) -> NDArray[np.uint64]:
    """`count` words of the stream of `seed` (below 2^64), `purpose` and `index` (below 2^48)."""
    key = np.array([seed, (purpose << _INDEX_BITS) | index], dtype=np.uint64)
    drawn: NDArray[np.uint64] = np.random.Philox(key=key).random_raw(count)
    return drawn


def permutation(seed: int, purpose: int, index: int, count: int) -> NDArray[np.int64]:
    """A permutation of 0 .. `count` - 1: the order of as many words, of which two are equal with
    probability below count^2 / 2^65."""
    return np.argsort(words(seed, purpose, index, count), kind="stable").astype(np.int64)


class Place(NamedTuple):
    """A step's epoch, its shard, and which of the shard's batches it takes: all from 0."""

    epoch: int
    shard: int
    batch: int


@dataclass(frozen=True)
class Order:
    """The order of a data set cut into `shards`, in batches of `batch_size`, which is at most the
    smallest shard's examples; `seed` is below 2^64."""

    shards: Shards
    batch_size: int
    seed: int

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """How many batches each shard gives."""
        return tuple(count // self.batch_size for count in self.shards.counts)

    @cached_property
    def steps_per_epoch(self) -> int:
        return sum(self.batches)

    def batch(self, step: int) -> NDArray[np.int64]:
        """The examples of step 1, 2, 3 ..., numbered through all shards: int64 (batch_size,)."""
        epoch, shard, at = self.place(step)
        order = _examples(self.seed, epoch * len(self.shards.counts) + shard, self.shards.counts[shard])
        return self.shards.firsts[shard] + order[at * self.batch_size : (at + 1) * self.batch_size]

    def shard(self, step: int) -> int:
        """The shard that a step's batch is of."""
        return self.place(step).shard

    def ends_shard(self, step: int) -> bool:
        """Whether the step takes the last batch of its shard, of several: the next one begins
        another, and a segment ends here."""
        if len(self.shards.counts) == 1:
            return False
        _, shard, batch = self.place(step)
        return batch == self.batches[shard] - 1

    def place(self, step: int) -> Place:
        """Where step 1, 2, 3 ... stands. Two steps of one epoch and one shard have only such steps
        between them."""
        epoch, at = divmod(step - 1, self.steps_per_epoch)
        shards, ends = _epoch(self, epoch)
        number = int(np.searchsorted(ends, at, side="right"))
        shard = int(shards[number])
        return Place(epoch, shard, at - int(ends[number]) + self.batches[shard])


@lru_cache(maxsize=_KEPT)
def _epoch(order: Order, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The shards in an epoch's order, and after how many of its batches each ends."""
    shards = permutation(order.seed, _SHARDS, epoch, len(order.shards.counts))
    return shards, np.cumsum(np.array(order.batches)[shards])


@lru_cache(maxsize=_KEPT)
def _examples(seed: int, index: int, count: int) -> NDArray[np.int64]:
    found = permutation(seed, _EXAMPLES, index, count)
    found.setflags(write=False)
    return found
