"""What a kernel is: the exact rule (core.rules) over the state of all of a run's parameters.

Every kernel gives the bits of `core.rules`, whatever it computes with. A state lives in its stepper
as the kernel likes to keep it; what is asked for is copied out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State


@dataclass(frozen=True, slots=True)
class Model:
    """The floats of a step, one array for each of the run's parameters, in their order.

    `gradients` are only read, `weights` are compared with the state and then overwritten: each
    float32, one-dimensional, contiguous; NumPy arrays, or tensors where the kernel takes those
    (`Kernel.takes_tensors`). `scale` is the k of grad_scale, in K_RANGE.
    """

    gradients: Sequence[Any]
    weights: Sequence[Any]
    scale: int


class WeightsChangedError(Exception):
    """A tensor isn't bit for bit what the last step wrote: `index` is its number among the
    parameters."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Stepper(Protocol):
    """The integer state of a run's parameters, and its step. One thread at a time.

    A step that raises has changed neither state, gradients nor model, but the one before can't be
    undone any more. Only the last step can be undone, once.
    """

    @property
    def state(self) -> State:
        """Copies: int64 (elements,) for each of the rule's states."""
        ...

    @property
    def weights(self) -> IntArray:
        """A copy of W alone: int64 (elements,)."""
        ...

    @property
    def gradients(self) -> NDArray[np.int32]:
        """The integers G of the last step, int32 (elements,): a copy, or not written to until the
        next step begins. UsageError before the first."""
        ...

    def step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> None:
        """A step with integer gradients: int32 or int64 (elements,), `constants` of each group.

        RangeError (tensor "", index in the flat vector), UsageError for what doesn't fit."""
        ...

    def step_model(self, model: Model, constants: Sequence[StepConstants]) -> int:
        """A step from a model's own gradients: rounds them (core.formats.quantize_gradient), takes
        it, and writes the new weights (dequantize_weight) to the model. How many elements
        saturated.

        WeightsChangedError if a weight isn't what the state says; GradientError, which names the
        tensor, for a gradient that isn't finite; RangeError as `step`: then neither state nor model
        has changed. Of several reasons the one that `core.rules` would find is given.
        """
        ...

    def write(self, model: Model) -> None:
        """Writes the state's weights to the model."""
        ...

    def undo(self, model: Model | None = None) -> None:
        """Takes the last step back, and the weights that it wrote to the model, if one is given."""
        ...


class Kernel(Protocol):
    """How a step is computed."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    @property
    def takes_tensors(self) -> bool:
        """Whether a `Model` holds torch tensors, which stay on their device, or NumPy arrays."""
        ...

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> Stepper:
        """A stepper that begins with `state` (int64 (elements,) each), which is copied. UsageError,
        RangeError for what no step can begin with."""
        ...
