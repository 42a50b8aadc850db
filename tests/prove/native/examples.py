"""Statements and witnesses of the smallest shape: 2^13 parameters, 8 steps, the last two of them
no-ops."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import hyper_names, hyper_of
from zk_autograd.core.rules import State, initial_state, state_names
from zk_autograd.core.rules.families import constants_sequence
from zk_autograd.core.statement import Statement
from zk_autograd.prove.following import states_of
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape, shifts
from zk_autograd.prove.protocol import BlockWitness

REAL_STEPS = 6
ELEMENTS = 5000
"""Elements of the block that belong to a model; the others are zero."""

_HYPER = {"lr": "0.01", "beta1": "0.9", "beta2": "0.999", "eps": "1e-06", "momentum": "0.9", "alpha": "0.99"}


def shape_of(rule: Rule, preset: Preset = Preset.STANDARD) -> Shape:
    return Shape(rule, preset, 13, 3)


def statement_of(rule: Rule, *, s: int | None = None, weight_decay: str = "0", segment: int = 0) -> Statement:
    """Segment `segment`, which begins at step 6 * `segment` + 1, of a run whose header has the
    digest 0101..."""
    texts = {**_HYPER, "weight_decay": weight_decay}
    hyper = hyper_of(rule, {name: texts[name] for name in hyper_names(rule)})
    sequence = constants_sequence(rule, hyper, 0, shifts(rule)[0] if s is None else s)
    first = REAL_STEPS * segment + 1
    constants = [sequence.at(first + i) for i in range(REAL_STEPS)]
    constants += [sequence.no_op()] * (shape_of(rule).steps - REAL_STEPS)
    return Statement(b"\1" * 32, segment, first, 0, ELEMENTS, tuple(constants))


def witness_of(rule: Rule, statement: Statement, seed: int = 0) -> BlockWitness:
    """A random training of the statement's constants, from zero moments."""
    shape, generator = shape_of(rule), np.random.default_rng(seed)
    weights, gradients = np.zeros(shape.block, np.int64), np.zeros((shape.steps, shape.block), np.int32)
    weights[:ELEMENTS] = generator.integers(-(2**33), 2**33, ELEMENTS)
    gradients[:REAL_STEPS, :ELEMENTS] = generator.integers(-(2**22), 2**22, (REAL_STEPS, ELEMENTS))
    salts = {name: generator.bytes(32) for name in shape.commitment_names}
    return led(rule, statement, initial_state(rule, weights), gradients, salts)


def led(
    rule: Rule, statement: Statement, start: State, gradients: NDArray[np.int32], salts: Mapping[str, bytes]
) -> BlockWitness:
    """The witness whose end is where the steps lead."""
    witness = BlockWitness(start, start, gradients, salts)
    *_, end = states_of(rule, statement.constants, witness)
    return replace(witness, end=end)


def told(rule: Rule, statement: Statement, witness: BlockWitness) -> Mapping[str, IntArray]:
    """All states of a witness, int64 (steps + 1, block) each: the last ones are its end, whatever
    the rule says."""
    states = list(states_of(rule, statement.constants, witness))[:-1]
    return {n: np.stack([*(state[n] for state in states), witness.end[n]]) for n in state_names(rule)}
