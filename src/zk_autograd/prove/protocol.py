"""What a proving backend is: commitments to states and gradients, and proofs of one segment of one block.

The trainer's side drives a `Backend`; the verifier has its own classes (prove/*/verify.py) and imports nothing from here but the
values. Blocks shorter than the backend's capacity are padded with zero elements, segments with no-op steps.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BlockWitness:
    """The private part of one proof.

    `states`: for each state int64 of shape (steps + 1, block), before the first step to after the last, no-ops and padding
    included; `gradients`: int64 (steps, block); `salts`: a salt for each of "<state>_in", "<state>_out" and "G".
    """

    states: Mapping[str, IntArray]
    gradients: IntArray
    salts: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class BlockProof:
    """A proof's bytes (empty where the backend has none) and the commitments it speaks of."""

    proof: bytes
    state_in: Mapping[str, bytes]
    state_out: Mapping[str, bytes]
    gradient: bytes


@dataclass(frozen=True, slots=True)
class ProofCommitments:
    """The commitments that a proof speaks of, COMMITMENT_BYTES[backend] each."""

    state_in: dict[str, bytes]
    state_out: dict[str, bytes]
    gradient: bytes


class Backend(Protocol):
    """A prover of segments. Its methods are called by one thread at a time."""

    @property
    def prover(self) -> Prover:
        """What the run's header says of the backend."""
        ...

    @property
    def different_proofs(self) -> int:
        """How many different proofs of one block of a segment may become known: each opens its commitments at other points, and masks
        and salts pay for so many. One that is made again, byte for byte, counts once."""
        ...

    def draw_salt(self) -> bytes:
        """A fresh salt from the operating system's randomness, of SALT_BYTES[backend] bytes."""
        ...

    def commit(self, values: Any, salt: bytes) -> bytes:
        """The commitment to a block of a state: int64 (block,), padding included."""
        ...

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        """The commitments to several blocks, each with its salt, as `commit` gives them one by one. Taken as they are needed."""
        ...

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """Proves one block of one segment and verifies the proof. Raises ProverError: a witness that breaks the rule (named), a
        prover that died or ran out of time."""
        ...

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        """The commitments of a proof that is valid for the statement. Raises VerificationError."""
        ...

    def stop(self) -> None:
        """Ends a proof in progress from another thread (its `prove` raises ProverError) and any process that is left."""
        ...
