"""Adam and AdamW against the oracle, at the ends of their ranges, and in the dead bands."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from tests.core.rules.elements import (
    ADAM,
    ADAM_CONSTANTS,
    FIRST_MOMENTS,
    GRADIENTS,
    SECOND_MOMENTS,
    WEIGHTS,
    AdamElement,
    check_adam,
    vector,
)
from zk_autograd.core.constants import AdamConstants, AdamSequence
from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import quantize_gradient
from zk_autograd.core.hyper import AdamHyper
from zk_autograd.core.rules.adam import AdamState, adam_step, adam_trace
from zk_autograd.core.rules.arithmetic import rounded


# Each element alone as well, since one that fails hides what the others give.
@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, FIRST_MOMENTS, SECOND_MOMENTS, GRADIENTS), min_size=1, max_size=5), ADAM_CONSTANTS)
def test_adam_equals_the_oracle(elements: list[AdamElement], c: oracle.Adam) -> None:
    check_adam(elements, c)
    for element in elements:
        check_adam([element], c)


ADAM_CORNERS = list(
    product(
        (1 - 2**45, -1, 0, 2**45 - 1),
        (1 - 2**45, -(2**45) + 2**15, 0, 2**45 - 2**15, 2**45 - 1),
        (0, 1, 2**30, 2**60 - 1, 2**60),
        (1 - 2**30, -1, 0, 1, 2**30 - 1),
    )
)
ADAM_CONSTANT_CORNERS = [
    oracle.Adam(c1, c2, LR, E, Dt)
    for c1, c2 in ((1, 1), (3277, 33), (2**15, 2**15))
    for LR, E in ((0, 1), (2**30 - 1, 1), (2**30 - 1, 2**29 - 1), (4294967, 687))
    for Dt in (0, 2**28 - 1)
]


@pytest.mark.parametrize("c", ADAM_CONSTANT_CORNERS, ids=str)
def test_adam_is_exact_at_the_ends_of_every_range(c: oracle.Adam) -> None:
    kept = [element for element in ADAM_CORNERS if isinstance(oracle.adam(*element, c), dict)]
    assert kept
    check_adam(kept, c)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (0, 2**45, "weight"),
        (0, -(2**45), "weight"),
        (1, 2**45, "first moment"),
        (1, -(2**45), "first moment"),
        (2, 2**60 + 1, "second moment"),
        (2, -1, "second moment"),
        (2, -(2**63), "second moment"),
        (3, 2**30, "gradient"),
        (3, -(2**30), "gradient"),
    ],
)
def test_adam_refuses_an_input_out_of_range(column: int, value: int, what: str) -> None:
    columns = [vector([0, 0, 0]) for _ in range(4)]
    columns[column][1] = value
    with pytest.raises(RangeError) as refusal:
        adam_trace(AdamState(*columns[:3]), columns[3], ADAM)
    error = refusal.value
    assert (error.what, error.tensor, error.index, error.value) == (what, "", 1, value)
    assert error.advice


def test_the_message_about_a_negative_second_moment_says_so() -> None:
    with pytest.raises(RangeError, match=r"second moment of .* is -7.* must not be negative"):
        adam_trace(AdamState(vector([0]), vector([0]), vector([-7])), vector([0]), ADAM)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_update_of_adam_may_reach_its_bound_less_one(sign: int) -> None:
    state, G = AdamState(vector([0]), vector([sign << 16]), vector([0])), vector([2 * sign])
    # M' = M, Mh = 2, V' = 0 and D = 1, so that U = 2*LR.
    largest = AdamConstants(c1=1, c2=1, LR=2**30 - 2**19 - 1, E=1, D=0)
    assert adam_trace(state, G, largest).U.tolist() == [sign * (2**31 - 2**20 - 2)]
    with pytest.raises(RangeError, match="lower lr") as refusal:
        adam_trace(state, G, replace(largest, LR=2**30 - 2**19))
    error = refusal.value
    assert (error.what, error.value, error.bound) == ("update", sign * (2**31 - 2**20), 2**31 - 2**20)


def test_the_rounded_first_moment_may_reach_its_bound_less_one() -> None:
    G = vector([2**30 - 1])  # so that M' = M for c1 = 1
    largest = AdamState(vector([0]), vector([2**45 - 2**14 - 1]), vector([2**60]))
    assert adam_trace(largest, G, replace(ADAM, c1=1)).Mh.tolist() == [2**30 - 1]
    with pytest.raises(RangeError, match="state is damaged") as refusal:
        adam_trace(replace(largest, M=vector([2**45 - 2**14])), G, replace(ADAM, c1=1))
    assert (refusal.value.what, refusal.value.value) == ("rounded first moment", 2**30)


BOTH_SIGNS = pytest.mark.parametrize("sign", [1, -1])


@BOTH_SIGNS
def test_a_weight_that_adam_moves_out_of_range_is_refused(sign: int) -> None:
    state = AdamState(vector([0, sign * (2**45 - 1)]), vector([0, 0]), vector([0, 0]))
    with pytest.raises(RangeError, match="weights must stay below 8192") as refusal:
        adam_step(state, vector([0, -sign << 20]), ADAM)
    assert (refusal.value.what, refusal.value.index) == ("weight", 1)


# Dead bands: what rounding to nearest must not leave standing. Float Adam on the same gradients is
# the measure.


DEFAULTS = AdamHyper(Fraction(1, 1000), Fraction(9, 10), Fraction(999, 1000), Fraction(1, 10**8))


def adam_in_floats(gradients: Sequence[float]) -> float:
    """How far float64 Adam with the default hyper-parameters moves a weight."""
    beta1, beta2 = 1 - 3277 / 2**15, 1 - 33 / 2**15
    weight = first = second = 0.0
    for t, grad in enumerate(gradients, start=1):
        first = beta1 * first + (1 - beta1) * grad
        second = beta2 * second + (1 - beta2) * grad * grad
        root = (second / (1 - beta2**t)) ** 0.5
        weight -= 1e-3 * first / (1 - beta1**t) / (root + 1e-8)
    return weight


def adam_in_integers(gradients: Sequence[float], k: int) -> tuple[float, AdamState]:
    sequence = AdamSequence(DEFAULTS, k)
    G, saturated = quantize_gradient(np.array(gradients, dtype=np.float32), k)
    assert not saturated
    state = AdamState(vector([0]), vector([0]), vector([0]))
    for t in range(1, len(gradients) + 1):
        state = adam_step(state, G[t - 1 : t], sequence.at(t))
    return int(state.W[0]) / 2**32, state


ONE_SMALL_GRADIENT = [22 * 2.0**-28] + [0.0] * 999


@pytest.mark.parametrize(("k", "moved"), [(0, -0.0001), (8, -0.00456)])
def test_one_small_gradient_moves_a_weight_no_further_than_float_adam(k: int, moved: float) -> None:
    weight, state = adam_in_integers(ONE_SMALL_GRADIENT, k)
    assert adam_in_floats(ONE_SMALL_GRADIENT) == pytest.approx(-0.00460, abs=0.000005)
    assert weight == pytest.approx(moved, abs=0.000005 if k else 0.00005)
    assert rounded(state.M).tolist() == [0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("k", [0, 4, 8])
def test_a_weight_stands_still_after_its_gradient_has_gone(k: int, sign: int) -> None:
    gradients = [sign * 1e-3] * 20 + [0.0] * 700
    _, state = adam_in_integers(gradients, k)
    assert rounded(state.M).tolist() == [0]
    later = adam_step(state, vector([0]), AdamSequence(DEFAULTS, k).at(len(gradients) + 1))
    assert later.W.tolist() == state.W.tolist()


@pytest.mark.parametrize(("k", "within"), [(0, 0.01), (8, 0.001)])
def test_noise_of_1e_4_moves_a_weight_as_float_adam_does(k: int, within: float) -> None:
    noise = np.random.default_rng(7).normal(0, 1e-4, 2000).astype(np.float32).tolist()
    wanted = adam_in_floats(noise)
    weight, _ = adam_in_integers(noise, k)
    assert abs(wanted) > 0.01
    assert weight == pytest.approx(wanted, rel=within)
