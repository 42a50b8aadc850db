"""The kernel of torch's own operations: on any device of torch's that has int64 and float64."""

from collections.abc import Sequence

import torch

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, step
from zk_autograd.kernels import torch_rules
from zk_autograd.kernels.on_device import DeviceStepper, Planes, Report
from zk_autograd.kernels.protocol import Model

CHUNK = 2**16
"""Elements that the rule is computed for at a time on the CPU: a score of int64 vectors of them
stays in the cache."""
GPU_CHUNK = 2**24
"""Likewise on another device: enough to keep it busy, and not all of its memory."""

_SATURATED, _FLAGS = 0, 1


class TorchStepper(DeviceStepper):
    """A state as int64 tensors."""

    name = "torch"

    def _pack(self, state: State) -> Planes:
        return {name: torch.from_numpy(values.copy()) for name, values in state.items()}

    def _unpack(self, planes: Planes) -> State:
        return {name: plane.numpy().copy() for name, plane in planes.items()}

    def _require_device(self, device: torch.device) -> None:
        try:
            torch.ones(1, dtype=torch.int64, device=device).double().sqrt()
        except (RuntimeError, TypeError):
            raise UsageError(
                f"{device} has no float64, which the exact step needs: move the model to the CPU or another device"
            ) from None

    def _pass(self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report) -> None:
        for part in self._parts(index):
            self._advance(part, new, G[part].long(), constants, report)

    def _pass_model(
        self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report, model: Model
    ) -> None:
        gradient, weights = model.gradients[index].detach(), model.weights[index].detach()
        start = self._parameters[index].offset
        for part in self._parts(index):
            own = slice(part.start - start, part.stop - start)
            written = torch_rules.dequantize(self._planes["W"][part])
            changed = (written.view(torch.int32) != weights[own].view(torch.int32)).any()
            wide, saturated, infinite = torch_rules.quantize(gradient[own], model.scale)
            G[part] = wide.int()
            report.values[_SATURATED] += saturated
            report.values[_FLAGS] += changed | infinite
            self._advance(part, new, wide, constants, report)

    def _advance(self, part: slice, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report) -> None:
        before = {name: plane[part] for name, plane in self._planes.items()}
        after, failed = torch_rules.RULES.get(self._rule, self._on_host)(before, G, constants)
        for name, values in after.items():
            new[name][part] = values
        report.values[_FLAGS] += failed

    def _on_host(self, before: torch_rules.Tensors, G: torch.Tensor, constants: StepConstants) -> torch_rules.Found:
        """The step of a rule that nobody has written in torch's operations."""
        state = {name: values.cpu().numpy() for name, values in before.items()}
        try:
            after = step(self._rule, state, G.cpu().numpy(), constants)
        except RangeError:
            return before, torch.tensor(True, device=G.device)
        return {name: torch.from_numpy(values).to(G.device) for name, values in after.items()}, torch.tensor(
            False, device=G.device
        )

    def _settle(self, index: int, new: Planes, model: Model, *, taken: bool) -> None:
        if taken:
            self._write_from(new, index, model.weights[index].detach())

    def _write(self, index: int, weights: torch.Tensor) -> None:
        self._write_from(self._planes, index, weights)

    def _write_from(self, planes: Planes, index: int, weights: torch.Tensor) -> None:
        start = self._parameters[index].offset
        for part in self._parts(index):
            weights[part.start - start : part.stop - start] = torch_rules.dequantize(planes["W"][part])

    def _parts(self, index: int) -> list[slice]:
        """The parameter's elements in the flat vector, in chunks."""
        p = self._parameters[index]
        chunk = CHUNK if self._device.type == "cpu" else GPU_CHUNK
        end = p.offset + p.size
        return [slice(first, min(first + chunk, end)) for first in range(p.offset, end, chunk)]


class Torch:
    """The kernel of torch's operations."""

    name = "torch"
    takes_tensors = True

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> TorchStepper:
        return TorchStepper(rule, parameters, state, torch.device("cpu"))


TORCH = Torch()


def kernel() -> Torch:
    """The kernel."""
    return TORCH
