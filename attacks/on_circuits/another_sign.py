"""Attack: another sign. Lion moves every weight by LR, one way or the other, or not at all: which,
is the sign of C = c1*2^15*G + (2^15-c1)*M.

The prover takes the opposite sign, none at all where C isn't 0, or one where C is 0; twice the
sign, which halves K + 1 and moves the weight by 2*LR; or a fraction of it, sg = 1/32763, whose
K + 1 is 32763*C, with an LR that 32763 divides.

Gain: every weight a whole learning rate further or back, at every step, whatever the gradients
were: the direction of training is the prover's.

Why it fails: sg + 1 and 32763*(sg + 1) are both looked up, so sg is -1, 0 or 1. K is four limbs,
so K + 1 is an integer above 0, and 2^16*(C - sg*(K + 1)), looked up, is 0: with sg = 1 C is at
least 1, with -1 at most -1, with 0 it is 0. For an opposite sign, or for one where there is none, K
would be negative, and whichever limb takes that leaves the table.
"""

from fractions import Fraction
from functools import cache

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import Segment
from attacks.tools.variants import LIONS, start, under
from zk_autograd.core.constants import LionConstants
from zk_autograd.prove.ezkl.circuit.relations import RADIX

GAIN = "every weight moved whichever way the prover likes"

STEP = RADIX // 2
"""sg + 1 is looked up times this: 32,763."""

LION = LionConstants(c1=3277, c2=33, LR=STEP * 100, D=0)
LIMBS = ("K0", "K1", "K2", "K3")
GRADIENT = 4000
"""C is even: every term has a factor of 2^15 or is that of an even M."""


@cache
def cheats() -> tuple[Cheat, ...]:
    """Each once in a segment's last step and once before it."""
    return tuple(cheat for steps, at in ((1, 0), (3, 1), (3, 2)) for v in LIONS for cheat in _at(v, steps, at))


def _at(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for sign in (1, -1):
        moving = _segment(variant, steps, at, sign * GRADIENT)
        for limb in LIMBS:
            opposite = _signed(moving, at, -sign).sparing(limb)
            found.append(Cheat(f"sg = {-sign} for {sign}, {limb} negative", opposite, lookups=(limb,)))
            resting = _signed(_segment(variant, steps, at, 0), at, sign).sparing(limb)
            found.append(Cheat(f"sg = {sign} for 0, {limb} negative", resting, lookups=(limb,)))
        found += [
            Cheat(f"sg = 0 for {sign}", _signed(moving, at, 0), lookups=("p",)),
            Cheat(f"sg a fraction for {sign}", _signed(moving, at, Fraction(sign, STEP)), lookups=("s",)),
        ]
    twice = _signed(_segment(variant, steps, at, GRADIENT), at, 2)
    found.append(Cheat("sg = 2", twice, lookups=("sR",)))
    return found


def _segment(variant: str, steps: int, at: int, gradient: int) -> Segment:
    """An honest segment in whose step `at` the sign of C is the gradient's, and M is 0 before."""
    gradients = [[0] for _ in range(steps)]
    gradients[at] = [gradient]
    return Segment.honest(variant, [under(variant, LION)] * steps, [start(variant, M=0)], gradients)


def _signed(segment: Segment, at: int, sign: int | Fraction) -> Segment:
    return segment.with_hint("sg", at, 0, sign).moved(at)


def run() -> Outcome:
    """Tries all of them."""
    return outcome("another sign", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
