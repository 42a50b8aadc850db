"""The arithmetic of torch's kernel at its edges."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the [train] extra is not installed")

from zk_autograd.kernels.torch_rules import floor_quotient, isqrt  # noqa: E402

pytestmark = pytest.mark.torch
SIZE = 4096


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_roots_next_to_squares_are_exact(by: int) -> None:
    """Above 2^53 float64 takes a number just below a square for the square."""
    root = np.r_[1:SIZE, 2**30 - SIZE : 2**30 + 1]
    values = np.clip(root * root + by, 0, 2**60)
    assert isqrt(torch.from_numpy(values)).tolist() == [math.isqrt(value) for value in values.tolist()]


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_quotients_next_to_whole_ones_are_exact(by: int) -> None:
    random = np.random.default_rng(1)
    divisor = 2 * (2**31 - 1 - random.integers(0, 2**20, SIZE))
    whole = random.integers(-(2**28), 2**28, SIZE)
    dividend = whole * divisor + by
    found = floor_quotient(torch.from_numpy(dividend), torch.from_numpy(divisor))
    assert found.tolist() == [n // d for n, d in zip(dividend.tolist(), divisor.tolist(), strict=True)]
