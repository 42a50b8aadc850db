"""Attack: fractions. The circuit's field has 1/2 and 1/2^15 in it, and its equations hold for them
as well as for integers.

Each committed variable in turn is made a fraction of the kind that leaves all equations solvable: G
a multiple of 1/2^7, M' and B' moved by 1/2^15 (which the factor 2^15 of the next line clears),
Nesterov's N likewise, V' by 1/4 with the root S a half, U by 1/2 (which 2*D clears), W by 1/2. With
decay floor(W / 2^15) is W / 2^15 itself, and Rd is off by 1/2 or 1/2^15, which moves W. Public
constants are taken such that no other line objects.

Gain: M' or B' may be any of 2^15 values where the rule has one, 15 bits a step; carried on, after
17 steps any element of the field. Two steps with U half a unit off move W by a whole one. A
fractional G is no gradient of any format.

Why it fails: every variable is looked up itself or is a sum of what is: a fraction splits into no
two entries of the table. The one lookup that nothing depends on is h: with a half there, S is a
half, so D is, and then a is a half, which a0 and b0 refuse. It is kept so that the root's lines are
sound by themselves.
"""

from fractions import Fraction
from functools import cache
from itertools import product
from math import isqrt

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import ADAMS, BUFFERED, DECAYING, LIONS, NESTEROVS, ROOTED, SGDS, start, under
from zk_autograd.core.constants import AdamConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit.relations import OFFSET_G
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

GAIN = "a choice of 15 bits for each state and step, and from there any element of the field"

HALF = Fraction(1, 2)
TINY = Fraction(1, ONE)

CLEARING = AdamConstants(c1=1, c2=ONE, LR=2**22, E=700, D=0)
"""c1*2^15*G and c2*G*G are integers for G = i/128."""

FORGETTING = AdamConstants(c1=ONE, c2=ONE, LR=2**29, E=2**29 - 1, D=0)
"""M' and V' of a step don't reach the next step's; 2*LR*Mh is an integer for Mh = i/2^30."""

PLAIN = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
SGD = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
SGD_CLEARING = SgdConstants(mu=29491, cg=ONE, LR=2**20, s=30, D=0)
"""LR*A is an integer for A = i/2^15."""
SGD_FORGETTING = SgdConstants(mu=0, cg=ONE, LR=2**20, s=30, D=0)

GRADIENT = 4001


@cache
def cheats() -> tuple[Cheat, ...]:
    """For each variable, where there is a choice for each lookup that could be the one to refuse
    it."""
    return (*_gradients(), *_moments(), *_roots(), *_buffers(), *_updates(), *_decays(), *_weights())


def _gradients() -> list[Cheat]:
    found = []
    for limb, variant in product(("G0", "G1"), (*ROOTED, *LIONS)):
        clearing = [under(variant, CLEARING)] * 2
        segment = Segment.honest(variant, clearing, [start(variant)], [[Fraction(12345, 128)], [GRADIENT]])
        found.append(Cheat("G = 12345/128", segment.sparing(limb), lookups=(limb,)))
    for limb, variant in product(("G0", "G1"), SGDS):
        sgd_steps = [under(variant, SGD_CLEARING)] * 2
        sgd = Segment.honest(variant, sgd_steps, [start(variant)], [[GRADIENT], [GRADIENT + TINY]])
        found.append(Cheat("G off by 1/2^15", sgd.sparing(limb), lookups=(limb,)))
    return found


