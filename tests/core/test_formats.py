import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core import oracle_rules as oracle
from zk_autograd.core.errors import GradientError, RangeError, UsageError
from zk_autograd.core.formats import (
    K_AUTO,
    K_RANGE,
    TensorSpan,
    auto_grad_scale,
    dequantize_weight,
    locate,
    quantize_gradient,
    quantize_weight,
    require_below,
)

FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(width=32, min_value=-4, max_value=4),
    st.integers(-(2**24), 2**24).map(lambda units: units * 2.0**-29),  # many ties at k = 0
)
SCALES = st.sampled_from(K_RANGE)
LIMIT = 2**30 - 1


def float32(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, dtype=np.float32)


@given(st.lists(FLOATS, max_size=20), SCALES)
@example([2.0**-149, -(2.0**-149), 2.0**-126, 3.4028234663852886e38], 32)
@example([2.0**-149, -(2.0**-149), 2.0**-126, 3.4028234663852886e38], -32)
def test_gradients_are_rounded_half_to_even_and_clamped(values: list[float], k: int) -> None:
    units = [oracle.half_even(Fraction(value) * Fraction(2) ** (28 + k)) for value in values]
    integers, saturated = quantize_gradient(float32(*values), k)
    assert integers.dtype == np.int64
    assert integers.tolist() == [min(max(unit, -LIMIT), LIMIT) for unit in units]
    assert saturated == sum(abs(unit) > LIMIT for unit in units)


def test_ties_go_to_the_even_unit() -> None:
    halves = float32(0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.75) * np.float32(2.0**-28)
    assert quantize_gradient(halves, 0)[0].tolist() == [0, 2, 2, 0, -2, -2, 1]


def test_saturation_starts_at_the_bound_and_is_counted() -> None:
    grad = float32(4, -4, np.nextafter(np.float32(4), np.float32(0)), 1e30)
    integers, saturated = quantize_gradient(grad, 0)
    assert integers.tolist() == [LIMIT, -LIMIT, 2**30 - 64, LIMIT]
    assert saturated == 3


def test_the_scale_multiplies_the_gradient() -> None:
    assert quantize_gradient(float32(2.0**-28), 0)[0].tolist() == [1]
    assert quantize_gradient(float32(2.0**-28), 8)[0].tolist() == [256]
    assert quantize_gradient(float32(1), -20)[0].tolist() == [256]


def test_a_gradient_keeps_its_shape_and_is_left_alone() -> None:
    grad = float32(1, 2, 3, 4, 5, 6).reshape(2, 3)
    integers, _ = quantize_gradient(grad, 0)
    assert integers.shape == (2, 3)
    assert grad.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert quantize_gradient(float32(), 0)[0].shape == (0,)


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_a_gradient_that_is_not_finite_is_refused_with_its_place(value: float, shown: str) -> None:
    grad = float32(0, 1, value, math.nan).reshape(2, 2)
    with pytest.raises(GradientError, match=rf"^fc1\.weight\[2\] is {shown},"):
        quantize_gradient(grad, 0, "fc1.weight")
    with pytest.raises(GradientError, match=rf"^gradient\[2\] is {shown},"):
        auto_grad_scale(grad)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", ">f4"])
def test_only_float32_of_the_machine_is_quantized(dtype: str) -> None:
    values = np.zeros(2, dtype=np.dtype(dtype))
    with pytest.raises(GradientError, match="only float32"):
        quantize_gradient(values, 0)
    with pytest.raises(GradientError, match="only float32"):
        auto_grad_scale(values)
    with pytest.raises(UsageError, match="only float32"):
        quantize_weight(values)


