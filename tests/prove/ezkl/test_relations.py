"""The relations, in the field: what is honest passes at every extreme, and no other next state does, whatever the hints.

The docs' table of proved ranges (docs/soundness-ezkl.md) is computed here once more.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attacks.segment import ONE, TWO_LIMBS, Segment, State, exact_step
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.formats import UPDATE_BOUND
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import step
from zk_autograd.prove.ezkl.backend import ATTEMPTS
from zk_autograd.prove.ezkl.field import MODULUS, inverse
from zk_autograd.prove.ezkl.layout import Layout
from zk_autograd.prove.ezkl.plan import DotRows, rows_of
from zk_autograd.prove.ezkl.relations import (
    BIG,
    HALF,
    OFFSET_G,
    OFFSET_U,
    OFFSET_W,
    RADIX,
    SALTS,
    TABLE_MAX,
    Dot,
    Lookup,
    Operation,
    Pair,
    Where,
    lookup_exponent,
)
from zk_autograd.prove.ezkl.rules import CIRCUITS
from zk_autograd.prove.ezkl.witness import table_output, tensors, violations

SOUNDNESS = Path(__file__).parents[3] / "docs" / "soundness-ezkl.md"

# ---- honest segments -----------------------------------------------------------------------------------------------

WEIGHT, GRADIENT, MOMENT, SECOND = 2**45 - 1, 2**30 - 1, 2**45 - 1, 2**60


def edges(*values: int) -> st.SearchStrategy[int]:
    return st.sampled_from(values)


def around(bound: int) -> st.SearchStrategy[int]:
    """Integers of absolute value `bound` at most, its ends and small ones often."""
    return st.one_of(edges(-bound, bound, 0, 1, -1), st.integers(-bound, bound), st.integers(-(2**16), 2**16))


adam_constants = st.builds(
    AdamConstants,
    c1=st.one_of(edges(1, ONE, 3277), st.integers(1, ONE)),
    c2=st.one_of(edges(1, ONE, 33), st.integers(1, ONE)),
    LR=st.one_of(edges(0, 1, 2**30 - 1), st.integers(0, 2**30 - 1), st.integers(0, 2**22)),
    E=st.one_of(edges(1, 2**29 - 1), st.integers(1, 2**29 - 1)),
    D=st.just(0),
)
sgd_constants = st.builds(
    SgdConstants,
    mu=st.one_of(edges(0, ONE - 1), st.integers(0, ONE - 1)),
    cg=st.just(ONE),
    LR=st.one_of(edges(0, 1, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**16)),
    s=edges(15, 30),
    D=st.just(0),
)
adam_states = st.fixed_dictionaries(
    {"W": around(WEIGHT), "M": around(MOMENT), "V": st.one_of(edges(0, 1, SECOND), st.integers(0, SECOND))}
)
sgd_states = st.fixed_dictionaries({"W": around(WEIGHT), "B": around(GRADIENT)})


@st.composite
def honest_segments(draw: st.DrawFn, rule: str) -> Segment:
    """1 to 3 steps on one or two elements, the last steps no-ops now and then; every value in its format."""
    one: StepConstants = draw(adam_constants) if rule == "adam" else draw(sgd_constants)
    no_op: StepConstants = AdamConstants.no_op() if isinstance(one, AdamConstants) else SgdConstants.no_op(one.s)
    real, padding, block = draw(st.integers(1, 3)), draw(st.integers(0, 1)), draw(st.integers(1, 2))
    constants: list[StepConstants] = [one] * real + [no_op] * padding
    start = [draw(adam_states if rule == "adam" else sgd_states) for _ in range(block)]
    gradients = [[draw(around(GRADIENT)) for _ in range(block)] for _ in constants]
    segment = Segment.honest(rule, constants, start, gradients)
    assume(in_format(segment))
    return segment


def in_format(segment: Segment) -> bool:
    """Whether the rule of core makes these steps without a range error; they are then the same."""
    state = {name: np.array(rows[0], np.int64) for name, rows in segment.states.items()}
    for time, (constants, row) in enumerate(zip(segment.constants, segment.gradients, strict=True), 1):
        try:
            state = step(Rule(segment.rule), state, np.array(row, np.int64), constants)
        except RangeError:
            return False
        assert {name: values.tolist() for name, values in state.items()} == {
            name: list(rows[time]) for name, rows in segment.states.items()
        }
    return True


def as_proved(segment: Segment) -> list[Any]:
    """What the backend finds wrong with the segment: its own hints, on int64."""
    circuit = CIRCUITS[segment.rule]
    layout = Layout(circuit.relations, segment.block, segment.steps)
    states = {name: np.array(rows, np.int64) for name, rows in segment.states.items()}
    salts: dict[str, Sequence[int]] = {name: [7] * SALTS for name in layout.lengths}
    values = tensors(layout, circuit, states, np.array(segment.gradients, np.int64), segment.constants, [1, 2], salts)
    return violations(layout, values)


RULES = pytest.mark.parametrize("rule", sorted(CIRCUITS))
few = settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


@RULES
def test_honest_segments_pass(rule: str) -> None:
    @few
    @given(honest_segments(rule))
    def check(segment: Segment) -> None:
        assert as_proved(segment) == []
        assert segment.refusals() == []

    check()


def adam_extremes() -> list[Segment]:
    rate = 2**30 - 1
    states = [
        {"W": w, "M": m, "V": v}
        for w, m, v in product((WEIGHT - 2**31, -WEIGHT + 2**31, 0), (MOMENT, -MOMENT, 0), (0, 1, SECOND))
    ]
    constants = [
        AdamConstants(c1, c2, LR, E, 0) for c1, c2, LR, E in product((1, ONE), (1, ONE), (0, rate), (1, 2**29 - 1))
    ]
    chosen = [
        Segment.honest("adam", [c] * 2, states, [[g] * len(states)] * 2)
        for c, g in product(constants, (GRADIENT, -GRADIENT, 0))
    ]
    # The largest update in either direction: U = 2*Mh, since S = 0 and LR = 2*E; M is a little larger than 2^15*Mh, and decays to it.
    one = AdamConstants(1, 1, 2**30 - 2, 2**29 - 1, 0)
    for sign in (1, -1):
        rounded = (UPDATE_BOUND - 2) // 2
        state = {"W": 0, "M": sign * (rounded * ONE * ONE // (ONE - 1)), "V": 0}
        chosen.append(Segment.honest("adam", [one], [state], [[0]]))
    return chosen


def sgd_extremes() -> list[Segment]:
    states = [{"W": w, "B": b} for w, b in product((WEIGHT - 2**31, -WEIGHT + 2**31, 0), (GRADIENT, -GRADIENT, 0, 1))]
    constants = [SgdConstants(mu, ONE, LR, s, 0) for mu, LR, s in product((0, ONE - 1), (0, 1, 2**31 - 1), (15, 30))]
    chosen = [
        Segment.honest("sgd-momentum", [c] * 2, states, [[g] * len(states)] * 2)
        for c, g in product(constants, (GRADIENT, -GRADIENT, 0))
    ]
    # The largest update in either direction, for each s: U = 2*B'.
    for sign, s in product((1, -1), (15, 30)):
        one = SgdConstants(0, ONE, min(2 ** (s + 1), 2**31 - 1), s, 0)
        chosen.append(Segment.honest("sgd-momentum", [one], [{"W": 0, "B": 0}], [[sign * (UPDATE_BOUND - 2) // 2]]))
    return chosen


def elements_in_format(segment: Segment) -> list[Segment]:
    """The segment's elements, each alone, that stay in the formats."""
    found = []
    for i in range(segment.block):
        states = {name: tuple((row[i],) for row in rows) for name, rows in segment.states.items()}
        one = replace(segment, states=states, gradients=tuple((row[i],) for row in segment.gradients))
        if in_format(one):
            found.append(one)
    return found


