"""A prover outside the enclave, which is shown the whole witness: the choice of a job whose
`proving` says so, and of no other.

It is trusted with the witness, and with nothing else: the enclave commits by itself, verifies each
proof, and takes none that is about other commitments than its own.
"""

from collections.abc import Callable, Iterable
from typing import Any

from zk_autograd.core.errors import ProverError, RunError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.enclave.relay.channels import answered
from zk_autograd.enclave.relay.frames import Wire
from zk_autograd.enclave.witness_bytes import Wanted
from zk_autograd.evidence.layout import MAX_PROOF
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness

PATIENCE = 3600.0
"""Seconds that a proof may take."""


class OutsideBackend:
    """`inner` commits and verifies; `connect` gives a connection to the host's prover."""

    def __init__(self, inner: Backend, rule: Rule, connect: Callable[[], Wire], patience: float = PATIENCE) -> None:
        self._inner = inner
        self._rule = rule
        self._connect = connect
        self._patience = patience

    @property
    def prover(self) -> Prover:
        return self._inner.prover

    @property
    def different_proofs(self) -> int:
        return self._inner.different_proofs

    def draw_salt(self) -> bytes:
        return self._inner.draw_salt()

    def commit(self, values: Any, salt: bytes) -> bytes:
        return self._inner.commit(values, salt)

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return self._inner.commit_all(messages)

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        return self._inner.check(statement, proof)

    def stop(self) -> None:
        self._inner.stop()

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """The host's proof, which is of this statement and this witness. ProverError for any other,
        and for none."""
        place = f"segment {statement.segment}, block {statement.block}"
        try:
            proof = self._asked(statement, witness)
        except RunError as error:
            raise ProverError(f"{place}: no proof came from outside: {error}") from error
        try:
            found = self._inner.check(statement, proof)
        except VerificationError as error:
            raise ProverError(f"{place}: the proof that came from outside does not verify: {error}") from error
        self._require_own(place, found, witness)
        return found

    def _asked(self, statement: Statement, witness: BlockWitness) -> bytes:
        wanted = Wanted.of(self.prover, self._rule, statement, witness)
        with self._connect() as wire:
            wire.say(wanted.word())
            wire.send(wanted.data(statement, witness))
            fields = answered(wire, "a proof", self._patience)
            with wire.understood():
                size = fields.integer("size", 1, MAX_PROOF)
                fields.end()
            return b"".join(wire.receive(size))

    def _require_own(self, place: str, found: BlockProof, witness: BlockWitness) -> None:
        """ProverError unless the proof is about what this enclave commits to."""
        for name, values in witness.states.items():
            ends = {"in": (values[0], found.state_in[name]), "out": (values[-1], found.state_out[name])}
            for end, (block, commitment) in ends.items():
                if self._inner.commit(block, witness.salts[f"{name}_{end}"]) != commitment:
                    raise _another(place, f"{name} {'before' if end == 'in' else 'after'} the segment")
        if self._inner.commit_gradients(witness.gradients, witness.salts["G"]) != found.gradient:
            raise _another(place, "the gradients")


def _another(place: str, what: str) -> ProverError:
    return ProverError(
        f"{place}: the proof that came from outside is about another witness: its commitment to {what} is not the enclave's own"
    )
