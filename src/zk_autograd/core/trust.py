"""What a verdict on proofs rests on, and what could not be checked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """Why something can't be checked here: a sentence that says what is missing and what to do. It
    is not the run's fault."""

    reason: str


@dataclass(frozen=True, slots=True)
class Security:
    """How hard it is to forge a proof, in bits: as proven under `assumption`."""

    proven_bits: float
    assumption: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What the proofs of a run rest on: a sentence for step 5's findings, one for the report's
    limits, and the bits of security where they are known."""

    finding: str
    limit: str
    security: Security | None = None