@pytest.mark.parametrize(("extremes", "least"), [(adam_extremes, 700), (sgd_extremes, 180)])
def test_every_extreme_of_the_formats_fits(extremes: Any, least: int) -> None:
    checked, updates = 0, set()
    for segment in extremes():
        kept = elements_in_format(segment)
        if not kept:
            continue
        rows = {name: [one.states[name] for one in kept] for name in segment.states}
        joined = replace(
            segment,
            states={
                name: tuple(zip(*[[r[0] for r in one] for one in each], strict=True)) for name, each in rows.items()
            },
            gradients=tuple(zip(*[[r[0] for r in one.gradients] for one in kept], strict=True)),
        )
        assert as_proved(joined) == []
        checked += len(kept)
        updates |= {a - b for one in kept for (a,), (b,) in zip(one.states["W"], one.states["W"][1:], strict=False)}
    assert checked >= least
    assert max(updates) > UPDATE_BOUND - 2**4
    assert min(updates) < -UPDATE_BOUND + 2**4


# ---- nothing else passes -------------------------------------------------------------------------------------------

NUDGES: tuple[int | Fraction, ...] = (1, -1, Fraction(1, 2), Fraction(1, RADIX), Fraction(1, ONE), ONE, -ONE, RADIX)


def nudged(value: int) -> list[int]:
    """Field elements near a value, or near it in the field's own sense."""
    found = [(value + n.numerator * inverse(Fraction(n).denominator)) % MODULUS for n in map(Fraction, NUDGES)]
    found += [-value % MODULUS, value * inverse(2) % MODULUS, value * inverse(ONE) % MODULUS]
    return [v for v in found if v != value % MODULUS]


