"""What a backend provides to a verification, as protocols: prove/*/verify.py implement them, and
the caller passes them in (prove.verifiers).

They are the verifier's own code and its own circuits: nothing that comes with a run is executed or
used as a key.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing, Trust


class Commitments(Protocol):
    """The commitments that a valid proof is about."""

    @property
    def state_in(self) -> Mapping[str, bytes]: ...

    @property
    def state_out(self) -> Mapping[str, bytes]: ...

    @property
    def gradient(self) -> bytes: ...


class ProofChecker(Protocol):
    """Proofs and commitments of one run's circuit, under one SRS where there is one."""

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        """The commitments of a proof that is valid for the statement. VerificationError otherwise,
        whatever the bytes are."""
        ...

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        """The commitment of each (padded values, salt). VerificationError for an invalid salt."""
        ...

    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes:
        """The commitment to a segment's gradients of one block, int32 (steps, block), no-op steps
        and padding included. VerificationError for an invalid salt, or a gradient out of range."""
        ...


@runtime_checkable
class DataChecker(Protocol):
    """A ProofChecker of a backend that commits to shards of the data (`Form.commits_to_data`)."""

    def commit_data(self, cells: IntArray, salt: bytes) -> bytes:
        """The commitment to a shard, int64 (2^k,), padding included. VerificationError for an
        invalid salt, or a cell out of range."""
        ...


class Circuit(Protocol):
    """A circuit of the verifier's own. A backend without proofs has none: there `rule` is "", for
    any rule, and `digest` is b""."""

    @property
    def rule(self) -> str: ...

    @property
    def block(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def digest(self) -> bytes: ...


class ProofSystem(Protocol):
    """A backend as the verifier has it."""

    @property
    def version(self) -> str:
        """The version that proofs are made and verified with."""
        ...

    @property
    def proofless(self) -> str:
        """Why a run of this backend has no proofs, in a sentence; "" if it has."""
        ...

    def circuit(self, prover: Prover) -> Circuit | Missing:
        """The verifier's own circuit of the name that the header gives. VerificationError if there
        is none; the caller compares what the header says about it."""
        ...

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """VerificationError for constants of a step that a proof of this circuit would not bind."""
        ...

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing | None:
        """What the proofs of this circuit rest on, None where there are none; Missing if that is an
        SRS that is neither a public ceremony's nor `allowed` by its digest."""
        ...

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        """A checker for a run whose circuit is the verifier's own and whose proofs rest on what the
        policy allows."""
        ...
