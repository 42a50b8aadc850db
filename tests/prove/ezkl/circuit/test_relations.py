"""The relations, in the field: what is honest passes at every extreme, and no other next state
does, whatever the hints.

The docs' table of proved ranges (docs/soundness-ezkl.md) is computed here once more.
"""

from collections.abc import Iterator, Sequence
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

from attacks.tools.segment import ONE, TWO_LIMBS, Segment, State, exact_step
from attacks.tools.variants import ADAMS, DECAYING, LIONS, ROOTED, SGDS, start, suited, under
from zk_autograd.core.constants import (
    AdamConstants,
    LionConstants,
    RmspropConstants,
    SgdConstants,
    StepConstants,
)
from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.formats import UPDATE_BOUND
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import step
from zk_autograd.prove.ezkl.backend import DIFFERENT_PROOFS
from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, rows_of
from zk_autograd.prove.ezkl.circuit.relations import (
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
from zk_autograd.prove.ezkl.circuit.tables import overview, rows_a_step, table
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS, variant_of
from zk_autograd.prove.ezkl.witness import table_output, tensors, violations

SOUNDNESS = Path(__file__).parents[4] / "docs" / "soundness-ezkl.md"

# ---- honest segments -----------------------------------------------------------------------------

WEIGHT, GRADIENT, MOMENT, SECOND = 2**45 - 1, 2**30 - 1, 2**45 - 1, 2**60


def edges(*values: int) -> st.SearchStrategy[int]:
    return st.sampled_from(values)


def around(bound: int) -> st.SearchStrategy[int]:
    """Integers of absolute value `bound` at most, its ends and small ones often."""
    return st.one_of(edges(-bound, bound, 0, 1, -1), st.integers(-bound, bound), st.integers(-(2**16), 2**16))


decays = st.one_of(edges(0, 1, 2**28 - 1), st.integers(0, 2**28 - 1), st.integers(0, 2**20))
adam_constants = st.builds(
    AdamConstants,
    c1=st.one_of(edges(1, ONE, 3277), st.integers(1, ONE)),
    c2=st.one_of(edges(1, ONE, 33), st.integers(1, ONE)),
    LR=st.one_of(edges(0, 1, 2**30 - 1), st.integers(0, 2**30 - 1), st.integers(0, 2**22)),
    E=st.one_of(edges(1, 2**29 - 1), st.integers(1, 2**29 - 1)),
    D=decays,
)
sgd_constants = st.builds(
    SgdConstants,
    mu=st.one_of(edges(0, ONE - 1), st.integers(0, ONE - 1)),
    cg=st.just(ONE),
    LR=st.one_of(edges(0, 1, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**16)),
    s=edges(15, 30),
    D=decays,
)
state_values = {
    "W": around(WEIGHT),
    "M": around(MOMENT),
    "V": st.one_of(edges(0, 1, SECOND), st.integers(0, SECOND)),
    "B": around(GRADIENT),
}


@st.composite
def honest_segments(draw: st.DrawFn, rule: str) -> Segment:
    """1 to 3 steps on one or two elements, one of them or a fourth a no-op now and then; every
    value in its format."""
    drawn: StepConstants = draw(sgd_constants) if rule in SGDS else draw(adam_constants)
    one = under(rule, drawn, drawn.D)
    no_op = SgdConstants.no_op(one.s) if isinstance(one, SgdConstants) else suited(rule, AdamConstants.no_op())
    constants: list[StepConstants] = [one] * draw(st.integers(1, 3))
    if draw(st.booleans()):
        constants.insert(draw(st.integers(0, len(constants))), no_op)
    block = draw(st.integers(1, 2))
    states = CIRCUITS[rule].relations.states
    first = [draw(st.fixed_dictionaries({name: state_values[name] for name in states})) for _ in range(block)]
    gradients = [[draw(around(GRADIENT)) for _ in range(block)] for _ in constants]
    segment = Segment.honest(rule, constants, first, gradients)
    assume(in_format(segment))
    return segment


def in_format(segment: Segment) -> bool:
    """Whether the rule of core makes these steps without a range error; they are then the same."""
    state = {name: np.array(rows[0], np.int64) for name, rows in segment.states.items()}
    for time, (constants, row) in enumerate(zip(segment.constants, segment.gradients, strict=True), 1):
        try:
            state = step(CIRCUITS[segment.rule].rule, state, np.array(row, np.int64), constants)
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


def adam_extremes(rule: str) -> Iterator[Segment]:
    rate = 2**30 - 1
    states = [
        {"W": w, "M": m, "V": v}
        for w, m, v in product((WEIGHT - 2**31, -WEIGHT + 2**31, 0), (MOMENT, -MOMENT, 0), (0, 1, SECOND))
    ]
    for c1, c2, LR, E, D in product((1, ONE), (1, ONE), (0, rate), (1, 2**29 - 1), extreme_decays(rule)):
        for gradient in (GRADIENT, -GRADIENT, 0):
            yield Segment.honest(rule, [AdamConstants(c1, c2, LR, E, D)] * 2, states, [[gradient] * len(states)] * 2)
    # The largest update in either direction: U = 2*Mh, since S = 0 and LR = 2*E; M is a little
    # larger than 2^15*Mh, and decays to it.
    one = AdamConstants(1, 1, 2**30 - 2, 2**29 - 1, 0)
    for sign in (1, -1):
        rounded = (UPDATE_BOUND - 2) // 2
        state = {"W": 0, "M": sign * (rounded * ONE * ONE // (ONE - 1)), "V": 0}
        yield Segment.honest(rule, [one], [state], [[0]])


def rmsprop_extremes(rule: str) -> Iterator[Segment]:
    rate, weights = 2**30 - 1, (WEIGHT - 2**31, -WEIGHT + 2**31, 0)
    states = [{"W": w, "V": v} for w, v in product(weights, (0, 1, SECOND))]
    for c2, LR, E, D in product((1, ONE), (0, 1, rate), (1, 2**29 - 1), extreme_decays(rule)):
        for gradient in (GRADIENT, -GRADIENT, 1, 0):
            yield Segment.honest(rule, [RmspropConstants(c2, LR, E, D)] * 2, states, [[gradient] * len(states)] * 2)
    # The largest update in either direction: c2*G*G is not enough to move V from 0, so S = 0, D = E
    # and U is the rounded LR*127/63.
    one = RmspropConstants(1, (UPDATE_BOUND - 2) * 63 // 127, 63, 0)
    for sign in (1, -1):
        yield Segment.honest(rule, [one], [{"W": 0, "V": 0}], [[sign * 127]])


def lion_extremes(rule: str) -> Iterator[Segment]:
    rate, weights = 2**30 - 1, (WEIGHT - 2**31, -WEIGHT + 2**31, 0)
    states = [{"W": w, "M": m} for w, m in product(weights, (MOMENT, -MOMENT, 1, -1, 0))]
    for c1, c2, LR, D in product((1, ONE), (1, ONE), (0, 1, rate), extreme_decays(rule)):
        for gradient in (GRADIENT, -GRADIENT, 1, 0):
            yield Segment.honest(rule, [LionConstants(c1, c2, LR, D)] * 2, states, [[gradient] * len(states)] * 2)


def sgd_extremes(rule: str) -> Iterator[Segment]:
    buffers: tuple[int, ...] = (GRADIENT, -GRADIENT, 0, 1)
    names = CIRCUITS[rule].relations.states
    weights = (WEIGHT - 2**31, -WEIGHT + 2**31, 0)
    states = [
        dict(zip(names, values, strict=False)) for values in product(weights, buffers[: 4 * len(names) - 4] or (0,))
    ]
    for mu, LR, s, D in product((0, ONE - 1), (0, 1, 2**31 - 1), (15, 30), extreme_decays(rule)):
        for gradient in (GRADIENT, -GRADIENT, 0):
            yield Segment.honest(rule, [SgdConstants(mu, ONE, LR, s, D)] * 2, states, [[gradient] * len(states)] * 2)
    # The largest update in either direction, for each s: U = 2*A.
    for sign, s in product((1, -1), (15, 30)):
        one = SgdConstants(0, ONE, min(2 ** (s + 1), 2**31 - 1), s, 0)
        zeros = dict.fromkeys(names, 0)
        yield Segment.honest(rule, [one], [zeros], [[sign * (UPDATE_BOUND - 2) // 2]])


def extreme_decays(rule: str) -> tuple[int, ...]:
    return (0, 2**28 - 1) if rule in DECAYING else (0,)


def elements_in_format(segment: Segment) -> list[Segment]:
    """The segment's elements, each alone, that stay in the formats."""
    found = []
    for i in range(segment.block):
        states = {name: tuple((row[i],) for row in rows) for name, rows in segment.states.items()}
        one = replace(segment, states=states, gradients=tuple((row[i],) for row in segment.gradients))
        if in_format(one):
            found.append(one)
    return found


EXTREMES = {**dict.fromkeys(ADAMS, adam_extremes), "rmsprop": rmsprop_extremes, "lion": lion_extremes}


@RULES
def test_every_extreme_of_the_formats_fits(rule: str) -> None:
    checked, updates = 0, set()
    for segment in EXTREMES.get(rule, sgd_extremes)(rule):
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
    assert checked >= {Rule.ADAM: 700, Rule.ADAMW: 1400, Rule.SGD: 80}.get(CIRCUITS[rule].rule, 180)
    largest = 2**30 if rule in LIONS else UPDATE_BOUND  # a Lion step is LR, or less
    assert max(updates) > largest - 2**4
    assert min(updates) < -largest + 2**4


# ---- nothing else passes -------------------------------------------------------------------------

NUDGES: tuple[int | Fraction, ...] = (1, -1, Fraction(1, 2), Fraction(1, RADIX), Fraction(1, ONE), ONE, -ONE, RADIX)


def nudged(value: int) -> list[int]:
    """Field elements near a value, or near it in the field's own sense."""
    found = [(value + n.numerator * inverse(Fraction(n).denominator)) % MODULUS for n in map(Fraction, NUDGES)]
    found += [-value % MODULUS, value * inverse(2) % MODULUS, value * inverse(ONE) % MODULUS]
    return [v for v in found if v != value % MODULUS]


def best_hints(segment: Segment) -> list[Segment]:
    """The claim with hints solved for in each way: low limbs or high ones give way, and each root
    or quotient near the claimed state's."""
    names = {n for line in CIRCUITS[segment.rule].relations.lines if isinstance(line, Lookup) for n in line.names}
    return [segment.sparing(*(n for n in names if digit in n)) for digit in "01"]


@RULES
@pytest.mark.parametrize(("steps", "time"), [(1, 1), (3, 1), (3, 2), (3, 3)])
def test_no_neighbour_of_the_exact_next_state_passes(rule: str, steps: int, time: int) -> None:
    constants: list[StepConstants] = [
        AdamConstants(3277, 33, 2**22, 700, 0),
        AdamConstants(ONE, ONE, 2**29, 2**29 - 1, 0),
        suited(rule, AdamConstants.no_op()),
    ]
    if rule in SGDS:
        constants = [
            SgdConstants(29491, ONE, 2**28, 30, 0),
            SgdConstants(0, ONE, 2**20, 15, 0),
            SgdConstants.no_op(30),
        ]
    constants[:2] = [under(rule, constants[0]), under(rule, constants[1], 2**28 - 1)]
    for one in constants:
        honest = Segment.honest(rule, [one] * steps, [start(rule)], [[4001 + t] for t in range(steps)])
        assert honest.refusals() == []
        for name, rows in honest.states.items():
            for value in nudged(rows[time][0]):
                changed = honest.with_state(name, time, 0, value)
                for claim in (*best_hints(changed), *consistent(changed, name, time)):
                    assert claim.refusals(), (name, one, claim)


def consistent(segment: Segment, name: str, time: int) -> list[Segment]:
    """The claim with the weights and all later steps following from the changed state, where that
    is an integer."""
    value = segment.states[name][time][0]
    if not -(2**62) < value < 2**62 or (name == "V" and value < 0):
        return []
    return best_hints(segment.continued(time) if name == "W" else segment.moved(time - 1))


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
    one = AdamConstants(3277, 33, 2**22, 700, 0)
    honest = Segment.honest("adam", [one], [start("adam")], [[RADIX * 7 - OFFSET_G % RADIX]])
    circuit = CIRCUITS["adam"]
    layout = Layout(circuit.relations, 1, 1)
    values = honest.tensors()
    values["aux"][layout.aux["G1"][0]] -= 1
    assert violations(layout, values) == []


# ---- the table -----------------------------------------------------------------------------------


def test_the_exponent_gives_every_entry_its_output() -> None:
    entries = np.arange(TABLE_MAX + 1, dtype=np.float64)
    outputs = np.floor(entries ** lookup_exponent() + 0.5)
    assert outputs.astype(int).tolist() == [table_output(v) for v in range(TABLE_MAX + 1)]
    # Halfway is far enough that no platform's pow rounds across it.
    assert abs((2**15) ** lookup_exponent() - 1.5) > 1e-8
    assert abs((2**15 + 1) ** lookup_exponent() - 1.5) > 1e-8


def test_no_two_penalties_cancel() -> None:
    for circuit in CIRCUITS.values():
        values = circuit.relations.global_coefficients
        lookups = [line for line in circuit.relations.lines if isinstance(line, Lookup)]
        exact = lookups[0].exact
        assert lookups[1].exact == ()
        (last,) = (line for line in circuit.relations.lines if isinstance(line, Dot) and line.name == circuit.last)
        penalties = {variable: values[c] for c, variable in last.terms if variable.startswith("y:")}
        assert list(penalties) == [f"y:{name}" for name in exact]
        (constant,) = (values[c] for c, variable in last.terms if variable == "one")
        for outputs in product((0, 1, 2), repeat=len(exact)):
            total = constant + sum(p * y for p, y in zip(penalties.values(), outputs, strict=True))
            assert (abs(total) < BIG // 2) == (outputs == (1,) * len(exact))


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


# ---- what the statement fixes --------------------------------------------------------------------


@RULES
def test_a_circuit_without_weight_decay_is_not_used_for_a_step_with_it(rule: str) -> None:
    one = suited(rule, AdamConstants(3277, 33, 2**22, 700, 1))
    if rule in SGDS:
        one = SgdConstants(29491, ONE, 2**28, 30, 1)
    if rule in DECAYING:
        assert CIRCUITS[rule].coefficients([one])["decay"] == [1]
        return
    with pytest.raises(VerificationError, match="decay"):
        CIRCUITS[rule].coefficients([one])


PROVED = {circuit.rule for circuit in CIRCUITS.values()}


def test_a_run_takes_the_cheapest_circuit_that_has_lines_for_its_decay() -> None:
    without = {rule: variant_of(rule, decays=False) for rule in PROVED}
    assert {rule: CIRCUITS[name].rule for rule, name in without.items()} == {rule: rule for rule in PROVED}
    assert without[Rule.SGD] == "sgd"
    assert without[Rule.ADAMW] == "adamw"
    for rule in PROVED - {Rule.ADAM}:
        assert CIRCUITS[variant_of(rule, decays=True)].decays
        assert CIRCUITS[variant_of(rule, decays=True)].rule is rule


# ---- proved ranges -------------------------------------------------------------------------------

Interval = tuple[int, int]


def proved(rule: str) -> dict[str, Interval]:
    """The interval of integers that each variable of a rule is shown to lie in, by the lookups and
    the equations alone."""
    two, three = (0, TWO_LIMBS), (0, TABLE_MAX * (1 + RADIX + RADIX**2))
    signed = (-OFFSET_G, two[1] - OFFSET_G)
    update = (-OFFSET_U, two[1] - OFFSET_U)
    weight = (-OFFSET_W, three[1] - OFFSET_W)
    found = {"G": signed, "U": update}
    if rule in ADAMS:
        found |= {"Mh": signed, "M'": (ONE * signed[0] - HALF + 1, ONE * signed[1] - HALF + ONE)}
    if rule in ROOTED:
        root = (0, two[1])  # (t + e) / 2 of two values of two limbs
        found |= {
            "S": root,
            "V'": (0, root[1] ** 2 + 2 * root[1]),
            "a, b": two,
        }
    if rule in SGDS:
        found |= {"r0, r1": (1, ONE)}
    if rule in LIONS:
        four = (0, TABLE_MAX * (1 + RADIX + RADIX**2 + RADIX**3))
        mixed = (ONE * ONE * signed[0] + ONE * weight[0], ONE * ONE * signed[1] + ONE * weight[1])
        del found["U"]
        found |= {"M'": weight, "C": mixed, "sg": (-1, 1), "K": four}
    if "momentum" in rule or "nesterov" in rule:
        found["B'"] = signed
    if "nesterov" in rule:
        found["N"] = two
    if rule in ("adamw", "rmsprop", "lion") or rule.endswith("-decay"):
        # 2^15*Rd = D*(wq - 2^30) + 16385 - rd, and D is below 2^28.
        ends = [(2**28 - 1) * end + HALF - rd for end in signed for rd in (1, ONE)]
        found |= {
            "wq": two,
            "W": (ONE * signed[0], ONE * signed[1] + ONE - 1),
            "Rd": (-(-min(ends) // ONE), max(ends) // ONE),
            "W' at the end": weight,
        }
    else:
        found["W, W' at the ends"] = weight
    return found


@RULES
def test_the_ranges_of_the_parts_and_of_the_docs_are_those_that_follow(rule: str) -> None:
    shown = {row.variable: (row.values.low, row.values.high) for row in CIRCUITS[rule].shown}
    assert shown == proved(rule)
    section = SOUNDNESS.read_text().split(f"\n### {rule}\n")[1].split("\n#")[0]
    assert table(CIRCUITS[rule]) in section


def test_the_overview_of_the_docs_is_that_of_the_circuits() -> None:
    assert overview() in SOUNDNESS.read_text()
    assert rows_a_step(CIRCUITS["sgd"]) == 10.5
    assert rows_a_step(CIRCUITS["adamw"]) - rows_a_step(CIRCUITS["adam"]) == 7.5
    assert rows_a_step(CIRCUITS["rmsprop"]) == 31
    assert rows_a_step(CIRCUITS["lion"]) == 27


def test_a_step_coefficient_is_within_the_bounds_that_its_part_names() -> None:
    rates = {True: (0, 2**30 - 1), False: (0, 2**31 - 1)}
    for rule, circuit in CIRCUITS.items():
        widest: dict[str, list[int]] = {name: [] for name in circuit.relations.step_coefficients}
        for LR, D in product(rates[rule not in SGDS], extreme_decays(rule)):
            adams = product((1, ONE), (1, 2**29 - 1)) if rule not in SGDS else ()
            steps: list[StepConstants] = [
                *(suited(rule, AdamConstants(c, c, LR, E, D)) for c, E in adams),
                *(SgdConstants(mu, ONE, LR, s, D) for mu, s in product((0, ONE - 1), (15, 30)) if rule in SGDS),
                *([SgdConstants.no_op(s) for s in (15, 30)] if rule in SGDS else [suited(rule, AdamConstants.no_op())]),
            ]
            for one in steps:
                for name, (value,) in circuit.coefficients([one]).items():
                    widest[name].append(value)
        for name, values in widest.items():
            assert circuit.bounds[name].low <= min(values), name
            assert max(values) <= circuit.bounds[name].high, name


def times(a: Interval, b: Interval) -> Interval:
    products = [x * y for x in a for y in b]
    return min(products), max(products)


def plus(*intervals: Interval) -> Interval:
    return sum(low for low, _ in intervals), sum(high for _, high in intervals)


@RULES
def test_no_line_wraps_in_the_field(rule: str) -> None:
    # In a circuit of one step every state is itself; between steps the lines are the same numbers
    # with the offsets taken along.
    relations, ranges = CIRCUITS[rule].relations, proved(rule)
    limb = (0, TABLE_MAX)
    known: dict[str, Interval] = {name: limb for name in (*relations.hints, *relations.state_hints)}
    known |= {name: (value, value) for name, value in relations.global_coefficients.items()}
    known |= {name: (bounds.low, bounds.high) for name, bounds in CIRCUITS[rule].bounds.items()}
    known |= {name: values for name, values in ranges.items() if "," not in name}
    for state in relations.states:
        known[state] = known[f"{state}'"] = ranges.get(f"{state}'", known.get(state, (0, 0)))
    known["W"] = known["W'"] = (-OFFSET_W, TABLE_MAX * (1 + RADIX + RADIX**2) - OFFSET_W)
    known["s1"] = (0, 2 * TABLE_MAX)
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
        assert max(map(abs, value)) < (2**106 if penalised else 2**82), line.name
    assert lines >= 7
    assert MODULUS // 2**140 > 2**106
    # What is not a penalty is less than one, so that nothing can pay for a penalty.
    for line in relations.lines:
        if isinstance(line, Dot) and any(c == "penalty 1" for c, _ in line.terms):
            rest = plus(
                *(times(known[c], known[v]) for c, v in line.terms if "penalty" not in c and "constant" not in c),
                (0, 0),
            )
            assert max(map(abs, rest)) + TABLE_MAX + 1 < BIG


def exact_again(rule: str, constants: StepConstants, state: State, gradient: int) -> list[State]:
    """Every integer next state that the inequalities of docs/soundness-ezkl.md allow near the exact
    one, by trying."""
    exact = exact_step(rule, state, gradient, constants)
    found = []
    near = range(-3, 4)

    def decays() -> Iterator[int]:
        """Every Rd near W*D / 2^30 for every floor of W / 2^15."""
        if rule not in DECAYING:
            yield 0
            return
        for floor in (state["W"] // ONE + more for more in near):
            if 1 <= state["W"] - ONE * floor + 1 <= ONE:
                first = constants.D * floor // ONE
                yield from (r for r in (first + n for n in near) if 1 <= constants.D * floor - ONE * r + HALF <= ONE)

    if isinstance(constants, AdamConstants | RmspropConstants):
        c = constants
        for dm, dv, dw, decay in product(near if "M" in state else (0,), near, near, decays()):
            second, weight, numerator = exact["V"] + dv, exact["W"] + dw, gradient
            after = {"W": weight, "V": second}
            if isinstance(c, AdamConstants):
                moment = after["M"] = exact["M"] + dm
                if not 1 <= c.c1 * ONE * gradient + (ONE - c.c1) * state["M"] - ONE * moment + HALF <= ONE:
                    continue
                numerator = (moment + ONE // 2) // ONE
            other = c.c2 * gradient**2 + (ONE - c.c2) * state["V"] - ONE * second + HALF
            if not (1 <= other <= ONE and second >= 0):
                continue
            divisor = isqrt(second) + c.E
            update = state["W"] - weight - decay
            remainder = 2 * c.LR * numerator + divisor - 2 * divisor * update
            if 0 <= remainder <= 2 * divisor - 1:
                found.append(after)
        return found
    if isinstance(constants, LionConstants):
        mixed = constants.c1 * ONE * gradient + (ONE - constants.c1) * state["M"]
        for dm, dw, sign in product(near, near, (-1, 0, 1)):
            moment, weight = exact["M"] + dm, exact["W"] + dw
            first = constants.c2 * ONE * gradient + (ONE - constants.c2) * state["M"] - ONE * moment + HALF
            fits = mixed >= 1 if sign == 1 else mixed <= -1 if sign == -1 else mixed == 0
            if fits and 1 <= first <= ONE and state["W"] - weight - constants.LR * sign in decays():
                found.append({"W": weight, "M": moment})
        return found
    assert isinstance(constants, SgdConstants)
    for db, dn, dw, decay in product(
        near if "B" in state else (0,), near if "nesterov" in rule else (0,), near, decays()
    ):
        weight, moved_by = exact["W"] + dw, gradient
        after = {"W": weight}
        if "B" in state:
            moved_by = after["B"] = exact["B"] + db
            if not 1 <= constants.mu * state["B"] + constants.cg * gradient - ONE * moved_by + HALF <= ONE:
                continue
        if "nesterov" in rule:
            ahead = constants.mu * moved_by // ONE + dn
            if not 1 <= constants.mu * moved_by - ONE * ahead + HALF <= ONE:
                continue
            moved_by = ahead + gradient
        update = state["W"] - weight - decay
        remainder = constants.LR * moved_by + 2 ** (constants.s - 1) - 2**constants.s * update
        if 0 <= remainder < 2**constants.s:
            found.append(after)
    return found


@RULES
def test_the_inequalities_have_one_solution(rule: str) -> None:
    @few
    @given(honest_segments(rule))
    def check(segment: Segment) -> None:
        state = {name: rows[0][0] for name, rows in segment.states.items()}
        after = {name: rows[1][0] for name, rows in segment.states.items()}
        assert exact_again(rule, segment.constants[0], state, segment.gradients[0][0]) == [after]

    check()


# ---- salts ---------------------------------------------------------------------------------------


def test_a_column_has_more_salts_than_anybody_learns_values_of_it() -> None:
    proofs = 2  # a state's column is the end of one segment and the beginning of the next
    learnt = 1 + proofs * DIFFERENT_PROOFS  # the commitment, and one opening in each proof
    assert learnt < SALTS


def test_salts_hide_as_many_openings_as_they_are() -> None:
    # An opening at x is sum of value_i * L_i(x), L_i(x) = omega^i * (x^n - 1) / (n * (x -
    # omega^i)): over the salts' rows a Cauchy matrix, so that openings at SALTS different points
    # can be any values at all, whatever else is in the column. A small n shows the same.
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
