"""Whether the time of a native step tells something of its secrets, gradients and state: Welch's t
between two classes of values, as in dudect.

    python -m benchmarks.timing_of_secrets [--json] [--measurements N] [--elements N]

For each kind of secret, steps with one fixed value of it and steps with random ones take turns at
random, on one thread; everything else is the same, down to the addresses of the arrays. The times
are cropped at a hundred quantiles, and t is the largest of those of the cropped times and of the
squares of their distances from the mean (a test of second order). From 10 on it tells the two
classes apart; below, nothing was found with so many measurements, which is no proof that there is
nothing. Two controls aren't constant in time, and must be told apart, or the program ends with
status 1: a step that skips what has no gradient, and a native step that leaves out one block of its
32 (with 4096 elements) if there are no gradients.

Oscar Reparaz, Josep Balasch, Ingrid Verbauwhede: Dude, is my code constant time? DATE 2017.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, conditions, emit
from zk_autograd import _native
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import State, state_names

TELLING = 10.0
"""From this t on, dudect calls two classes told apart."""
CROPS = 100
BLOCK = 128
"""Elements of a native step's block (crates/kernel/src/block.rs)."""
POOL = 64
"""Values of each class that take turns, the fixed one as often copied: both come from memory."""

CONSTANTS: dict[Rule, StepConstants] = {
    Rule.ADAM: AdamConstants(c1=3277, c2=33, LR=4294967, E=687, D=0),
    Rule.SGD_MOMENTUM: SgdConstants(mu=29491, cg=2**15, LR=107374182, s=30, D=0),
}
RANDOM_BITS = {"W": 32, "M": 36, "B": 20, "V": 40}
"""How large random states are: as in a training, far from the ends of their ranges."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Secret:
    """A step's secret values: of one class, or the other."""

    gradient: Floats
    state: State


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two classes: `make(fixed, rng)` is a value of the first or of the second."""

    name: str
    rule: Rule
    make: Callable[[bool, np.random.Generator], Secret]
    step: Callable[[Rule, Secret], float]


def random_gradient(rng: np.random.Generator, size: int) -> Floats:
    """As in a training."""
    return (rng.standard_normal(size) * 1e-3).astype(np.float32)


def random_state(rule: Rule, rng: np.random.Generator, size: int) -> State:
    """As in a training."""
    found = {name: rng.integers(0, 1 << RANDOM_BITS[name], size) for name in state_names(rule)}
    return {name: values if name == "V" else values - (values.max() >> 1) for name, values in found.items()}


class Stepping:
    """Native steps, each from a state of its own, in arrays that stay where they are."""

    def __init__(self, size: int) -> None:
        self.gradient, self.weights = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.kept = np.zeros(size, np.int32)

    def native(self, rule: Rule, secret: Secret, left_out: int = 0) -> float:
        """Seconds of a native step, without the last elements."""
        size = len(self.gradient) - left_out
        state = [secret.state[name][:size] for name in state_names(rule)]
        stepper = _native.Stepper(rule.value, [(size, 0)], state)
        self.gradient[:], self.weights[:size] = secret.gradient, dequantize_weight(state[0])
        arrays = ([self.gradient[:size]], [self.weights[:size]], 0, self.kept[:size])
        given = (*arrays, [astuple(CONSTANTS[rule])], "auto", 1)
        start = time.perf_counter_ns()
        stepper.step_model(*given)
        return (time.perf_counter_ns() - start) * 1e-9

    def leaky(self, _: Rule, secret: Secret) -> float:
        """Seconds of a step that skips what has no gradient."""
        self.gradient[:] = secret.gradient
        start = time.perf_counter_ns()
        moved = np.flatnonzero(self.gradient)
        self.weights[moved] -= self.gradient[moved]
        return (time.perf_counter_ns() - start) * 1e-9

    def shorter(self, rule: Rule, secret: Secret) -> float:
        """Seconds of a native step that leaves out a block if there are no gradients."""
        return self.native(rule, secret, 0 if secret.gradient.any() else BLOCK)


def comparisons(size: int) -> Iterator[Comparison]:
    """What is compared: the controls first."""
    stepping = Stepping(size)

    def gradients(rule: Rule, fixed: Floats) -> Callable[[bool, np.random.Generator], Secret]:
        state = random_state(rule, np.random.default_rng(1), size)
        return lambda is_fixed, rng: Secret(fixed.copy() if is_fixed else random_gradient(rng, size), state)

    def states(rule: Rule, value: int) -> Callable[[bool, np.random.Generator], Secret]:
        gradient = random_gradient(np.random.default_rng(2), size)
        fixed = {name: np.full(size, value) for name in state_names(rule)}
        return lambda is_fixed, rng: Secret(
            gradient, {n: v.copy() for n, v in fixed.items()} if is_fixed else random_state(rule, rng, size)
        )

    zero = np.zeros(size, np.float32)
    yield Comparison("control.zero_skipped", Rule.SGD, gradients(Rule.SGD, zero), stepping.leaky)
    yield Comparison("control.block_left_out", Rule.ADAM, gradients(Rule.ADAM, zero), stepping.shorter)
    for rule in CONSTANTS:
        name = rule.value.replace("-", "_")
        for what, fixed in (
            ("zero", zero),
            ("one_value", np.full(size, 1e-3, np.float32)),
            ("subnormal", np.full(size, 1e-40, np.float32)),
            ("saturating", np.full(size, 1e9, np.float32)),
        ):
            if what != "saturating" or rule is Rule.ADAM:  # SGD's momentum would leave its range
                yield Comparison(f"{name}.gradients_{what}", rule, gradients(rule, fixed), stepping.native)
        yield Comparison(f"{name}.state_zero", rule, states(rule, 0), stepping.native)
        yield Comparison(f"{name}.state_power_of_two", rule, states(rule, 2**18), stepping.native)


def welch(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Welch's t of two samples, 0 where one of them is too small to say."""
    if min(len(first), len(second)) < 30:
        return 0.0
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return abs(float(first.mean() - second.mean())) / float(np.sqrt(spread)) if spread else 0.0