def best_hints(segment: Segment) -> list[Segment]:
    """The claim with hints solved for in each way: low limbs or high ones give way, and each root or quotient near the claimed state's."""
    names = {n for line in CIRCUITS[segment.rule].relations.lines if isinstance(line, Lookup) for n in line.names}
    return [segment.sparing(*(n for n in names if digit in n)) for digit in "01"]


@RULES
@pytest.mark.parametrize(("steps", "time"), [(1, 1), (3, 1), (3, 2), (3, 3)])
def test_no_neighbour_of_the_exact_next_state_passes(rule: str, steps: int, time: int) -> None:
    constants: list[StepConstants]
    if rule == "adam":
        constants = [
            AdamConstants(3277, 33, 2**22, 700, 0),
            AdamConstants(ONE, ONE, 2**29, 2**29 - 1, 0),
            AdamConstants.no_op(),
        ]
        start = {"W": 12345, "M": 987654321, "V": 10**6}
    else:
        constants = [SgdConstants(29491, ONE, 2**28, 30, 0), SgdConstants(0, ONE, 2**20, 15, 0), SgdConstants.no_op(30)]
        start = {"W": 12345, "B": 54321}
    for one in constants:
        honest = Segment.honest(rule, [one] * steps, [start], [[4001 + t] for t in range(steps)])
        assert honest.refusals() == []
        for name, rows in honest.states.items():
            for value in nudged(rows[time][0]):
                changed = honest.with_state(name, time, 0, value)
                for claim in (*best_hints(changed), *consistent(changed, name, time)):
                    assert claim.refusals(), (name, one, claim)


def consistent(segment: Segment, name: str, time: int) -> list[Segment]:
    """The claim with the weights and all later steps following from the changed state, where that is an integer."""
    value = segment.states[name][time][0]
    if not -(2**62) < value < 2**62 or (name == "V" and value < 0):
        return []
    if name != "W":
        moved = segment.states["W"][time - 1][0] - segment.quotient(time - 1, 0)
        segment = segment.with_state("W", time, 0, moved)
    return best_hints(segment.continued(time))


@RULES
def test_no_neighbour_of_a_random_next_state_passes(rule: str) -> None:
    @few
    @given(honest_segments(rule), st.data())
    def check(segment: Segment, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(segment.states)))
        time, i = data.draw(st.integers(1, segment.steps)), data.draw(st.integers(0, segment.block - 1))
        value = data.draw(st.sampled_from(nudged(segment.states[name][time][i])))
        for claim in best_hints(segment.with_state(name, time, i, value)):
            assert claim.refusals()

    check()


