"""Attack: let penalties cancel. Where several outputs must be 1, one line holds them all: BIG * sum of weight * (1 - output).

With equal weights an output of 0 pays for one of 2. Adam: M' one less leaves r1 above 2^15 (output 2), and if the rule's M' + 2^14 was a
multiple of 2^15, the same Mh as before leaves rm at 0 (output 0). SGD: r0 = 0 (output 0) and r1 above
2^15 (output 2) give a remainder 2^30 too large, with which U is one too small.

Gain: M' or W' off by one, at every element where the remainders happen to stand right (one in 2^15, and the prover may wait).

Why it fails: the weights are 1, 2 and 4, and each 1 - output is -1, 0 or 1, so that the sum is 0 only if each is. Random changes don't
find this; the design that had equal weights looked right.
"""

from attacks.cheat import Cheat, described, outcome
from attacks.outcome import Outcome
from attacks.segment import ONE, Segment, exact_step
from zk_autograd.core.constants import AdamConstants, SgdConstants

GAIN = "M' or W' off by one where two remainders stand right"

ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
SGD = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
GRADIENT = 4000


def cheats() -> list[Cheat]:
    """One for each rule; each breaks two outputs whose penalties have opposite signs."""
    return [
        Cheat("M' one less, Mh as it was", _moment(), exact=("r1", "rm")),
        Cheat("U one less, r0 = 0 and r1 above 2^15", _quotient(), exact=("r0", "r1")),
    ]


def _moment() -> Segment:
    for low in range(8 * ONE):
        start = {"W": 12345, "M": 987654321 + low, "V": 10**6}
        moment = exact_step(start, GRADIENT, ADAM)["M"]
        first = (ADAM.c1 * ONE * GRADIENT + (ONE - ADAM.c1) * start["M"] + ONE // 2) % ONE + 1
        if (moment + ONE // 2) % ONE == 0 and first + ONE < 2 * ONE - 9:
            honest = Segment.honest("adam", [ADAM], [start], [[GRADIENT]])
            return honest.with_state("M", 1, 0, moment - 1).with_hint("Mh", 0, 0, (moment + ONE // 2) // ONE)
    raise AssertionError("no moment stands right")


def _quotient() -> Segment:
    for gradient in range(8 * ONE):
        honest = Segment.honest("sgd-momentum", [SGD], [{"W": 12345, "B": 54321}], [[gradient]])
        remainder = (SGD.LR * honest.states["B"][1][0] + 2**29) % 2**30
        high = (remainder + 1) // ONE + ONE + 1
        if remainder % ONE == ONE - 1 and high < 2 * ONE - 8:
            moved = honest.with_state("W", 1, 0, honest.states["W"][1][0] + 1)
            return moved.with_hint("r1", 0, 0, high)
    raise AssertionError("no remainder stands right")


def run() -> Outcome:
    """Tries both."""
    return outcome("cancelling penalties", cheats(), GAIN)


if __name__ == "__main__":
    print(run())
    print(described(cheats()))
