"""Lion against the oracle, at the ends of its ranges, and where its sign turns."""

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
    FIRST_MOMENTS,
    GRADIENTS,
    LION,
    LION_CONSTANTS,
    WEIGHTS,
    SgdElement,
    check_lion,
    vector,
)
from zk_autograd.core.constants import LionConstants, LionSequence
from zk_autograd.core.errors import RangeError
from zk_autograd.core.hyper import LionHyper
from zk_autograd.core.rules.lion import LionState, lion_step, lion_trace


# Each element alone as well, since one that fails hides what the others give.
@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, FIRST_MOMENTS, GRADIENTS), min_size=1, max_size=5), LION_CONSTANTS)
def test_lion_equals_the_oracle(elements: list[SgdElement], c: oracle.Lion) -> None:
    check_lion(elements, c)
    for element in elements:
        check_lion([element], c)


CORNERS = list(
    product(
        (1 - 2**45, -1, 0, 2**45 - 1),
        (1 - 2**45, -(2**45) + 2**15, -1, 0, 1, 2**45 - 2**15, 2**45 - 1),
        (1 - 2**30, -1, 0, 1, 2**30 - 1),
    )
)
CONSTANT_CORNERS = [
    oracle.Lion(c1, c2, LR, D)
    for c1, c2 in ((1, 1), (3277, 328), (2**15, 2**15))
    for LR in (0, 1, 2**30 - 1)
    for D in (0, 2**28 - 1)
]


@pytest.mark.parametrize("c", CONSTANT_CORNERS, ids=str)
def test_lion_is_exact_at_the_ends_of_every_range(c: oracle.Lion) -> None:
    kept = [element for element in CORNERS if isinstance(oracle.lion(*element, c), dict)]
    assert len(kept) > len(CORNERS) // 4
    check_lion(kept, c)


@settings(max_examples=150)
@given(st.integers(1, 2**15 - 1), st.integers(-(2**14), 2**14), st.integers(-1, 1))
def test_the_sign_turns_exactly_at_zero(c1: int, times: int, by: int) -> None:
    """M = -c1*2^15*n and G = (2^15 - c1)*n give C = 0; a unit of M more or less turns the sign."""
    M, G = -c1 * 2**15 * times + by, (2**15 - c1) * times
    result = lion_trace(LionState(vector([0]), vector([M])), vector([G]), replace(LION, c1=c1))
    assert result.C.tolist() == [(2**15 - c1) * by]
    assert result.S.tolist() == [by]
    assert result.W.tolist() == [-by * LION.LR]


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (0, 2**45, "weight"),
        (0, -(2**45), "weight"),
        (1, 2**45, "first moment"),
        (1, -(2**45), "first moment"),
        (2, 2**30, "gradient"),
        (2, -(2**30), "gradient"),
        (2, -(2**63), "gradient"),
    ],
)
def test_lion_refuses_an_input_out_of_range(column: int, value: int, what: str) -> None:
    columns = [vector([0, 0, 0]) for _ in range(3)]
    columns[column][1] = value
    with pytest.raises(RangeError) as refusal:
        lion_trace(LionState(*columns[:2]), columns[2], LION)
    error = refusal.value
    assert (error.what, error.tensor, error.index, error.value) == (what, "", 1, value)
    assert error.advice


@pytest.mark.parametrize("sign", [1, -1])
def test_a_weight_that_lion_moves_out_of_range_is_refused(sign: int) -> None:
    state = LionState(vector([0, sign * (2**45 - LION.LR)]), vector([0, 0]))
    assert lion_step(state, vector([0, 0]), LION).W.tolist() == state.W.tolist()
    with pytest.raises(RangeError, match="weights must stay below 8192") as refusal:
        lion_step(state, vector([0, -sign]), LION)
    assert (refusal.value.what, refusal.value.index, refusal.value.value) == ("weight", 1, sign * 2**45)


def test_with_a_beta2_of_a_half_or_less_a_moment_goes_to_0() -> None:
    c, still = LionConstants(c1=3277, c2=2**14 + 1, LR=1, D=0), vector([0, 0])
    state = LionState(still, vector([2**45 - 1, 1 - 2**45]))
    for _ in range(60):
        state = lion_step(state, still, c)
    assert state.M.tolist() == [0, 0]
    assert lion_step(state, still, c).W.tolist() == state.W.tolist()


# Dead bands: what rounding to nearest leaves standing. Lion of rational numbers on the same
# gradients is the measure.


def exact_lion(gradients: Sequence[int], c: LionConstants) -> tuple[int, Fraction]:
    """Where Lion without rounding moves a weight, in units of 2^-32, and its moment in units of
    M."""
    W, m = 0, Fraction(0)
    for g in gradients:
        mixed = m + Fraction(c.c1, 2**15) * (2**15 * g - m)
        W -= c.LR * ((mixed > 0) - (mixed < 0))
        m += Fraction(c.c2, 2**15) * (2**15 * g - m)
    return W, m


def integer_lion(gradients: Sequence[int], c: LionConstants) -> LionState:
    state = LionState(vector([0]), vector([0]))
    for g in gradients:
        state = lion_step(state, vector([g]), c)
    return state


ONE_SMALL_GRADIENT = [22] + [0] * 999


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beta2", ["0.9", "0.99", "0.999", "0.99998"])
def test_after_its_gradient_has_gone_a_weight_moves_on_as_lions_does(beta2: str, sign: int) -> None:
    """A moment gets smaller for ever, and its sign, which is all that moves the weight, stays."""
    hyper = LionHyper(Fraction(1, 10**4), Fraction(9, 10), Fraction(beta2))
    c = LionSequence(hyper, 0).at(1)
    gradients = [sign * g for g in ONE_SMALL_GRADIENT]
    state = integer_lion(gradients, c)
    assert state.W.tolist() == [exact_lion(gradients, c)[0]] == [-sign * 1000 * c.LR]
    assert sign * int(state.M[0]) > 0


@pytest.mark.parametrize(("c2", "M"), [(8, 2**11), (328, 2**20), (3277, 2**45 - 1), (2**14 - 1, 2**45 - 1)])
def test_a_moment_rests_below_half_a_unit_of_the_gradient(c2: int, M: int) -> None:
    c, still = LionConstants(c1=3277, c2=c2, LR=0, D=0), vector([0, 0])
    state = LionState(still, vector([M, -M]))
    for _ in range(1 if c2 == 8 else 35 * 2**15 // c2):
        state = lion_step(state, still, c)
    rest = state.M.tolist()
    assert all(0 < abs(value) <= 2**14 // c2 for value in rest)
    assert lion_step(state, still, c).M.tolist() == rest
    # A gradient of one unit against it has its way, although the moment stood still.
    for _ in range(400):
        state = lion_step(state, vector([-1, 1]), c)
    assert state.M[0] < 0 < state.M[1]


def test_noise_of_1e_4_moves_a_weight_as_lions_does() -> None:
    """The rounding of M keeps within 2^14/c2 units of it; C's sign can only differ within c1's
    share of that."""
    c = LionSequence(LionHyper(Fraction(1, 10**4), Fraction(9, 10), Fraction(99, 100)), 0).at(1)
    noise = np.rint(np.random.default_rng(7).normal(0, 1e-4, 400) * 2**28).astype(np.int64).tolist()
    wanted, m = exact_lion(noise, c)
    state = integer_lion(noise, c)
    assert wanted != 0
    assert state.W.tolist() == [wanted]
    assert abs(int(state.M[0]) - m) <= 2**14 / c.c2
