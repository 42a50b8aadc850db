"""A hostile host, and whoever refuses what it shows.

An attack on enclaves is a module with `ATTEMPTS`, each with words that are meant to refuse it, and
`run()`, which makes them all and says what became of them. The device is emulated, and a policy for
demonstrations takes it, but where an attack is on that; everything else is real.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attacks.tools.outcome import Outcome
from tests.verify.attested_runs import EnclaveRun, judged, policy
from zk_autograd.verify.report import Report

STEP_8 = "step 8, Attestation"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A variant of an attack. `make` makes it in a folder of its own, and gives what was said by
    whoever refused it, "" if nobody did; `words` are meant to be in it."""

    name: str
    words: str
    make: Callable[[Path], str]


def shown(made: EnclaveRun, folder: Path, **asked: Any) -> str:
    """What zk-verify says against the run. The auditor trusts the measurement, and pins no key;
    `asked` changes their policy."""
    return refusal(judged(made.write(folder / "run"), policy(folder / "own", **{"keys": False, **asked})))


def refusal(report: Report) -> str:
    """Why the run is not what the policy asks for; "" if it is."""
    if report.failure is not None:
        return str(report.failure)
    return " ".join(report.missing) if report.exit_status else ""


def said(act: Callable[[], object], error: type[Exception]) -> str:
    """The sentence with which something is refused; "" if it isn't."""
    try:
        act()
    except error as refused:
        return str(refused)
    return ""


def outcome(name: str, refused_by: str, gain: str, attempts: Sequence[Attempt]) -> Outcome:
    """Makes every attempt. It counts as refused only if the words meant for it are said."""
    refused = True
    for attempt in attempts:
        with TemporaryDirectory(prefix="zk-attacks-") as folder:
            refused &= attempt.words in attempt.make(Path(folder))
    return Outcome(name, refused, refused_by, gain)
