"""Elements of every size for the rules' tests, and the comparison of a rule with the oracle."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants
from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.rules.adam import AdamState, AdamTrace, adam_trace
from zk_autograd.core.rules.lion import LionState, LionTrace, lion_trace
from zk_autograd.core.rules.rmsprop import RmspropState, RmspropTrace, rmsprop_trace
from zk_autograd.core.rules.sgd import SgdState, SgdTrace, nesterov_trace, sgd_trace

ADAM = AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0)
SGD = SgdConstants(mu=29491, cg=2**15, LR=1717986918, s=30, D=0)
LION = LionConstants(c1=3277, c2=328, LR=429497, D=0)
RMSPROP = RmspropConstants(c2=328, LR=42949673, E=687, D=0)


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

LION_CONSTANTS = st.builds(
    oracle.Lion,
    c1=near(3277, low=1, high=2**15),
    c2=near(328, low=1, high=2**15),
    LR=near(2**22, low=0, high=2**30 - 1),
    D=DECAYS,
)
RMSPROP_CONSTANTS = st.builds(
    oracle.Rmsprop,
    c2=near(328, low=1, high=2**15),
    LR=near(2**22, low=0, high=2**30 - 1),
    E=near(687, low=1, high=2**29 - 1),
    Dt=DECAYS,
)

AdamElement = tuple[int, int, int, int]
SgdElement = tuple[int, int, int]
Element = TypeVar("Element", AdamElement, SgdElement)
SgdLike = Callable[[SgdState, IntArray, SgdConstants], SgdTrace]
SgdOracle = Callable[[int, int, int, oracle.Sgd], "dict[str, int] | oracle.Violation"]
SGD_RULES: tuple[tuple[SgdLike, SgdOracle], ...] = ((sgd_trace, oracle.sgd), (nesterov_trace, oracle.nesterov))


def assert_equals_oracle(
    run: Callable[[list[IntArray]], AdamTrace | SgdTrace | LionTrace | RmspropTrace],
    judge: Callable[[Element], "dict[str, int] | oracle.Violation"],
    elements: Sequence[Element],
) -> None:
    """`run` on the elements' columns gives what `judge` says of each, or the first failing check's
    error."""
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


def check_lion(elements: Sequence[SgdElement], c: oracle.Lion) -> None:
    constants = LionConstants(c.c1, c.c2, c.LR, c.D)
    assert_equals_oracle(
        lambda columns: lion_trace(LionState(*columns[:2]), columns[2], constants),
        lambda element: oracle.lion(*element, c),
        elements,
    )


def check_rmsprop(elements: Sequence[SgdElement], c: oracle.Rmsprop) -> None:
    constants = RmspropConstants(c.c2, c.LR, c.E, c.Dt)
    assert_equals_oracle(
        lambda columns: rmsprop_trace(RmspropState(*columns[:2]), columns[2], constants),
        lambda element: oracle.rmsprop(*element, c),
        elements,
    )
