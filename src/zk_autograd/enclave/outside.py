"""A prover outside the enclave, which is shown the whole witness: the choice of a job whose
`proving` says so, and of no other.

It is trusted with the witness, and with nothing else. What comes back are bytes: whoever records
them commits and verifies by itself (enclave.checked_proofs).
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from zk_autograd.core.errors import ProverError, RunError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.relay.channels import answered, refusable
from zk_autograd.enclave.relay.frames import Wire
from zk_autograd.evidence.layout import MAX_PROOF
from zk_autograd.prove.protocol import BlockProof, BlockWitness
from zk_autograd.prove.witness_bytes import Wanted

PATIENCE = 3600.0
"""Seconds that a proof may take."""


class OutsideProver:
    """Has proofs made by whoever answers a connection of `connect`; it only proves, as far as a
    run's `prover` has proofs that are made outside."""

    def __init__(self, prover: Prover, connect: Callable[[], Wire], patience: float = PATIENCE) -> None:
        self._prover = prover
        self._connect = connect
        self._patience = patience
        self._stopped = False

    @property
    def prover(self) -> Prover:
        return self._prover

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """What came for a proof, unchecked, and no commitments. ProverError if nothing came."""
        try:
            return BlockProof(self._asked(statement, witness), {}, {}, b"")
        except RunError as error:
            raise ProverError(
                f"segment {statement.segment}, block {statement.block}: no proof came from outside: {error}"
            ) from error

    def stop(self) -> None:
        """No proof is asked for any more; one that is being waited for comes, or doesn't."""
        self._stopped = True

    def _asked(self, statement: Statement, witness: BlockWitness) -> bytes:
        if self._stopped:
            raise RunError("it was stopped")
        wanted = Wanted.of(self._prover, statement, witness)
        with self._connect() as wire:
            with refusable(wire, "a proof"):
                wire.say(wanted.word())
                wire.send(wanted.data(statement, witness))
            fields = answered(wire, "a proof", self._patience)
            with wire.understood():
                size = fields.integer("size", 1, MAX_PROOF)
                fields.end()
            return b"".join(wire.receive(size))

    @property
    def different_proofs(self) -> NoReturn:
        raise self._elsewhere()

    def draw_salt(self) -> NoReturn:
        raise self._elsewhere()

    def commit(self, values: Any, salt: bytes) -> NoReturn:
        raise self._elsewhere()

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> NoReturn:
        raise self._elsewhere()

    def check(self, statement: Statement, proof: bytes) -> NoReturn:
        raise self._elsewhere()

    def _elsewhere(self) -> NotImplementedError:
        return NotImplementedError("whoever has proofs made outside commits and verifies by itself")
