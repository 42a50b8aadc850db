"""What steppers with torch tensors have in common: where the state lies, two of it, and what a
step that is refused leaves behind.

A kernel's pass reads one state and writes another, so a failing step has changed no state, and the
last one can be undone. It raises flags instead of errors; which error it is, `kernels.reference`
says, from copies on the host.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.formats import K_RANGE, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.kernels.host_copy import HostCopy
from zk_autograd.kernels.protocol import Model
from zk_autograd.kernels.ranges import require_ranges
from zk_autograd.kernels.reference import (
    ReferenceStepper,
    as_integers,
    group_ranges,
    require_constants,
    require_state,
)
from zk_autograd.kernels.tensors import on_host, require_tensors

Planes = dict[str, torch.Tensor]
"""A state as a kernel packs it, all on one device."""

INT32 = np.iinfo(np.int32)


class Report:
    """What the passes of one step found: int64 (2,) on their device, saturated elements and
    flags."""

    def __init__(self, device: torch.device) -> None:
        self.values = torch.zeros(2, dtype=torch.int64, device=device)

    def read(self) -> tuple[int, bool]:
        """How many elements saturated, and whether nothing was flagged. Waits for the passes."""
        saturated, flags = self.values.tolist()
        return saturated, flags == 0


class DeviceStepper(ABC):
    """A stepper (`kernels.protocol.Stepper`) whose state lies where the model's tensors are."""

    name: str

    def __init__(self, rule: Rule, parameters: Sequence[Parameter], state: State, device: torch.device) -> None:
        require_state(rule, parameters, state)
        require_ranges(state)
        self._rule = rule
        self._parameters = tuple(parameters)
        self._groups = group_ranges(parameters)
        self._size = sum(p.size for p in parameters)
        self._device = device
        self._planes = _moved(self._pack(state), device)
        self._spare: Planes | None = None
        self._undoable = False
        self._host = HostCopy()

    @abstractmethod
    def _pack(self, state: State) -> Planes:
        """The state, packed, on the host."""

    @abstractmethod
    def _unpack(self, planes: Planes) -> State:
        """What was packed, from planes on the host."""

    @abstractmethod
    def _require_device(self, device: torch.device) -> None:
        """UsageError where this kernel can't compute."""

    @abstractmethod
    def _pass(self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report) -> None:
        """Takes the step of parameter `index` from integer gradients `G`, int32 (elements,), of the
        whole run: the state after it goes to `new`."""

    @abstractmethod
    def _pass_model(
        self, index: int, new: Planes, G: torch.Tensor, constants: StepConstants, report: Report, model: Model
    ) -> None:
        """As `_pass`, from the model's gradients, whose integers go to `G`."""

    @abstractmethod
    def _settle(self, index: int, new: Planes, model: Model, *, taken: bool) -> None:
        """After all passes: the model's weights of parameter `index` are what the step gave, if it
        was `taken`, else as they were before its pass."""

    @abstractmethod
    def _write(self, index: int, weights: torch.Tensor) -> None:
        """Writes the state's weights of parameter `index`."""

    @property
    def state(self) -> State:
        return self._unpack(_moved(self._planes, torch.device("cpu")))

    @property
    def weights(self) -> IntArray:
        return self.state["W"]

    @property
    def gradients(self) -> NDArray[np.int32]:
        array = self._host.array()
        if array is None:
            raise UsageError("no step was taken yet")
        return array

    def step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> None:
        values = as_integers(gradients, self._parameters)
        if not self._fit(constants) or not _fits_int32(values):
            self._refuse(values, constants)
        G = torch.from_numpy(values.astype(np.int32)).to(self._device)
        new, report = self._begin()
        for index, p in enumerate(self._parameters):
            self._pass(index, new, G, constants[p.group], report)
        if not report.read()[1]:
            self._refuse(values, constants)
        self._take(new, G)

    def step_model(self, model: Model, constants: Sequence[StepConstants]) -> int:
        self._place(model)
        if model.scale not in K_RANGE or not self._fit(constants):
            self._refuse(model, constants)
        G = torch.empty(self._size, dtype=torch.int32, device=self._device)
        new, report = self._begin()
        passed = 0
        try:
            for index, p in enumerate(self._parameters):
                passed = index + 1
                self._pass_model(index, new, G, constants[p.group], report, model)
            saturated, fine = report.read()
        except BaseException:  # an interrupt, too, leaves the model as it was
            self._settle_all(passed, new, model, taken=False)
            raise
        self._settle_all(passed, new, model, taken=fine)
        if not fine:
            self._refuse(model, constants)
        self._take(new, G)
        return saturated

    def write(self, model: Model) -> None:
        self._place(model)
        for index, weights in enumerate(model.weights):
            self._write(index, weights.detach())

    def undo(self, model: Model | None = None) -> None:
        if not self._undoable or self._spare is None:
            raise UsageError("there is no step that could be taken back")
        if model is not None:
            self._place(model)
        self._planes, self._spare, self._undoable = self._spare, self._planes, False
        self._host.forget()
        if model is not None:
            self.write(model)

    def _begin(self) -> tuple[Planes, Report]:
        """Where the next state goes: what the step before the last one left, which now can't be
        undone any more."""
        self._undoable = False
        if self._spare is None:
            self._spare = {name: torch.empty_like(plane) for name, plane in self._planes.items()}
        return self._spare, Report(self._device)

    def _take(self, new: Planes, G: torch.Tensor) -> None:
        self._host.send(G)
        self._planes, self._spare, self._undoable = new, self._planes, True

    def _settle_all(self, passed: int, new: Planes, model: Model, *, taken: bool) -> None:
        for index in range(passed):
            self._settle(index, new, model, taken=taken)

    def _place(self, model: Model) -> None:
        """The state goes where the model is. UsageError for a model that no step can take."""
        device = require_tensors(model, self._parameters)
        if device is None or device == self._device:
            return
        self._require_device(device)
        self._planes = _moved(self._planes, device)
        self._spare = None if self._spare is None else _moved(self._spare, device)
        self._device = device

    def _fit(self, constants: Sequence[StepConstants]) -> bool:
        require_constants(constants, self._groups)
        return all(isinstance(constants[p.group], FAMILIES[self._rule].constants) for p in self._parameters)

    def _refuse(self, what: Model | IntArray, constants: Sequence[StepConstants]) -> NoReturn:
        """Raises what the reference raises for this step, which was flagged."""
        reference = ReferenceStepper(self._rule, self._parameters, self.state)
        if isinstance(what, Model):
            reference.step_model(on_host(what), constants)
        else:
            reference.step(what, constants)
        raise RunError(
            f"the kernel {self.name} on {self._device} refuses a step that NumPy's exact one takes, so one of them miscomputes: "
            "nothing of the step was kept; resume with another kernel, and have the device looked at"
        )


def _fits_int32(values: IntArray) -> bool:
    return not values.size or (INT32.min <= int(values.min()) and int(values.max()) <= INT32.max)


def _moved(planes: Planes, device: torch.device) -> Planes:
    return {name: plane.to(device) for name, plane in planes.items()}
