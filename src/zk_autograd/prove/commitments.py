"""What a valid proof is about: all that the two sides of a backend share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProofCommitments:
    """The commitments that a proof is about, BACKENDS[backend].commitment_bytes each."""

    state_in: dict[str, bytes]
    state_out: dict[str, bytes]
    gradient: bytes
