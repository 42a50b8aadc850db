"""What a reproduction of a run came to.

FULL         all that docs/reproducing.md lists was compared and is equal: evidence, environment,
             log, configuration, data, header, steps, integers
PARTIAL      trained again here, the weights are bit for bit the run's; the differences listed did
             not matter, or were not checked
CONFIG ONLY  the hashes match; the training was not repeated, so nothing says that this
             configuration leads to these weights
MISMATCH     something is not what the run says it is
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from zk_autograd.core.errors import ExitStatus
from zk_autograd.core.text import printable


class Verdict(Enum):
    """What a reproduction came to; `exit_status` is what the command returns for it."""

    FULL = "FULL"
    PARTIAL = "PARTIAL"
    CONFIG_ONLY = "CONFIG ONLY"
    MISMATCH = "MISMATCH"

    @property
    def exit_status(self) -> int:
        return {
            Verdict.FULL: ExitStatus.DONE,
            Verdict.PARTIAL: ExitStatus.LESS,
            Verdict.CONFIG_ONLY: ExitStatus.LESS,
            Verdict.MISMATCH: ExitStatus.REFUSED,
        }[self]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """`checks` are what was checked, with what was found, in order; `differences` what is not as
    it was, or was not checked."""

    verdict: Verdict
    checks: tuple[tuple[str, str], ...]
    differences: tuple[str, ...]
    hashes_alone: bool

    @property
    def exit_status(self) -> int:
        """The verdict's; 0 where hashes alone were asked for, and fit."""
        return 0 if self.hashes_alone and self.verdict is Verdict.CONFIG_ONLY else self.verdict.exit_status

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{name:<12}{text}" for name, text in self.checks]
        lines += [f"{'':<12}- {text}" for text in self.differences]
        return [printable(line) for line in (*lines, "", f"verdict: {self.verdict.value}")]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "verdict": self.verdict.value,
            "exit_status": self.exit_status,
            "checks": [{"name": name, "finding": text} for name, text in self.checks],
            "differences": list(self.differences),
        }
