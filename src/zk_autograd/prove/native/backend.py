"""The proving side: a witness in, a proof out, which this side has verified.

A proof's coins are derived from the salts, the statement and the witness, so that a proof
regenerated after a crash is the same, byte for byte: it opens nothing at a new point, and may be
made as often as needed. Whoever publishes one compares (run.write_order).
"""

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.errors import ProverError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.statement import Statement
from zk_autograd.prove.native.extension import require_threads
from zk_autograd.prove.native.shape import Shape, shifts
from zk_autograd.prove.native.verify import NativeVerifier, Public
from zk_autograd.prove.protocol import BlockProof, BlockWitness

if TYPE_CHECKING:
    from zk_autograd._native import Job

DIFFERENT_PROOFS = 1
"""A state's mask pays for its opening in two different proofs, as the state after a segment and as
the one before the next (docs/soundness.md, "What the caller owes"). Another version of the prover,
which makes a different proof, must not open it in a third."""


WITNESS_PHASES = ("trace", "seed")
"""The phases of a proof in which the states between are computed, checked, and hashed."""


class NativeBackend:
    """Proves segments of one shape."""

    def __init__(self, shape: Shape) -> None:
        """UsageError if the compiled module is missing."""
        self._shape = shape
        self._verifier = NativeVerifier(shape)
        self._prover = shape.prover
        self._lock = threading.Lock()
        self._job: Job | None = None
        self.phases: dict[str, float] = {}
        """Seconds by phase of the last proof; WITNESS_PHASES are the witness's."""

    @property
    def prover(self) -> Prover:
        return self._prover

    @property
    def different_proofs(self) -> int:
        return DIFFERENT_PROOFS

    def warm(self) -> None:
        """Makes the memory ready that a proof takes, for whoever waits for the first one anyway:
        some 1.7 KiB a row, with one core. Ends early when a proof begins. ProverError in a fork."""
        from zk_autograd import _native

        require_threads()
        shape = self._shape
        # Whether a run has decay is not known yet: with it rows are wider, if at all.
        decays = "weight_decay" in FAMILIES[shape.rule].hyper_names
        shift = shifts(shape.rule)[0]
        _native.warm(shape.rule.value, shift, shape.preset.value, decays, shape.log_params, shape.log_steps)

    def draw_salt(self) -> bytes:
        return os.urandom(BACKENDS["native"].salt_bytes)

    def commit(self, values: Any, salt: bytes) -> bytes:
        require_threads()  # for the trainer, a fork is the prover's failure
        return self._verifier.commit(values, salt)

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return list(self._verifier.commitments(messages))

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        require_threads()
        return self._verifier.commit_gradients(gradients, salt)

    def commit_data(self, cells: Any, salt: bytes) -> bytes:
        require_threads()
        return self._verifier.commit_data(cells, salt)

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        place = f"segment {statement.segment}, block {statement.block}"
        proof = self._made(place, statement, witness)
        try:
            return self.check(statement, proof)
        except VerificationError as error:
            raise ProverError(f"{place}: the proof that was made does not verify: {error}") from error

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        require_threads()
        found = self._verifier.verify(statement, proof)
        return BlockProof(proof, found.state_in, found.state_out, found.gradient)

    def stop(self) -> None:
        from zk_autograd import _native

        with self._lock:
            if self._job is not None:
                self._job.cancel()
        # Memory that a proof keeps for the next one: about 2 GiB after one of 2^20 rows.
        _native.release()

    def _made(self, place: str, statement: Statement, witness: BlockWitness) -> bytes:
        from zk_autograd import _native

        require_threads()
        try:
            job = _native.Job(
                *Public.of(self._shape, statement),
                {name: np.ascontiguousarray(values) for name, values in witness.start.items()},
                {name: np.ascontiguousarray(values) for name, values in witness.end.items()},
                np.ascontiguousarray(witness.gradients),
                dict(witness.salts),
            )
            with self._lock:
                self._job = job
            commitments, body = job.run()
            self.phases = dict(job.phases())
        except _native.WitnessError as error:
            step, element, quantity, message = error.args
            raise ProverError(
                f"{place}: the step breaks the rule: step {statement.first_step + step}, element {element} of the block, {quantity}: "
                f"{message}. The run's private folder was altered, or the prover is at fault: restore the folder from a copy; if it is "
                "whole, report this"
            ) from error
        except (ValueError, OverflowError, RuntimeError, VerificationError) as error:  # stopped is a RuntimeError, too
            raise ProverError(f"{place}: no proof was made: {error}") from error
        finally:
            with self._lock:
                self._job = None
        return b"".join(commitments) + body
