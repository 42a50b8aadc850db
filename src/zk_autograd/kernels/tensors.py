"""A model's tensors as a step takes them: of one device, flat, float32; and their copies on the
host."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.core.records import Parameter
from zk_autograd.kernels.protocol import Model


def require_tensors(model: Model, parameters: Sequence[Parameter]) -> torch.device | None:
    """The device of a model's tensors; None if there are none. UsageError unless there is a
    contiguous float32 vector of the right length for each parameter, all on one device."""
    devices: dict[torch.device, str] = {}
    for what, tensors in (("gradient", model.gradients), ("weight", model.weights)):
        if len(tensors) != len(parameters):
            raise UsageError(f"{len(tensors)} {what} tensors for {len(parameters)} parameters")
        for p, tensor in zip(parameters, tensors, strict=True):
            _require_vector(f"the {what} of {p.name}", tensor, p.size)
            devices.setdefault(tensor.device, f"the {what} of {p.name}")
    if len(devices) > 1:
        (first, one), (second, another), *_ = devices.items()
        raise UsageError(
            f"{one} is on {first} and {another} on {second}, but a step is taken on one device: "
            "move the whole model to one of them, before the optimizer is made"
        )
    return next(iter(devices), None)


def _require_vector(what: str, tensor: object, size: int) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise UsageError(f"{what} is a {type(tensor).__name__}; this kernel takes torch tensors")
    if tensor.layout is not torch.strided or tensor.is_meta:
        raise UsageError(f"{what} has no values in memory ({tensor.layout} on {tensor.device}); it must be dense")
    if tensor.dtype != torch.float32 or tensor.shape != (size,):
        found = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
        raise UsageError(f"{what} is {found}; it must be torch.float32 of shape ({size},)")
    if not tensor.is_contiguous():
        raise UsageError(f"{what} is not contiguous (stride {tensor.stride(0)}): pass a contiguous copy of it")


def on_host(model: Model) -> Model:
    """The same model in NumPy arrays of its own."""
    return Model(_copies(model.gradients), _copies(model.weights), model.scale)


def _copies(tensors: Iterable[torch.Tensor]) -> list[NDArray[np.float32]]:
    return [tensor.detach().to("cpu", copy=True).numpy() for tensor in tensors]
