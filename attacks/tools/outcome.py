"""What became of an attack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused` is whether every variant of the attack was; `refused_by` names what refused it,
    `gain` what it would have won; `backend` is the victim's prover, where there is a victim;
    `skipped` says why the attack was not tried, "" if it was."""

    name: str
    refused: bool
    refused_by: str
    gain: str
    backend: str = ""
    skipped: str = ""

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.name}: not tried: {self.skipped}"
        verdict = f"refused by {self.refused_by}" if self.refused else "NOT REFUSED"
        on = f", on {self.backend}" if self.backend else ""
        return f"{self.name}{on}: {verdict}\n  it would have gained: {self.gain}"
