"""Exact steps of a model's tensors: whose gradients they are, that nobody else wrote to the
tensors, and what is written to them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Gradient, Graph
from zk_autograd.core.graph.formats import ACTIVATION_BITS
from zk_autograd.core.records import Header
from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.optim.exact.gradient import ExactGradient
from zk_autograd.optim.exact.model_graph import ModelGraph
from zk_autograd.optim.parameters import Manifest
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.layout import Layout

_MOST_OFF = 0.01


class ExactLossDiffers(UserWarning):
    """The integer loss of the first batch is 1 % or more from the float model's, and more than one
    unit, 2^-12: numbers are too small, or the model isn't the graph's."""


class KeepsWeights(Protocol):
    """What holds the integer weights (recording.Keeper)."""

    def write(self, model: Model) -> None:
        """Writes the weights now to a model."""
        ...


@dataclass(frozen=True, slots=True)
class _Written:
    """What was last written to each tensor: `model` as the kernel takes it, `copies` as tensors
    over the same memory."""

    model: Model
    copies: tuple[torch.Tensor, ...]


class ExactSteps:
    """The exact gradients of a manifest's tensors, and what was last written to these.

    UsageError unless the graph is of these very tensors, in their order; of a graph that isn't a
    model's, unless its shapes are theirs.
    """

    def __init__(self, gradient: ExactGradient, manifest: Manifest, kernel: Kernel) -> None:
        _require_same(gradient.graph, manifest)
        self.gradient = gradient
        self._manifest = manifest
        self._kernel = kernel
        self._written: _Written | None = None
        self._first: tuple[int, Gradient] | None = None

    def require_none_of_autograd(self) -> None:
        """UsageError for a tensor that has a gradient which isn't zero."""
        for p, tensor in zip(self._manifest.parameters, self._manifest.tensors, strict=True):
            if tensor.grad is not None and bool(torch.any(tensor.grad)):
                raise UsageError(
                    f"{p.name} has a gradient of autograd's, whose floats L3 can't recompute: leave backward() out, since step() takes the "
                    "gradients of gradient=, and with it what changes them, such as clip_grad_norm_ (use a lower lr) and accumulation over "
                    "several batches (use a larger batch_size); or leave gradient= out, for L1"
                )

    def changed(self, keeper: KeepsWeights) -> str | None:
        """The name of the first tensor that isn't bit for bit what was last written to it, or None.
        UsageError as `Manifest.require_as_made`."""
        self._manifest.require_as_made()
        if self._written is None:
            self._written = self._buffers()
            keeper.write(self._written.model)
        for p, tensor, copy in zip(
            self._manifest.parameters, self._manifest.tensors, self._written.copies, strict=True
        ):
            now = tensor.detach().to(copy.device).reshape(-1)
            if not torch.equal(now.view(torch.int32), copy.view(torch.int32)):
                return p.name
        return None

    def at(self, weights: IntArray, step: int, k: int, level: Callable[[], int]) -> Gradient:
        """The gradient of step 1, 2, 3 ... at W, int64 (parameters,). UnitRangeError. Warns, once,
        if the first batch's loss differs from the float model's, for the line at stack level
        `level`."""
        if step != 1:
            self._first = None
            return self.gradient.step(weights, step, k)
        if self._first is None or self._first[0] != k:
            found = self.gradient.step(weights, step, k)
            self._compare(found.loss, level)
            self._first = k, found
        return self._first[1]

    def write(self, keeper: KeepsWeights) -> None:
        """Writes the keeper's weights to the tensors."""
        written = self._written or self._buffers()
        keeper.write(written.model)
        with torch.no_grad():
            for tensor, copy in zip(self._manifest.tensors, written.copies, strict=True):
                tensor.copy_(copy.view(tensor.shape))
        self._written = written

    def forget(self) -> None:
        """Others wrote to the tensors, and the state: what they hold now is the keeper's."""
        self._written = self._first = None

    def require_run(self, path: Path, header: Header, digest: bytes) -> None:
        """UsageError, which names what differs, unless the run at `path`, whose header has this
        digest, has these gradients. RunError for files that can't be read."""
        if header.exact is None:
            raise UsageError(f"the gradients of {path} are autograd's floats: leave gradient= out")
        difference = self.gradient.difference(header, ExactFiles.read(Layout(path), header, digest))
        if difference is not None:
            raise UsageError(f"{path} is not a run of this ExactGradient: {difference}")

    def _compare(self, loss: float, level: Callable[[], int]) -> None:
        floating = self.gradient.float_loss(1)
        if floating is None:
            return
        off = abs(loss - floating)
        if not off < max(_MOST_OFF * abs(floating), 2.0**-ACTIVATION_BITS):
            text = (
                f"the loss of the first batch is {loss:.6g} in integers, and {floating:.6g} by the float model: the exact pass rounds activations to "
                "multiples of 2^-12, so scale the data and the first weights so that more of them are larger than that"
            )
            warnings.warn(text, ExactLossDiffers, stacklevel=level())

    def _buffers(self) -> _Written:
        on_device = self._kernel.takes_tensors
        copies = tuple(
            torch.empty(tensor.numel(), dtype=torch.float32, device=tensor.device if on_device else "cpu")
            for tensor in self._manifest.tensors
        )
        arrays: list[Any] = [copy if on_device else copy.numpy() for copy in copies]
        return _Written(Model(arrays, arrays, 0), copies)


def _require_same(graph: Graph, manifest: Manifest) -> None:
    if len(graph.tensors) != len(manifest.tensors):
        raise UsageError(
            f"the graph has {len(graph.tensors)} tensors, and the optimizer {len(manifest.tensors)}: give it all parameters of the graph's model, "
            "model.named_parameters()"
        )
    if isinstance(graph, ModelGraph):
        for name, source, p, tensor in zip(
            graph.names, graph.sources, manifest.parameters, manifest.tensors, strict=True
        ):
            if source is not tensor:
                raise UsageError(
                    f"the optimizer's tensor {p.name} is not {name} of the graph's model, which stands in its place: give the optimizer "
                    "model.named_parameters() of the model that exact_graph was given"
                )
    for p, place in zip(manifest.parameters, graph.tensors, strict=True):
        wanted = (place.rows, place.columns) if len(p.shape) > 1 else (place.rows * place.columns,)
        if p.shape != wanted or p.offset != place.offset:
            raise UsageError(
                f"{p.name} has the shape {p.shape}, and the graph's tensor in its place {wanted}: give the optimizer the graph's parameters, in "
                "their order"
            )
