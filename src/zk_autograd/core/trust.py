"""What a verdict on proofs rests on, and what could not be looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """Why something can't be looked at here: a sentence that says what is missing and what to do.
    No fault of the run's."""

    reason: str


@dataclass(frozen=True, slots=True)
class Security:
    """How hard a false proof is, in bits: as proven under `assumption`."""

    proven_bits: float
    assumption: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What the proofs of a run rest on: a sentence for what was found in step 5, one for the
    report's limits, and bits where they are known."""

    finding: str
    limit: str
    security: Security | None = None
