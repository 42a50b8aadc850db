"""Attack: a hidden gradient in a padding step. A segment's last steps may be no-ops, and their rows of the gradient tensor are there.

In a no-op of SGD mu is 2^15, so that B stays; were the gradient's coefficient 2^15 there too, as in every real step, B' would be B + G with
a G of the prover's choice, in a step that no record mentions.

Gain: the momentum buffer is set to any value between two segments, and the next real steps move the weights by it: a steering wheel
beside the recorded gradients.

Why it fails: that coefficient, cg, is a public value of its own, and 0 in a no-op. The committed G may then be anything in its range (and
nothing depends on it). Adam's no-ops have c1 = c2 = 0, which leaves M and V for any G.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from attacks.outcome import Outcome
from attacks.segment import ONE, Segment
from zk_autograd.core.constants import AdamConstants, SgdConstants
from zk_autograd.prove.ezkl.rules import CIRCUITS, RuleCircuit

GAIN = "the momentum buffer set to any value between two segments"

REAL = SgdConstants(mu=29491, cg=ONE, LR=2**28 + 12345, s=30, D=0)
HIDDEN = 2**29 + 12345
"""The gradient that nobody sees."""


def moved_buffer() -> Segment:
    """A real step and two no-ops; in the last one B moves by the hidden gradient."""
    constants = [REAL, *[SgdConstants.no_op(30)] * 2]
    honest = Segment.honest("sgd-momentum", constants, [{"W": 12345, "B": 54321}], [[4000], [0], [0]])
    return honest.with_gradient(2, 0, HIDDEN).with_state("B", 3, 0, honest.states["B"][2][0] + HIDDEN)


def unread_gradients() -> list[Segment]:
    """No-ops with a gradient that moves nothing, which may be there."""
    sgd = Segment.honest("sgd-momentum", [REAL, SgdConstants.no_op(30)], [{"W": 12345, "B": 54321}], [[4000], [HIDDEN]])
    real = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)
    adam = Segment.honest(
        "adam", [real, AdamConstants.no_op()], [{"W": 12345, "M": 987654321, "V": 10**6}], [[4000], [HIDDEN]]
    )
    return [sgd, adam]


def without_cg() -> RuleCircuit:
    """SGD's circuit with 2^15 as the gradient's coefficient in every step."""
    circuit = CIRCUITS["sgd-momentum"]

    def coefficients(constants: Sequence[Any]) -> dict[str, list[int]]:
        return {**circuit.coefficients(constants), "cg": [ONE] * len(constants)}

    return replace(circuit, coefficients=coefficients)


def run() -> Outcome:
    """Tries it."""
    refusals = moved_buffer().refusals()
    return Outcome("a hidden gradient in a no-op", bool(refusals), f"the lookups of {', '.join(refusals)}", GAIN)


if __name__ == "__main__":
    print(run())
