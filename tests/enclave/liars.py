"""Provers outside of an enclave that see the whole witness, and make valid proofs of something
else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.following import states_of
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import BlockProof, BlockWitness

SGD: Mapping[str, Any] = {
    "model": "softmax",
    "rule": "sgd",
    "lr": "0.000001",
    "steps": 5,
    "batch-size": 8,
    "prover": "native",
}
"""So small a rate that several gradients make the same step."""

Lie = Callable[["Liar", Statement, BlockWitness], object]


@dataclass
class Liar:
    """A prover outside: it sees the whole witness, and makes valid proofs of what it likes."""

    prover: Prover
    lie: Lie

    def __post_init__(self) -> None:
        self.honest = NativeBackend(Shape.of(self.prover))

    def prove(self, statement: Statement, witness: BlockWitness) -> Any:
        return self.lie(self, statement, witness)

    def proof(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """A valid one, of that witness."""
        return self.honest.prove(statement, witness)

    def stop(self) -> None:
        self.honest.stop()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a prover outside was asked for {name}")


def outside(lie: Lie) -> Callable[[Prover], Any]:
    return lambda prover: Liar(prover, lie)


def run_on(statement: Statement, rule: Rule, witness: BlockWitness) -> BlockWitness:
    """The witness with the end that its gradients and its start lead to."""
    *_, end = states_of(rule, statement.constants, witness)
    return replace(witness, end=end)
