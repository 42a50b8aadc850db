"""RMSprop against the oracle, at the ends of its ranges, and in the dead band of V."""

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
    GRADIENTS,
    RMSPROP,
    RMSPROP_CONSTANTS,
    SECOND_MOMENTS,
    WEIGHTS,
    SgdElement,
    check_rmsprop,
    vector,
)
from zk_autograd.core.constants import AdamConstants, RmspropConstants, RmspropSequence
from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import quantize_gradient
from zk_autograd.core.hyper import RmspropHyper
from zk_autograd.core.rules.adam import AdamState, adam_step
from zk_autograd.core.rules.rmsprop import RmspropState, rmsprop_step, rmsprop_trace


# Each element alone as well, since one that fails hides what the others give.
@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, SECOND_MOMENTS, GRADIENTS), min_size=1, max_size=5), RMSPROP_CONSTANTS)
def test_rmsprop_equals_the_oracle(elements: list[SgdElement], c: oracle.Rmsprop) -> None:
    check_rmsprop(elements, c)
    for element in elements:
        check_rmsprop([element], c)


CORNERS = list(
    product(
        (1 - 2**45, -1, 0, 2**45 - 1),
        (0, 1, 2**30, 2**60 - 1, 2**60),
        (1 - 2**30, -1, 0, 1, 2**30 - 1),
    )
)
CONSTANT_CORNERS = [
    oracle.Rmsprop(c2, LR, E, Dt)
    for c2 in (1, 328, 2**15)
    for LR, E in ((0, 1), (2**30 - 1, 1), (2**30 - 1, 2**29 - 1), (42949673, 687))
    for Dt in (0, 2**28 - 1)
]


@pytest.mark.parametrize("c", CONSTANT_CORNERS, ids=str)
def test_rmsprop_is_exact_at_the_ends_of_every_range(c: oracle.Rmsprop) -> None:
    kept = [element for element in CORNERS if isinstance(oracle.rmsprop(*element, c), dict)]
    assert kept
    check_rmsprop(kept, c)


@given(st.lists(st.tuples(WEIGHTS, SECOND_MOMENTS, GRADIENTS), min_size=1, max_size=5), RMSPROP_CONSTANTS)
def test_rmsprop_is_adam_with_a_beta1_of_0(elements: list[SgdElement], c: oracle.Rmsprop) -> None:
    """One exact rule: Adam's quotient of Mh, which is then G."""
    kept = [element for element in elements if isinstance(oracle.rmsprop(*element, c), dict)]
    if not kept:
        return
    W, V, G = (vector(column) for column in zip(*kept, strict=True))
    found = rmsprop_step(RmspropState(W, V), G, RmspropConstants(c.c2, c.LR, c.E, c.Dt))
    adam = adam_step(AdamState(W, np.zeros_like(W), V), G, AdamConstants(2**15, c.c2, c.LR, c.E, c.Dt))
    assert (found.W.tolist(), found.V.tolist()) == (adam.W.tolist(), adam.V.tolist())


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (0, 2**45, "weight"),
        (0, -(2**45), "weight"),
        (1, 2**60 + 1, "second moment"),
        (1, -1, "second moment"),
        (2, 2**30, "gradient"),
        (2, -(2**30), "gradient"),
    ],
)
def test_rmsprop_refuses_an_input_out_of_range(column: int, value: int, what: str) -> None:
    columns = [vector([0, 0, 0]) for _ in range(3)]
    columns[column][1] = value
    with pytest.raises(RangeError) as refusal:
        rmsprop_trace(RmspropState(*columns[:2]), columns[2], RMSPROP)
    error = refusal.value
    assert (error.what, error.tensor, error.index, error.value) == (what, "", 1, value)
    assert error.advice


@pytest.mark.parametrize("sign", [1, -1])
def test_an_update_of_rmsprop_may_reach_its_bound_less_one(sign: int) -> None:
    state, G = RmspropState(vector([0]), vector([0])), vector([2 * sign])
    largest = RmspropConstants(c2=1, LR=2**30 - 2**19 - 1, E=1, D=0)  # V' = 0 and D = 1: U = 2*LR
    assert rmsprop_trace(state, G, largest).U.tolist() == [sign * (2**31 - 2**20 - 2)]
    with pytest.raises(RangeError, match="lower lr") as refusal:
        rmsprop_trace(state, G, replace(largest, LR=2**30 - 2**19))
    error = refusal.value
    assert (error.what, error.value, error.bound) == ("update", sign * (2**31 - 2**20), 2**31 - 2**20)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_weight_that_rmsprop_moves_out_of_range_is_refused(sign: int) -> None:
    state = RmspropState(vector([0, sign * (2**45 - 1)]), vector([0, 0]))
    with pytest.raises(RangeError, match="weights must stay below 8192") as refusal:
        rmsprop_step(state, vector([0, -sign << 20]), RMSPROP)
    assert (refusal.value.what, refusal.value.index) == ("weight", 1)