def largest_t(times: NDArray[np.float64], is_fixed: NDArray[np.bool_]) -> float:
    """The largest t of all crops (times below a quantile of all of them), of first and second
    order."""
    limits = np.quantile(times, 1 - 0.5 ** (10 * np.arange(1, CROPS + 1) / CROPS))
    found = [0.0]
    for limit in (*limits, times.max()):
        parts = [times[(times <= limit) & own] for own in (is_fixed, ~is_fixed)]
        found += [welch(*parts), welch(*((part - part.mean()) ** 2 if len(part) else part for part in parts))]
    return max(found)


def measure(comparison: Comparison, count: int) -> tuple[float, float]:
    """The t of `count` steps, and the difference of the classes' medians over the median of all."""
    rng = np.random.default_rng(0)
    pools = [[comparison.make(bool(fixed), rng) for _ in range(POOL)] for fixed in (0, 1)]
    is_fixed = rng.integers(0, 2, count).astype(bool)
    which = rng.integers(0, POOL, count)
    for secret in pools[0]:
        comparison.step(comparison.rule, secret)  # warm
    times = np.array(
        [comparison.step(comparison.rule, pools[own][at]) for own, at in zip(is_fixed.astype(int), which, strict=True)]
    )
    apart = float(np.median(times[is_fixed]) - np.median(times[~is_fixed]))
    return largest_t(times, is_fixed), apart / float(np.median(times))


def figures(count: int, size: int, found: dict[str, float]) -> Iterator[Figure]:
    """The t of each comparison, as it comes; kept in `found`, too."""
    yield conditions()
    for comparison in comparisons(size):
        t, apart = measure(comparison, count)
        found[comparison.name] = t
        verdict = "told apart" if t >= TELLING else "not told apart"
        yield Figure(f"t.{comparison.name}", round(t, 2), f"{verdict}; medians {apart:+.2%} apart")


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; 1 if a control wasn't told apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measurements", type=int, default=50_000)
    parser.add_argument("--elements", type=int, default=4096)
    options = parser.parse_args(arguments)
    found: dict[str, float] = {}
    emit(figures(options.measurements, options.elements, found), as_json=options.json)
    if missed := [name for name, t in found.items() if name.startswith("control.") and t < TELLING]:
        print(f"{missed[0]} was not told apart: so few, or so noisy measurements tell nothing", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
