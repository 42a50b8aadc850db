"""The relations in Rust, a third statement of them in Python, and core's rules agree."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.prove.native.air_check import P, Segment, columns, fault, rows_of_step
from tests.prove.native.examples import REAL_STEPS, shape_of, statement_of, told, witness_of
from zk_autograd import _native
from zk_autograd.core.constants import (
    AdamConstants,
    LionConstants,
    RmspropConstants,
    SgdConstants,
    StepConstants,
    numbers,
)
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names, step
from zk_autograd.prove.native.shape import shifts

TRACES = [json.loads(line) for line in (Path(__file__).parent / "traces.jsonl").read_text().splitlines()]
ROWS_CHECKED = 40


def constants_of(rule: Rule, s: int, step: dict[str, int]) -> StepConstants:
    if rule in (Rule.ADAM, Rule.ADAMW):
        return AdamConstants(step["c1"], step["c2"], step["LR"], step["E"], step["D"])
    if rule is Rule.LION:
        return LionConstants(step["c1"], step["c2"], step["LR"], step["D"])
    if rule is Rule.RMSPROP:
        return RmspropConstants(step["c2"], step["LR"], step["E"], step["D"])
    return SgdConstants(step["mu"], step["cg"], step["LR"], s, step["D"])


def segment_of(kept: dict[str, Any]) -> Segment:
    rule = Rule(kept["rule"])
    steps = tuple(constants_of(rule, kept["s"], step) for step in kept["steps"])
    return Segment(rule, kept["s"], kept["decay"], kept["weights_in_range"], steps)


def verdict(kept: dict[str, Any]) -> str | None:
    return fault(segment_of(kept), kept["rows"], kept["before"], kept["after"])


@pytest.mark.parametrize("number", range(len(TRACES)))
def test_traces_from_rust_are_judged_as_they_are_there(number: int) -> None:
    found = verdict(TRACES[number])
    assert (found is None) == TRACES[number]["accepted"], found


def test_traces_from_rust_are_of_every_rule_accepted_and_refused() -> None:
    assert {(trace["rule"], trace["accepted"]) for trace in TRACES} == {
        (r.value, v) for r in Rule for v in (True, False)
    }


@pytest.mark.parametrize("number", [i for i, trace in enumerate(TRACES) if trace["accepted"]][::3])
def test_a_row_with_one_other_cell_is_refused(number: int) -> None:
    kept = TRACES[number]
    segment = segment_of(kept)
    for row in range(len(kept["rows"])):
        # The gradient is given, not found: at a learning rate of 0 another one gives the same
        # weights.
        for cell, name in enumerate(columns(segment)[:-2]):
            if name in ("k0", "k1", "k2") and kept["rows"][row][columns(segment).index("sg")] == 0:
                continue  # nothing reads them where C is 0
            for delta in (1, -1, 2**15, -(2**16), pow(2, -1, P), pow(2, -15, P)):
                rows = [list(values) for values in kept["rows"]]
                rows[row][cell] = (rows[row][cell] + delta) % P
                assert fault(segment, rows, kept["before"], kept["after"]) is not None, (row, name, delta)


def segments(rule: Rule) -> list[tuple[Segment, int | None, str]]:
    """Segments of the examples' statement, with its s and its decay, for every shift of the
    rule."""
    found = []
    for s in shifts(rule):
        for decay in ("0", "0.1"):
            steps = statement_of(rule, s=s or None, weight_decay=decay).constants
            found.append((Segment(rule, s, decay != "0", True, tuple(steps)), s or None, decay))
    return found


@pytest.mark.parametrize("rule", Rule)
def test_core_s_next_state_is_accepted_and_any_other_refused(rule: Rule) -> None:
    rng = np.random.default_rng(7)
    for segment, s, decay in segments(rule):
        statement = statement_of(rule, s=s, weight_decay=decay)
        witness = witness_of(rule, statement)
        gradients, all_states = witness.gradients.astype(np.int64), told(rule, statement, witness)
        picked = rng.choice(5000, ROWS_CHECKED, replace=False)
        for t in (0, REAL_STEPS - 1):
            # One step as a segment of its own.
            states = {name: values[t][picked] for name, values in all_states.items()}
            G = gradients[t][picked]
            following = step(rule, states, G, segment.steps[t])
            rows = rows_of_step(segment, t, states, G)
            for i in range(ROWS_CHECKED):
                before = [int(states[name][i]) for name in state_names(rule)]
                after = [int(following[name][i]) for name in state_names(rule)]
                alone = Segment(rule, segment.s, segment.decay, True, (segment.steps[t],))
                assert fault(alone, [rows[i]], [before], [after]) is None
                for part in range(len(after)):
                    other = [value + (1 if j == part else 0) for j, value in enumerate(after)]
                    assert fault(alone, [rows[i]], [before], [other]) is not None


@pytest.mark.parametrize("rule", Rule)
def test_a_whole_segment_with_its_no_ops_is_accepted_from_core_s_rules(rule: Rule) -> None:
    for segment, s, decay in segments(rule):
        statement = statement_of(rule, s=s, weight_decay=decay)
        witness = witness_of(rule, statement)
        gradients, all_states = witness.gradients.astype(np.int64), told(rule, statement, witness)
        picked = np.arange(3)
        by_step = [
            rows_of_step(segment, t, {n: v[t][picked] for n, v in all_states.items()}, gradients[t][picked])
            for t in range(len(segment.steps))
        ]
        rows = [by_step[t][i] for i in range(len(picked)) for t in range(len(segment.steps))]
        names = state_names(rule)
        ends = [[[int(all_states[name][at][i]) for name in names] for i in picked] for at in (0, -1)]
        assert fault(segment, rows, ends[0], ends[1]) is None
        ends[1][1][-1] += 1
        assert fault(segment, rows, ends[0], ends[1]) == f"row {2 * len(segment.steps) - 1}: another state after"


def explained(
    segment: Segment, states: Mapping[str, IntArray], gradients: IntArray
) -> tuple[int, int, str, str] | None:
    """What Rust says of a witness of the examples' shape."""
    shape = shape_of(segment.rule)
    constants = [numbers(step) for step in segment.steps]
    buffers = {name: np.ascontiguousarray(values).tobytes() for name, values in states.items()}
    sizes = shape.log_params, shape.log_steps
    return _native.explain(
        segment.rule.value, segment.s, segment.decay, *sizes, constants, buffers, gradients.tobytes()
    )


@pytest.mark.parametrize("rule", Rule)
def test_rust_explains_what_the_check_refuses(rule: Rule) -> None:
    rng = np.random.default_rng(11)
    for segment, s, decay in segments(rule):
        statement = statement_of(rule, s=s, weight_decay=decay)
        witness = witness_of(rule, statement)
        gradients, all_states = witness.gradients.astype(np.int64), told(rule, statement, witness)
        assert explained(segment, all_states, gradients) is None
        t, element = int(rng.integers(REAL_STEPS)), int(rng.integers(5000))
        part = str(rng.choice(list(all_states)))
        states = {name: values.copy() for name, values in all_states.items()}
        states[part][t + 1][element] += 1
        found = explained(segment, states, gradients)
        assert found is not None and found[:3] == (t, element, part)
        now = {name: values[t][[element]] for name, values in states.items()}
        [row] = rows_of_step(segment, t, now, gradients[t][[element]])
        alone = Segment(rule, segment.s, segment.decay, True, (segment.steps[t],))
        before = [int(now[name][0]) for name in state_names(rule)]
        after = [int(states[name][t + 1][element]) for name in state_names(rule)]
        assert fault(alone, [row], [before], [after]) == "row 0: another state after"
