"""What became of an attack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused` is whether every variant of the attack was; `refused_by` names what refused it,
    `gain` what it would have won; `backend` is the victim's prover, where there is a victim."""

    name: str
    refused: bool
    refused_by: str
    gain: str
    backend: str = ""

    def __str__(self) -> str:
        verdict = f"refused by {self.refused_by}" if self.refused else "NOT REFUSED"
        on = f", on {self.backend}" if self.backend else ""
        return f"{self.name}{on}: {verdict}\n  it would have gained: {self.gain}"
