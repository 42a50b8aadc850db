"""The rule in compiled code (crates/kernel): one pass over packed state, by as many threads and as
wide vectors as there are.

What it refuses, the definition explains: `kernels.reference` takes the step again, from copies, for
its error.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants, numbers
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import K_RANGE
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.kernels.reference import (
    ReferenceStepper,
    as_integers,
    group_ranges,
    require_model,
    require_state,
)

if TYPE_CHECKING:
    pass

_threads: int | None = None


def set_threads(count: int | None) -> None:
    """How many threads take a step from now on; None for what torch and RAYON_NUM_THREADS say.
    UsageError below 1."""
    global _threads  # noqa: PLW0603 - as global as the threads are
    if count is not None and count < 1:
        raise UsageError(f"a step can't be taken by {count} threads: give 1 or more")
    _threads = count


def threads() -> int:
    """How many threads take a step: those of `set_threads`; else no more than there are processors,
    than `torch.get_num_threads()`, if torch is loaded, and than RAYON_NUM_THREADS, if set."""
    if _threads is not None:
        return _threads
    counts = [len(os.sched_getaffinity(0))]
    if torch := sys.modules.get("torch"):
        counts.append(torch.get_num_threads())
    asked = os.environ.get("RAYON_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):  # rayon ignores others, too
        counts.append(int(asked))
    return min(counts)


class NativeStepper:
    """A state in compiled code."""

    def __init__(self, rule: Rule, parameters: Sequence[Parameter], state: State, vectors: str) -> None:
        from zk_autograd import _native

        require_state(rule, parameters, state)
        self._rule = rule
        self._parameters = tuple(parameters)
        self._groups = len(group_ranges(parameters))
        self._names = state_names(rule)
        self._vectors = vectors
        self._refused = _native.StepRefused
        tensors = [(p.size, p.group) for p in parameters]
        vectors_of = [np.ascontiguousarray(state[name]) for name in self._names]
        self._inner: _native.Stepper = _native.Stepper(rule.value, tensors, vectors_of)
        size = sum(p.size for p in parameters)
        # A refused step leaves the last one's gradients as they are, so there are two places.
        self._kept, self._other = np.empty(size, np.int32), np.empty(size, np.int32)
        self._has_gradients = False

    @property
    def state(self) -> State:
        return {name: self._inner.state(number) for number, name in enumerate(self._names)}

    @property
    def gradients(self) -> NDArray[np.int32]:
        if not self._has_gradients:
            raise UsageError("no step was taken yet")
        view = self._kept.view()
        view.flags.writeable = False
        return view

    def step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> None:
        integers = as_integers(gradients, self._parameters)
        narrow = integers.astype(np.int32)
        if not self._fit(constants) or not np.array_equal(narrow, integers):
            self._explain_step(gradients, constants)
        try:
            self._inner.step(narrow, self._other, self._tuples(constants), self._vectors, threads())
        except self._refused:
            self._explain_step(gradients, constants)
        self._taken()

    def step_model(self, model: Model, constants: Sequence[StepConstants]) -> int:
        require_model(model, self._parameters)
        if not self._fit(constants) or model.scale not in K_RANGE:
            self._explain(model, constants)
        given = (list(model.gradients), list(model.weights), model.scale)
        try:
            saturated = self._inner.step_model(*given, self._other, self._tuples(constants), self._vectors, threads())
        except self._refused:
            self._explain(model, constants)
        self._taken()
        return saturated

    def write(self, model: Model) -> None:
        require_model(model, self._parameters)
        self._inner.write(list(model.weights))

    def undo(self, model: Model | None = None) -> None:
        if not self._inner.undo():
            raise UsageError("there is no step that could be taken back")
        self._has_gradients = False
        if model is not None:
            self.write(model)

    def _taken(self) -> None:
        self._kept, self._other = self._other, self._kept
        self._has_gradients = True

    def _fit(self, constants: Sequence[StepConstants]) -> bool:
        """Whether each group has its constants, and they are the rule's."""
        own = constants[: self._groups]
        return len(own) == self._groups and all(isinstance(c, FAMILIES[self._rule].constants) for c in own)

    def _tuples(self, constants: Sequence[StepConstants]) -> list[tuple[int, ...]]:
        return [numbers(own) for own in constants[: self._groups]]

    def _explain(self, model: Model, constants: Sequence[StepConstants]) -> NoReturn:
        """Raises the error that the definition has for a step that was refused."""
        copies = Model(model.gradients, [np.array(weights) for weights in model.weights], model.scale)
        self._reference().step_model(copies, constants)
        raise RuntimeError("internal: the compiled kernel refused a step that the definition takes")

    def _explain_step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> NoReturn:
        self._reference().step(gradients, constants)
        raise RuntimeError("internal: the compiled kernel refused a step that the definition takes")

    def _reference(self) -> ReferenceStepper:
        return ReferenceStepper(self._rule, self._parameters, self.state)


class Native:
    """The kernel of compiled code. `vectors`: "auto" for the widest that the machine has, "v3" for
    AVX2, "scalar" for what the module was compiled for."""

    name = "native"
    takes_tensors = False

    def __init__(self, vectors: str = "auto") -> None:
        self.vectors = vectors

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> NativeStepper:
        return NativeStepper(rule, parameters, state, self.vectors)


NATIVE = Native()


def kernel() -> Kernel:
    """The native kernel. UsageError if the compiled module is missing, or older than this code."""
    try:
        from zk_autograd import _native
    except ImportError as error:
        raise UsageError(
            "the native kernel's compiled module is not installed: install a wheel of zk-autograd, or in a checkout run `make install`, "
            'which needs cargo; or choose kernel="torch"'
        ) from error
    if not hasattr(_native, "Stepper"):
        raise UsageError(
            "the compiled module zk_autograd._native was built from older sources: run `make install` again"
        )
    return NATIVE
