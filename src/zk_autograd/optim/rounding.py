"""Gradients as the integers of a step, and the scale for them: of arrays by name, whatever computed
them. Nothing is clipped except by saturation, which is counted."""

from collections.abc import Iterable

import numpy as np

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import K_RANGE, FloatArray, IntArray, auto_grad_scale, quantize_gradient

Named = Iterable[tuple[str, FloatArray]]
"""The tensors' names, in the run's order, and their gradients, float32."""


def checked_scale(scale: object) -> int | None:
    """The exponent given as `grad_scale`, or None for "auto". UsageError for anything else."""
    if scale == "auto":
        return None
    if not isinstance(scale, int) or isinstance(scale, bool) or scale not in K_RANGE:
        raise UsageError(f'grad_scale is {scale!r}; it is "auto" or an exponent in {K_RANGE[0]}..{K_RANGE[-1]}')
    return scale


def quantized(gradients: Named, k: int) -> tuple[IntArray, int]:
    """The integers G, int64 (elements,), of gradients under the scale 2^k, and how many elements
    saturated. Raises GradientError, which names the tensor, for one of another type, or not
    finite."""
    parts, saturated = [], 0
    for name, gradient in gradients:
        G, count = quantize_gradient(gradient.reshape(-1), k, f"the gradient of {name}")
        parts.append(G)
        saturated += count
    return np.concatenate(parts), saturated


def suitable_scale(gradients: Named) -> int:
    """The k of `grad_scale="auto"` for these gradients. GradientError as in `quantized`."""
    found = list(gradients)
    quantized(found, 0)  # for its checks, whose messages name the tensor
    return auto_grad_scale(np.concatenate([gradient.reshape(-1) for _, gradient in found]))
