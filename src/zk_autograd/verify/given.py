"""Step 10, the files that the auditor came with: each is one that the close record names.

A file is recognised by its SHA-256 alone: who downloads one may have renamed it. One whose digest
the close record doesn't name is false for this run: its evidence doesn't speak of it.
"""

from collections.abc import Sequence

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, quoted
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
    named = {digest: f"{MODEL}/{name}" for name, digest in log.close.model}
    named |= {digest: name for name, digest in log.close.artefacts}
    sentences = []
    for subject in subjects:
        what = quoted(subject.name)
        if subject.digest is None:
            raise VerificationError(
                f"{what} is not a regular file", expected="a file that the close record names", found="something else"
            )
        if subject.digest not in named:
            raise VerificationError(
                f"the close record names no file with the SHA-256 of {what}",
                record=SEGMENT_RECORD + len(log.segments),
                expected=f"one of {counted(len(named), 'digest')}",
                found=subject.digest.hex(),
            )
        sentences.append(f"{what} is the run's {named[subject.digest]}, by its SHA-256 {subject.digest.hex()}")
    return Outcome(Finding(Status.PASSED, tuple(sentences)))
