"""Attack: promise weight decay, and leave it out. A header of an SGD rule may have a weight_decay;
the rule has a circuit with its lines, and a cheaper one without them, which the prover names
instead.

The public values of a proof are made from the statement's constants. If those that a circuit has no
line for are ignored, a statement with decay and one without have the same public values, and a
proof of steps without decay verifies for the first: W' = W - U is accepted where the rule says W' =
W - U - R.

Gain: a run that is reported as decayed, step by step, but never was.

Why it fails: a circuit refuses constants that it has no line for, on either side: making the public
values of such a step is an error.
"""

from dataclasses import replace

from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import ADAMS, DECAYING, start
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import VerificationError
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

GAIN = "steps without weight decay in a run that promises it"

PROMISED = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=2**20)
PROMISED_ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=2**20)


def cheats() -> list[Segment]:
    """Two steps without decay, under constants with it, in each circuit without its lines."""
    found = []
    for variant in (name for name in CIRCUITS if name not in DECAYING):
        promised: StepConstants = PROMISED_ADAM if variant in ADAMS else PROMISED
        steps = [replace(promised, D=0)] * 2
        made = Segment.honest(variant, steps, [start(variant, W=2**40)], [[4000], [-3000]])
        found.append(replace(made, constants=(promised, promised)))
    return found


def run() -> Outcome:
    """Tries it on each."""
    by = []
    for cheat in cheats():
        try:
            cheat.refusals()
        except VerificationError as error:
            by.append(str(error))
    said = f"the circuits' public values: {'; '.join(dict.fromkeys(by))}"
    return Outcome("weight decay dropped", len(by) == len(cheats()), said, GAIN)


if __name__ == "__main__":
    print(run())
