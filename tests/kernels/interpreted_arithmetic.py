"""The arithmetic of Triton's programs at its edges; test_triton.py runs this with
TRITON_INTERPRET=1."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False

import math
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray

from zk_autograd.kernels import triton_steps as steps

SIZE = 4096


@triton.jit
def roots(values, found, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(found + at, steps._isqrt(tl.load(values + at)).to(tl.int64))


@triton.jit
def quotients(values, halves, found, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(found + at, steps._halved_quotient(tl.load(values + at), tl.load(halves + at)))


@triton.jit
def nearest(values, found, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(found + at, steps._nearest(tl.load(values + at)))


def results(kernel: Any, dtype: torch.dtype, *columns: NDArray[Any]) -> NDArray[Any]:
    found = torch.zeros(SIZE, dtype=dtype)
    kernel[(1,)](*(torch.from_numpy(column.copy()) for column in columns), found, BLOCK=SIZE)
    return found.numpy()


def sizes(random: np.random.Generator, bits: int) -> NDArray[np.int64]:
    """Numbers of every size below 2^bits, with those next to each power of two."""
    drawn = random.integers(0, 2 ** random.integers(1, bits + 1, SIZE))
    near = [2**bit + by for bit in range(bits) for by in (-1, 0, 1)]
    drawn[: len(near)] = near
    return np.clip(drawn, 0, 2**bits - 1)


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_roots_next_to_squares_are_exact(by: int) -> None:
    root = sizes(np.random.default_rng(1), 30)
    values = np.clip(root * root + by, 0, 2**60)
    values[-1] = 2**60
    wanted = [math.isqrt(value) for value in values.tolist()]
    assert results(roots, torch.int64, values).tolist() == wanted


@pytest.mark.parametrize("by", [-1, 0, 1, 2])
def test_quotients_next_to_whole_ones_are_exact(by: int) -> None:
    random = np.random.default_rng(2)
    halves = np.maximum(sizes(random, 31), 1)[random.permutation(SIZE)]
    wanted = np.minimum(sizes(random, 31), 2**62 // (2 * halves)) * random.choice([-1, 1], SIZE)
    wanted = np.clip(wanted, -(2**31) + 2**20, 2**31 - 2**20)
    dividends = 2 * halves * wanted + by
    found = results(quotients, torch.int64, dividends, halves.astype(np.int32))
    assert found.tolist() == [n // (2 * d) for n, d in zip(dividends.tolist(), halves.tolist(), strict=True)]


def test_quotients_beyond_every_bound_stay_beyond_it() -> None:
    random = np.random.default_rng(3)
    halves = np.maximum(sizes(random, 20), 1)
    dividends = 2**62 - 1 - sizes(random, 40)
    for sign in (1, -1):
        found = results(quotients, torch.int64, sign * dividends, halves.astype(np.int32))
        assert (np.abs(found) >= 2**31 - 3).all()


def test_floats_are_rounded_half_to_even() -> None:
    random = np.random.default_rng(4)
    whole = (sizes(random, 30) * random.choice([-1, 1], SIZE)).astype(np.float32)
    for values in (whole, whole + np.float32(0.5), np.nextafter(whole / 2, np.float32(0)), whole / 2, whole / 4):
        for one in (values, np.nextafter(values, np.float32(2**30)), np.nextafter(values, np.float32(-(2**30)))):
            assert results(nearest, torch.int32, one).tolist() == np.rint(one).astype(np.int64).tolist()
