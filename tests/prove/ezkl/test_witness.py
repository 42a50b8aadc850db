"""The tensors of a narrow witness: each lie about an end or a gradient breaks a line of the
circuit, before EZKL is asked for anything."""

from dataclasses import replace

import pytest

from zk_autograd.core.errors import RangeError
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.backend import draw_salt, tensors_of
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.sample import sample
from zk_autograd.prove.ezkl.witness import violations
from zk_autograd.prove.protocol import BlockWitness

CIRCUITS = ("adam-n32-t64", "sgd-nesterov-decay-n128-t17", "rmsprop-n64-t32", "lion-n64-t36")
NO_OPS = 3


@pytest.mark.parametrize("name", CIRCUITS)
def test_each_lie_breaks_a_line(name: str) -> None:
    circuit = catalogue.load(name)
    statement, witness = sample(circuit.variant, circuit.block, circuit.steps, draw_salt, no_ops=NO_OPS)

    def broken(statement: Statement, witness: BlockWitness) -> bool:
        return bool(violations(circuit.layout, tensors_of(circuit, statement, witness, draw_salt()), 1))

    assert not broken(statement, witness)
    for state in witness.start:
        start, end = ({n: v.copy() for n, v in at.items()} for at in (witness.start, witness.end))
        start[state][7] += 2**20
        end[state][7] += 1
        assert broken(statement, replace(witness, end=end)), state
        assert broken(statement, replace(witness, start=start)), state
    gradients = witness.gradients.copy()
    gradients[1, 7] += 2**20
    assert broken(statement, replace(witness, gradients=gradients))
    gradients[1, 7] = 2**30
    with pytest.raises(RangeError):
        tensors_of(circuit, statement, replace(witness, gradients=gradients), draw_salt())
