"""Proofs are made by somebody, and only those about what was computed here get into a record.

Whoever proves outside sees the whole witness, and sends bytes back. Here are kept: the salts, the
commitments to states and gradients, which are computed from the enclave's own, and the verifier,
which reads the commitments out of the proof's bytes. An enclave that signed what came back would
vouch for a foreign gradient: its record would say that this data made that step.
"""

from collections.abc import Iterable
from typing import Any

from zk_autograd.core.errors import ProverError, RunError, UnreadableError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness, Committing


class ForeignProofError(RunError):
    """A proof that doesn't verify, or is about something else than what was computed here."""


class CheckedProofs:
    """The backend of a run in an enclave: `own` commits and verifies, `prover` proves."""

    def __init__(self, own: Committing, prover: Backend) -> None:
        self._own = own
        self._prover = prover

    @property
    def prover(self) -> Prover:
        return self._own.prover

    @property
    def different_proofs(self) -> int:
        return self._own.different_proofs

    def draw_salt(self) -> bytes:
        return self._own.draw_salt()

    def commit(self, values: Any, salt: bytes) -> bytes:
        return self._own.commit(values, salt)

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return self._own.commit_all(messages)

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """Raises ForeignProofError, which isn't tried again; ProverError, which is."""
        wanted = self._wanted(witness)  # first: whoever proves has the witness in their hands
        if not self.prover.form.proves:  # and is shown nothing where there is nothing to prove
            return BlockProof(b"", *wanted)
        made = self._prover.prove(statement, witness)
        inside = self._prover is self._own  # which reads them out of the bytes that it has verified
        found = (
            (dict(made.state_in), dict(made.state_out), made.gradient) if inside else self._found(statement, made.proof)
        )
        _require_same(statement, wanted, found)
        return BlockProof(made.proof, *wanted)

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        """Of a proof that lay on the disk: an enclave begins its run, and takes none from there."""
        raise VerificationError("an enclave takes no proof that it didn't ask for")

    def stop(self) -> None:
        self._prover.stop()
        self._own.stop()

    def _wanted(self, witness: BlockWitness) -> "_Commitments":
        states = {"in": witness.start, "out": witness.end}
        ends = [(name, end) for end in states for name in witness.start]
        messages = [(states[end][name], witness.salts[f"{name}_{end}"]) for name, end in ends]
        made = dict(zip(ends, self._own.commit_all(messages), strict=True))
        before, after = ({name: made[name, end] for name in witness.start} for end in states)
        return before, after, self._own.commit_gradients(witness.gradients, witness.salts["G"])

    def _found(self, statement: Statement, proof: object) -> "_Commitments":
        """What the bytes of a proof are about."""
        place = _place(statement)
        if not isinstance(proof, bytes):
            raise ForeignProofError(f"{place}: the prover gave a {type(proof).__name__} for a proof")
        try:
            found = self._own.check(statement, proof)
        except UnreadableError as error:
            raise ProverError(f"{place}: the proof can't be checked here: {error}") from error
        except VerificationError as error:
            raise ForeignProofError(f"{place}: the proof that the prover gave is refused: {error}") from error
        return dict(found.state_in), dict(found.state_out), found.gradient


_Commitments = tuple[dict[str, bytes], dict[str, bytes], bytes]


def _require_same(statement: Statement, wanted: _Commitments, found: _Commitments) -> None:
    named = ("the state before", "the state after", "the gradient")
    for what, own, other in zip(named, wanted, found, strict=True):
        if own != other:
            raise ForeignProofError(
                f"{_place(statement)}: the proof is not about {what} that was computed here; nothing of it was recorded"
            )


def _place(statement: Statement) -> str:
    return f"segment {statement.segment}, block {statement.block}"
