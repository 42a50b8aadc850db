"""The states between the ends of a witness, by the rule."""

from collections.abc import Iterator, Sequence

import numpy as np

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import State, step
from zk_autograd.prove.protocol import BlockWitness


def states_of(rule: Rule, constants: Sequence[StepConstants], witness: BlockWitness) -> Iterator[State]:
    """The state before each step, and after the last: steps + 1 of them, int64 (block,) each.
    RangeError, UsageError as `core.rules.step`."""
    state: State = dict(witness.start)
    yield state
    for row, own in zip(witness.gradients, constants, strict=True):
        state = step(rule, state, row.astype(np.int64), own)
        yield state


def another_end(witness: BlockWitness, found: State) -> str | None:
    """The first state that isn't what the witness says of its end; None if all are."""
    differ = (name for name, values in found.items() if not np.array_equal(values, witness.end[name]))
    return next(differ, None)
