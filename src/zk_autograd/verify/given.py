"""Step 10, the files that the auditor came with: each is one that the close record names.

A file is recognised by its SHA-256 alone: who downloads one may have renamed it. One whose digest
the close record doesn't name is false for this run: its evidence doesn't speak of it.

Named isn't proved. The model's files are the proved weights, which the other parts of step 10 show.
Of every other digest the close record says nothing but a name, which the trainer chose: weights can
be called train_log.jsonl. So whoever begins with such a file gets no complete verdict.
"""

from collections.abc import Sequence

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, listed, quoted
from zk_autograd.evidence.finding import Subject
from zk_autograd.evidence.layout import MODEL
from zk_autograd.verify.outcome import Finding, Outcome, Status
from zk_autograd.verify.statement import SEGMENT_RECORD


def check_given(log: Log, subjects: Sequence[Subject]) -> Outcome:
    """Step 10's part for them. VerificationError for a file that the close record doesn't name."""
    if not subjects:
        return Outcome(Finding(Status.ABSENT))
    if log.close is None:
        why = "this view has no close record, and without one no record names a published file"
        what = f"{counted(len(subjects), 'file')} given, not looked at: {why}"
        fix = "ask the trainer for the evidence of the finished run"
        return Outcome(Finding(Status.NOT_SHOWN, (what,)), withheld=(why,), fix=fix)
    sentences, unknown = [], []
    for subject in subjects:
        what = quoted(subject.name)
        if subject.digest is None:
            raise VerificationError(
                f"{what} is not a regular file", expected="a file that the close record names", found="something else"
            )
        place = place_of(log, subject)
        if place is None:
            raise VerificationError(
                f"the close record names no file with the SHA-256 of {what}",
                record=SEGMENT_RECORD + len(log.segments),
                expected=f"one of {counted(len(log.close.model) + len(log.close.artefacts), 'digest')}",
                found=subject.digest.hex(),
            )
        sentences.append(f"{what} is the run's {quoted(place, 120)}, by its SHA-256 {subject.digest.hex()}")
        if not place.startswith(f"{MODEL}/"):
            unknown.append(what)
    if not unknown:
        return Outcome(Finding(Status.PASSED, tuple(sentences)))
    why = f"the close record names the SHA-256 of {listed(unknown, 3)}, but not as a model's file: no proof is about what it holds"
    fix = "rely on the run's own model files alone; what else its trainer signed, ask the trainer"
    return Outcome(Finding(Status.NOT_SHOWN, tuple(sentences)), withheld=(why,), fix=fix)


def place_of(log: Log, subject: Subject) -> str | None:
    """The path in the run that the close record has for the file's digest; None if it has none. A
    digest that is named twice is the model's first."""
    if log.close is None or subject.digest is None:
        return None
    named = dict.fromkeys(f"{MODEL}/{name}" for name, digest in log.close.model if digest == subject.digest)
    named |= dict.fromkeys(name for name, digest in log.close.artefacts if digest == subject.digest)
    return next(iter(named), None)
