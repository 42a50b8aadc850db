"""Attack: fractions. The circuit's field has 1/2 and 1/2^15 in it, and its equations hold for them as well as for integers.

Each committed variable in turn is made a fraction of the kind that leaves all equations solvable: G a multiple of 1/2^7, M' and B'
moved by 1/2^15 (which the factor 2^15 of the next line clears), V' by 1/4 with the root S a half, U by 1/2 (which 2*D clears), W by 1/2.
Public constants are taken such that no other line objects.

Gain: M' or B' may be any of 2^15 values where the rule has one, 15 bits a step; carried on, after 17 steps any element of the field. Two
steps with U half a unit off move W by a whole one. A fractional G is no gradient of any format.

Why it fails: every variable is looked up itself or is a sum of what is: a fraction splits into no two entries of the table.
The one lookup that nothing rests on is h: with a half there, S is a half, so D is, and then a is a half, which a0 and b0 refuse. It is
kept so that the root's lines stand by themselves.
"""

from fractions import Fraction
from itertools import product

from attacks.cheat import Cheat, described, outcome
from attacks.outcome import Outcome
from attacks.segment import ONE, Segment, State
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants

GAIN = "a choice of 15 bits for each state and step, and from there any element of the field"

HALF = Fraction(1, 2)
TINY = Fraction(1, ONE)

CLEARING = AdamConstants(c1=1, c2=ONE, LR=2**22, E=700, D=0)
"""c1*2^15*G and c2*G*G are integers for G = i/128."""

FORGETTING = AdamConstants(c1=ONE, c2=ONE, LR=2**29, E=2**29 - 1, D=0)
"""M' and V' of a step don't reach the next step's; 2*LR*Mh is an integer for Mh = i/2^30."""

PLAIN = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
SGD = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
SGD_FORGETTING = SgdConstants(mu=0, cg=ONE, LR=2**20, s=30, D=0)

ADAM_START = {"W": 12345, "M": 987654321, "V": 10**6}
SGD_START = {"W": 12345, "B": 54321}
GRADIENT = 4001


def cheats() -> list[Cheat]:
    """For each variable, where there is a choice for each lookup that could be the one to refuse it."""
    return [*_gradients(), *_moments(), *_roots(), *_buffers(), *_updates(), *_weights()]


def _gradients() -> list[Cheat]:
    found = []
    for limb in ("G0", "G1"):
        adam = Segment.honest("adam", [CLEARING] * 2, [ADAM_START], [[Fraction(12345, 128)], [GRADIENT]])
        found.append(Cheat("G = 12345/128", adam.sparing(limb), lookups=(limb,)))
        sgd = Segment.honest("sgd-momentum", [SGD] * 2, [SGD_START], [[GRADIENT], [GRADIENT]])
        before = SGD.mu * sgd.states["B"][1][0] % ONE
        more = Fraction(1 if before != ONE // 2 - 1 else -1, ONE)
        found.append(Cheat("G off by 1/2^15", sgd.with_gradient(1, 0, GRADIENT + more).sparing(limb), lookups=(limb,)))
    return found


def _moments() -> list[Cheat]:
    found = []
    for (steps, at), limb in product(((1, 0), (3, 1), (3, 2)), ("m0", "m1")):
        segment = Segment.honest("adam", [FORGETTING] * steps, [ADAM_START], [[GRADIENT]] * steps)
        moment = segment.states["M"][at + 1][0] + TINY
        rounded = (moment + ONE // 2) / ONE
        divisor = GRADIENT + FORGETTING.E
        update = (2 * FORGETTING.LR * rounded + divisor) // (2 * divisor)
        segment = segment.with_state("W", at + 1, 0, segment.states["W"][at][0] - update).continued(at + 1)
        found.append(
            Cheat("M' off by 1/2^15", segment.with_state("M", at + 1, 0, moment).sparing(limb), lookups=(limb,))
        )
    return found


def _roots() -> list[Cheat]:
    found = []
    for steps, at in ((1, 0), (3, 1), (3, 2)):
        segment = Segment.honest("adam", [FORGETTING] * steps, [ADAM_START], [[GRADIENT]] * steps)
        second = segment.states["V"][at + 1][0]
        half = segment.with_state("V", at + 1, 0, second + Fraction(1, 4)).with_hint("S", at, 0, GRADIENT - HALF)
        found.append(Cheat("V' a quarter, S a half", half, lookups=("h", "a0", "b0")))
        tiny = segment.with_state("V", at + 1, 0, second + TINY).with_hint("S", at, 0, GRADIENT)
        found.append(Cheat("V' off by 1/2^15", tiny, lookups=("t0", "e0")))
    return found


def _buffers() -> list[Cheat]:
    found = []
    for (steps, at), limb in product(((1, 0), (3, 1), (3, 2)), ("B0", "B1")):
        segment = Segment.honest("sgd-momentum", [SGD_FORGETTING] * steps, [SGD_START], [[GRADIENT]] * steps)
        changed = segment.with_state("B", at + 1, 0, segment.states["B"][at + 1][0] + TINY)
        found.append(Cheat("B' off by 1/2^15", changed.sparing(limb), lookups=(limb,)))
    return found


def _updates() -> list[Cheat]:
    found = []
    for steps, limb in product((2, 3), ("u0", "u1")):
        for rule, constants, start in (("adam", PLAIN, ADAM_START), ("sgd-momentum", SGD, SGD_START)):
            segment = Segment.honest(rule, [constants] * steps, [start], [[GRADIENT + 77 * t] for t in range(steps)])
            halves = [_half(segment, step) for step in (0, 1)]
            for time in range(1, steps + 1):
                off = sum(halves[:time], Fraction(0))
                segment = segment.with_state("W", time, 0, segment.states["W"][time][0] - off)
            found.append(Cheat("U a half off, twice", segment.sparing(limb), lookups=(limb,)))
    return found


def _half(segment: Segment, step: int) -> Fraction:
    """1/2 or -1/2: what may be added to U without the remainder leaving its range."""
    constants, update = segment.constants[step], segment.quotient(step, 0)
    if isinstance(constants, AdamConstants):
        moment, second = segment.states["M"][step + 1][0], segment.states["V"][step + 1][0]
        root = int(second**0.5)
        divisor = root + constants.E
        remainder = 2 * constants.LR * ((moment + ONE // 2) // ONE) + divisor - 2 * divisor * update
        return HALF if remainder >= divisor else -HALF
    assert isinstance(constants, SgdConstants)
    remainder = constants.LR * segment.states["B"][step + 1][0] + 2**29 - 2**30 * update
    return HALF if remainder >= 2**29 else -HALF


def _weights() -> list[Cheat]:
    found = []
    rules: tuple[tuple[str, StepConstants, State], ...] = (
        ("adam", PLAIN, ADAM_START),
        ("sgd-momentum", SGD, SGD_START),
    )
    for (rule, constants, start), limb in product(rules, (0, 1, 2)):
        segment = Segment.honest(rule, [constants] * 2, [start], [[GRADIENT]] * 2)
        for time in range(3):
            segment = segment.with_state("W", time, 0, segment.states["W"][time][0] + HALF)
        names = (f"w{limb}_in", f"w{limb}_out")
        found.append(Cheat("W a half off from end to end", segment.sparing(*names), lookups=names))
    return found


def run() -> Outcome:
    """Tries all of them."""
    return outcome("a fraction for each variable", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
