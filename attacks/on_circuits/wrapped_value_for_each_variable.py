"""Attack: values beyond the integers that the argument covers: limbs beyond the table, negative
numbers, the field's other root.

Each variable in turn is put outside its proved range with every equation true: G and Mh beyond two
limbs, U and W beyond theirs in both directions, a second moment of -1, one so large that its root
has no two limbs, and for a root S the field's other one, -S - 2: the square of S + 1 doesn't tell
them apart, and with a large E the divisor E - S - 2 is small and positive, so that the step is any
size.

Gain: a step many times as long as the rule's; weights, moments and gradients that no format holds,
where sums wrap around.

Why it fails: each limb is looked up, so each variable lies in an interval of integers far below the
field's order (docs/soundness-ezkl.md lists them), and outside it at least one limb is not in the
table. Which one is the prover's choice: here each is tried.
"""

from dataclasses import replace
from functools import cache
from itertools import product
from math import isqrt

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, TWO_LIMBS, Segment, exact_step
from attacks.tools.variants import ADAMS, BUFFERED, DECAYING, LIONS, ROOTED, SGDS, start, suited, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit.relations import OFFSET_G, OFFSET_W, RADIX, TABLE_MAX
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

GAIN = "a step many times too long, and values that no format holds"

SLOW = AdamConstants(c1=1, c2=1, LR=1, E=2**29 - 1, D=0)
FAST = AdamConstants(c1=1, c2=1, LR=2**20, E=200, D=0)
SGD = SgdConstants(mu=ONE - 1, cg=ONE, LR=2**20, s=30, D=0)
SGD_FAST = SgdConstants(mu=ONE - 1, cg=ONE, LR=2**31 - 1, s=15, D=0)

SGD_SHORT = SgdConstants(mu=1, cg=ONE, LR=2**20, s=30, D=0)
"""B' is 1/2^15 of B, and Nesterov's N of B'."""

LARGEST_WEIGHT = TABLE_MAX * (1 + RADIX + RADIX**2) - OFFSET_W
"""Of three limbs."""
LARGEST_DECAYED = ONE * (TWO_LIMBS - OFFSET_G) + ONE - 1
"""Whose floor(W / 2^15) has two limbs."""


@cache
def cheats() -> tuple[Cheat, ...]:
    """For each variable, with each of its limbs as the one that leaves the table."""
    return (*_gradients(), *_moments(), *_roots(), *_updates(), *_weights())


def _one(variant: str, constants: StepConstants, gradient: int, **values: int) -> Segment:
    zeros = {"W": 0, "M": 0, "V": 0, "B": 0}
    return Segment.honest(variant, [constants], [start(variant, **(zeros | values))], [[gradient]])


def _each(title: str, segment: Segment, *names: str) -> list[Cheat]:
    return [Cheat(f"{title}: {name}", segment.sparing(name), lookups=(name,)) for name in names]


def _gradients() -> list[Cheat]:
    found = []
    for gradient in (70_000 * RADIX, -(2**30) - 1):
        for variant in (*ROOTED, *LIONS):
            found += _each(f"G = {gradient}", _one(variant, under(variant, SLOW), gradient), "G0", "G1")
        for variant in SGDS:
            sgd = _one(variant, under(variant, SGD), gradient, B=-gradient)
            found += _each(f"G = {gradient}", sgd, "G0", "G1")
    return found


def _moments() -> list[Cheat]:
    found = []
    for sign in (1, -1):
        for variant in ADAMS:
            adam = _one(variant, under(variant, SLOW), 0, M=sign * 2**48)
            found += _each(f"Mh near {sign * 2**33}", adam, "m0", "m1")
        for variant in LIONS:
            lion = _one(variant, under(variant, SLOW), 0, M=2**48 if sign > 0 else -(2**46))
            found += _each(f"M' = {lion.states['M'][1][0]}", lion, "M0", "M1", "M2")
        for variant in BUFFERED:
            sgd = _one(variant, under(variant, SGD_SHORT), 0, B=sign * 2**48)
            found += _each(f"B' near {sign * 2**33}", sgd, "B0", "B1")
    return found


def _roots() -> list[Cheat]:
    return [cheat for variant in ROOTED for cheat in _roots_of(variant)]


def _roots_of(variant: str) -> list[Cheat]:
    slow = under(variant, SLOW)
    negative = _one(variant, slow, 0)
    for time in (0, 1):
        negative = negative.with_state("V", time, 0, -1)
    found = _each("V' = -1", negative.with_hint("S", 0, 0, 0), "e0", "e1")
    first = start(variant, W=0, M=2**30, V=2**56)
    root = isqrt(exact_step(variant, first, 0, slow)["V"])
    near = under(variant, AdamConstants(c1=1, c2=1, LR=2**20, E=root + 102, D=0))
    other = _one(variant, near, 0, **first).with_hint("S", 0, 0, -root - 2)
    found += _each("the other root", other.moved(0), "e1")
    # A root beyond two limbs makes D so large that a + b = 2*D - 1 is beyond four: b1 is out as
    # well.
    large = _one(variant, under(variant, AdamConstants(c1=1, c2=1, LR=1, E=1, D=0)), 0, V=2**68)
    found.append(Cheat("S near 2^34", large.sparing("e1", "a1", "b1"), lookups=("e1", "a1", "b1")))
    return found


def _updates() -> list[Cheat]:
    found = []
    for sign in (1, -1):
        for variant in ROOTED:
            fast, gradient = (FAST, 0) if variant in ADAMS else (replace(FAST, LR=2**25), sign * 2**20)
            rooted = _one(variant, under(variant, fast), gradient, M=sign * 2**40)
            found += _each(f"U of {-rooted.states['W'][1][0]}", rooted, "u0", "u1")
        for variant in SGDS:
            sgd = _one(variant, under(variant, SGD_FAST), sign * 2**20)
            found += _each(f"U of {-sgd.states['W'][1][0]}", sgd, "u0", "u1")
    return found


def _weights() -> list[Cheat]:
    found = []
    for variant, sign in product(CIRCUITS, (1, -1)):
        mover: tuple[StepConstants, int, dict[str, int]] = (SGD, sign * 2**20, {})
        if variant in ADAMS:
            mover = (AdamConstants(c1=1, c2=1, LR=2**20, E=200, D=0), 0, {"M": sign * 2**25})
        elif variant not in SGDS:
            mover = (suited(variant, FAST), sign * 2**10, {})
        constants, gradient, rest = mover
        assert _one(variant, constants, gradient, **rest).states["W"][1][0] * sign < 0
        # U > 0 takes W from just beyond the top to just below it, and from just above the bottom to
        # just beyond it.
        decays = variant in DECAYING
        top, limbs = (LARGEST_DECAYED, ("q0", "q1")) if decays else (LARGEST_WEIGHT, ("w0_in", "w1_in", "w2_in"))
        entering = _one(variant, constants, gradient, W=top + 1 if sign > 0 else -OFFSET_W - 1, **rest)
        found += _each("W beyond its limbs before", entering, *limbs)
        if decays and sign < 0:
            continue  # from the top of two limbs no step reaches the top of three
        leaving = _one(variant, constants, gradient, W=LARGEST_WEIGHT if sign < 0 else -OFFSET_W, **rest)
        found += _each("W beyond its limbs after", leaving, "w0_out", "w1_out", "w2_out")
    return found


def run() -> Outcome:
    """Tries all of them."""
    return outcome("a wrapped value for each variable", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
