"""The update rules as exact integer functions, behind one entry for the optimizer and the provers.

A state is a dictionary of int64 vectors of one length, named as `state_names` says. `step` gives
the next one; `trace` gives the next one and every intermediate value, for a prover. Neither clips,
rounds beyond its definition, or depends on anything but its arguments. Plain SGD keeps W alone: its
B' is its G.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import WEIGHT_ADVICE, WEIGHT_BOUND, IntArray, require_below
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules.families import FAMILIES

if TYPE_CHECKING:
    from zk_autograd.core.rules.families import Trace

State: TypeAlias = dict[str, IntArray]


def state_names(rule: Rule) -> tuple[str, ...]:
    """The names of the rule's state, in the order of records and commitments."""
    return FAMILIES[rule].states


def initial_state(rule: Rule, W: IntArray) -> State:
    """The state before the first step: the weights `W` (int64), copied, and zeros.

    Raises UsageError if W isn't int64, RangeError (tensor "") if abs(W) >= 2^45.
    """
    _require_vector("W", W, W.shape)
    require_below("weight", W, WEIGHT_BOUND, WEIGHT_ADVICE)
    return {name: W.copy() if name == "W" else np.zeros_like(W) for name in state_names(rule)}


def trace(rule: Rule, state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> "Trace":
    """One step of `rule` with all its intermediate values.

    The arrays of `state` and `G` are int64 of one shape; `constants` come from the rule's
    `ConstantsSequence`. Raises UsageError if they don't fit the rule or each other, RangeError
    (tensor "", see `formats.locate`) if an element leaves its range: nothing is ever clipped.
    """
    if set(state) != set(state_names(rule)):
        raise UsageError(f"the state of {rule.value} is {state_names(rule)}; this one has {tuple(state)}")
    for name, values in {**state, "G": G}.items():
        _require_vector(name, values, state["W"].shape)
    row = FAMILIES[rule]
    if not isinstance(constants, row.constants):
        raise UsageError(f"a step of {rule.value} needs {row.constants.__name__}, not {type(constants).__name__}")
    return row.trace(state, G, constants)


def step(rule: Rule, state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> State:
    """The next state. As `trace`."""
    result = trace(rule, state, G, constants)
    return {name: getattr(result, name) for name in state_names(rule)}


def _require_vector(name: str, values: IntArray, shape: tuple[int, ...]) -> None:
    if values.dtype != np.int64 or values.shape != shape:
        found = f"{values.dtype} of shape {values.shape}"
        raise UsageError(f"{name} is {found}; it must be int64 of shape {shape}")
