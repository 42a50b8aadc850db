import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zk_autograd.core.graph.products import (
    EXACT,
    PIECE,
    Sums,
    added,
    largest,
    narrowed,
    product,
    rounded,
    rounded_total,
)


def integers(rng: np.random.Generator, size: int, *shape: int) -> NDArray[np.float64]:
    return rng.integers(-size, size, shape, endpoint=True).astype(np.float64)


def exact(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[int]]:
    rows, columns = x.astype(int).tolist(), y.T.astype(int).tolist()
    return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in rows]


@pytest.mark.parametrize(
    ("x_size", "n", "dtype"),
    [(2**22 - 1, 7, np.float64), (2**22 - 1, 4096, np.int64), (2**28 - 1, 300, np.int64), (2**28 - 1, 8192, np.int64)],
)
def test_a_product_is_exact(x_size: int, n: int, dtype: type) -> None:
    rng = np.random.default_rng(n)
    x, y = integers(rng, x_size, 2, n), integers(rng, 2**22, n, 2)
    x[0], y[:, 0] = x_size, 2**22  # the largest sum of all
    values, bound = product(x, y, np.matmul, x_size, 2**22)
    assert values.dtype == dtype
    assert values.tolist() == exact(x, y)
    assert max(abs(v) for row in exact(x, y) for v in row) <= bound < 2**63
    assert (dtype is np.float64) == (bound < EXACT)


def test_the_columns_sums_keep_a_product_in_floats() -> None:
    """By largest elements the sum could reach 2^54; by the column's sum it can't."""
    y = np.zeros((2**10, 1))
    y[3] = 2**22
    x = np.full((1, 2**10), 2.0**22 - 1)
    values, bound = product(x, y, np.matmul, 2**22 - 1, 2**22)
    assert values.dtype == np.float64
    assert values.tolist() == [[(2**22 - 1) * 2**22]]
    assert bound == (2**22 - 1) * 2**22


@given(st.integers(-(2**52) + 1, 2**52 - 1), st.integers(0, 16))
def test_rounding_is_to_nearest_halves_up(value: int, bits: int) -> None:
    wanted = (value + 2**bits // 2) // 2**bits
    for dtype in (np.float64, np.int64):
        found = rounded(np.array([value], dtype), bits)
        assert found.dtype == dtype
        assert int(found[0]) == wanted


@given(st.lists(st.tuples(st.integers(-(2**52) + 1, 2**52 - 1), st.booleans()), min_size=1, max_size=5))
def test_a_total_of_parts_is_exact(terms: list[tuple[int, bool]]) -> None:
    parts = [
        (slice(0, 1), Sums(np.array([[t]], np.int64 if wide else np.float64), EXACT if wide else abs(t)))
        for t, wide in terms
    ]
    wanted = (sum(t for t, _ in terms) + 2**15) // 2**16
    assert rounded_total(parts, (1, 1), 16).tolist() == [[wanted]]


def test_parts_of_other_columns_and_one_row_are_added_where_they_stand() -> None:
    parts = [
        (slice(1, 3), Sums(np.array([[1.0, 2.0], [3.0, 4.0]]) * 2**16, 2.0**20)),
        (slice(0, 3), Sums(np.array([10.0, 20.0, 30.0]) * 2**16, 2.0**21)),
    ]
    assert rounded_total(parts, (2, 3), 16).tolist() == [[10, 21, 32], [10, 23, 34]]


def test_sums_that_leave_floats_go_on_in_int64() -> None:
    one, other = Sums(np.array([2.0**51 + 1]), 2.0**51 + 1), Sums(np.array([2.0**51]), 2.0**51)
    total = added(one, other)
    assert total.values.dtype == np.int64
    assert total.values.tolist() == [2**52 + 1]
    assert added(Sums(np.array([2**62 + 1]), 2.0**62), Sums(np.array([2.0]), 2.0)).values.tolist() == [2**62 + 3]
    assert added(Sums(np.array([3.0]), 3.0), Sums(np.array([4.0]), 4.0)).values.dtype == np.float64


@pytest.mark.parametrize("at", [0, PIECE - 1, PIECE, 2 * PIECE + 5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_first_element_out_of_range_is_named(at: int, sign: int) -> None:
    values = np.zeros((2, PIECE + 3))
    into = np.empty(values.size, np.int32)
    values.reshape(-1)[at] = sign * (2**30 - 1) * 16
    assert narrowed(values, 4, 2**30, into) is None
    assert into[at] == sign * (2**30 - 1)
    assert np.count_nonzero(into) == 1
    values.reshape(-1)[at] = sign * 2**30 * 16
    values.reshape(-1)[-1] = 2.0**50
    assert narrowed(values, 4, 2**30, into) == at


def test_the_largest_of_the_least_int32_is_its_size() -> None:
    assert largest(np.array([-(2**31), 5], np.int32)) == 2**31
    assert largest(np.empty((0, 3))) == 0