@pytest.mark.parametrize("k", [-33, 33])
def test_a_scale_beyond_the_range_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match=r"2\^-?33; its exponent must be in -32\.\.32"):
        quantize_gradient(float32(1), k)


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_the_automatic_scale_puts_the_median_near_2_to_the_16(values: list[float]) -> None:
    k = auto_grad_scale(float32(*values))
    assert type(k) is int
    sizes = sorted(abs(Fraction(value)) for value in values if value)
    if not sizes:
        assert k == 0
        return
    median = sizes[(len(sizes) - 1) // 2] * Fraction(2) ** (28 + k)
    if k < K_AUTO[-1]:
        assert median**2 >= 2**31
    if k > K_AUTO[0]:
        assert median**2 < 2**33
    assert k in K_AUTO


@pytest.mark.parametrize(
    ("values", "k"),
    [
        ([2.0**-12], 0),
        ([1.42 * 2.0**-12], -1),  # sqrt(2) is where the next power is nearer
        ([1.41 * 2.0**-12], 0),
        ([0, 0, 0, 2.0**-20], 8),  # zeros don't count
        ([2.0**-20, -(2.0**-20), 2.0**-12, 2.0**-12], 8),  # the lower of two medians
        ([0, 0], 0),
        ([1e-30], 16),
        ([1e30], -16),
    ],
)
def test_automatic_scales_of_known_gradients(values: list[float], k: int) -> None:
    assert auto_grad_scale(float32(*values)) == k


@given(st.lists(st.floats(width=32, min_value=-8191, max_value=8191), max_size=20))
def test_weights_are_rounded_half_to_even(values: list[float]) -> None:
    units = [oracle.half_even(Fraction(value) * 2**32) for value in values]
    assert quantize_weight(float32(*values)).tolist() == units


def test_ties_of_weights_go_to_the_even_unit() -> None:
    halves = float32(0.5, 1.5, 2.5, -0.5, -1.5) * np.float32(2.0**-32)
    assert quantize_weight(halves).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("value", [8192.0, -8192.0, 3.4028234663852886e38])
def test_a_weight_beyond_its_bound_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(RangeError) as refusal:
        quantize_weight(float32(1, value).reshape(2, 1), "fc1.bias")
    assert (refusal.value.tensor, refusal.value.index) == ("fc1.bias", 1)
    assert refusal.value.value == Fraction(value) * 2**32
    assert refusal.value.bound == 2**45


def test_the_largest_weight_below_the_bound_is_taken() -> None:
    largest = np.nextafter(np.float32(8192), np.float32(0))
    assert quantize_weight(float32(largest, -largest)).tolist() == [2**45 - 2**21, -(2**45) + 2**21]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(UsageError, match=r"^fc1\.bias\[1\] is (nan|-?inf)"):
        quantize_weight(float32(1, value), "fc1.bias")


def nearest_float(W: int) -> Fraction:
    """W * 2^-32 to 24 significant bits, half to even, on integers alone."""
    excess = max(abs(W).bit_length() - 24, 0)
    return Fraction(oracle.half_even(Fraction(W, 2**excess)) * 2**excess, 2**32)


@given(st.lists(st.one_of(st.integers(1 - 2**45, 2**45 - 1), st.integers(-(2**26), 2**26)), max_size=20))
@example([2**45 - 1, 1 - 2**45, 2**24 + 1, 2**24 + 3, 2**25 + 2, 2**25 + 6, 2**40 + 2**16, 2**40 + 2**16 + 1])
def test_published_weights_are_the_nearest_floats(values: list[int]) -> None:
    weights = dequantize_weight(np.array(values, dtype=np.int64))
    assert weights.dtype == np.float32
    assert [Fraction(float(weight)) for weight in weights] == [nearest_float(W) for W in values]


@given(st.lists(st.floats(width=32, min_value=2.0**-8, max_value=8191), max_size=20))
def test_a_float_with_no_bit_below_the_unit_survives(values: list[float]) -> None:
    assert dequantize_weight(quantize_weight(float32(*values))).tolist() == values


@pytest.mark.parametrize("value", [2**45, -(2**45), -(2**63)])
def test_a_weight_beyond_its_bound_is_not_published(value: int) -> None:
    with pytest.raises(RangeError, match="lower lr") as refusal:
        dequantize_weight(np.array([0, value], dtype=np.int64))
    assert (refusal.value.what, refusal.value.index, refusal.value.value) == ("weight", 1, value)


def test_the_first_element_out_of_range_is_named() -> None:
    values = np.array([[9, -9], [10, -10]], dtype=np.int64)
    with pytest.raises(RangeError) as refusal:
        require_below("update", values, 10, "lower lr")
    assert refusal.value == RangeError("update", "", 2, 10, 10, "lower lr")
    require_below("update", values, 11, "lower lr")
    require_below("update", values[:0], 1, "lower lr")
    with pytest.raises(RangeError, match=r"\[0\] is -10"):
        require_below("update", values[1:, 1:], 10, "lower lr")


SPANS = (TensorSpan("fc1.weight", 0, 6), TensorSpan("fc1.bias", 6, 2), TensorSpan("fc2.weight", 8, 4))


@pytest.mark.parametrize(
    ("start", "index", "tensor", "inner"),
    [
        (0, 0, "fc1.weight", 0),
        (0, 5, "fc1.weight", 5),
        (0, 6, "fc1.bias", 0),
        (4, 3, "fc1.bias", 1),
        (4, 4, "fc2.weight", 0),
        (8, 3, "fc2.weight", 3),
        (8, 4, "", 4),
    ],
)
def test_an_error_is_located_in_its_tensor(start: int, index: int, tensor: str, inner: int) -> None:
    error = RangeError("update", "", index, 2**40, 2**31, "lower lr")
    assert locate(error, SPANS, start) == RangeError("update", tensor, inner, 2**40, 2**31, "lower lr")
