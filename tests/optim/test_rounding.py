"""Gradients as a step's integers, whatever computed them."""

import numpy as np
import pytest

from zk_autograd.core.errors import GradientError, UsageError
from zk_autograd.core.formats import auto_grad_scale, quantize_gradient
from zk_autograd.optim.rounding import checked_scale, quantized, suitable_scale

ONE = np.array([[0.5, -0.25], [2.0**-28, 3 * 2.0**-29]], np.float32)
TWO = np.array([-8.0, 1e-20], np.float32)


def test_gradients_are_one_vector_in_their_order_each_as_the_core_rounds_it() -> None:
    G, saturated = quantized([("one", ONE), ("two", TWO)], 0)
    assert G.tolist() == [2**27, -(2**26), 1, 2, -(2**30) + 1, 0]
    assert G.dtype == np.int64
    assert saturated == 1
    for k in (-3, 5):
        parts = [quantize_gradient(g.reshape(-1), k) for g in (ONE, TWO)]
        found, count = quantized([("one", ONE), ("two", TWO)], k)
        np.testing.assert_array_equal(found, np.concatenate([part for part, _ in parts]))
        assert count == sum(some for _, some in parts)


def test_the_scale_is_of_all_of_them() -> None:
    assert suitable_scale(iter([("one", ONE), ("two", TWO)])) == auto_grad_scale(np.concatenate([ONE.reshape(-1), TWO]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("take", [lambda gradients: quantized(gradients, 0), suitable_scale])
def test_what_is_not_finite_is_named(bad: float, take: object) -> None:
    with pytest.raises(GradientError, match=r"the gradient of two\[1\] is (nan|inf)"):
        take([("one", ONE), ("two", np.array([0, bad], np.float32))])  # type: ignore[operator]


def test_other_types_have_no_exact_step() -> None:
    with pytest.raises(GradientError, match="the gradient of one is float64"):
        quantized([("one", ONE.astype(np.float64))], 0)


def test_scales() -> None:
    assert checked_scale("auto") is None
    assert checked_scale(-3) == -3
    for bad in (99, True, "1", 1.0, None):
        with pytest.raises(UsageError, match="grad_scale is"):
            checked_scale(bad)
