from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import product
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from zk_autograd.core import constants as widths
from zk_autograd.core import formats
from zk_autograd.core.constants import AdamConstants, AdamSequence, SgdConstants, SgdSequence, StepConstants
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.formats import IntArray, quantize_gradient
from zk_autograd.core.hyper import AdamHyper, Rule, SgdHyper
from zk_autograd.core.rules import (
    AdamState,
    AdamTrace,
    SgdState,
    SgdTrace,
    adam_step,
    adam_trace,
    initial_state,
    nesterov_step,
    nesterov_trace,
    sgd_step,
    sgd_trace,
    state_names,
    step,
    trace,
)
from zk_autograd.core.rules.arithmetic import isqrt, rounded, settled_root

ADAM = AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0)
SGD = SgdConstants(mu=29491, cg=2**15, LR=1717986918, s=30, D=0)


def vector(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def near(*centres: int, low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of `low`..`high`, of every size, often at an end or next to a centre."""
    edges = {edge + by for edge in (low, high, *centres) for by in (-1, 0, 1)}
    sizes = st.integers(0, high.bit_length()).flatmap(lambda bits: st.integers(max(low, -(2**bits)), 2**bits))
    chosen = st.one_of(st.sampled_from(sorted(edges)), st.integers(low, high), sizes)
    return chosen.filter(lambda value: low <= value <= high)


WEIGHTS = near(0, 2**15, low=1 - 2**45, high=2**45 - 1)
FIRST_MOMENTS = near(0, 2**14, low=1 - 2**45, high=2**45 - 1)
SECOND_MOMENTS = near(2**30, 2**58, low=0, high=2**60)
GRADIENTS = near(0, low=1 - 2**30, high=2**30 - 1)
DECAYS = near(0, low=0, high=2**28 - 1)
ADAM_CONSTANTS = st.builds(
    oracle.Adam,
    c1=near(3277, low=1, high=2**15),
    c2=near(33, low=1, high=2**15),
    LR=near(2**22, low=0, high=2**30 - 1),
    E=near(687, low=1, high=2**29 - 1),
    Dt=DECAYS,
)
SGD_CONSTANTS = st.builds(
    oracle.Sgd,
    mu=near(29491, low=0, high=2**15 - 1),
    cg=st.just(2**15),
    LR=near(2**30, low=0, high=2**31 - 1),
    s=st.sampled_from([15, 30]),
    D=DECAYS,
)

AdamElement = tuple[int, int, int, int]
SgdElement = tuple[int, int, int]
Element = TypeVar("Element", AdamElement, SgdElement)
SgdLike = Callable[[SgdState, IntArray, SgdConstants], SgdTrace]
SgdOracle = Callable[[int, int, int, oracle.Sgd], "dict[str, int] | oracle.Violation"]
SGD_RULES: tuple[tuple[SgdLike, SgdOracle], ...] = ((sgd_trace, oracle.sgd), (nesterov_trace, oracle.nesterov))


def assert_equals_oracle(
    run: Callable[[list[IntArray]], AdamTrace | SgdTrace],
    judge: Callable[[Element], "dict[str, int] | oracle.Violation"],
    elements: Sequence[Element],
) -> None:
    """`run` on the elements' columns gives what `judge` says of each, or the first failing check's error."""
    verdicts = [judge(element) for element in elements]
    columns = [vector(column) for column in zip(*elements, strict=True)]
    failed = [(v.order, at) for at, v in enumerate(verdicts) if isinstance(v, oracle.Violation)]
    if failed:
        _, index = min(failed)
        violation = verdicts[index]
        assert isinstance(violation, oracle.Violation)
        with pytest.raises(RangeError) as refusal:
            run(columns)
        error = refusal.value
        assert (error.what, error.tensor, error.index, error.value) == (
            violation.what,
            "",
            index,
            violation.value,
        )
        return
    found = asdict(run(columns))
    for name, values in found.items():
        assert values.dtype == np.int64
        assert values.tolist() == [verdict[name] for verdict in verdicts if isinstance(verdict, dict)], name


def check_adam(elements: Sequence[AdamElement], c: oracle.Adam) -> None:
    constants = AdamConstants(c.c1, c.c2, c.LR, c.E, c.Dt)
    assert_equals_oracle(
        lambda columns: adam_trace(AdamState(*columns[:3]), columns[3], constants),
        lambda element: oracle.adam(*element, c),
        elements,
    )


def check_sgd(sgd_like: SgdLike, judge: SgdOracle, elements: Sequence[SgdElement], c: oracle.Sgd) -> None:
    constants = SgdConstants(c.mu, c.cg, c.LR, c.s, c.D)
    assert_equals_oracle(
        lambda columns: sgd_like(SgdState(*columns[:2]), columns[2], constants),
        lambda element: judge(*element, c),
        elements,
    )


# Each element alone as well, since one that fails hides what the others give.
@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, FIRST_MOMENTS, SECOND_MOMENTS, GRADIENTS), min_size=1, max_size=5), ADAM_CONSTANTS)
def test_adam_equals_the_oracle(elements: list[AdamElement], c: oracle.Adam) -> None:
    check_adam(elements, c)
    for element in elements:
        check_adam([element], c)


@settings(max_examples=150)
@given(st.lists(st.tuples(WEIGHTS, GRADIENTS, GRADIENTS), min_size=1, max_size=5), SGD_CONSTANTS)
def test_sgd_and_nesterov_equal_the_oracle(elements: list[SgdElement], c: oracle.Sgd) -> None:
    for sgd_like, judge in SGD_RULES:
        check_sgd(sgd_like, judge, elements, c)
        for element in elements:
            check_sgd(sgd_like, judge, [element], c)


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


def largest_values() -> list[tuple[str, int, int]]:
    """Each product and sum in the order of the code, its largest absolute value, and how many bits that has."""
    W, G = formats.WEIGHT_BOUND - 1, formats.GRADIENT_BOUND - 1
    M, Mh, B = formats.FIRST_MOMENT_BOUND - 1, formats.ROUNDED_MOMENT_BOUND - 1, formats.MOMENTUM_BOUND - 1
    V, U = formats.SECOND_MOMENT_MAX, formats.UPDATE_BOUND - 1
    c, half = widths.COEFFICIENT_ONE, 2**14
    LR, E, D = widths.ADAM_LR_BOUND - 1, widths.EPS_BOUND - 1, widths.DECAY_BOUND - 1
    sgd_LR, s = widths.SGD_LR_BOUND - 1, widths.FINE_S
    X, S = max(G * G, V), oracle.root(V)
    W_high = W // 2**15 + 1
    R = (D * W_high + half) // 2**15
    A = B + G + 1  # mu*B' / 2^15 is below B' in size
    return [
        ("2^15*G", G * 2**15, 45),
        ("2^15*G - M", G * 2**15 + M, 46),
        ("c1*(2^15*G - M) + 2^14", c * (G * 2**15 + M) + half, 61),
        ("M + floor(c1*(2^15*G - M) ...)", M + G * 2**15 + M + 1, 47),
        ("M' + 2^14", M + half, 46),
        ("G*G - V", X, 61),
        ("c2*Xh", c * (X // 2**15 + 1), 61),
        ("c2*Xl + 2^14", c * (2**15 - 1) + half, 30),
        ("V + c2*Xh + ...", V + c * (X // 2**15 + 1) + 2**15, 62),
        ("(S + 2)^2 of the root's correction", (S + 2) ** 2, 61),
        ("S + E", S + E, 31),
        ("2*LR*Mh + D", 2 * LR * Mh + S + E, 61),
        ("2*D", 2 * (S + E), 32),
        ("D*floor(W / 2^15) + 2^14", D * W_high + half, 58),
        ("R", R, 43),
        ("W - U - R", W + U + R, 46),
        ("mu*B + cg*G + 2^14", c * B + c * G + half, 46),
        ("LR*B' + 2^(s-1)", sgd_LR * B + 2 ** (s - 1), 61),
        ("LR*A + 2^(s-1) of Nesterov", sgd_LR * A + 2 ** (s - 1), 62),
    ]


@pytest.mark.parametrize(("expression", "largest", "bits"), largest_values())
def test_every_product_and_sum_fits_int64(expression: str, largest: int, bits: int) -> None:
    assert largest.bit_length() == bits, expression
    assert largest < 2**63


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
@example([2**14, 2**14 - 1, -(2**14), -(2**14) - 1, 3 * 2**14, -3 * 2**14])
def test_rounding_is_to_nearest_and_halves_up(values: list[int]) -> None:
    assert rounded(vector(values)).tolist() == [oracle.half_up(Fraction(v, 2**15)) for v in values]


ROOTS = st.one_of(st.integers(0, 2**30), st.integers(2**30 - 2**12, 2**30), st.integers(0, 2**12))


@given(st.lists(st.tuples(ROOTS, st.integers(-2, 2)), min_size=1, max_size=40))
@example([(2**30, 0), (2**30, -1), (0, 0), (1, 0), (2**30 - 1, -1), (2**30 - 1, 0), (94906266, -1)])
def test_square_roots_next_to_squares_are_exact(drawn: list[tuple[int, int]]) -> None:
    values = [min(max(r * r + by, 0), 2**60) for r, by in drawn]
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


@given(st.lists(st.integers(0, 2**60), max_size=40))
def test_square_roots_are_exact(values: list[int]) -> None:
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


def test_square_roots_are_exact_around_every_power_of_two() -> None:
    values = [
        (2**bits + by) ** 2 + rest for bits in range(1, 30) for by in (-1, 0, 1) for rest in (-1, 0, 1, 2 ** (bits + 1))
    ]
    assert isqrt(vector(values)).tolist() == [oracle.root(value) for value in values]


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_an_estimate_off_by_one_is_settled(by: int) -> None:
    values = vector([1, 2, 3, 4, 8, 9, 2**60, 2**60 - 1, 2**59])
    exact = vector([oracle.root(int(value)) for value in values])
    assert settled_root(values, exact + by).tolist() == exact.tolist()


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


def test_a_weight_out_of_range_is_refused_even_if_the_step_would_bring_it_back() -> None:
    W, zero, G = vector([2**45]), vector([0]), vector([2**25])
    with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
        adam_trace(AdamState(W, zero, zero), G, ADAM)
    for sgd_like, _ in SGD_RULES:
        with pytest.raises(RangeError, match=f"weight of .* is {2**45},"):
            sgd_like(SgdState(W, zero), G, SGD)


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


@BOTH_SIGNS
def test_a_weight_that_adam_moves_out_of_range_is_refused(sign: int) -> None:
    state = AdamState(vector([0, sign * (2**45 - 1)]), vector([0, 0]), vector([0, 0]))
    with pytest.raises(RangeError, match="weights must stay below 8192") as refusal:
        adam_step(state, vector([0, -sign << 20]), ADAM)
    assert (refusal.value.what, refusal.value.index) == ("weight", 1)


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


CONSTANTS_OF: dict[Rule, StepConstants] = {
    Rule.SGD: SgdConstants(mu=0, cg=2**15, LR=1717986918, s=30, D=53687),
    Rule.SGD_MOMENTUM: replace(SGD, D=53687),
    Rule.NESTEROV: replace(SGD, D=53687),
    Rule.ADAM: ADAM,
    Rule.ADAMW: replace(ADAM, D=10737),
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


# Dead bands: what rounding to nearest must not leave standing. Float Adam on the same gradients is the measure.


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
