"""The report in at most twelve lines: verdict, evidence, signers, each source of claims, and the
one thing not shown that weighs most.

It says nothing that the whole report doesn't, and leaves out no source of a claim: a line that is
too long is cut, and says so.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath as Path
from textwrap import wrap
from typing import TYPE_CHECKING

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import counted, listed, printable, quoted
from zk_autograd.evidence.finding import Subject
from zk_autograd.verify.given import place_of
from zk_autograd.verify.outcome import Level, Source, Step

if TYPE_CHECKING:
    from zk_autograd.verify.report import Report

MAX_LINES = 12

_HEADS = {Source.CLAIMED: "claimed"}
_WEIGHT = (Step.PROOFS, Step.DATA, Step.ATTESTATION, Step.ANCHORS)
"""The steps whose limits weigh most, in this order."""

_LABEL = 11


def brief(report: "Report", width: int = 100) -> str:
    """The report's text, in printable ASCII, lines of at most `width` columns. The first line is
    the verdict, and no other begins like it; where something failed, or less was shown than asked
    for, a line that begins with "Fix:" is the last thing said."""
    lines = [report.verdict_line, *_about(report, width)]
    error = report.failure or report.unreadable
    lines += _claims(report, width) if error is None else _error(error, width)
    why = report.missing[0] if report.missing else _weightiest(report)
    if why and error is None:
        room = MAX_LINES - len(lines) - len(list(_fix(report, width, 2)))
        lines += _labelled("less" if report.missing else "not shown", why, width, lines=min(2, max(1, room)))
    lines += _fix(report, width, min(2, MAX_LINES - len(lines)))
    return "\n".join(line.encode("ascii", "backslashreplace").decode() for line in map(printable, lines))


def _about(report: "Report", width: int) -> Iterator[str]:
    if report.found is not None:
        if report.found.subjects:
            yield from _labelled("file", listed([_subject(report, s) for s in report.found.subjects], 3), width)
        policy = "" if report.policy is None else f", held against the policy {report.policy.digest.hex()[:16]}"
        yield from _labelled("evidence", report.found.line + policy, width)
    if (run := report.summary) is not None:
        state = "finished" if run.finished else "unfinished"
        what = f"{run.run}: {run.rule}, {run.parameters} parameters, {counted(run.steps, 'step')}, {state}, prover {run.backend}"
        yield from _labelled("run", what, width)
        yield from _labelled("root", f"{run.root.hex()}@{run.size}", width)
        signers = ", ".join(key.label for key in report.signers) or "nobody whose key was given"
        model = f"; the model by {report.model_signer[:16]}..." if report.model_signer else ""
        vouched = ", for whom the enclave's document vouches" if report.vouched else ""
        yield from _labelled("signed by", signers + vouched + model, width)


def _subject(report: "Report", subject: Subject) -> str:
    """The file's name, and in a run that was judged what the close record calls it."""
    place = place_of(report.log, subject) if report.log is not None and report.judged else None
    return quoted(subject.name) + (f" (its {quoted(place)})" if place and Path(place).name != subject.name else "")


def _claims(report: "Report", width: int) -> Iterator[str]:
    """A line for each source of claims; those that are the source of none share one."""
    if not report.pinned:
        return
    claims = {source: [c.what for c in report.claims if c.source is source] for source in Source}
    for source, of_it in claims.items():
        if of_it:
            yield from _labelled(_HEADS.get(source, source.value), _fitting(of_it, width - _LABEL), width)
        if source is Source.REPLAYED and (none := [s.value for s in list(Source)[:3] if not claims[s]]):
            yield from _labelled("nothing is", " or ".join(none), width)


def _fitting(texts: Sequence[str], width: int) -> str:
    """As many of the texts as fit on a line, and how many more there are."""
    for count in range(len(texts), 0, -1):
        more = f"; and {len(texts) - count} more" if count < len(texts) else ""
        if len(line := "; ".join(texts[:count]) + more) <= width:
            return line
    return f"{counted(len(texts), 'claim')} (--long)"


def _error(error: VerificationError, width: int) -> Iterator[str]:
    step = Step(error.step)
    place = f"step {error.step}, {step.title}" + ("" if error.record is None else f", record {error.record}")
    yield from _labelled("where", place, width)
    yield from _labelled("what", error.message, width, lines=2)
    for label, text in (("expected", error.expected), ("found", error.found)):
        if text is not None:
            yield from _labelled(label, text, width)


def _fix(report: "Report", width: int, lines: int) -> Iterator[str]:
    if report.fix:
        yield from _labelled("Fix:", report.fix, width, label_width=5, lines=lines)


def _weightiest(report: "Report") -> str:
    # What an attestation or a replay leaves open weighs more than what a proof rests on.
    replayed = report.levels & {Level.L3, Level.L3_SAMPLED}
    first = (Step.ATTESTATION,) if Level.L2 in report.levels else (Step.DATA,) if replayed else ()
    for step in (*first, *_WEIGHT):
        if step in report.outcomes and report.outcomes[step].limits:
            return report.outcomes[step].limits[0]
    return ""


def _labelled(label: str, text: str, width: int, *, lines: int = 1, label_width: int = _LABEL) -> Iterator[str]:
    """The text beside its label, on at most so many lines; what is cut ends in "..."."""
    room = width - label_width
    parts = wrap(text, room, break_on_hyphens=False) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], " ".join(parts[lines - 1 :])[: room - 4].rstrip() + " ..."]
    for i, part in enumerate(parts):
        yield f"{label if i == 0 else '':{label_width}}{part}"
