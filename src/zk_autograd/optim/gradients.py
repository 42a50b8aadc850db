"""The gradients of a step as torch leaves them on the tensors, checked."""

from collections.abc import Iterator

import numpy as np
import torch

from zk_autograd.core.errors import GradientError
from zk_autograd.core.formats import (
    GRADIENT_BITS,
    GRADIENT_BOUND,
    K_RANGE,
    FloatArray,
)
from zk_autograd.optim import rounding
from zk_autograd.optim.parameters import Manifest


def suitable_scale(manifest: Manifest) -> int:
    """The k of `grad_scale="auto"` for the present gradients. GradientError as `present_ones`, and
    for one that isn't finite."""
    return rounding.suitable_scale(_gradients(manifest))


def clamped(manifest: Manifest, k: int) -> int:
    """How many elements of the present gradients saturate under the scale 2^k. GradientError as
    `suitable_scale`."""
    return rounding.quantized(_gradients(manifest), k)[1]


def limit(k: int) -> float:
    """The magnitude up to which the scale 2^k holds a gradient's element; beyond, it saturates."""
    return (GRADIENT_BOUND - 1) * 2.0 ** -(GRADIENT_BITS + k)


def roomy_scale(manifest: Manifest) -> int | None:
    """The largest k under which no element of the present gradients saturates; None if there is
    none. GradientError as `present_ones`."""
    largest = max(float(np.abs(gradient).max()) for _, gradient in _gradients(manifest))
    return next((k for k in reversed(K_RANGE) if largest <= limit(k)), None)


def present(manifest: Manifest) -> bool:
    """Whether any tensor has a gradient."""
    return any(tensor.grad is not None for tensor in manifest.tensors)


def _gradients(manifest: Manifest) -> Iterator[tuple[str, FloatArray]]:
    """Each tensor's name and its gradient, float32 (elements,)."""
    for name, gradient in present_ones(manifest):
        yield name, np.ascontiguousarray(gradient.detach().cpu().resolve_neg().numpy()).reshape(-1)


def present_ones(manifest: Manifest) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor's name and its gradient, float32 and dense, of the tensor's shape. GradientError,
    which names the tensor, for one that is missing, or isn't so."""
    for p, tensor in zip(manifest.parameters, manifest.tensors, strict=True):
        gradient = tensor.grad
        if gradient is None:
            if not tensor.requires_grad:
                raise GradientError(
                    f"{p.name} was frozen after the optimizer was made, but a run trains the same tensors from its first step to its last: "
                    "unfreeze it (requires_grad_(True)), or close the run and begin another with it frozen"
                )
            raise GradientError(
                f"{p.name} has no gradient: call backward() on a loss that depends on it before step(), or freeze it "
                "(requires_grad_(False)) before making the optimizer; if the model now has another tensor in its place, make another "
                "optimizer"
            )
        if tuple(gradient.shape) != p.shape or gradient.is_meta:
            raise GradientError(
                f"the gradient of {p.name} has the shape {tuple(gradient.shape)} on {gradient.device}, but the tensor has {p.shape} "
                f"on {tensor.device}: call zero_grad() and backward() again"
            )
        if gradient.layout is not torch.strided:
            raise GradientError(
                f"the gradient of {p.name} is sparse, which has no exact step: use sparse=False in its nn.Embedding"
            )
        if gradient.dtype != torch.float32:
            raise GradientError(
                f"the gradient of {p.name} is {gradient.dtype}; only float32 gradients have an exact step"
            )
        yield p.name, gradient
