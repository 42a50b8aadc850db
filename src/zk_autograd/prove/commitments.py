"""What a valid proof speaks of: all that the two sides of a backend have in common."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProofCommitments:
    """The commitments that a proof speaks of, BACKENDS[backend].commitment_bytes each."""

    state_in: dict[str, bytes]
    state_out: dict[str, bytes]
    gradient: bytes
