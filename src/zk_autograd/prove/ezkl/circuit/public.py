"""A proof's public values, in the order of its instances, computed from the statement."""

from collections.abc import Sequence
from typing import Any

from zk_autograd.core.errors import VerificationError
from zk_autograd.prove.ezkl.circuit.field import MODULUS
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit


def public_values(layout: Layout, circuit: RuleCircuit, constants: Sequence[Any], context: Sequence[int]) -> list[int]:
    """The public values in the order of the proof's instances, as field elements."""
    per_step = circuit.coefficients(constants)
    values = list(layout.relations.global_coefficients.values())
    for name in layout.relations.step_coefficients:
        if len(per_step[name]) != layout.steps:
            raise VerificationError(
                f"the circuit has a different number of steps ({name})",
                expected=str(layout.steps),
                found=str(len(per_step[name])),
            )
        values += per_step[name]
    return [int(v) % MODULUS for v in (*values, *context)]
