"""A forged run, the auditor who gets it, and what became of it.

An attack on runs is a module with `ATTEMPTS`, its variants, each with the verification step that is
meant to refuse it, and `run(scene)`, which makes them all, hands them to the verifier, and says
what happened.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np

from attacks.tools.forge import Forgery
from attacks.tools.hollow import HollowProver
from attacks.tools.outcome import Outcome
from attacks.tools.trapdoor_run import TrapdoorRun
from attacks.tools.victim import CIRCUIT, Victim
from zk_autograd.core.formats import IntArray
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.protocol import Backend
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.proof_system import ProofSystem
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

EZKL, NATIVE = frozenset({"ezkl"}), frozenset({"native"})
BACKENDS = EZKL | NATIVE


@dataclass
class EzklWorkshop:
    """What it takes to attack EZKL: the auditor's cache, and the folder where the attacker's own
    SRS and keys are. Made when first asked for."""

    cache: Cache
    folder: Path
    scratch: Path

    @cached_property
    def trapdoor_run(self) -> TrapdoorRun:
        """The attacker's run under an SRS whose secret they kept."""
        return TrapdoorRun.build(self.folder)

    @cached_property
    def hollow(self) -> HollowProver:
        """The attacker's circuit that checks nothing."""
        return HollowProver.imitate(CIRCUIT, self.scratch / "hollow")


@dataclass
class Scene:
    """The victim and the auditor's proof systems; `folder` is where forged runs go. `workshop` is
    there if the victim's prover is EZKL."""

    victim: Victim
    systems: Mapping[str, ProofSystem]
    folder: Path
    workshop: EzklWorkshop | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def ezkl(self) -> EzklWorkshop:
        """The workshop, of attacks that are EZKL's alone."""
        assert self.workshop is not None
        return self.workshop

    @property
    def backend(self) -> str:
        """The name of the victim's prover."""
        return self.victim.prover.backend

    @property
    def policy(self) -> Policy:
        """The auditor's: the victim's trainer is pinned, the SRS is allowed, L1 is asked for."""
        return Policy(keys=self.victim.keys, srs=self.victim.srs)

    def place(self) -> Path:
        """A path in the folder where nothing is yet."""
        return self.folder / f"run-{next(self._numbers)}"

    def submit(self, forgery: Forgery) -> "Submission":
        """The forged run, written, for the auditor as they are."""
        return Submission(forgery.write(self.place()), self.policy)

    def commit(self, values: IntArray, salt: bytes) -> bytes:
        """The commitment to a block as the victim's prover makes it; shorter ones are padded with
        zeros."""
        padded = np.zeros(self.victim.prover.block, np.int64)
        padded[: len(values)] = values
        return self._prover.commit(padded, salt)

    def draw_salt(self) -> bytes:
        """A fresh salt."""
        return self._prover.draw_salt()

    @cached_property
    def _prover(self) -> Backend:
        return self.victim.backend()


@dataclass(frozen=True, slots=True)
class Submission:
    """What the auditor gets, and their policy. `reader` opens the run's folder, or the bundle;
    `systems` are the auditor's, None for the scene's; `subjects` the files that they ask about, if
    that is not the run itself."""

    path: Path
    policy: Policy
    reader: Callable[[Path], RunFolder | Bundle] = RunFolder
    systems: Mapping[str, ProofSystem] | None = None
    subjects: tuple[Subject, ...] = ()

    def judged(self, systems: Mapping[str, ProofSystem]) -> Report:
        """The verifier's report."""
        with self.reader(self.path) as files:
            found = Found(str(self.path), self.path, "from" if self.subjects else "given", self.subjects)
            return Verifier(self.policy, self.systems or systems).verify(files, found=found)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A variant of an attack on runs of these `backends`: `step` is meant to refuse it, with these
    `words` in what it says."""

    name: str
    step: Step
    words: str
    forge: Callable[[Scene], Submission]
    backends: frozenset[str] = BACKENDS


def refusing_step(report: Report) -> Step | None:
    """The step that kept a report from exit status 0: the one that failed, else the first that was
    not shown. None if none did."""
    if report.exit_status == 0:
        return None
    if report.failure is not None:
        return Step(report.failure.step)
    less = (Status.NOT_SHOWN, Status.SKIPPED, Status.UNREADABLE)
    return next(s for s in Step if s is not Step.ANCHORS and report.findings[s].status in less)


def refusal(report: Report) -> str:
    """What the report says against the run, in one text."""
    step = refusing_step(report)
    return "" if step is None else " ".join((*report.findings[step].sentences, *report.missing))


def outcome(name: str, gain: str, attempts: Sequence[Attempt], scene: Scene) -> Outcome:
    """Makes every attempt on the scene's backend. It counts as refused only if the step meant for
    it refused it."""
    refused, by = True, []
    for attempt in attempts:
        if scene.backend not in attempt.backends:
            continue
        report = attempt.forge(scene).judged(scene.systems)
        step = refusing_step(report)
        refused &= step is attempt.step and attempt.words in refusal(report)
        by.append("nothing" if step is None else f"step {step.value}, {step.title}")
    return Outcome(name, refused, " and ".join(dict.fromkeys(by)), gain, scene.backend)
