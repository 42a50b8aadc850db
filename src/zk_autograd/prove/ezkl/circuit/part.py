"""Parts of a circuit, and how they are composed: a rule is a list of parts, and each variant takes
the parts it needs.

A part holds all that belongs together: lines, what is looked up, hints with the function that finds
them, public coefficients with the function that computes them, the copies of a state between steps,
and what it shows about each variable. Graph, witness, the verifier's public values and the tables
of docs/soundness-ezkl.md are made from the same parts.

The last line of a circuit holds the penalties. Where several outputs must be 1 it has BIG * sum of
2^i * (1 - y_i) over all of them: every 1 - y is -1, 0 or 1, so the sum is 0 only where each is
(weights all 1 would let two cancel). It may have other terms only if each is range-checked, so that
nothing can cancel a penalty.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.prove.ezkl.circuit.ranges import Interval, Shown
from zk_autograd.prove.ezkl.circuit.relations import (
    BIG,
    HALF,
    LOGROWS,
    OFFSET_G,
    OFFSET_U,
    OFFSET_W,
    RADIX,
    SHIFT,
    Dot,
    Line,
    Lookup,
    Pair,
    Relations,
)

Values = dict[str, Any]
"""Arrays by name: of states (T+1, n), of hints (T, n), of a state's hints (n,)."""

GLOBALS = {
    "one": 1,
    "-R": -RADIX,
    "-RR": -RADIX * RADIX,
    "offset W": OFFSET_W,
    "-1": -1,
    "2": 2,
    "-2": -2,
    "R/2": RADIX // 2,
    "-2^15": -(2**SHIFT),
    "half": HALF,
    "offset G": OFFSET_G,
    "1+2 offset u": 1 + 2 * OFFSET_U,
    "-RRR": -(RADIX**3),
    "2^16": 2**LOGROWS,
    "-2^16": -(2**LOGROWS),
}
"""Public coefficients that are the same in every step and run. A circuit has those that its lines
use, in this order."""


def no_coefficients(constants: Sequence[Any]) -> dict[str, list[int]]:
    """Those of a part that has none."""
    return {}


def _no_copies(states: Values, constants: Sequence[Any]) -> Values:
    return {}


def _no_hints(states: Values, gradients: Any, constants: Sequence[Any]) -> Values:
    return {}


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a circuit and what belongs to them.

    `exact` are those of `looked_up` whose output must be 1. `bounds` names the part's step
    coefficients, each with the interval of its values in a circuit of one step. `coefficients`
    gives their T values as integers or field elements, `between` the copies of states between steps
    (T-1, n) from all states (T+1, n), `solve` the hints of an honest segment from states and
    gradients (T, n), int64. Hints are found from the *next* states, not from the rule, so that a
    wrong next state gives the closest possible hints and the lookups refuse it.
    """

    lines: tuple[Dot | Pair, ...] = ()
    looked_up: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    state_hints: tuple[str, ...] = ()
    bounds: Mapping[str, Interval] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()
    coefficients: Callable[[Sequence[Any]], dict[str, list[int]]] = no_coefficients
    between: Callable[[Values, Sequence[Any]], Values] = _no_copies
    solve: Callable[[Values, Any, Sequence[Any]], Values] = _no_hints


@dataclass(frozen=True, slots=True)
class Last:
    """The line of the penalties: its name, its other terms, each of them range-checked, and its
    constant beside the penalties' own."""

    name: str
    terms: tuple[tuple[str, str], ...] = ()
    constant: int = 0

    @property
    def coefficient(self) -> str:
        """The name of its constant."""
        return f"{self.name[0]} constant"


@dataclass(frozen=True, slots=True)
class RuleCircuit:
    """A variant's relations with the functions that compute public coefficients, copies between
    steps and hints, as a part has them.

    `decays` is whether it has lines for weight decay: such a circuit also serves runs without
    decay; one without those lines serves only such runs.
    """

    rule: Rule
    decays: bool
    relations: Relations
    bounds: Mapping[str, Interval]
    shown: tuple[Shown, ...]
    last: str
    coefficients: Callable[[Sequence[Any]], dict[str, list[int]]]
    between: Callable[[Values, Sequence[Any]], Values]
    hints: Callable[[Values, Any, Sequence[Any]], Values]


def composed(variant: str, rule: Rule, parts: Sequence[Part], last: Last, *, decays: bool) -> RuleCircuit:
    """The circuit of these parts, in their order."""
    exact = tuple(name for part in parts for name in part.exact)
    weights = {name: 2**i for i, name in enumerate(exact)}
    penalties = tuple((f"penalty {weight}", f"y:{name}") for name, weight in weights.items())
    lines: tuple[Line, ...] = (
        *(line for part in parts for line in part.lines),
        Lookup(tuple(name for part in parts for name in part.looked_up), exact),
        Dot(last.name, (*last.terms, (last.coefficient, "one"), *penalties)),
        Lookup((last.name,)),
    )
    used = {name for line in lines for name in _read(line)}
    bounds = {name: values for part in parts for name, values in part.bounds.items()}
    relations = Relations(
        rule=variant,
        states=state_names(rule),
        hints=tuple(name for part in parts for name in part.hints),
        state_hints=tuple(name for part in parts for name in part.state_hints),
        global_coefficients={
            **{name: value for name, value in GLOBALS.items() if name in used},
            last.coefficient: sum(weights.values()) * BIG + last.constant,
            **{f"penalty {weight}": -weight * BIG for weight in weights.values()},
        },
        step_coefficients=tuple(bounds),
        lines=lines,
    )

    def coefficients(constants: Sequence[Any]) -> dict[str, list[int]]:
        return {name: values for part in parts for name, values in part.coefficients(constants).items()}

    def between(states: Values, constants: Sequence[Any]) -> Values:
        return {name: values for part in parts for name, values in part.between(states, constants).items()}

    def hints(states: Values, gradients: Any, constants: Sequence[Any]) -> Values:
        return {name: values for part in parts for name, values in part.solve(states, gradients, constants).items()}

    shown = tuple(row for part in parts for row in part.shown)
    return RuleCircuit(rule, decays, relations, bounds, shown, last.name, coefficients, between, hints)


def _read(line: Line) -> tuple[str, ...]:
    """The variables and coefficients that a line reads."""
    if isinstance(line, Dot):
        return tuple(name for term in line.terms for name in term)
    return (line.left, line.right) if isinstance(line, Pair) else ()


def column(values: Sequence[int]) -> Any:
    """T values, one per step, to go with arrays (T, n)."""
    return np.array(values, dtype=np.int64)[:, None]
