"""The rules by their names, and what holds for each of them."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from tests.core.rules.elements import (
    ADAM,
    FIRST_MOMENTS,
    GRADIENTS,
    LION,
    RMSPROP,
    SECOND_MOMENTS,
    SGD,
    SGD_RULES,
    WEIGHTS,
    AdamElement,
    near,
    vector,
)
from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import initial_state, state_names, step, trace
from zk_autograd.core.rules.adam import AdamState, adam_step, adam_trace
from zk_autograd.core.rules.arithmetic import rounded
from zk_autograd.core.rules.lion import LionState, lion_step, lion_trace
from zk_autograd.core.rules.rmsprop import RmspropState, rmsprop_step, rmsprop_trace
from zk_autograd.core.rules.sgd import SgdState, nesterov_step, nesterov_trace, sgd_step, sgd_trace


def test_a_weight_out_of_range_is_refused_even_if_the_step_would_bring_it_back() -> None:
    W, zero, G = vector([2**45]), vector([0]), vector([2**25])
    with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
        adam_trace(AdamState(W, zero, zero), G, ADAM)
    for sgd_like, _ in SGD_RULES:
        with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
            sgd_like(SgdState(W, zero), G, SGD)
    with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
        lion_trace(LionState(W, zero), G, LION)
    with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
        rmsprop_trace(RmspropState(W, zero), G, RMSPROP)


NO_OP_STATES = st.tuples(WEIGHTS, near(0, low=2**15 - 2**45, high=2**45 - 2**15), SECOND_MOMENTS, GRADIENTS)


@given(st.lists(NO_OP_STATES, min_size=1, max_size=10))
@example([(2**45 - 1, 2**45 - 2**15, 2**60, 2**30 - 1), (1 - 2**45, 2**15 - 2**45, 0, 1 - 2**30)])
def test_a_no_op_leaves_the_state_whatever_the_gradient(elements: list[AdamElement]) -> None:
    W, M, V, G = (vector(column) for column in zip(*elements, strict=True))
    after = adam_step(AdamState(W, M, V), G, AdamConstants.no_op())
    assert (after.W.tolist(), after.M.tolist(), after.V.tolist()) == (W.tolist(), M.tolist(), V.tolist())
    B = rounded(M)
    for function, s in product((sgd_step, nesterov_step), (15, 30)):
        moved = function(SgdState(W, B), G, SgdConstants.no_op(s))
        assert (moved.W.tolist(), moved.B.tolist()) == (W.tolist(), B.tolist())


@given(st.lists(st.tuples(WEIGHTS, FIRST_MOMENTS, SECOND_MOMENTS, GRADIENTS), min_size=1, max_size=10))
@example([(2**45 - 1, 2**45 - 1, 2**60, 2**30 - 1), (1 - 2**45, 1 - 2**45, 0, 1 - 2**30)])
def test_a_no_op_of_lion_and_of_rmsprop_leaves_every_state(elements: list[AdamElement]) -> None:
    W, M, V, G = (vector(column) for column in zip(*elements, strict=True))
    lion = lion_step(LionState(W, M), G, LionConstants.no_op())
    assert (lion.W.tolist(), lion.M.tolist()) == (W.tolist(), M.tolist())
    rmsprop = rmsprop_step(RmspropState(W, V), G, RmspropConstants.no_op())
    assert (rmsprop.W.tolist(), rmsprop.V.tolist()) == (W.tolist(), V.tolist())


CONSTANTS_OF: dict[Rule, StepConstants] = {
    Rule.SGD: SgdConstants(mu=0, cg=2**15, LR=1717986918, s=30, D=53687),
    Rule.SGD_MOMENTUM: replace(SGD, D=53687),
    Rule.NESTEROV: replace(SGD, D=53687),
    Rule.ADAM: ADAM,
    Rule.ADAMW: replace(ADAM, D=10737),
    Rule.LION: replace(LION, D=10737),
    Rule.RMSPROP: replace(RMSPROP, D=10737),
}


@pytest.mark.parametrize("rule", Rule)
def test_padding_is_a_fixed_point_of_every_rule(rule: Rule) -> None:
    zeros = initial_state(rule, np.zeros(3, dtype=np.int64))
    after = step(rule, zeros, np.zeros(3, dtype=np.int64), CONSTANTS_OF[rule])
    assert all(not values.any() for values in after.values())


@pytest.mark.parametrize("rule", Rule)
def test_a_first_step_by_name_is_that_of_the_rule(rule: Rule) -> None:
    W, G = vector([2**40, -(2**33), 7]), vector([-(2**20), 3, 2**29])
    state = initial_state(rule, W)
    assert tuple(state) == state_names(rule)
    after = step(rule, state, G, CONSTANTS_OF[rule])
    assert tuple(after) == state_names(rule)
    everything = trace(rule, state, G, CONSTANTS_OF[rule])
    c = CONSTANTS_OF[rule]
    for at in range(3):
        if isinstance(c, AdamConstants):
            wanted = oracle.adam(int(W[at]), 0, 0, int(G[at]), oracle.Adam(c.c1, c.c2, c.LR, c.E, c.D))
        elif isinstance(c, LionConstants):
            wanted = oracle.lion(int(W[at]), 0, int(G[at]), oracle.Lion(c.c1, c.c2, c.LR, c.D))
        elif isinstance(c, RmspropConstants):
            wanted = oracle.rmsprop(int(W[at]), 0, int(G[at]), oracle.Rmsprop(c.c2, c.LR, c.E, c.D))
        else:
            judge = oracle.nesterov if rule is Rule.NESTEROV else oracle.sgd
            wanted = judge(int(W[at]), 0, int(G[at]), oracle.Sgd(c.mu, c.cg, c.LR, c.s, c.D))
        assert isinstance(wanted, dict)
        assert {name: int(values[at]) for name, values in after.items()}.items() <= wanted.items()
        assert {name: int(values[at]) for name, values in asdict(everything).items()} == wanted


def test_a_step_is_the_end_of_its_trace() -> None:
    W, M, V, G = vector([2**40]), vector([2**20]), vector([2**50]), vector([2**21])
    adam = adam_trace(AdamState(W, M, V), G, ADAM)
    assert asdict(adam_step(AdamState(W, M, V), G, ADAM)) == {"W": adam.W, "M": adam.M, "V": adam.V}
    pairs = ((sgd_step, sgd_trace), (nesterov_step, nesterov_trace))
    heavy, ahead = (asdict(moved(SgdState(W, M), G, SGD)) for moved, _ in pairs)
    for after, (_, sgd_like) in zip((heavy, ahead), pairs, strict=True):
        wanted = sgd_like(SgdState(W, M), G, SGD)
        assert after == {"W": wanted.W, "B": wanted.B}
    assert heavy["W"] != ahead["W"]
    lion = lion_trace(LionState(W, M), G, LION)
    assert asdict(lion_step(LionState(W, M), G, LION)) == {"W": lion.W, "M": lion.M}
    rmsprop = rmsprop_trace(RmspropState(W, V), G, RMSPROP)
    assert asdict(rmsprop_step(RmspropState(W, V), G, RMSPROP)) == {"W": rmsprop.W, "V": rmsprop.V}


def test_momentum_is_carried_on_by_name() -> None:
    state = {"W": vector([0]), "B": vector([2**20])}
    heavy = step(Rule.SGD_MOMENTUM, state, vector([0]), SGD)
    ahead = step(Rule.NESTEROV, state, vector([0]), SGD)
    assert heavy["B"].tolist() == ahead["B"].tolist() == [round(2**20 * 29491 / 2**15)]
    assert heavy["W"] != ahead["W"] != 0


def test_the_states_of_the_rules_are_those_of_the_format() -> None:
    assert {rule.value: state_names(rule) for rule in Rule} == {
        "sgd": ("W",),
        "sgd-momentum": ("W", "B"),
        "sgd-nesterov": ("W", "B"),
        "adam": ("W", "M", "V"),
        "adamw": ("W", "M", "V"),
        "lion": ("W", "M"),
        "rmsprop": ("W", "V"),
    }


def test_a_step_leaves_its_arguments_alone_and_shares_nothing() -> None:
    W = vector([5, 6])
    state = initial_state(Rule.ADAM, W)
    after = step(Rule.ADAM, state, vector([2**20, 2**20]), ADAM)
    assert state["W"] is not W and W.tolist() == state["W"].tolist() == [5, 6]
    assert not state["M"].any() and not state["V"].any()
    assert after["M"].all() and after["V"].all()
    still = step(Rule.ADAM, after, vector([0, 0]), AdamConstants.no_op())
    assert all(not np.shares_memory(still[name], after[name]) for name in still)


def test_the_weights_of_the_first_state_are_checked() -> None:
    with pytest.raises(RangeError, match="weight"):
        initial_state(Rule.SGD, vector([0, 2**45]))
    with pytest.raises(UsageError, match="W is float32 of shape"):
        initial_state(Rule.SGD, np.zeros(2, dtype=np.float32))


@pytest.mark.parametrize("rule", Rule)
def test_a_step_refuses_what_does_not_fit_together(rule: Rule) -> None:
    W, G = vector([1, 2]), vector([3, 4])
    state = initial_state(rule, W)
    other = SGD if rule in (Rule.ADAM, Rule.ADAMW) else ADAM
    with pytest.raises(UsageError, match=f"a step of {rule.value} needs"):
        step(rule, state, G, other)
    with pytest.raises(UsageError, match=f"the state of {rule.value} is"):
        step(rule, {**state, "X": G}, G, CONSTANTS_OF[rule])
    with pytest.raises(UsageError, match=f"the state of {rule.value} is"):
        step(rule, {}, G, CONSTANTS_OF[rule])
    with pytest.raises(UsageError, match=r"G is int64 of shape \(1,\); it must be int64 of shape \(2,\)"):
        step(rule, state, G[:1], CONSTANTS_OF[rule])
    with pytest.raises(UsageError, match="G is int32"):
        step(rule, state, G.astype(np.int32), CONSTANTS_OF[rule])
    with pytest.raises(UsageError, match="is float64"):
        step(rule, {**state, "W": W.astype(np.dtype("float64"))}, G, CONSTANTS_OF[rule])
