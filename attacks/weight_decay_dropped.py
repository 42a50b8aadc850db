"""Attack: promise weight decay, and leave it out. A header of SGD with momentum may have a weight_decay; the circuit has none.

The public values of a proof are made from the statement's constants. If those that a circuit has no line for are passed over, a statement
with decay and one without have the same public values, and a proof of steps without decay verifies for the first: W' = W - U is accepted
where the rule says W' = W - U - R.

Gain: a run that is reported as decayed, step by step, and never was.

Why it fails: a circuit refuses constants that it has no line for, on either side: making the public values of such a step is an error.
"""

from dataclasses import replace

from attacks.outcome import Outcome
from attacks.segment import ONE, Segment
from zk_autograd.core.constants import SgdConstants
from zk_autograd.core.errors import VerificationError

GAIN = "steps without weight decay in a run that promises it"

PROMISED = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=2**20)


def cheat() -> Segment:
    """Two steps without decay, under constants with it."""
    made = Segment.honest("sgd-momentum", [replace(PROMISED, D=0)] * 2, [{"W": 2**40, "B": 54321}], [[4000], [-3000]])
    return replace(made, constants=(PROMISED, PROMISED))


def run() -> Outcome:
    """Tries it."""
    try:
        refusals = cheat().refusals()
    except VerificationError as error:
        return Outcome("weight decay dropped", True, f"the circuit's public values: {error}", GAIN)
    return Outcome("weight decay dropped", bool(refusals), ", ".join(refusals), GAIN)


if __name__ == "__main__":
    print(run())