def test_other_hints_for_the_same_states_may_pass() -> None:
    # A limb of 0 may be written as R with a carry: hints aren't unique, states are.
    start = {"W": 12345, "M": 987654321, "V": 10**6}
    one = AdamConstants(3277, 33, 2**22, 700, 0)
    honest = Segment.honest("adam", [one], [start], [[RADIX * 7 - OFFSET_G % RADIX]])
    circuit = CIRCUITS["adam"]
    layout = Layout(circuit.relations, 1, 1)
    values = honest.tensors()
    values["aux"][layout.aux["G1"][0]] -= 1
    assert violations(layout, values) == []


# ---- the table -----------------------------------------------------------------------------------------------------


def test_the_exponent_gives_every_entry_its_output() -> None:
    entries = np.arange(TABLE_MAX + 1, dtype=np.float64)
    outputs = np.floor(entries ** lookup_exponent() + 0.5)
    assert outputs.astype(int).tolist() == [table_output(v) for v in range(TABLE_MAX + 1)]
    # Halfway is far enough that no platform's pow rounds across it.
    assert abs((2**15) ** lookup_exponent() - 1.5) > 1e-8
    assert abs((2**15 + 1) ** lookup_exponent() - 1.5) > 1e-8


def test_no_two_penalties_cancel() -> None:
    for outputs in product((0, 1, 2), repeat=3):
        total = sum(weight * (1 - y) for weight, y in zip((1, 2, 4), outputs, strict=True))
        assert (total == 0) == (outputs == (1, 1, 1))
    for circuit in CIRCUITS.values():
        values = circuit.relations.global_coefficients
        assert [values[f"penalty {w}"] for w in (1, 2, 4)] == [-BIG, -2 * BIG, -4 * BIG]
        lookups = [line for line in circuit.relations.lines if isinstance(line, Lookup)]
        assert [len(line.exact) for line in lookups] == [3, 0]


def test_every_looked_up_variable_has_a_row_for_each_place() -> None:
    for circuit in CIRCUITS.values():
        for block, steps in ((2, 1), (3, 2), (2, 4)):
            seen: dict[str, int] = {}
            for rows in rows_of(Layout(circuit.relations, block, steps)):
                for label in () if isinstance(rows, DotRows) or not hasattr(rows, "labels") else rows.labels:
                    seen[label] = seen.get(label, 0) + 1
            names = [n for line in circuit.relations.lines if isinstance(line, Lookup) for n in line.names]
            ends = set(circuit.relations.state_hints) | {"w0_in", "w0_out"}
            assert seen == {"one": 1} | {n: block if n in ends else block * steps for n in names}


# ---- what the statement fixes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "constants",
    [AdamConstants(3277, 33, 2**22, 700, 1), SgdConstants(29491, ONE, 2**28, 30, 1)],
    ids=["adam", "sgd-momentum"],
)
def test_a_circuit_without_weight_decay_is_not_used_for_a_step_with_it(constants: StepConstants) -> None:
    rule = "adam" if isinstance(constants, AdamConstants) else "sgd-momentum"
    with pytest.raises(VerificationError, match="decay"):
        CIRCUITS[rule].coefficients([constants])


# ---- proved ranges -------------------------------------------------------------------------------------------------

Interval = tuple[int, int]


def proved() -> dict[str, dict[str, Interval]]:
    """The interval of integers that each variable of each rule is shown to lie in, by the lookups and the equations alone."""
    two, three = (0, TWO_LIMBS), (0, TABLE_MAX * (1 + RADIX + RADIX**2))
    signed = (-OFFSET_G, two[1] - OFFSET_G)
    shifted = (ONE * signed[0] - HALF + 1, ONE * signed[1] - HALF + ONE)
    root = (0, two[1])  # (t + e) / 2 of two values of two limbs
    weight = (-OFFSET_W, three[1] - OFFSET_W)
    update = (-OFFSET_U, two[1] - OFFSET_U)
    adam = {
        "G": signed,
        "Mh": signed,
        "M'": shifted,
        "S": root,
        "V'": (0, root[1] ** 2 + 2 * root[1]),
        "U": update,
        "W, W' at the ends": weight,
        "a, b": two,
    }
    momentum = {"G": signed, "B'": signed, "U": update, "W, W' at the ends": weight, "r0, r1": (1, ONE)}
    return {"adam": adam, "sgd-momentum": momentum}


