"""A model's gradients and weights as a kernel takes them: where they lie, without a copy, if they
are contiguous, and as copies that are written back if they aren't."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.optim import gradients
from zk_autograd.optim.parameters import Manifest


@dataclass(frozen=True, slots=True)
class Floats:
    """`model` is what a kernel takes of `tensors`; `copied` are those of which it takes a copy, and
    that copy."""

    model: Model
    tensors: Sequence[torch.Tensor]
    copied: Sequence[tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, manifest: Manifest, kernel: Kernel, scale: int) -> "Floats":
        """Of the present gradients, under grad_scale 2^`scale`. GradientError as
        `gradients.present_ones`; UsageError for a tensor that isn't what it was."""
        manifest.require_as_made()
        found = [_flat(gradient, kernel) for _, gradient in gradients.present_ones(manifest)]
        weights = [_flat(tensor, kernel) for tensor in manifest.tensors]
        copied = [
            (tensor, own)
            for tensor, own in zip(manifest.tensors, weights, strict=True)
            if own.data_ptr() != tensor.data_ptr() or own.device != tensor.device
        ]
        model = Model([_taken(g, kernel) for g in found], [_taken(w, kernel) for w in weights], scale)
        return cls(model, manifest.tensors, copied)

    def written(self) -> None:
        """Once a kernel has written weights: puts the copies back, and tells autograd, which can't
        notice by itself, that the tensors have changed."""
        with torch.no_grad():
            for tensor, own in self.copied:
                tensor.copy_(own.view(tensor.shape))
        torch.autograd.graph.increment_version(self.tensors)


def _flat(tensor: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    own = tensor.detach()
    if not kernel.takes_tensors:
        own = own.cpu()
    return own.resolve_neg().contiguous().view(-1)


def _taken(flat: torch.Tensor, kernel: Kernel) -> Any:
    return flat if kernel.takes_tensors else flat.numpy()
