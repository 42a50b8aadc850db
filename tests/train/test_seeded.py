import numpy as np
import pytest

from zk_autograd.train.seeded import Purpose, permutation, uniform, words


def philox(key: tuple[int, int], counter: int) -> list[int]:
    """One block of Philox-4x64-10, from the paper (Salmon et al., 2011, section 4.3 and table 2),
    in Python's integers."""
    mask = 2**64 - 1
    x, (k0, k1) = [counter, 0, 0, 0], key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(second >> 64) ^ x[1] ^ k0, second & mask, (first >> 64) ^ x[3] ^ k1, first & mask]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return x


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_words_are_philox_under_a_key_of_seed_purpose_and_index(seed: int) -> None:
    key = (seed, (int(Purpose.ORDER) << 48) | 5)
    assert words(seed, Purpose.ORDER, 5, 8).tolist() == [*philox(key, 1), *philox(key, 2)]


def test_streams_differ_in_seed_purpose_and_index() -> None:
    streams = [(0, Purpose.SPLIT, 0), (1, Purpose.SPLIT, 0), (0, Purpose.WEIGHTS, 0), (0, Purpose.SPLIT, 1)]
    assert len({words(*stream, 4).tobytes() for stream in streams}) == 4


def test_permutation_has_each_row_once() -> None:
    order = permutation(7, Purpose.ORDER, 3, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != list(range(1000))


def test_uniform_numbers_lie_in_their_range_and_fill_it() -> None:
    drawn = uniform(7, Purpose.WEIGHTS, 0, 4000, 0.25)
    assert -0.25 <= drawn.min() < -0.249
    assert 0.249 < drawn.max() < 0.25
    assert abs(drawn.mean()) < 0.01
    assert np.array_equal(drawn[:10], uniform(7, Purpose.WEIGHTS, 0, 10, 0.25))