def test_the_ranges_of_the_docs_are_those_that_follow() -> None:
    text = SOUNDNESS.read_text()
    for rule, ranges in proved().items():
        section = text.split(f"## {rule}:")[1].split("\n## ")[0]
        for name, (low, high) in ranges.items():
            assert f"| `{name}` | {low:,} | {high:,} |" in section, f"{rule}: | `{name}` | {low:,} | {high:,} |"


COEFFICIENTS: dict[str, dict[str, Interval]] = {
    "adam": {
        "c1 shifted": (0, ONE * ONE),
        "1-c1": (0, ONE),
        "r1 constant": (HALF, HALF),
        "M' scale": (1, 1),
        "rm constant": (HALF, HALF),
        "c2": (0, ONE),
        "1-c2": (0, ONE),
        "2 LR": (0, 2 * (2**30 - 1)),
        "E": (1, 2**29 - 1),
        "offset u": (OFFSET_U, OFFSET_U),
    },
    "sgd-momentum": {
        "mu": (0, ONE),
        "cg": (0, ONE),
        "rm constant": (HALF, HALF),
        "B' scale": (1, 1),
        "B constant": (OFFSET_G, OFFSET_G),
        "LR": (0, 2**31 - 1),
        "-2^s": (-(2**30), -(2**15)),
        "-carry": (-ONE, 0),
        "r0 constant": (0, 2**30 * OFFSET_U + 2**30),
        "offset u": (OFFSET_U, OFFSET_U),
    },
}


def times(a: Interval, b: Interval) -> Interval:
    products = [x * y for x in a for y in b]
    return min(products), max(products)


def plus(*intervals: Interval) -> Interval:
    return sum(low for low, _ in intervals), sum(high for _, high in intervals)


@RULES
def test_no_line_wraps_in_the_field(rule: str) -> None:
    # In a circuit of one step every state is itself; between steps the lines are the same numbers with the offsets taken along.
    relations, ranges = CIRCUITS[rule].relations, proved()[rule]
    limb = (0, TABLE_MAX)
    known: dict[str, Interval] = {name: limb for name in (*relations.hints, *relations.state_hints)}
    known |= {name: (value, value) for name, value in relations.global_coefficients.items()} | COEFFICIENTS[rule]
    known |= {"G": ranges["G"], "W": ranges["W, W' at the ends"], "W'": ranges["W, W' at the ends"]}
    if rule == "adam":
        moments, seconds = ranges["M'"], ranges["V'"]
        known |= {
            "Mh": ranges["Mh"],
            "M": moments,
            "M'": moments,
            "V": seconds,
            "V'": seconds,
            "s1": (0, 2 * TABLE_MAX),
        }
    else:
        known |= {"B": ranges["B'"], "B'": ranges["B'"]}
    lines = 0
    for line in relations.lines:
        if isinstance(line, Lookup):
            known |= {f"y:{name}": (0, 2) for name in line.exact}
            continue
        if line.where is Where.INNER:
            continue
        if isinstance(line, Dot):
            value = plus(*(times(known[c], known[v]) for c, v in line.terms))
        else:
            assert isinstance(line, Pair)
            left, right = known[line.left], known[line.right]
            negative = (-right[1], -right[0])
            value = {
                Operation.PRODUCT: times(left, right),
                Operation.SUM: plus(left, right),
                Operation.DIFFERENCE: plus(left, negative),
            }[line.operation]
        known[line.name] = value
        lines += 1
        penalised = isinstance(line, Dot) and any("penalty" in c for c, _ in line.terms)
        assert max(map(abs, value)) < (2**103 if penalised else 2**82), line.name
    assert lines >= 9
    assert MODULUS // 2**150 > 2**103
    # What is not a penalty is less than one, so that nothing can pay for a penalty.
    for line in relations.lines:
        if isinstance(line, Dot) and any(c == "penalty 1" for c, _ in line.terms):
            rest = plus(
                *(times(known[c], known[v]) for c, v in line.terms if "penalty" not in c and "constant" not in c),
                (0, 0),
            )
            assert max(map(abs, rest)) + TABLE_MAX + 1 < BIG