# The dead band of V: a gradient with c2*G*G < 2^14 never moves it. Float RMSprop on the same
# gradients is the measure.


def hyper(alpha: str) -> RmspropHyper:
    return RmspropHyper(Fraction(1, 1000), Fraction(alpha), Fraction(1, 10**8))


def rmsprop_in_floats(gradients: Sequence[float], alpha: float, eps: float = 1e-8) -> float:
    """How far float64 RMSprop with lr 1e-3 moves a weight."""
    weight = square = 0.0
    for grad in gradients:
        square = alpha * square + (1 - alpha) * grad * grad
        weight -= 1e-3 * grad / (square**0.5 + eps)
    return weight


def rmsprop_in_integers(gradients: Sequence[float], alpha: str, k: int, E: int | None = None) -> float:
    constants = RmspropSequence(hyper(alpha), k).at(1)
    if E is not None:
        constants = replace(constants, E=E)
    G, saturated = quantize_gradient(np.array(gradients, dtype=np.float32), k)
    assert not saturated
    state = RmspropState(vector([0]), vector([0]))
    for t in range(len(gradients)):
        state = rmsprop_step(state, G[t : t + 1], constants)
    return int(state.W[0]) / 2**32


ALPHAS = pytest.mark.parametrize("alpha", ["0.9", "0.99", "0.999", "0.9999"])


@ALPHAS
@pytest.mark.parametrize("sign", [1, -1])
def test_a_gradient_that_never_moves_v_moves_a_weight_no_further_than_float_rmsprop(alpha: str, sign: int) -> None:
    c2 = RmspropSequence(hyper(alpha), 0).at(1).c2
    units = int(((2**14 - 1) / c2) ** 0.5)  # the largest that leaves V at 0
    assert c2 * units**2 < 2**14 <= c2 * (units + 1) ** 2
    gradients = [sign * units * 2.0**-28] * 200
    effective = 1 - c2 / 2**15
    wanted = rmsprop_in_floats(gradients, effective, eps=0.0)
    found = rmsprop_in_integers(gradients, alpha, 0)
    assert 0 < found / wanted < 0.75
    if units > 1:  # with an eps of one unit it would move several times as far
        assert rmsprop_in_integers(gradients, alpha, 0, E=1) / wanted > 1.2
    finer = rmsprop_in_integers(gradients, alpha, 12)
    assert finer == pytest.approx(rmsprop_in_floats(gradients, effective), rel=0.01)


@ALPHAS
@pytest.mark.parametrize("k", [0, 8])
def test_a_weight_stands_still_when_its_gradient_has_gone_and_v_rests(alpha: str, k: int) -> None:
    c = RmspropSequence(hyper(alpha), k).at(1)
    state = RmspropState(vector([0]), vector([2**14 // c.c2]))
    after = rmsprop_step(state, vector([0]), c)
    assert (after.W.tolist(), after.V.tolist()) == ([0], state.V.tolist())
    # A small gradient later is divided by no less than float's root.
    assert abs(int(rmsprop_step(after, vector([3]), c).W[0])) < 3 * c.LR


@pytest.mark.parametrize(("k", "within"), [(0, 0.01), (8, 0.001)])
@pytest.mark.parametrize("alpha", ["0.9", "0.99"])
def test_noise_of_1e_4_moves_a_weight_as_float_rmsprop_does(alpha: str, k: int, within: float) -> None:
    noise = np.random.default_rng(8).normal(0, 1e-4, 2000).astype(np.float32).tolist()
    wanted = rmsprop_in_floats(noise, 1 - RmspropSequence(hyper(alpha), k).at(1).c2 / 2**15)
    assert abs(wanted) > 0.01
    assert rmsprop_in_integers(noise, alpha, k) == pytest.approx(wanted, rel=within)
