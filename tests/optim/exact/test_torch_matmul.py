import numpy as np
import pytest
import torch

from tests.core.graph.test_same_bits import EXACT, there
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.torch_matmul import TorchMatmul

pytestmark = pytest.mark.torch


@pytest.mark.slow
def test_torch_gives_the_same_bits() -> None:
    """MKL as it chooses, and held to AVX2; by 1 and 2 threads each."""
    found = there("cpu", MKL_ENABLE_INSTRUCTIONS="") + there("cpu", MKL_ENABLE_INSTRUCTIONS="AVX2")
    assert len(found) == 4
    assert {one["exact"] for one in found} == {EXACT}
    assert EXACT not in {one["unsplit"] for one in found}  # the control: without the check of its sums


@pytest.mark.slow
def test_a_gpu_gives_the_same_bits() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch's CUDA could use is here")
    assert {one["exact"] for one in there("cuda")} == {EXACT}


def test_arrays_as_the_pass_gives_them() -> None:
    """Transposed, cut, read-only and reversed ones; the result is the caller's own."""
    x, y = np.arange(12.0).reshape(3, 4), np.arange(20.0).reshape(4, 5)
    fixed = x.copy()
    fixed.flags.writeable = False
    for one, other in ((x, y), (x[:, 1:3], y[1:3]), (y.T, x.T), (fixed, y[::-1]), (x[:0], y)):
        found = TorchMatmul()(one, other)
        assert found.dtype == np.float64
        assert found.tolist() == (one @ other).tolist()
        found += 1.0


def test_a_device_without_float64_is_refused() -> None:
    with pytest.raises(UsageError, match="exact products need float64 on mps"):
        TorchMatmul("mps")