def _moments() -> list[Cheat]:
    found = []
    for (steps, at), limb, variant in product(((1, 0), (3, 1), (3, 2)), ("m0", "m1"), ADAMS):
        segment = Segment.honest(variant, [under(variant, FORGETTING)] * steps, [start(variant)], [[GRADIENT]] * steps)
        moment = segment.states["M"][at + 1][0] + TINY
        rounded = (moment + ONE // 2) / ONE
        divisor = GRADIENT + FORGETTING.E
        update = (2 * FORGETTING.LR * rounded + divisor) // (2 * divisor)
        moved = segment.states["W"][at][0] - update - segment.decay(at, 0)
        segment = segment.with_state("W", at + 1, 0, moved).continued(at + 1)
        found.append(
            Cheat("M' off by 1/2^15", segment.with_state("M", at + 1, 0, moment).sparing(limb), lookups=(limb,))
        )
    for (steps, at), limb, variant in product(((1, 0), (3, 1), (3, 2)), ("M0", "M1", "M2"), LIONS):
        segment = Segment.honest(variant, [under(variant, FORGETTING)] * steps, [start(variant)], [[GRADIENT]] * steps)
        changed = segment.with_state("M", at + 1, 0, segment.states["M"][at + 1][0] + TINY)
        found.append(Cheat("M' off by 1/2^15", changed.sparing(limb), lookups=(limb,)))
    return found


def _roots() -> list[Cheat]:
    found = []
    for (steps, at), variant in product(((1, 0), (3, 1), (3, 2)), ROOTED):
        segment = Segment.honest(variant, [under(variant, FORGETTING)] * steps, [start(variant)], [[GRADIENT]] * steps)
        second = segment.states["V"][at + 1][0]
        half = segment.with_state("V", at + 1, 0, second + Fraction(1, 4)).with_hint("S", at, 0, GRADIENT - HALF)
        found.append(Cheat("V' a quarter, S a half", half, lookups=("h", "a0", "b0")))
        tiny = segment.with_state("V", at + 1, 0, second + TINY).with_hint("S", at, 0, GRADIENT)
        found.append(Cheat("V' off by 1/2^15", tiny, lookups=("t0", "e0")))
    return found


def _buffers() -> list[Cheat]:
    found = []
    for (steps, at), limb in product(((1, 0), (3, 1), (3, 2)), (0, 1)):
        for variant in BUFFERED:
            constants = [under(variant, SGD_FORGETTING)] * steps
            segment = Segment.honest(variant, constants, [start(variant)], [[GRADIENT]] * steps)
            changed = segment.with_state("B", at + 1, 0, segment.states["B"][at + 1][0] + TINY)
            found.append(Cheat("B' off by 1/2^15", changed.sparing(f"B{limb}"), lookups=(f"B{limb}",)))
        for variant in NESTEROVS:
            constants = [under(variant, SGD_CLEARING)] * steps
            segment = Segment.honest(variant, constants, [start(variant)], [[GRADIENT]] * steps)
            ahead = (SGD_CLEARING.mu * segment.states["B"][at + 1][0] + ONE // 2) // ONE + OFFSET_G
            changed = segment.with_hint("N", at, 0, ahead + TINY)
            found.append(Cheat("N off by 1/2^15", changed.sparing(f"N{limb}"), lookups=(f"N{limb}",)))
    return found


def _updates() -> list[Cheat]:
    found = []
    for steps, limb, variant in product((2, 3), ("u0", "u1"), (*ROOTED, *SGDS)):
        constants = _plain(variant)
        gradients = [[GRADIENT + 77 * t] for t in range(steps)]
        segment = Segment.honest(variant, [constants] * steps, [start(variant)], gradients)
        halves = [_half(segment, step) for step in (0, 1)]
        if variant in DECAYING:  # W between steps is looked up there: the decay takes the other half
            segment = _with_half_decay(segment, steps - 1, _half(segment, steps - 1))
            found.append(Cheat("U and Rd a half off", segment.sparing(limb), lookups=(limb,)))
            continue
        for time in range(1, steps + 1):
            off = sum(halves[:time], Fraction(0))
            segment = segment.with_state("W", time, 0, segment.states["W"][time][0] - off)
        found.append(Cheat("U a half off, twice", segment.sparing(limb), lookups=(limb,)))
    return found


def _plain(variant: str, decay: int = 2**20) -> StepConstants:
    return under(variant, SGD if variant in SGDS else PLAIN, decay)


def _half(segment: Segment, step: int) -> Fraction:
    """1/2 or -1/2: what may be added to U without the remainder leaving its range."""
    constants, update = segment.constants[step], segment.quotient(step, 0)
    if isinstance(constants, AdamConstants | RmspropConstants):
        divisor = isqrt(segment.states["V"][step + 1][0]) + constants.E
        remainder = 2 * constants.LR * segment.numerator(step, 0) + divisor - 2 * divisor * update
        return HALF if remainder >= divisor else -HALF
    assert isinstance(constants, SgdConstants)
    remainder = constants.LR * segment.moved_by(step, 0) + 2**29 - 2**30 * update
    return HALF if remainder >= 2**29 else -HALF


def _with_half_decay(segment: Segment, step: int, of_update: Fraction) -> Segment:
    """The claim with Rd a half off too, and W' off by one or not at all."""
    decay, floor = segment.decay(step, 0), segment.states["W"][step][0] // ONE
    remainder = segment.constants[step].D * floor + ONE // 2 - ONE * decay
    of_decay = HALF if remainder >= ONE // 2 else -HALF
    weight = segment.states["W"][step + 1][0] - of_update - of_decay
    return segment.with_hint("Rd", step, 0, decay + of_decay).with_state("W", step + 1, 0, int(weight))


def _decays() -> list[Cheat]:
    found = []
    for variant in DECAYING:
        # The quotient W / 2^15 as it is, in place of its floor: where the fraction is a half or
        # more, Rd is one more.
        first = start(variant, W=12345 + ONE // 2)
        for (steps, at), limb in product(((1, 0), (3, 1), (3, 2)), ("q0", "q1")):
            segment = Segment.honest(variant, [_plain(variant, ONE)] * steps, [first], [[GRADIENT]] * steps)
            quotient = Fraction(segment.states["W"][at][0], ONE) + OFFSET_G
            claim = segment.with_hint("wq", at, 0, quotient).moved(at).sparing(limb)
            found.append(Cheat("floor(W / 2^15) a fraction", claim, lookups=(limb,)))
        segment = Segment.honest(variant, [_plain(variant)] * 2, [first], [[GRADIENT]] * 2)
        last = segment.with_hint("Rd", 1, 0, segment.decay(1, 0) + TINY)
        last = last.with_state("W", 2, 0, segment.states["W"][2][0] - TINY)
        for name in ("w0_out", "w1_out", "w2_out"):
            found.append(Cheat("Rd off by 1/2^15", last.sparing(name), lookups=(name,)))
        between = segment.with_hint("Rd", 0, 0, segment.decay(0, 0) + TINY).with_hint(
            "Rd", 1, 0, segment.decay(1, 0) - TINY
        )
        between = between.with_state("W", 1, 0, segment.states["W"][1][0] - TINY)
        floor = segment.states["W"][1][0] // ONE + OFFSET_G
        found.append(Cheat("W off by 1/2^15 between steps", between.with_hint("wq", 1, 0, floor), lookups=("wl",)))
    return found


def _weights() -> list[Cheat]:
    found = []
    for variant, limb in product(CIRCUITS, (0, 1, 2)):
        segment = Segment.honest(variant, [_plain(variant, 2 * ONE)] * 2, [start(variant)], [[GRADIENT]] * 2)
        names: tuple[str, ...] = (f"w{limb}_in", f"w{limb}_out")
        if variant in DECAYING:  # each W / 2^15 in place of its floor, from which Rd and the next W follow
            names = (f"q{min(limb, 1)}", f"w{limb}_out")
            segment = segment.with_state("W", 0, 0, segment.states["W"][0][0] + HALF).moved(0).moved(1)
        else:
            for time in range(3):
                segment = segment.with_state("W", time, 0, segment.states["W"][time][0] + HALF)
        found.append(Cheat("W a half off from end to end", segment.sparing(*names), lookups=names))
    return found


def run() -> Outcome:
    """Tries all of them."""
    return outcome("a fraction for each variable", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
