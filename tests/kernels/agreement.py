"""Cases of a step, and what a kernel makes of them: compared with `core` through the reference.

Without pytest, for benchmarks/on_gpu.py uses it, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import RangeError, ZkError
from zk_autograd.core.formats import FloatArray, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, state_names, step
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.kernels.protocol import Kernel, Model, Stepper, WeightsChangedError
from zk_autograd.kernels.reference import REFERENCE

W_EDGES = (0, 1, -1, 2**15 - 1, -(2**15), 2**31, 2**32 - 1, -(2**32), 2**45 - 2**33, 2**45 - 1, 1 - 2**45)
M_EDGES = (0, 2**14, -(2**14) - 1, 2**32 - 1, 2**44, 2**45 - 1, 1 - 2**45)
V_EDGES = (0, 1, 2**15 - 1, (2**29 - 1) ** 2 - 1, (2**29 - 1) ** 2, (2**30 - 1) ** 2 - 1, 2**60 - 1, 2**60)
B_EDGES = (0, 1, -1, 2**14, 2**29, 2**30 - 1, 1 - 2**30)
G_EDGES = (0, 1, -1, 2**14, 2**28 + 1, 2**30 - 1, 1 - 2**30)
EDGES = {"W": W_EDGES, "M": M_EDGES, "V": V_EDGES, "B": B_EDGES}
UNIT = 2.0**-28
FLOATS = (
    *(0.0, -0.0, 1e-45, -1e-45, 1e-38, UNIT / 2, -UNIT / 2, 3 * UNIT / 2, 5 * UNIT / 2, -5 * UNIT / 2, 0.49999997 * UNIT),
    *(-0.49999997 * UNIT, 0.50000006 * UNIT, -0.50000006 * UNIT, 4194304.5 * UNIT, -8388607.5 * UNIT, 0.1, -3.9999998),
    *(3.9999998, 4.0, -4.0, 3e38, -3e38),
)  # fmt: skip
"""Gradients at the edges of rounding and saturation under grad_scale 2^0."""

ADAM = (
    AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0),
    AdamConstants(c1=1, c2=1, LR=1, E=1, D=2**28 - 1),
    AdamConstants(c1=2**15, c2=2**15, LR=2**30 - 1, E=2**29 - 1, D=2**20),
    AdamConstants(c1=2**15, c2=1, LR=2**20, E=1, D=1),
    AdamConstants.no_op(),
)
SGD = (
    SgdConstants(mu=29491, cg=2**15, LR=717986918, s=30, D=12345),
    SgdConstants(mu=2**15 - 1, cg=2**15, LR=2**31 - 1, s=30, D=2**28 - 1),
    SgdConstants(mu=0, cg=2**15, LR=65535, s=15, D=0),
    SgdConstants.no_op(15),
)

LION = (
    LionConstants(c1=3277, c2=328, LR=429497, D=12345),
    LionConstants(c1=1, c2=1, LR=1, D=2**28 - 1),
    LionConstants(c1=2**15, c2=2**15, LR=2**30 - 1, D=0),
    LionConstants(c1=2**15, c2=1, LR=2**20, D=1),
    LionConstants.no_op(),
)
RMSPROP = (
    RmspropConstants(c2=328, LR=4294967, E=687, D=0),
    RmspropConstants(c2=1, LR=1, E=1, D=2**28 - 1),
    RmspropConstants(c2=2**15, LR=2**30 - 1, E=2**29 - 1, D=2**20),
    RmspropConstants.no_op(),
)


def constants_of(rule: Rule) -> Sequence[StepConstants]:
    """Constants at the ends of their ranges, and usual ones."""
    of: dict[type[StepConstants], Sequence[StepConstants]]
    of = {AdamConstants: ADAM, SgdConstants: SGD, LionConstants: LION, RmspropConstants: RMSPROP}
    return of[FAMILIES[rule].constants]


@dataclass(frozen=True)
class Case:
    """A step: from a model with these gradients, or, if there are none, from the integers G.
    `changed` is an element of the model that somebody wrote to."""

    rule: Rule
    sizes: tuple[int, ...]
    groups: tuple[int, ...]
    state: State
    G: IntArray
    constants: tuple[StepConstants, ...]
    gradients: FloatArray | None = None
    k: int = 0
    changed: int | None = None

    @property
    def parameters(self) -> list[Parameter]:
        offsets = np.cumsum((0, *self.sizes)).tolist()
        return [
            Parameter(f"p{index}", (size,), offset, size, group)
            for index, (size, group, offset) in enumerate(zip(self.sizes, self.groups, offsets, strict=False))
        ]


def outcome(kernel: Kernel, case: Case, device: str = "cpu") -> dict[str, object]:
    """All that can be told of a step: what it gives, or how it is refused, and what it leaves."""
    stepper = kernel.stepper(case.rule, case.parameters, case.state)
    if case.gradients is None:
        return _taken(stepper, None, case, lambda: stepper.step(case.G, case.constants))
    model = Model(_arrays(case, case.gradients, kernel, device), _arrays(case, None, kernel, device), case.k)
    stepper.write(model)
    if case.changed is not None:
        _change(model, case)
    return _taken(stepper, model, case, lambda: stepper.step_model(model, case.constants))


def _taken(stepper: Stepper, model: Model | None, case: Case, take: Any) -> dict[str, object]:
    found: dict[str, object] = {"before": _bits(stepper, model)}
    try:
        found["saturated"] = take()
    except WeightsChangedError as error:
        found["error"] = error.index
    except ZkError as error:
        found["error"] = type(error).__name__, str(error)
    else:
        found["gradients"] = stepper.gradients.tobytes()
    found["after"] = _bits(stepper, model)
    if "error" in found:
        assert found["after"] == found["before"], "a step that was refused changed something"
    else:
        stepper.undo(model)
        assert _bits(stepper, model) == found["before"], "undoing a step left something changed"
    return found


def _bits(stepper: Stepper, model: Model | None) -> object:
    weights = [] if model is None else [on_host(w).tobytes() for w in model.weights]
    return {name: values.tobytes() for name, values in stepper.state.items()}, weights


def on_host(values: Any) -> NDArray[Any]:
    """A tensor's or array's values."""
    return np.asarray(values if isinstance(values, np.ndarray) else values.cpu())


def _arrays(case: Case, values: FloatArray | None, kernel: Kernel, device: str) -> list[Any]:
    flat = np.zeros(sum(case.sizes), np.float32) if values is None else values
    parts = [flat[p.offset : p.offset + p.size].copy() for p in case.parameters]
    if not kernel.takes_tensors:
        return parts
    import torch

    return [torch.from_numpy(part).to(device) for part in parts]


def _change(model: Model, case: Case) -> None:
    p = next(p for p in case.parameters if case.changed is not None and case.changed < p.offset + p.size)
    assert case.changed is not None
    weights = model.weights[case.parameters.index(p)]
    weights[case.changed - p.offset] = float(weights[case.changed - p.offset]) + 1.0


def require_agreement(kernel: Kernel, case: Case, device: str = "cpu") -> dict[str, object]:
    """AssertionError unless the kernel's outcome is the reference's; returns it."""
    wanted, found = outcome(REFERENCE, case), outcome(kernel, case, device)
    if wanted != found:
        parts = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
        errors = wanted.get("error"), found.get("error")
        raise AssertionError(f"{kernel.name} differs from core in {parts} of {case.rule.value}: {errors}")
    return found


def one_tensor(rule: Rule, state: State, G: IntArray, constants: StepConstants) -> Case:
    """A step of one tensor, from integers."""
    return Case(rule, (G.size,), (0,), state, G, (constants,))


def extremes(rule: Rule, most: int = 2**20) -> Iterator[Case]:
    """For each of the constants two steps of every combination of extreme states and gradients (at
    most `most` of them): those that can be taken, from integers, and of the same, from floats."""
    names = state_names(rule)
    columns = np.array(list(product(*(EDGES[name] for name in names), G_EDGES)), dtype=np.int64).T
    if columns.shape[1] > most:
        columns = columns[:, np.random.default_rng(5).permutation(columns.shape[1])[:most]]
    for constants in constants_of(rule):
        *states, G = possible(rule, columns, constants)
        state = {name: values.copy() for name, values in zip(names, states, strict=True)}
        yield (case := one_tensor(rule, state, G, constants))
        yield replace(case, gradients=np.ldexp(G.astype(np.float32), -28))


def possible(rule: Rule, columns: IntArray, constants: StepConstants) -> IntArray:
    """The columns (states and G) of the elements that a step can take."""
    names = state_names(rule)
    kept = []
    for element in columns.T:
        state = {name: element[[at]] for at, name in enumerate(names)}
        try:
            step(rule, state, element[-1:], constants)
        except RangeError:
            continue
        kept.append(element)
    return np.array(kept, dtype=np.int64).reshape(-1, len(columns)).T.copy()


def random_case(rule: Rule, sizes: tuple[int, ...], seed: int, k: int = 0) -> Case:
    """A random state that usual constants can step from, in two groups, with gradients at the edges
    of rounding and saturation among random ones."""
    random = np.random.default_rng(seed)
    size = sum(sizes)
    roots = random.integers(0, 2 ** random.integers(1, 30, size))
    drawn = {
        "W": random.integers(-(2**44), 2**44, size) >> random.integers(0, 44, size),
        "M": roots * random.integers(-(2**15), 2**15, size),
        "V": np.clip(roots * roots + random.integers(-1, 2, size), 0, 2**60),
        "B": random.integers(-(2**26), 2**26, size),
    }
    floats = np.ldexp(random.normal(size=size) * 0.1, -k).astype(np.float32)
    edges = np.array(FLOATS, np.float32)[: max(0, size - 1)]
    if rule not in (Rule.ADAM, Rule.ADAMW):  # whose update is as large as the gradient
        edges = edges[np.abs(edges) < 1]
    floats[random.permutation(size)[: edges.size]] = np.clip(np.ldexp(edges.astype(np.float64), -k), -3e38, 3e38)
    groups = tuple(int(index >= len(sizes) // 2) for index in range(len(sizes)))
    usual = constants_of(rule)[0]
    state = {name: drawn[name] for name in state_names(rule)}
    G = random.integers(-(2**20), 2**20, size)
    return Case(rule, sizes, groups, state, G, (usual, _slower(usual)), floats, k)


def _slower(constants: Any) -> StepConstants:
    changed: StepConstants = replace(constants, LR=constants.LR // 3)
    return changed
