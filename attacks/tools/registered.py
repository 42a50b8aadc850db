"""A trainer with a register, and the auditor who gets a run of theirs.

An attack on registers is a module with `ATTEMPTS`, each with words of step 4 that are meant to
refuse it, and `run()`, which makes them all and says what became of them. The run has no proofs
(backend `none`): what is attacked here is where its root went, not what it holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attacks.tools.forge import Forgery
from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree, write
from attacks.tools.victim import TRAINER, first_weights, gradients, header_of, manifest_of
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import Kept, Receipt
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import Entry, Kind, View
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.run.claims import Claims
from zk_autograd.run.writer import RunWriter
from zk_autograd.verify.anchoring import Asked
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

FAILED_RUN = Entry(Kind.BEGIN, sha256(b"a run that went wrong").digest()[:16], 1, sha256(b"its header").digest())
PLACES = ((1, 2), (3, 4), (4, 5))
"""Of the run's views: the entry, and the size of the register."""

NOON = 1_796_040_000
"""When services are asked: 2026-11-30T12:00:00Z."""


@dataclass
class Trainer:
    """They made one run of five records in a register of six entries: a failed run's begin, this
    one's begin, another of the failed run, this one's first three records, its close, and another
    run's begin."""

    folder: Path

    def __post_init__(self) -> None:
        self._numbers = count()

    @cached_property
    def _made(self) -> Path:
        backend = HashedBackend(block=4, steps=3)
        run = sha256(b"the run").digest()[:16]
        header = header_of(backend.prover, run, TRAINER, manifest_of(backend.prover))
        writer = RunWriter.create(self.folder / "made", header, backend, TRAINER, first_weights(header.size))
        try:
            for row in gradients(5, header.size):
                writer.append(np.asarray(row), Claims("0.5"), lr=("0.001",))
            writer.drain()
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        return self.folder / "made"

    def forgery(self) -> Forgery:
        """The run, taken apart; its header names the register."""
        forgery = Forgery.read(self._made, *TRAINER)
        forgery.header = replace(forgery.header, register=Tree(TRAINER).origin)
        return forgery

    def tree(self, forgery: Forgery | None = None) -> Tree:
        """The register as it should be."""
        made = forgery or self.forgery()
        other = sha256(b"another run").digest()[:16]
        return Tree(
            TRAINER,
            [
                FAILED_RUN,
                entry(made, Kind.BEGIN, 1),
                Entry(Kind.CHECKPOINT, FAILED_RUN.run, 3, sha256(b"its records").digest()),
                entry(made, Kind.CHECKPOINT, 3),
                entry(made, Kind.CLOSE, len(made.leaves())),
                Entry(Kind.BEGIN, other, 1, sha256(b"another header").digest()),
            ],
        )

    @property
    def policy(self) -> Policy:
        """The auditor's: both keys are pinned, L0 is asked for."""
        return Policy(keys=tuple(signer.public_key for signer in TRAINER), require=frozenset({Level.L0}))

    def submit(
        self,
        views: Sequence[View | bytes],
        receipts: Sequence[Receipt | bytes] = (),
        forgery: Forgery | None = None,
        **policy: Any,
    ) -> "Submission":
        """The run with these files, for the auditor with what `policy` changes of theirs."""
        path = (forgery or self.forgery()).write(self.folder / f"run-{next(self._numbers)}")
        write(path, views, receipts)
        return Submission(path, replace(self.policy, **policy))


def entry(forgery: Forgery, kind: Kind, size: int) -> Entry:
    """The run's entry over its first `size` records."""
    return Entry(kind, forgery.header.run, size, root([leaf_hash(leaf) for leaf in forgery.leaves()[:size]]))


def held(tree: Tree, *sizes: int, **place: Any) -> tuple[Kept, ...]:
    """What a service holds to which the register was published at these sizes; `place` as it tells
    it of each, by functions of the size."""
    return tuple(
        Kept(
            tree.note(size),
            first,
            tuple(one.encode() for one in tree.entries[first:size]),
            {name: tell(size) for name, tell in place.items()},
        )
        for first, size in zip((0, *sizes), sizes, strict=False)
    )


def asked(kept: Sequence[Kept], kind: str = "file", place: str = "register") -> tuple[Asked, ...]:
    """A service that the auditor asked at noon."""
    return (Asked(kind, f"{kind}:{place}", NOON, tuple(kept)),)


@dataclass(frozen=True, slots=True)
class Submission:
    """What the auditor gets, and their policy."""

    path: Path
    policy: Policy

    def judged(self, kinds: Mapping[str, Any] | None = None) -> Report:
        """The verifier's report."""
        with RunFolder(self.path) as files:
            return Verifier(self.policy, {"none": HashedSystem()}, kinds or verifiers()).verify(files)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A variant of an attack: step 4 is meant to refuse it, with these `words`."""

    name: str
    words: str
    forge: Callable[[Trainer], Submission]


def refusal(report: Report) -> str:
    """What step 4 says against the run; "" if it says nothing."""
    if report.failure is not None:
        return str(report.failure) if report.failure.step == Step.ANCHORS else ""
    less = report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    return " ".join(report.missing) if less and report.exit_status != 0 else ""


def outcome(name: str, gain: str, attempts: Sequence[Attempt]) -> Outcome:
    """Makes every attempt. It counts as refused only if step 4 says the words meant for it."""
    with TemporaryDirectory(prefix="zk-attacks-") as folder:
        trainer = Trainer(Path(folder))
        refused = all(attempt.words in refusal(attempt.forge(trainer).judged()) for attempt in attempts)
    return Outcome(name, refused, f"step {Step.ANCHORS.value}, {Step.ANCHORS.title}", gain, "none")
