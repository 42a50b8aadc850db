"""Attack: values beyond the integers that the argument speaks of: limbs beyond the table, negative numbers, the field's other root.

Each variable in turn is put outside its proved range with every equation true: G and Mh beyond two limbs, U and W beyond theirs in both
directions, a second moment of -1, one so large that its root has no two limbs, and for a root S the field's other one, -S - 2: the
square of S + 1 doesn't tell them apart, and with a large E the divisor E - S - 2 is small and positive, so that the step is any size.

Gain: a step many times as long as the rule's; weights, moments and gradients that no format holds, where sums wrap around.

Why it fails: each limb is looked up, so each variable lies in an interval of integers far below the field's order (docs/soundness-ezkl.md
lists them), and outside it at least one limb is not in the table. Which one is the prover's choice: here each is tried.
"""

from itertools import product
from math import isqrt

from attacks.cheat import Cheat, described, outcome
from attacks.outcome import Outcome
from attacks.segment import ONE, Segment, State, exact_step
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.relations import OFFSET_W, RADIX, TABLE_MAX

GAIN = "a step many times too long, and values that no format holds"

SLOW = AdamConstants(c1=1, c2=1, LR=1, E=2**29 - 1, D=0)
FAST = AdamConstants(c1=1, c2=1, LR=2**20, E=200, D=0)
SGD = SgdConstants(mu=ONE - 1, cg=ONE, LR=2**20, s=30, D=0)
SGD_FAST = SgdConstants(mu=ONE - 1, cg=ONE, LR=2**31 - 1, s=15, D=0)

LARGEST_WEIGHT = TABLE_MAX * (1 + RADIX + RADIX**2) - OFFSET_W
"""Of three limbs."""


def cheats() -> list[Cheat]:
    """For each variable, with each of its limbs as the one that leaves the table."""
    return [*_gradients(), *_moments(), *_roots(), *_updates(), *_weights()]


def _one(rule: str, constants: StepConstants, start: State, gradient: int) -> Segment:
    return Segment.honest(rule, [constants], [start], [[gradient]])


def _each(title: str, segment: Segment, *names: str) -> list[Cheat]:
    return [Cheat(f"{title}: {name}", segment.sparing(name), lookups=(name,)) for name in names]


def _gradients() -> list[Cheat]:
    found = []
    for gradient in (70_000 * RADIX, -(2**30) - 1):
        adam = _one("adam", SLOW, {"W": 0, "M": 0, "V": 0}, gradient)
        found += _each(f"G = {gradient}", adam, "G0", "G1")
        sgd = _one("sgd-momentum", SGD, {"W": 0, "B": -gradient}, gradient)
        found += _each(f"G = {gradient}", sgd, "G0", "G1")
    return found


def _moments() -> list[Cheat]:
    found = []
    for sign in (1, -1):
        adam = _one("adam", SLOW, {"W": 0, "M": sign * 2**48, "V": 0}, 0)
        found += _each(f"Mh near {sign * 2**33}", adam, "m0", "m1")
        sgd = _one("sgd-momentum", SGD, {"W": 0, "B": sign * 2**33}, 0)
        found += _each(f"B' near {sign * 2**33}", sgd, "B0", "B1")
    return found


def _roots() -> list[Cheat]:
    negative = _one("adam", SLOW, {"W": 0, "M": 0, "V": 0}, 0)
    for time in (0, 1):
        negative = negative.with_state("V", time, 0, -1)
    found = _each("V' = -1", negative.with_hint("S", 0, 0, 0), "e0", "e1")
    start = {"W": 0, "M": 2**30, "V": 2**56}
    root = isqrt(exact_step(start, 0, SLOW)["V"])
    other = _one("adam", AdamConstants(c1=1, c2=1, LR=2**20, E=root + 102, D=0), start, 0).with_hint(
        "S", 0, 0, -root - 2
    )
    found += _each("the other root", other.with_state("W", 1, 0, -other.quotient(0, 0)), "e1")
    # A root beyond two limbs makes D so large that a + b = 2*D - 1 is beyond four: b1 is out as well.
    large = _one("adam", AdamConstants(c1=1, c2=1, LR=1, E=1, D=0), {"W": 0, "M": 0, "V": 2**68}, 0)
    found.append(Cheat("S near 2^34", large.sparing("e1", "a1", "b1"), lookups=("e1", "a1", "b1")))
    return found


def _updates() -> list[Cheat]:
    found = []
    for sign in (1, -1):
        adam = _one("adam", FAST, {"W": 0, "M": sign * 2**40, "V": 0}, 0)
        found += _each(f"U of {-adam.states['W'][1][0]}", adam, "u0", "u1")
        sgd = _one("sgd-momentum", SGD_FAST, {"W": 0, "B": sign * 2**20}, 0)
        found += _each(f"U of {-sgd.states['W'][1][0]}", sgd, "u0", "u1")
    return found


def _weights() -> list[Cheat]:
    found = []
    movers: tuple[tuple[str, StepConstants, State], ...] = (
        ("adam", AdamConstants(c1=1, c2=1, LR=2**20, E=200, D=0), {"M": 2**25, "V": 0}),
        ("sgd-momentum", SGD, {"B": 2**20}),
    )
    for (rule, constants, rest), sign in product(movers, (1, -1)):
        state = {name: sign * value for name, value in rest.items()}
        moved = _one(rule, constants, {"W": 0, **state}, 0).states["W"][1][0]
        assert moved * sign < 0
        # U > 0 takes W from just beyond the top to just below it, and from just above the bottom to just beyond it.
        edge = LARGEST_WEIGHT + 1 if sign > 0 else -OFFSET_W - 1
        entering = _one(rule, constants, {"W": edge, **state}, 0)
        found += _each("W beyond its limbs before", entering, "w0_in", "w1_in", "w2_in")
        inside = LARGEST_WEIGHT if sign < 0 else -OFFSET_W
        leaving = _one(rule, constants, {"W": inside, **state}, 0)
        found += _each("W beyond its limbs after", leaving, "w0_out", "w1_out", "w2_out")
    return found


def run() -> Outcome:
    """Tries all of them."""
    return outcome("a wrapped value for each variable", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
