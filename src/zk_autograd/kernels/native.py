"""The rule in compiled code (crates/kernel): one pass over packed state, by as many threads and as
wide vectors as there are.

What it refuses, the definition explains: `kernels.reference` takes that step again, from copies,
for its error.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import K_RANGE, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.kernels.protocol import Model, Stepper
from zk_autograd.kernels.reference import (
    REFERENCE,
    ReferenceStepper,
    group_ranges,
    require_integers,
    require_model,
    require_state,
)

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
    """A state in compiled code. As `protocol.Stepper`; UsageError, too, for arrays that it can't
    use where they lie: read-only, not contiguous, or weights that share memory."""

    def __init__(self, rule: Rule, parameters: Sequence[Parameter], state: State, vectors: str = "auto") -> None:
        from zk_autograd import _native

        require_state(rule, parameters, state)
        self._native = _native
        self._rule = rule
        self._parameters = tuple(parameters)
        self._groups = len(group_ranges(parameters))
        self._vectors = vectors
        tensors = [(p.size, p.group) for p in parameters]
        values = [np.ascontiguousarray(state[name]) for name in state_names(rule)]
        try:
            self._inner: _native.Stepper = _native.Stepper(rule.value, tensors, values)
        except _native.StepRefused:
            groups, size = self._groups, len(state["W"])
            definition = ReferenceStepper(rule, parameters, state)
            explain(definition, lambda stepper: stepper.step(np.zeros(size, np.int64), [_no_op(rule)] * groups))
        size = sum(p.size for p in parameters)
        # A refused step leaves the last one's gradients as they are, so there are two places.
        self._kept, self._other = np.empty(size, np.int32), np.empty(size, np.int32)
        self._has_gradients = False

    @property
    def state(self) -> State:
        return {name: self._inner.state(number) for number, name in enumerate(state_names(self._rule))}

    @property
    def weights(self) -> IntArray:
        return self._inner.state(state_names(self._rule).index("W"))

    @property
    def gradients(self) -> NDArray[np.int32]:
        if not self._has_gradients:
            raise UsageError("no step was taken yet")
        view = self._kept.view()
        view.flags.writeable = False
        return view

    def step(self, gradients: NDArray[np.signedinteger[Any]], constants: Sequence[StepConstants]) -> None:
        require_integers(gradients, self._parameters)
        narrow = np.ascontiguousarray(gradients, np.int32)
        if np.may_share_memory(narrow, self._other):  # the gradients of two steps ago, handed back
            narrow = narrow.copy()
        try:
            self._require_fit(constants, gradients.dtype == np.int32 or bool(np.array_equal(narrow, gradients)))
            self._inner.step(narrow, self._other, self._tuples(constants), self._vectors, threads())
        except self._native.StepRefused:
            explain(self._definition(), lambda stepper: stepper.step(gradients, constants))
        self._taken()

    def step_model(self, model: Model, constants: Sequence[StepConstants]) -> int:
        require_model(model, self._parameters)
        try:
            self._require_fit(constants, model.scale in K_RANGE)
            saturated = self._take(model, constants)
        except self._native.StepRefused:
            copies = replace(model, weights=[np.array(weights) for weights in model.weights])
            explain(self._definition(), lambda stepper: stepper.step_model(copies, constants))
        self._taken()
        return saturated

    def write(self, model: Model) -> None:
        require_model(model, self._parameters)
        with usable():
            self._inner.write(list(model.weights))

    def undo(self, model: Model | None = None) -> None:
        if not self._inner.undo():
            raise UsageError("there is no step that could be taken back")
        self._has_gradients = False
        if model is not None:
            self.write(model)

    def _take(self, model: Model, constants: Sequence[StepConstants]) -> int:
        gradients, weights = list(model.gradients), list(model.weights)
        how = (model.scale, self._other, self._tuples(constants), self._vectors, threads())
        with usable():
            try:
                return self._inner.step_model(gradients, weights, *how)
            except self._native.SharedMemory:  # a gradient may be the weights themselves: it is read first
                copies = [np.array(gradient) for gradient in gradients]
            return self._inner.step_model(copies, weights, *how)

    def _taken(self) -> None:
        self._kept, self._other = self._other, self._kept
        self._has_gradients = True

    def _require_fit(self, constants: Sequence[StepConstants], rest: bool) -> None:
        """StepRefused unless each group has its constants, of the rule's class, and the `rest` fits
        as well."""
        own, wanted = constants[: self._groups], FAMILIES[self._rule].constants
        if not (rest and len(own) == self._groups and all(isinstance(c, wanted) for c in own)):
            raise self._native.StepRefused

    def _tuples(self, constants: Sequence[StepConstants]) -> list[tuple[int, ...]]:
        return [astuple(own) for own in constants[: self._groups]]

    def _definition(self) -> ReferenceStepper:
        return ReferenceStepper(self._rule, self._parameters, self.state)


class Native:
    """The kernel of compiled code. `vectors`: "auto" for the widest that the machine has, "v3" for
    AVX2, "scalar" for what the module was compiled for; all give the same bits."""

    name = "native"
    takes_tensors = False

    def __init__(self, vectors: str = "auto") -> None:
        self.vectors = vectors

    def stepper(self, rule: Rule, parameters: Sequence[Parameter], state: State) -> Stepper:
        """UsageError, too, if there is no compiled module. A rule that was added to core alone is
        computed as it is defined."""
        require_built()
        from zk_autograd import _native

        if rule.value not in _native.kernel_rules():
            return REFERENCE.stepper(rule, parameters, state)
        return NativeStepper(rule, parameters, state, self.vectors)


NATIVE = Native()


def kernel() -> Native:
    """The kernel for the machine as it is. UsageError if there is no compiled module."""
    require_built()
    return NATIVE


def require_built() -> None:
    """UsageError, saying how to get it, if `zk_autograd._native` is not built, or was built from
    older sources."""
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


def explain(definition: ReferenceStepper, take: Callable[[ReferenceStepper], object]) -> NoReturn:
    """Raises the error that the definition has for what was refused."""
    take(definition)
    raise RuntimeError("internal: the compiled kernel refused what the definition takes")


def _no_op(rule: Rule) -> StepConstants:
    """The constants of a step that only looks at the state."""
    row = FAMILIES[rule]
    return row.constants.no_op(*(s for s in row.shifts[:1] if s))


@contextmanager
def usable() -> Iterator[None]:
    """Turns what the compiled module says of an array's memory into a UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(
            f"the native kernel can't use an array where it lies: {error}; give contiguous arrays that don't overlap"
        ) from None
