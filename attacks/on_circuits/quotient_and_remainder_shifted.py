"""Attack: another quotient with a matching remainder. U one more or less than the rule's, x = q*d +
r kept true.

Gain: at every step and element the weight moves one unit further or less far, whatever the gradient
was: over a run, any small drift. The equation alone can't tell: (q - 1)*d + (r + d) is the same
number. EZKL's own division accepts two quotients in just this way.

Why it fails: Adam's remainder a = 2*LR*Mh + D - 2*D*U (RMSprop's has G for Mh) and its complement
2*D - 1 - a are both in limbs that are looked up, so a is in 0 .. 2*D - 1; shifted, one of the two
is negative, and whichever limb takes the sign leaves the table. SGD's remainder is (r0 - 1) +
2^15*(r1 - 1) with both outputs 1, so in 0 .. 2^30 - 1 (in 0 .. 2^15 - 1 for s = 15, where r0 stands
alone).
"""

from functools import cache

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import ROOTED, SGDS, start, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants

GAIN = "every weight one unit further or less far at every step"

ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
FINE = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
COARSE = SgdConstants(mu=29491, cg=ONE, LR=2**20 + 12345, s=15, D=0)
SMALL = SgdConstants(mu=29491, cg=ONE, LR=1, s=30, D=0)
"""With so small an LR the remainder is 2^29 + A: its upper limb is known."""


@cache
def cheats() -> tuple[Cheat, ...]:
    """Each once in a segment's last step, whose lines differ, and once before it."""
    return tuple(cheat for steps, at in ((1, 0), (3, 1), (3, 2)) for cheat in _at(steps, at))


def _at(steps: int, at: int) -> list[Cheat]:
    return [
        *(cheat for variant in ROOTED for cheat in _rooted(variant, steps, at)),
        *(cheat for variant in SGDS for cheat in _sgds(variant, steps, at)),
    ]


def _rooted(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for more, limbs in ((1, ("a0", "a1")), (-1, ("b0", "b1"))):
        for limb in limbs:
            segment = _shifted(variant, ADAM, steps, at, more).sparing(limb)
            found.append(Cheat(f"U {more:+}, {limb} negative", segment, lookups=(limb,)))
    return found


def _sgds(variant: str, steps: int, at: int) -> list[Cheat]:
    found = []
    for limb in ("r0", "r1"):
        segment = _shifted(variant, FINE, steps, at, 1).sparing(limb)
        found.append(Cheat(f"U +1, {limb} negative", segment, lookups=(limb,)))
    shifted, twice = (_shifted(variant, SMALL, steps, at, more).sparing("r1") for more in (-1, -2))
    coarse = _shift(_near(variant, COARSE, steps, at), at, -1)
    found += [
        Cheat("U -1, r1 above 2^15", shifted, exact=("r1",)),
        Cheat("U -1, r1 above 2^15, and no penalties looked up", shifted, lookups=("p",)),
        Cheat("U -1, r1 above the table", twice, lookups=("r1",)),
        Cheat("s = 15: U +1", _shifted(variant, COARSE, steps, at, 1), lookups=("r0",)),
        Cheat("s = 15: U -1, r0 above 2^15", coarse, exact=("r0",)),
        Cheat("U -1, r0 above 2^15", _shift(_near(variant, FINE, steps, at), at, -1), exact=("r0",)),
    ]
    return found


def _shift(segment: Segment, at: int, more: int) -> Segment:
    moved = segment.states["W"][at + 1][0] - more
    return segment.with_state("W", at + 1, 0, moved).continued(at + 1)


def _shifted(variant: str, constants: StepConstants, steps: int, at: int, more: int) -> Segment:
    """A segment whose step `at` has U `more` above the rule's, and is exact from there."""
    decayed = under(variant, constants)
    return _shift(Segment.honest(variant, [decayed] * steps, [start(variant)], [[4000]] * steps), at, more)


def _near(variant: str, constants: SgdConstants, steps: int, at: int) -> Segment:
    """A segment whose step `at` leaves a remainder below 2^15 - 9: one whole divisor more is near
    r0's reach."""
    for gradient in range(4 * ONE):
        gradients = [[4000]] * steps
        gradients[at] = [gradient]
        segment = Segment.honest(variant, [under(variant, constants)] * steps, [start(variant)], gradients)
        if (constants.LR * segment.moved_by(at, 0) + 2 ** (constants.s - 1)) % 2**constants.s < ONE - 9:
            return segment
    raise AssertionError("no gradient leaves such a remainder")


def run() -> Outcome:
    """Tries all of them."""
    return outcome("quotient and remainder shifted", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
