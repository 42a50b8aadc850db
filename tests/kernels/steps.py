"""Steps for the kernels' tests: states of every size, and the comparison with the definition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter
from zk_autograd.core.rules import State, state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.kernels.protocol import Kernel, Model, Stepper, WeightsChangedError
from zk_autograd.kernels.reference import REFERENCE

RANGES = {
    "W": (1 - 2**45, 2**45 - 1),
    "M": (1 - 2**45, 2**45 - 1),
    "B": (1 - 2**30, 2**30 - 1),
    "V": (0, 2**60),
}
"""The least and the largest of each state."""

FIELDS = {
    "c1": (1, 2**15, 3277),
    "c2": (1, 2**15, 33),
    "mu": (0, 2**15 - 1, 29491),
    "cg": (2**15, 2**15, 2**15),
    "E": (1, 2**29 - 1, 687),
    "D": (0, 2**28 - 1, 1074),
}
"""The least, the largest and a usual value of each constant."""


def constants(rule: Rule, rng: np.random.Generator, wild: bool) -> StepConstants:
    """The constants of a step of `rule`: usual ones, or any, often the least or the largest."""
    made = FAMILIES[rule].constants
    is_sgd = made is SgdConstants
    found: dict[str, int] = {}
    for name in made.__dataclass_fields__:
        if name == "s":
            found[name] = int(rng.choice([15, 30])) if wild else 30
            continue
        low, high, usual = (0, 2**31 - 1 if is_sgd else 2**30 - 1, 4294967) if name == "LR" else FIELDS[name]
        found[name] = int(rng.choice(np.array([low, high, usual, rng.integers(low, high + 1)]))) if wild else usual
    return made(**found)


def integers(rng: np.random.Generator, low: int, high: int, size: int) -> NDArray[np.int64]:
    """Integers of `low`..`high`: of every size, often at an end, next to a square or to half of a
    power of two."""
    sizes = rng.integers(0, 1 << rng.integers(0, high.bit_length(), size), endpoint=True)
    signs = np.where((rng.integers(0, 2, size) == 0) & (low < 0), -1, 1)
    roots = rng.integers(0, int(high**0.5) + 1, size)
    kinds = [
        sizes * signs,
        rng.choice(np.array([low, low + 1, -1, 0, 1, high - 1, high]), size),
        (roots * roots + rng.integers(-1, 2, size)) * signs,
        (sizes & ~0x7FFF) * signs + (1 << 14) + rng.integers(-1, 2, size),
        rng.integers(low, high, size, endpoint=True),
    ]
    found: NDArray[np.int64] = np.clip(np.choose(rng.integers(0, len(kinds), size), kinds), low, high)
    return found


def floats(rng: np.random.Generator, size: int, k: int) -> NDArray[np.float32]:
    """Gradients under the scale 2^k: of every size, ties, saturating and subnormal ones, and -0."""
    unit = 2.0 ** -(28 + k)
    ties = (rng.integers(-(2**12), 2**12, size) + 0.5) * unit
    edge = (2.0**30 + rng.integers(-2, 3, size) * 64) * unit * rng.choice([-1, 1], size)
    kinds = [
        rng.standard_normal(size) * 2.0 ** rng.integers(-10, 33, size) * unit,
        ties,
        edge,
        rng.choice(np.array([0.0, -0.0, 1e-45, -1e-40, 1.1754942e-38, 3.4e38, -3.4e38]), size),
        rng.standard_normal(size) * 2.0**16 * unit,
    ]
    return np.choose(rng.integers(0, len(kinds), size), kinds).astype(np.float32)


def parameters(sizes: Sequence[int], groups: Sequence[int] | None = None) -> list[Parameter]:
    """Parameters of these sizes, in these groups (one)."""
    found, offset = [], 0
    for index, size in enumerate(sizes):
        group = 0 if groups is None else groups[index]
        found.append(Parameter(f"layer{index}.weight", (size,), offset, size, group))
        offset += size
    return found


@dataclass
class Case:
    """A step of a whole model from a state."""

    rule: Rule
    parameters: list[Parameter]
    state: State
    constants: list[StepConstants]
    gradients: list[NDArray[np.float32]]
    scale: int = 0

    @property
    def size(self) -> int:
        return sum(p.size for p in self.parameters)

    def model(self) -> Model:
        """The model that belongs to the state."""
        spans = [slice(p.offset, p.offset + p.size) for p in self.parameters]
        weights = [dequantize_weight(np.clip(self.state["W"][span], *RANGES["W"])) for span in spans]
        return Model([g.copy() for g in self.gradients], weights, self.scale)


def case(
    rule: Rule, seed: int, sizes: Sequence[int], groups: Sequence[int] | None = None, *, wild: bool = False, k: int = 0
) -> Case:
    """A case at random. `wild`: values at the ends of their ranges, of which few steps come
    through."""
    rng = np.random.default_rng(seed)
    size = sum(sizes)
    state = {name: integers(rng, *RANGES[name], size) for name in state_names(rule)}
    if not wild:
        state = {name: values >> (20 if name in "WMB" else 2) for name, values in state.items()}
    count = 1 + max(groups or [0])
    gradients = [floats(rng, n, k) for n in sizes]
    if not wild:
        limit = 2.0 ** (20 - 28 - k)
        gradients = [np.clip(g, -limit, limit).astype(np.float32) for g in gradients]
    return Case(
        rule, parameters(sizes, groups), state, [constants(rule, rng, wild) for _ in range(count)], gradients, k
    )


Seen = tuple[object, ...]


def seen(stepper: Stepper, model: Model) -> Seen:
    """All that can be seen of a stepper and its model, as bytes."""
    try:
        G = stepper.gradients.tobytes()
    except Exception as error:
        G = str(error).encode()
    state = {name: values.tobytes() for name, values in stepper.state.items()}
    return state, [w.tobytes() for w in model.weights], [g.tobytes() for g in model.gradients], G


def outcome(act: Callable[[], object]) -> object:
    """What `act` gives, or the error it raises, as something to compare."""
    try:
        return act()
    except WeightsChangedError as error:
        return "changed", error.index
    except Exception as error:
        place = (error.what, error.index, error.value) if isinstance(error, RangeError) else ()
        return type(error).__name__, str(error), place


def compare(kernel: Kernel, case: Case) -> object:
    """Takes the case's step with `kernel` and with the definition, undoes it, and takes it again:
    all that can be seen must be the same at each point. What the step came to."""
    views = []
    for one in (kernel, REFERENCE):
        model = case.model()
        stepper = one.stepper(case.rule, case.parameters, case.state)
        before = seen(stepper, model)
        result = outcome(partial(stepper.step_model, model, case.constants))
        after = seen(stepper, model)
        if not isinstance(result, int):
            assert after == before, f"{one.name}: a step that raised has changed something"
        undone = outcome(partial(stepper.undo, model))
        views.append((result, after, undone, seen(stepper, model)))
    mine, wanted = views
    assert mine[0] == wanted[0]
    assert mine == wanted
    return mine[0]


def without(case: Case, index: int) -> Case:
    """The case with element `index` at rest: it and its gradient are 0."""
    state = {name: values.copy() for name, values in case.state.items()}
    for values in state.values():
        values[index] = 0
    gradients = [g.copy() for g in case.gradients]
    for p, g in zip(case.parameters, gradients, strict=True):
        if p.offset <= index < p.offset + p.size:
            g[index - p.offset] = 0
    return replace(case, state=state, gradients=gradients)


def compare_until_taken(kernel: Kernel, case: Case) -> Case:
    """As `compare`, again and again without the element that was refused, until a step is taken."""
    for _ in range(case.size + 1):
        result = compare(kernel, case)
        if isinstance(result, int):
            return case
        assert isinstance(result, tuple) and result[0] == "RangeError", result
        case = without(case, result[2][1])
    raise AssertionError("a model at rest takes a step")


ADAM = AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0)
