"""What a training loop says of a step, besides its gradients."""

import operator
import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    import torch


def loss_text(loss: object) -> str:
    """The shortest text of a number or a tensor of one element. UsageError for anything else."""
    try:
        return repr(float(loss.detach().item() if _is_tensor(loss) else loss))  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"the loss is a {type(loss).__name__}; give a number, or a tensor of one element") from None


def batch_digest(batch: "bytes | Sequence[int] | np.ndarray | torch.Tensor") -> bytes:
    """SHA-256 over a domain and the batch: bytes as they are, or row indices as little-endian
    int64, one after the other.

    UsageError for anything else.
    """
    if isinstance(batch, bytes):
        return sha256(b"zk-autograd/batch-bytes/v0\n" + batch).digest()
    try:
        rows = [
            operator.index(row)
            for row in (batch.tolist() if isinstance(batch, np.ndarray) or _is_tensor(batch) else batch)
        ]
        indices = np.array(rows, dtype="<i8").tobytes()
    except (TypeError, OverflowError):
        raise UsageError(f"the batch is a {type(batch).__name__}; give bytes, or the indices of its rows") from None
    return sha256(b"zk-autograd/batch-rows/v0\n" + indices).digest()


def _is_tensor(value: object) -> "TypeGuard[torch.Tensor]":
    """Whoever has a tensor has imported torch: nobody else needs it."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
