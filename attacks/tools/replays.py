"""A run with exact gradients whose trainer cheats, what they open of it, and the auditor who
computes it again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from attacks.tools.outcome import Outcome
from tests.verify import exact_runs
from tests.verify.run_builder import KEY
from zk_autograd.core.cells import Cells
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.openings import segment_bytes
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.replay import Replay
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

POLICY = Policy(keys=(KEY,), require=frozenset({Level.L3}))


@dataclass(frozen=True, slots=True)
class Submission:
    """A run, its openings in clear, and the data that its trainer hands over."""

    run: Path
    openings: bytes
    cells: Cells

    @classmethod
    def of(cls, run: Path) -> "Submission":
        """The run with all that it opens, and the data of the honest one."""
        return cls(run, exact_runs.opened(run), exact_runs.gradient().cells)

    def judged(self) -> Report:
        """The report of an auditor who asks for L3."""
        with RunFolder(self.run) as files:
            replay = Replay(lambda _: BytesIO(self.openings), lambda *_: self.cells)
            return Verifier(POLICY, Systems()).verify(files, replay=replay)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A variant of an attack, which step 9 is meant to refuse with these `words`; `forge` makes it
    in a new folder."""

    name: str
    words: str
    forge: Callable[[Path], Submission]


def outcome(name: str, gain: str, attempts: Sequence[Attempt], folder: Path) -> Outcome:
    """Makes every attempt, in the folder. It counts as refused only if step 9 refused it with its
    words."""
    refused, by = True, []
    for number, attempt in enumerate(attempts):
        place = folder / str(number)
        place.mkdir()
        error = attempt.forge(place).judged().failure
        refused &= error is not None and error.step == Step.DATA and attempt.words in str(error)
        by.append("nothing" if error is None else f"step {error.step}, {Step(error.step).title}")
    return Outcome(name, refused, " and ".join(dict.fromkeys(by)), gain, "native")


def bodies(submission: Submission) -> tuple[bytes, list[bytes]]:
    """The index of openings of all segments, and each segment's bytes."""
    with RunFolder(submission.run) as files:
        log = parse_log(files.leaves())
    lengths = [segment_bytes(log.header, segment) for segment in log.segments]
    at = len(submission.openings) - sum(lengths)
    index, found = submission.openings[:at], []
    for length in lengths:
        found.append(submission.openings[at : at + length])
        at += length
    return index, found


def exchanged(submission: Submission, segments: Sequence[bytes]) -> Submission:
    """The same with other segments' bytes."""
    index, _ = bodies(submission)
    return replace(submission, openings=index + b"".join(segments))
