"""Attack: let penalties cancel. Where several outputs must be 1, one line holds them all: BIG * sum
of weight * (1 - output).

With equal weights an output of 0 pays for one of 2. Adam: M' one less leaves r1 above 2^15 (output
2), and if the rule's M' + 2^14 was a multiple of 2^15, the same Mh as before leaves rm at 0 (output
0). SGD: r0 = 0 (output 0) and r1 above 2^15 (output 2) give a remainder 2^30 too large, with which
U is one too small. Decay: floor(W / 2^15) one more leaves wl at 0 where W's remainder was the
largest, and Rd one less leaves rd above 2^15.

Gain: M' or W' off by one, at every element where the remainders happen to be right (one in 2^15,
and the prover may wait).

Why it fails: the weights are 1, 2, 4 and so on, and each 1 - output is -1, 0 or 1, so that the sum
is 0 only if each is. Random changes don't find this; the design with equal weights looked right.
"""

from functools import cache

from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment, exact_step
from attacks.tools.variants import ADAMS, DECAYING, SGDS, start, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.formats import SHIFT
from zk_autograd.prove.ezkl.circuit.relations import OFFSET_G, TABLE_MAX

GAIN = "M' or W' off by one where two remainders stand right"

ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
SGD = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
GRADIENT = 4000


@cache
def cheats() -> tuple[Cheat, ...]:
    """For each variant; each breaks two outputs whose penalties have opposite signs."""
    return (
        *(Cheat("M' one less, Mh as it was", _moment(v), exact=("r1", "rm")) for v in ADAMS),
        *(Cheat("U one less, r0 = 0 and r1 above 2^15", _quotient(v), exact=("r0", "r1")) for v in SGDS),
        *(Cheat("floor(W / 2^15) one more, Rd one less", _decay(v), exact=("wl", "rd")) for v in DECAYING),
    )


def _moment(variant: str) -> Segment:
    for low in range(8 * ONE):
        first = start(variant, M=987654321 + low)
        moment = exact_step(variant, first, GRADIENT, ADAM)["M"]
        remainder = (ADAM.c1 * ONE * GRADIENT + (ONE - ADAM.c1) * first["M"] + ONE // 2) % ONE + 1
        if (moment + ONE // 2) % ONE == 0 and remainder + ONE <= TABLE_MAX:
            honest = Segment.honest(variant, [under(variant, ADAM)], [first], [[GRADIENT]])
            return honest.with_state("M", 1, 0, moment - 1).with_hint("Mh", 0, 0, (moment + ONE // 2) // ONE)
    raise AssertionError("no moment stands right")


def _quotient(variant: str) -> Segment:
    constants = under(variant, SGD)
    for gradient in range(8 * ONE):
        honest = Segment.honest(variant, [constants], [start(variant)], [[gradient]])
        remainder = (SGD.LR * honest.moved_by(0, 0) + 2**29) % 2**30
        high = (remainder + 1) // ONE + ONE + 1
        if remainder % ONE == ONE - 1 and high <= TABLE_MAX:
            moved = honest.with_state("W", 1, 0, honest.states["W"][1][0] + 1)
            return moved.with_hint("r1", 0, 0, high)
    raise AssertionError("no remainder stands right")


def _decay(variant: str) -> Segment:
    constants: StepConstants = under(variant, SGD if variant in SGDS else ADAM)
    for low in range(8 * ONE):
        weight = ONE * low + ONE - 1
        honest = Segment.honest(variant, [constants], [start(variant, W=weight)], [[GRADIENT]])
        floor = (weight >> SHIFT) + 1
        if (constants.D * floor + ONE // 2) % ONE + 1 + ONE <= TABLE_MAX:
            raised = honest.with_hint("wq", 0, 0, floor + OFFSET_G)
            return raised.with_hint("Rd", 0, 0, raised.decay(0, 0) - 1).moved(0)
    raise AssertionError("no weight stands right")


def run() -> Outcome:
    """Tries all of them."""
    return outcome("cancelling penalties", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
