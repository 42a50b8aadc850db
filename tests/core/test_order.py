from itertools import pairwise
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.cells import Shards
from zk_autograd.core.order import Order, permutation, words
from zk_autograd.train import seeded

shards = st.builds(Shards, st.integers(40, 400), st.integers(700, 2000), st.just(13))


def philox(key: tuple[int, int], counter: int) -> list[int]:
    """A block of Philox-4x64-10, as the paper has it (Salmon et al., 2011, section 3.2)."""
    mask = 2**64 - 1
    x = [counter, 0, 0, 0]
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * x[0], 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * x[2], 2**64)
        x = [high1 ^ x[1] ^ k0, low1, high0 ^ x[3] ^ k1, low0]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return x


@pytest.mark.parametrize(("seed", "purpose", "index"), [(0, 4, 0), (7, 5, 1), (2**64 - 1, 5, 2**48 - 1)])
def test_words_are_philoxs(seed: int, purpose: int, index: int) -> None:
    """The first block is of counter 1: NumPy counts up before it computes."""
    key = (seed, purpose * 2**48 + index)
    wanted = [word for counter in (1, 2, 3) for word in philox(key, counter)]
    assert words(seed, purpose, index, 11).tolist() == wanted[:11]


def test_the_orders_vector() -> None:
    """By the module's docstring and the words above, in plain Python."""

    def order(seed: int, purpose: int, index: int, count: int) -> list[int]:
        key = (seed, purpose * 2**48 + index)
        drawn = [word for block in range(1, count // 4 + 2) for word in philox(key, block)][:count]
        return sorted(range(count), key=lambda i: drawn[i])

    found = Order(Shards(23, 1000, 13), 3, 45)  # 3 shards of 8, 8, 7
    assert found.shards.counts == (8, 8, 7)
    firsts = (0, 8, 16)
    batches = []
    for epoch in range(3):
        for shard in order(45, 4, epoch, 3):
            own = order(45, 5, epoch * 3 + shard, found.shards.counts[shard])
            batches += [[firsts[shard] + i for i in own[at : at + 3]] for at in (0, 3)]
    assert [found.batch(t).tolist() for t in range(1, 19)] == batches
    assert batches[:3] == VECTOR


VECTOR = [[8, 11, 13], [12, 9, 15], [5, 1, 4]]
"""The first batches of the seed 45."""


def test_train_draws_from_the_same_words() -> None:
    assert seeded.words(3, seeded.Purpose.ORDER, 5, 9).tolist() == words(3, 3, 5, 9).tolist()
    assert seeded.permutation(3, seeded.Purpose.ORDER, 5, 9).tolist() == permutation(3, 3, 5, 9).tolist()
    assert {4, 5}.isdisjoint({*seeded.Purpose})


@given(shards, st.integers(1, 4), st.integers(0, 2**64 - 1), st.integers(0, 3))
def test_an_epoch_takes_every_example_once_but_for_what_fills_no_batch(
    cut: Shards, batch_size: int, seed: int, epoch: int
) -> None:
    order = Order(cut, batch_size, seed)
    first = epoch * order.steps_per_epoch + 1
    steps = range(first, first + order.steps_per_epoch)
    seen = np.concatenate([order.batch(t) for t in steps]).tolist()
    assert len({*seen}) == len(seen) == sum(count - count % batch_size for count in cut.counts)
    assert 0 <= min(seen) <= max(seen) < cut.examples
    owner = np.repeat(np.arange(len(cut.counts)), cut.counts)
    assert [{*owner[order.batch(t)]} for t in steps] == [{order.shard(t)} for t in steps]
    # Each shard's steps stand together, and its last one ends it.
    runs = [order.shard(t) for t in steps]
    changes = [t for t, (one, after) in zip(steps, pairwise(runs), strict=False) if one != after]
    assert len(changes) + 1 == len({*runs})
    assert [t for t in steps if order.ends_shard(t)] == ([*changes, steps[-1]] if len(cut.counts) > 1 else [])


@given(shards, st.integers(1, 4), st.integers(0, 2**64 - 1), st.integers(1, 500))
def test_a_steps_place(cut: Shards, batch_size: int, seed: int, step: int) -> None:
    order = Order(cut, batch_size, seed)
    epoch, shard, batch = order.place(step)
    assert epoch == (step - 1) // order.steps_per_epoch
    shards_order = permutation(seed, 4, epoch, len(cut.counts)).tolist()
    before = sum(order.batches[s] for s in shards_order[: shards_order.index(shard)])
    assert 0 <= batch < order.batches[shard]
    assert epoch * order.steps_per_epoch + before + batch + 1 == step


def test_seeds_and_epochs_give_other_orders() -> None:
    cut = Shards(1000, 4, 13)
    batches = {tuple(Order(cut, 1000, seed).batch(step).tolist()) for seed in range(5) for step in range(1, 6)}
    assert len(batches) == 25


def test_one_shard_is_ended_by_nothing() -> None:
    order = Order(Shards(10, 4, 13), 5, 1)
    assert not any(order.ends_shard(t) for t in range(1, 20))


@pytest.mark.slow
def test_the_place_of_many_steps_is_found_fast() -> None:
    """2^16 shards, of which each epoch has another order: steps one after the other, and far."""
    order = Order(Shards(2**19, 1000, 13), 8, 1)
    assert len(order.shards.counts) == 2**16
    began = process_time()
    for t in range(1, 100_000):
        order.place(t)
    order.place(2**40)
    assert process_time() - began < 5  # over a list of shards: half an hour


def test_equal_words_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.array([3, 1, 1, 2] * 200, np.uint64)
    monkeypatch.setattr("zk_autograd.core.order.words", lambda *_: drawn)
    assert permutation(0, 4, 0, 800).tolist() == sorted(range(800), key=drawn.__getitem__)
