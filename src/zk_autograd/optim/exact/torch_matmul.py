"""Products of the exact pass by torch in float64, on a processor or a GPU.

Their elements are integers whose sums stay below 2^53 (core.graph.products), so that IEEE additions
and multiplications give the same bits in any order and on any device, fused or not. A GPU without
float64 units is slow at it; devices without float64 at all are refused.
"""

import numpy as np
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph.products import Floats


class TorchMatmul:
    """A `core.graph.products.Matmul` on `device`. UsageError for one that has no float64."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        try:
            torch.zeros(1, dtype=torch.float64, device=self._device)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise UsageError(
                f"exact products need float64 on {self._device}, which doesn't have it: {error}; use the processor"
            ) from error

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """x y, float64 (m, n) and (n, p)."""
        found = self._tensor(x) @ self._tensor(y)
        product: Floats = found.cpu().numpy()
        return product

    def _tensor(self, values: Floats) -> torch.Tensor:
        # from_numpy wants memory that may be written to, and no negative strides.
        own = values if values.flags.writeable and min(values.strides, default=0) >= 0 else np.array(values)
        return torch.from_numpy(own).to(self._device)
