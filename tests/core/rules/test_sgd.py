"""SGD, with momentum and Nesterov's, against the oracle, at the ends of their ranges, and in the
dead band."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from tests.core.rules.elements import (
    GRADIENTS,
    SGD,
    SGD_CONSTANTS,
    SGD_RULES,
    WEIGHTS,
    SgdElement,
    SgdLike,
    check_sgd,
    vector,
)
from zk_autograd.core.constants import SgdConstants, SgdSequence
from zk_autograd.core.errors import RangeError
from zk_autograd.core.hyper import SgdHyper
from zk_autograd.core.rules.sgd import SgdState, nesterov_trace, sgd_step, sgd_trace


# Each element alone as well, since one that fails hides what the others give.
@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, GRADIENTS, GRADIENTS), min_size=1, max_size=5), SGD_CONSTANTS)
def test_sgd_and_nesterov_equal_the_oracle(elements: list[SgdElement], c: oracle.Sgd) -> None:
    for sgd_like, judge in SGD_RULES:
        check_sgd(sgd_like, judge, elements, c)
        for element in elements:
            check_sgd(sgd_like, judge, [element], c)


SGD_ENDS = (1 - 2**30, -1, 0, 1, 2**29, 2**30 - 1)
SGD_CORNERS = list(product((1 - 2**45, -1, 0, 2**45 - 1), SGD_ENDS, SGD_ENDS))


@pytest.mark.parametrize(
    "c",
    [
        oracle.Sgd(mu, 2**15, LR, s, D)
        for mu in (0, 1, 29491, 2**15 - 1)
        for LR, s in ((0, 30), (2**30, 30), (2**31 - 1, 30), (1, 15), (2**15, 15))
        for D in (0, 2**28 - 1)
    ],
    ids=str,
)
def test_sgd_is_exact_at_the_ends_of_every_range(c: oracle.Sgd) -> None:
    for sgd_like, judge in SGD_RULES:
        kept = [element for element in SGD_CORNERS if isinstance(judge(*element, c), dict)]
        assert kept
        check_sgd(sgd_like, judge, kept, c)


ONE_TO_ONE = SgdConstants(mu=0, cg=2**15, LR=2**15, s=15, D=0)
"""U = G, for Nesterov too."""
EACH_SGD = pytest.mark.parametrize("sgd_like", [sgd_trace, nesterov_trace])
BOTH_SIGNS = pytest.mark.parametrize("sign", [1, -1])


@EACH_SGD
@BOTH_SIGNS
def test_an_update_of_sgd_may_reach_its_bound_less_one(sgd_like: SgdLike, sign: int) -> None:
    state, double = SgdState(vector([0]), vector([0])), replace(ONE_TO_ONE, LR=2**16)
    fits = sgd_like(state, vector([sign * (2**30 - 2**19 - 1)]), double)
    assert fits.U.tolist() == [sign * (2**31 - 2**20 - 2)]
    with pytest.raises(RangeError, match="lower lr") as refusal:
        sgd_like(state, vector([sign * (2**30 - 2**19)]), double)
    assert (refusal.value.what, refusal.value.value) == ("update", sign * (2**31 - 2**20))


@EACH_SGD
def test_momentum_may_reach_its_bound_less_one(sgd_like: SgdLike) -> None:
    state, G = SgdState(vector([0]), vector([2**14])), vector([2**30 - 1])
    still = SgdConstants(mu=1, cg=2**15, LR=0, s=15, D=0)  # mu*B rounds to 1
    assert sgd_like(replace(state, B=vector([2**14 - 1])), G, still).B.tolist() == [2**30 - 1]
    with pytest.raises(RangeError, match="lower momentum or grad_scale") as refusal:
        sgd_like(state, G, still)
    assert (refusal.value.what, refusal.value.value) == ("momentum", 2**30)


@EACH_SGD
@BOTH_SIGNS
def test_a_weight_may_reach_its_bound_less_one(sgd_like: SgdLike, sign: int) -> None:
    state = SgdState(vector([0, sign * (2**45 - 2)]), vector([0, 0]))
    assert sgd_like(state, vector([0, -sign]), ONE_TO_ONE).W.tolist() == [0, sign * (2**45 - 1)]
    with pytest.raises(RangeError, match="weights must stay below 8192") as refusal:
        sgd_like(state, vector([0, -2 * sign]), ONE_TO_ONE)
    error = refusal.value
    assert (error.what, error.index, error.value) == ("weight", 1, sign * 2**45)


@pytest.mark.parametrize(
    ("W", "B", "G", "what"),
    [
        (2**45, 0, 0, "weight"),
        (0, 2**30, 0, "momentum"),
        (0, -(2**30), 0, "momentum"),
        (0, 0, 2**30, "gradient"),
        (0, 0, -(2**30), "gradient"),
    ],
)
def test_sgd_refuses_an_input_out_of_range(W: int, B: int, G: int, what: str) -> None:
    for function in (sgd_trace, nesterov_trace):
        with pytest.raises(RangeError) as refusal:
            function(SgdState(vector([0, W]), vector([0, B])), vector([0, G]), replace(SGD, mu=0, LR=0))
        assert (refusal.value.what, refusal.value.tensor, refusal.value.index) == (what, "", 1)


@pytest.mark.parametrize("momentum", ["0.5", "0.9", "0.99"])
def test_what_is_left_of_sgds_momentum_is_within_its_dead_band(momentum: str) -> None:
    constants = SgdSequence(SgdHyper(Fraction(1, 10), Fraction(momentum)), 0, 30).at(1)
    bound = Fraction(1, 2) / (1 - Fraction(constants.mu, 2**15))
    for first in (10**6, -(10**6)):
        state = SgdState(vector([0]), vector([first]))
        for _ in range(3000):
            state = sgd_step(state, vector([0]), constants)
        assert abs(int(state.B[0])) <= bound
        assert int(sgd_step(state, vector([0]), constants).B[0]) == int(state.B[0])
