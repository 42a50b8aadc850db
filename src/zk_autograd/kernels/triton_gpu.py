"""The fused kernels of Triton: on a GPU, or on the CPU in Triton's interpreter, which the tests
use."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import GRADIENT_BITS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State
from zk_autograd.core.text import SHOWN
from zk_autograd.kernels.on_device import DeviceStepper, Planes, Report
from zk_autograd.kernels.protocol import Model

if TYPE_CHECKING:
    from types import ModuleType

BLOCK = 1024
"""Elements of a program, the same for all."""
ALIGNMENT = 16
"""As `triton_steps.ALIGNMENT`."""

_WIDE, _NARROW, _LONG = ("low", "high"), ("int32",), ("int64",)


@dataclass(frozen=True, slots=True)
class Row:
    """How a rule is launched: its kernel's name in `triton_steps`, how each of the states is packed
    and what the constants are, both in the order of its arguments, and compile-time options."""

    kernel: str
    states: Mapping[str, tuple[str, ...]]
    constants: Callable[[Any], tuple[int, ...]]
    options: Mapping[str, bool] = field(default_factory=dict)


def _of_adam(c: AdamConstants) -> tuple[int, ...]:
    return c.c1, c.c2, c.LR, c.E, c.D


def _of_sgd(c: SgdConstants) -> tuple[int, ...]:
    return c.mu, c.cg, c.LR, c.s, c.D


def _of_lion(c: LionConstants) -> tuple[int, ...]:
    return c.c1, c.c2, c.LR, c.D


def _of_rmsprop(c: RmspropConstants) -> tuple[int, ...]:
    return c.c2, c.LR, c.E, c.D


_ADAM = Row("adam", {"W": _WIDE, "M": _WIDE, "V": _LONG}, _of_adam)
ROWS: dict[Rule, Row] = {
    Rule.SGD: Row("sgd", {"W": _WIDE}, _of_sgd, {"MOMENTUM": False, "NESTEROV": False}),
    Rule.SGD_MOMENTUM: Row("sgd", {"W": _WIDE, "B": _NARROW}, _of_sgd, {"MOMENTUM": True, "NESTEROV": False}),
    Rule.NESTEROV: Row("sgd", {"W": _WIDE, "B": _NARROW}, _of_sgd, {"MOMENTUM": True, "NESTEROV": True}),
    Rule.ADAM: _ADAM,
    Rule.ADAMW: _ADAM,
    Rule.LION: Row("lion", {"W": _WIDE, "M": _WIDE}, _of_lion),
    Rule.RMSPROP: Row("rmsprop", {"W": _WIDE, "V": _LONG}, _of_rmsprop),
}


class TritonStepper(DeviceStepper):
    """A state as planes of 16, 32 and 64 bits, each parameter's beginning aligned."""

    name = "triton"

    def __init__(self, rule: Rule, parameters: Sequence[Parameter], state: State, steps: "ModuleType") -> None:
        if rule not in ROWS:
            raise UsageError(
                f'kernel="triton" has no program for the rule {rule.value}: choose kernel="torch", or "auto"'
            )
        self._steps = steps
        self._row = ROWS[rule]
        self._places = aligned_places(parameters)
        compiled = _is_compiled(steps)
        device = torch.device("cuda", torch.cuda.current_device()) if compiled else torch.device("cpu")
        super().__init__(rule, parameters, state, device)

    def _pack(self, state: State) -> Planes:
        planes: Planes = {}
        for name, kinds in self._row.states.items():
            vector = self._spread(state[name])
            for kind in kinds:
                planes[f"{name}.{kind}"] = torch.from_numpy(_PACK[kind](vector))
        return planes

    def _unpack(self, planes: Planes) -> State:
        state: State = {}
        for name, kinds in self._row.states.items():
            found = [planes[f"{name}.{kind}"].numpy() for kind in kinds]
            if kinds == _WIDE:
                low, high = found
                wide = (high.astype(np.int64) << 32) | low.view(np.uint32).astype(np.int64)
            else:
                wide = found[0].astype(np.int64)
            state[name] = self._gathered(wide)
        return state

    def _spread(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        spread = np.zeros(self._places[-1], dtype=np.int64)
        for p, place in zip(self._parameters, self._places, strict=False):
            spread[place : place + p.size] = values[p.offset : p.offset + p.size]
        return spread

    def _gathered(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        gathered = np.empty(self._size, dtype=np.int64)
        for p, place in zip(self._parameters, self._places, strict=False):
            gathered[p.offset : p.offset + p.size] = values[place : place + p.size]
        return gathered

    def _require_device(self, device: torch.device) -> None:
        if device.type == self._device.type:
            return
        raise UsageError(
            f'the model is on {device}, but kernel="triton" computes on {self._device} here: move the model there before the '
            'optimizer is made, or choose kernel="native" or "torch"'
        )

    def _pass(self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report) -> None:
        p = self._parameters[index]
        self._launch_rule(
            index, new, (G[p.offset : p.offset + p.size], G, G, report.values), constants, 0, floats=False
        )

    def _pass_model(
        self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report, model: Model
    ) -> None:
        tensors = (model.gradients[index].detach(), model.weights[index].detach(), G, report.values)
        self._launch_rule(index, new, tensors, constants, model.scale, floats=True)

    def _launch_rule(
        self,
        index: int,
        new: Planes,
        tensors: tuple[torch.Tensor, ...],
        constants: StepConstants,
        k: int,
        *,
        floats: bool,
    ) -> None:
        row, p = self._row, self._parameters[index]
        planes = [*self._planes.values()], [*new.values()]
        if row.kernel == "sgd" and "B" not in row.states:
            planes = [*planes[0], planes[0][0]], [*planes[1], planes[1][0]]
        scale = 2.0 ** (GRADIENT_BITS + k)
        numbers = (*row.constants(constants), scale, self._places[index], p.offset, p.size)
        self._launch(
            getattr(self._steps, row.kernel),
            p.size,
            *planes[0],
            *planes[1],
            *tensors,
            *numbers,
            **row.options,
            FLOATS=floats,
        )

    def _settle(self, index: int, new: Planes, model: Model, *, taken: bool) -> None:
        if not taken:
            self._write_floats(index, model.weights[index].detach(), new["W.high"], back=True)

    def _write(self, index: int, weights: torch.Tensor) -> None:
        self._write_floats(index, weights, self._planes["W.high"], back=False)

    def _write_floats(self, index: int, weights: torch.Tensor, new_high: torch.Tensor, *, back: bool) -> None:
        size = self._parameters[index].size
        planes = self._planes["W.low"], self._planes["W.high"], new_high
        self._launch(self._steps.write, size, *planes, weights, self._places[index], size, BACK=back)

    def _launch(self, kernel: Any, size: int, *arguments: object, **options: bool) -> None:
        """Runs the kernel over `size` elements. UsageError if it can't be compiled here."""
        if size == 0:
            return
        with _current(self._device):
            try:
                kernel[(-(-size // BLOCK),)](*arguments, **options, BLOCK=BLOCK, enable_fp_fusion=True)
            except Exception as error:  # of the compiler, the driver, the linker: whatever it is called there
                text = " ".join(str(error).split())[:SHOWN] or type(error).__name__
                raise UsageError(
                    f'Triton can\'t run its kernel on {self._device} ({text}): choose kernel="torch", or mend what it says'
                ) from error


class Triton:
    """The kernel of Triton's programs."""

    name = "triton"
    takes_tensors = True

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> TritonStepper:
        return TritonStepper(rule, parameters, state, _loaded())


TRITON = Triton()


def kernel() -> Triton:
    """The kernel. UsageError where none of Triton's programs can run."""
    _loaded()
    return TRITON


def aligned_places(parameters: Sequence[Parameter]) -> list[int]:
    """Where each parameter begins in a plane, and how long a plane is."""
    places = [0]
    for p in parameters:
        places.append(places[-1] + -(-p.size // ALIGNMENT) * ALIGNMENT)
    return places


_PACK: Mapping[str, Callable[[NDArray[np.int64]], NDArray[Any]]] = {
    "low": lambda values: values.astype(np.int32),  # the low bits: a cast wraps
    "high": lambda values: (values >> 32).astype(np.int16),
    "int32": lambda values: values.astype(np.int32),
    "int64": lambda values: values,
}


def _loaded() -> "ModuleType":
    """The kernels' module. UsageError where no Triton program can run."""
    if find_spec("triton") is None:
        raise UsageError(
            "kernel=\"triton\" needs triton, which torch brings along on Linux: pip install 'zk-autograd[train]', or choose another kernel"
        )
    from triton import knobs

    if not (knobs.runtime.interpret or torch.cuda.is_available()):
        raise UsageError(
            'kernel="triton" needs a GPU that torch can use, and there is none here: choose kernel="native" or "torch", or "auto"'
        )
    from zk_autograd.kernels import triton_steps

    return triton_steps


def _is_compiled(steps: "ModuleType") -> bool:
    from triton.runtime.jit import JITFunction

    return isinstance(steps.adam, JITFunction)


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
