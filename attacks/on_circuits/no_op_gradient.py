"""Attack: a hidden gradient in a padding step. A segment's last steps may be no-ops, and their rows
of the gradient tensor are there.

In a no-op of SGD mu is 2^15, so that B stays; were the gradient's coefficient 2^15 there too, as in
every real step, B' would be B + G with a G of the prover's choice, in a step that no record
mentions.

Gain: the momentum buffer is set to any value between two segments, and the next real steps move the
weights by it: steering beside the recorded gradients.

Why it fails: that coefficient, cg, is a public value of its own, and 0 in a no-op. The committed G
may then be anything in its range (and nothing depends on it: Nesterov's N + G and plain SGD's G are
multiplied by LR, which is 0). Adam's no-ops have c1 = c2 = 0, which leaves M and V for any G, and
RMSprop's c2 = LR = 0, and Lion's all three.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from attacks.tools.outcome import Outcome
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import BUFFERED, SGDS, start, suited, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

GAIN = "the momentum buffer set to any value between two segments"

REAL = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
HIDDEN = 2**29 + 12345
"""The gradient that nobody sees."""


def moved_buffers() -> list[Segment]:
    """A real step and two no-ops, for each rule with a buffer; the last moves B unseen."""
    found = []
    for variant in BUFFERED:
        constants = [under(variant, REAL), *[SgdConstants.no_op(30)] * 2]
        honest = Segment.honest(variant, constants, [start(variant)], [[4000], [0], [0]])
        moved = honest.with_gradient(2, 0, HIDDEN)
        found.append(moved.with_state("B", 3, 0, honest.states["B"][2][0] + HIDDEN))
    return found


def unread_gradients() -> list[Segment]:
    """No-ops with a gradient that moves nothing, which may be there."""
    real = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
    found = []
    for variant in CIRCUITS:
        constants: list[StepConstants] = (
            [under(variant, REAL), SgdConstants.no_op(30)]
            if variant in SGDS
            else [under(variant, real), suited(variant, AdamConstants.no_op())]
        )
        found.append(Segment.honest(variant, constants, [start(variant)], [[4000], [HIDDEN]]))
    return found


def without_cg(variant: str) -> RuleCircuit:
    """A circuit with 2^15 as the gradient's coefficient in every step."""
    circuit = CIRCUITS[variant]

    def coefficients(constants: Sequence[Any]) -> dict[str, list[int]]:
        return {**circuit.coefficients(constants), "cg": [ONE] * len(constants)}

    return replace(circuit, coefficients=coefficients)


def run() -> Outcome:
    """Tries it on each."""
    refusals = [segment.refusals() for segment in moved_buffers()]
    lines = dict.fromkeys(line for found in refusals for line in found)
    return Outcome("a hidden gradient in a no-op", all(refusals), f"the lookups of {', '.join(lines)}", GAIN)


if __name__ == "__main__":
    print(run())
