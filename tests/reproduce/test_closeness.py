"""What counts as close: element by element, and all elements together."""

from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray

from zk_autograd.core.formats import FloatArray, quantize_gradient
from zk_autograd.core.records import Parameter
from zk_autograd.reproduce.closeness import TOLERANCE, as_power, difference

K = 3
TWO = (Parameter("a", (50, 20), 0, 1000, 0), Parameter("b", (4,), 1000, 4, 0))


def gradient() -> FloatArray:
    """The largest of the first tensor is 0.4; from 0.5 on they saturate."""
    drawn = np.random.default_rng(1).normal(scale=0.1, size=1004).astype(np.float32)
    drawn[0] = 0.4
    return drawn


def recorded(values: FloatArray) -> NDArray[np.int32]:
    return quantize_gradient(values, K)[0].astype(np.int32)


def test_the_rounded_gradient_itself_is_exact() -> None:
    found = difference(recorded(gradient()), gradient(), TWO, K)
    assert (found.value, found.exact) == (0.0, True)


def test_a_saturated_element_is_held_at_the_limit() -> None:
    values = gradient()
    values[7] = 1e6
    found = difference(recorded(values), values, TWO, K)
    assert (found.value, found.exact) == (0.0, True)


def test_half_a_unit_of_rounding_is_no_difference() -> None:
    """A float just below a half on one machine, just above on another."""
    values = np.full(1004, np.float32(2.0**-31 * 1.4999999))
    found = difference(recorded(values) + 1, values, TWO, K)
    assert found.value < 1e-6 and not found.exact


@pytest.mark.parametrize(("moved", "passes"), [(2.0**-10, False), (2.0**-12, True)])
def test_one_element_is_measured_against_the_largest_of_its_tensor(moved: float, passes: bool) -> None:
    others = gradient()
    others[500] += np.float32(moved * 0.4)
    found = difference(recorded(others), gradient(), TWO, K)
    assert (found.tensor, found.value <= TOLERANCE) == ("a", passes)
    assert found.value == pytest.approx(moved, rel=1e-3)


def test_many_elements_moved_a_little_are_measured_together() -> None:
    """Each by less than the tolerance of the largest element, all of them by more of the norm."""
    others, moved = gradient(), 0.9 * TOLERANCE * 0.4
    others[:1000] += np.float32(moved)
    norm = float(np.linalg.norm(gradient()[:1000]))
    found = difference(recorded(others), gradient(), TWO, K)
    assert found.tensor == "a" and TOLERANCE < found.value == pytest.approx(moved * 1000**0.5 / norm, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_beyond_any_tolerance(value: float) -> None:
    computed = gradient()
    computed[3] = value
    assert difference(recorded(gradient()), computed, TWO, K).value == inf


def test_a_gradient_where_there_is_none_is_beyond_any_tolerance() -> None:
    computed = gradient()
    computed[1000:] = 0
    found = difference(recorded(gradient()), computed, TWO, K)
    assert (found.tensor, found.value) == ("b", inf)
    assert as_power(found.value) == "infinite"