def exact_again(constants: StepConstants, state: State, gradient: int) -> list[State]:
    """Every integer next state that the inequalities of docs/soundness-ezkl.md allow near the exact one, by trying."""
    exact = exact_step(state, gradient, constants)
    found = []
    near = range(-3, 4)
    if isinstance(constants, AdamConstants):
        c = constants
        for dm, dv, dw in product(near, repeat=3):
            moment, second, weight = exact["M"] + dm, exact["V"] + dv, exact["W"] + dw
            first = c.c1 * ONE * gradient + (ONE - c.c1) * state["M"] - ONE * moment + HALF
            other = c.c2 * gradient**2 + (ONE - c.c2) * state["V"] - ONE * second + HALF
            if not (1 <= first <= ONE and 1 <= other <= ONE and second >= 0):
                continue
            divisor = isqrt(second) + c.E
            remainder = 2 * c.LR * ((moment + ONE // 2) // ONE) + divisor - 2 * divisor * (state["W"] - weight)
            if 0 <= remainder <= 2 * divisor - 1:
                found.append({"W": weight, "M": moment, "V": second})
        return found
    for db, dw in product(near, repeat=2):
        buffer, weight = exact["B"] + db, exact["W"] + dw
        first = constants.mu * state["B"] + constants.cg * gradient - ONE * buffer + HALF
        remainder = constants.LR * buffer + 2 ** (constants.s - 1) - 2**constants.s * (state["W"] - weight)
        if 1 <= first <= ONE and 0 <= remainder < 2**constants.s:
            found.append({"W": weight, "B": buffer})
    return found


@RULES
def test_the_inequalities_have_one_solution(rule: str) -> None:
    @few
    @given(honest_segments(rule))
    def check(segment: Segment) -> None:
        state = {name: rows[0][0] for name, rows in segment.states.items()}
        after = {name: rows[1][0] for name, rows in segment.states.items()}
        assert exact_again(segment.constants[0], state, segment.gradients[0][0]) == [after]

    check()


# ---- salts ---------------------------------------------------------------------------------------------------------


def test_a_column_has_more_salts_than_anybody_learns_values_of_it() -> None:
    proofs = 2  # a state's column is the end of one segment and the beginning of the next
    learnt = 1 + proofs * ATTEMPTS  # the commitment, and one opening in each proof
    assert learnt < SALTS


def test_salts_hide_as_many_openings_as_they_are() -> None:
    # An opening at x is sum of value_i * L_i(x), L_i(x) = omega^i * (x^n - 1) / (n * (x - omega^i)): over the salts' rows a Cauchy matrix,
    # so that openings at SALTS different points can be any values at all, whatever else is in the column. A small n shows the same.
    rows, known = 32, 20
    omega = pow(7, (MODULUS - 1) // rows, MODULUS)
    points = [pow(5, k, MODULUS) for k in range(3, 3 + SALTS)]

    def lagrange(i: int, x: int) -> int:
        root = pow(omega, i, MODULUS)
        return root * (pow(x, rows, MODULUS) - 1) * inverse(rows * (x - root)) % MODULUS

    assert rank([[lagrange(known + j, x) for j in range(SALTS)] for x in points]) == SALTS


def rank(matrix: Sequence[Sequence[int]]) -> int:
    rows, found = [list(row) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        unit = inverse(rows[found][column])
        for r in range(found + 1, len(rows)):
            factor = rows[r][column] * unit % MODULUS
            rows[r] = [(a - factor * b) % MODULUS for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found
