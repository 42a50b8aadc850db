"""The draw and its probabilities, against counting and against an independent implementation."""

from fractions import Fraction
from hashlib import shake_256
from itertools import combinations
from math import ceil, comb
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zk_autograd.core.errors import UsageError
from zk_autograd.verify.sampling import Detection, _below, draw, miss_probability, surely_found

ROOT = bytes(range(32))


def reference(proofs: int, sample: int, seed: bytes, root: bytes, size: int) -> tuple[int, ...]:
    """The definition in the module's docstring, with a list that is shuffled as it says."""
    text = b"zk-autograd/sample/v0\n" + len(seed).to_bytes(8, "big") + seed + root + size.to_bytes(8, "big")
    stream, at = shake_256(text).digest(10**5), 0
    places = list(range(1, proofs - 1))
    for i in range(sample - 2):
        bound = len(places) - i
        while True:
            x, at = int.from_bytes(stream[at : at + 8], "big"), at + 8
            if x < 2**64 - 2**64 % bound:
                break
        other = i + x % bound
        places[i], places[other] = places[other], places[i]
    return (0, *sorted(places[: sample - 2]), proofs - 1)


@given(st.data())
@settings(max_examples=60)
def test_step7_draw_is_the_documented_one(data: st.DataObject) -> None:
    proofs = data.draw(st.integers(3, 400))
    sample = data.draw(st.integers(2, proofs - 1))
    seed, size = data.draw(st.binary(max_size=40)), data.draw(st.integers(1, 2**63 - 1))
    assert draw(proofs, sample, seed, ROOT, size) == reference(proofs, sample, seed, ROOT, size)


def test_step7_draw_depends_on_seed_root_and_size() -> None:
    first = draw(1000, 30, b"seed", ROOT, 5)
    others = [
        draw(1000, 30, b"sees", ROOT, 5),
        draw(1000, 30, b"seed", ROOT[::-1], 5),
        draw(1000, 30, b"seed", ROOT, 6),
    ]
    assert len({first, *others}) == 4
    # Seed and root don't run into each other.
    assert draw(1000, 30, b"s" + ROOT[:1], ROOT, 5) != draw(1000, 30, b"s", ROOT[:1] + ROOT[:-1], 5)


@pytest.mark.parametrize(("proofs", "sample"), [(1, 2), (2, 2), (3, 3), (5, 9)])
def test_step7_sample_that_is_not_smaller_is_everything(proofs: int, sample: int) -> None:
    assert draw(proofs, sample, b"seed", ROOT, 5) == tuple(range(proofs))


def test_step7_first_and_last_are_always_in_and_others_are_uniform() -> None:
    counts = [0] * 10
    for seed in range(2000):
        chosen = draw(10, 5, seed.to_bytes(4, "big"), ROOT, 5)
        assert len(set(chosen)) == 5
        for place in chosen:
            counts[place] += 1
    assert counts[0] == counts[9] == 2000
    # Each of the 8 others with probability 3/8: mean 750, standard deviation 22.
    assert all(650 < count < 850 for count in counts[1:9])


def test_step7_numbers_are_not_biased_towards_the_low_ones() -> None:
    bound = 3 * 2**62  # without rejection, numbers below 2^62 would come twice as often
    limit = 2**64 // bound * bound
    assert _below(bound, iter([limit, 2**64 - 1, 7])) == 7
    assert _below(bound, iter([limit - 1])) == bound - 1


@given(st.integers(3, 12), st.data())
@settings(max_examples=60)
def test_step7_miss_probability_is_the_share_of_samples_that_miss(proofs: int, data: st.DataObject) -> None:
    sample = data.draw(st.integers(2, proofs))
    bad = data.draw(st.integers(0, proofs - 2))
    inner = range(1, proofs - 1)
    samples = list(combinations(inner, sample - 2))
    missed = sum(not set(s) & set(range(1, 1 + bad)) for s in samples)
    assert miss_probability(proofs, sample, bad) == Fraction(missed, len(samples))
    assert miss_probability(proofs, sample, bad) == Fraction(
        comb(proofs - 2 - bad, sample - 2), comb(proofs - 2, sample - 2)
    )


@given(st.integers(3, 300), st.data())
@settings(max_examples=60)
def test_step7_surely_found_is_the_smallest_such_number(proofs: int, data: st.DataObject) -> None:
    sample = data.draw(st.integers(3, proofs))
    bad = surely_found(proofs, sample)
    assert bad is not None
    assert miss_probability(proofs, sample, bad) <= Fraction(1, 100)
    assert bad == 1 or miss_probability(proofs, sample, bad - 1) > Fraction(1, 100)


def test_step7_nothing_between_first_and_last_is_found_by_a_sample_of_two() -> None:
    assert surely_found(100, 2) is None
    assert miss_probability(100, 2, 98) == 1


def test_step7_large_runs_take_no_time() -> None:
    assert surely_found(10**6, 1000) == 4602
    assert miss_probability(10**6, 1000, 4602) <= Fraction(1, 100) < miss_probability(10**6, 1000, 4601)
    assert surely_found(10**6, 5 * 10**5) == 7  # 2^-6 is more than 1 %
    assert len(draw(10**9, 100, b"seed", ROOT, 5)) == 100


@pytest.mark.parametrize("proofs", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(
    ("target", "bad"), [("0.5", "1"), ("0.99", "1%"), ("90%", "3"), ("0.999999", "0.5"), ("0.01", "100")]
)
def test_step7_detection_takes_the_smallest_sample_that_finds_it(proofs: int, target: str, bad: str) -> None:
    aim = Detection.parse(target, bad)
    inner = max(proofs - 2, 0)
    count = min(aim.count(proofs), inner)

    def enough(sample: int) -> bool:
        drawn = min(max(sample - 2, 0), inner)
        return count == 0 or 1 - Fraction(comb(inner - count, drawn), comb(inner, drawn)) >= aim.target

    smallest = next((size for size in range(2, proofs + 1) if enough(size)), max(proofs, 2))
    assert aim.sample(proofs) == (smallest if count else max(2, proofs))


def test_step7_detection_of_a_share_of_many_proofs() -> None:
    aim = Detection.parse("0.99", "1%")
    assert (aim.count(10**6), aim.count(150), aim.count(1)) == (10**4, 2, 1)
    assert 440 < aim.sample(10**6) < 470
    assert Detection.parse("0.99", "1").sample(10**6) == ceil(Fraction(99, 100) * (10**6 - 2)) + 2


@pytest.mark.parametrize(("bad", "sample"), [("50%", 9), ("30%", 15), ("3%", 154)])
def test_step7_detection_takes_no_time_whatever_share_of_many_proofs_is_bad(bad: str, sample: int) -> None:
    start = process_time()  # halving alone multiplies as many numbers as there are bad proofs: minutes
    assert Detection.parse("0.99", bad).sample(10**6) == sample
    assert process_time() - start < 2


@pytest.mark.parametrize(
    ("target", "bad"),
    [("1", "1%"), ("0", "1%"), ("100%", "1%"), ("-0.5", "1"), ("0.9", "0"), ("0.9", "0%"), ("0.9", "101%"), ("0.9", "1.5"),
     ("0.9", ""), ("", "1"), ("nan", "1"), ("1e-1", "1"), ("0.9", "1/2"), ("\u0660.5", "1"), ("0.5", "x"), ("0." + "9" * 30, "1"), ("0.9", "1%%")],
)  # fmt: skip
def test_step7_detection_that_makes_no_sense_is_refused(target: str, bad: str) -> None:
    with pytest.raises(UsageError, match=r"--target-detection|--bad"):
        Detection.parse(target, bad)
