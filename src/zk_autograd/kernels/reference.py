"""The rule as `core.rules` computes it, in NumPy: what every other kernel is compared with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.formats import IntArray, dequantize_weight, quantize_gradient
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, state_names, step
from zk_autograd.kernels.protocol import Model, WeightsChangedError


class ReferenceStepper:
    """A state as int64 vectors."""

    def __init__(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> None:
        require_state(rule, parameters, state)
        self._rule = rule
        self._parameters = tuple(parameters)
        self._groups = group_ranges(parameters)
        self._state = {name: values.copy() for name, values in state.items()}
        self._before: State | None = None
        self._gradients: NDArray[np.int32] | None = None

    @property
    def state(self) -> State:
        return {name: values.copy() for name, values in self._state.items()}

    @property
    def weights(self) -> IntArray:
        return self._state["W"].copy()

    @property
    def gradients(self) -> NDArray[np.int32]:
        if self._gradients is None:
            raise UsageError("no step was taken yet")
        return self._gradients

    def step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> None:
        self._before = None
        self._take(as_integers(gradients, self._parameters), constants)

    def step_model(self, model: Model, constants: Sequence[StepConstants]) -> int:
        self._before = None
        require_model(model, self._parameters)
        W = self._state["W"]
        for index, (p, weights) in enumerate(zip(self._parameters, model.weights, strict=True)):
            written = dequantize_weight(W[p.offset : p.offset + p.size])
            if not np.array_equal(written.view(np.int32), np.asarray(weights).view(np.int32)):
                raise WeightsChangedError(index)
        parts, saturated = [], 0
        for p, gradient in zip(self._parameters, model.gradients, strict=True):
            G, count = quantize_gradient(np.asarray(gradient), model.scale, f"the gradient of {p.name}")
            parts.append(G)
            saturated += count
        self._take(np.concatenate(parts), constants)
        self.write(model)
        return saturated

    def write(self, model: Model) -> None:
        require_model(model, self._parameters)
        for p, weights in zip(self._parameters, model.weights, strict=True):
            weights[:] = dequantize_weight(self._state["W"][p.offset : p.offset + p.size])

    def undo(self, model: Model | None = None) -> None:
        if self._before is None:
            raise UsageError("there is no step that could be taken back")
        self._state, self._before, self._gradients = self._before, None, None
        if model is not None:
            self.write(model)

    def _take(self, G: IntArray, constants: Sequence[StepConstants]) -> None:
        require_constants(constants, self._groups)
        result = {name: np.empty_like(values) for name, values in self._state.items()}
        for part, own in zip(self._groups, constants, strict=False):
            before = {name: values[part] for name, values in self._state.items()}
            try:
                after = step(self._rule, before, G[part], own)
            except RangeError as error:
                place = part.start + error.index
                raise RangeError(error.what, "", place, error.value, error.bound, error.advice) from None
            for name, values in after.items():
                result[name][part] = values
        self._before, self._state, self._gradients = self._state, result, G.astype(np.int32)


class Reference:
    """The kernel of NumPy."""

    name = "numpy"
    takes_tensors = False

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> ReferenceStepper:
        return ReferenceStepper(rule, parameters, state)


REFERENCE = Reference()


def group_ranges(parameters: Sequence[Parameter]) -> tuple[slice, ...]:
    """The elements of each parameter group in the flat vector; an empty slice for a group without
    tensors."""
    groups = 1 + max((p.group for p in parameters), default=-1)
    ends = [(0, 0)] * groups
    for p in parameters:
        first, last = ends[p.group]
        ends[p.group] = (p.offset if first == last else first, p.offset + p.size)
    return tuple(slice(first, last) for first, last in ends)


def require_state(rule: Rule, parameters: Sequence[Parameter], state: State) -> None:
    """UsageError unless `state` has the rule's vectors, int64, of as many elements as the
    parameters."""
    size = sum(p.size for p in parameters)
    if set(state) != set(state_names(rule)):
        raise UsageError(f"the state of {rule.value} is {state_names(rule)}; this one has {tuple(state)}")
    for name, values in state.items():
        if values.dtype != np.int64 or values.shape != (size,):
            raise UsageError(f"{name} is {values.dtype} of shape {values.shape}; it must be int64 of shape ({size},)")


def require_constants(constants: Sequence[StepConstants], groups: Sequence[slice]) -> None:
    """UsageError unless each group has its constants; more are allowed for groups without
    tensors behind them."""
    if len(constants) < len(groups):
        raise UsageError(
            f"a step of {len(groups)} parameter groups needs the constants of each; {len(constants)} given"
        )


def as_integers(gradients: NDArray[np.signedinteger[Any]], parameters: Sequence[Parameter]) -> IntArray:
    """The gradients as int64. UsageError as `require_integers`."""
    require_integers(gradients, parameters)
    return gradients.astype(np.int64, copy=False)


def require_integers(gradients: NDArray[np.signedinteger[Any]], parameters: Sequence[Parameter]) -> None:
    """UsageError unless the gradients are int32 or int64 (elements,)."""
    size = sum(p.size for p in parameters)
    if gradients.dtype not in (np.int32, np.int64) or gradients.shape != (size,):
        found = f"{gradients.dtype} of shape {gradients.shape}"
        raise UsageError(f"the gradients are {found}; they must be int32 or int64 of shape ({size},)")


def require_model(model: Model, parameters: Sequence[Parameter]) -> None:
    """UsageError unless the model has a float32 vector of the right length for each parameter."""
    for what, arrays in (("gradient", model.gradients), ("weight", model.weights)):
        if len(arrays) != len(parameters):
            raise UsageError(f"{len(arrays)} {what} arrays for {len(parameters)} parameters")
        for p, values in zip(parameters, arrays, strict=True):
            if values.dtype != np.float32 or values.shape != (p.size,):
                found = f"{values.dtype} of shape {values.shape}"
                raise UsageError(f"the {what} of {p.name} is {found}; it must be float32 of shape ({p.size},)")
