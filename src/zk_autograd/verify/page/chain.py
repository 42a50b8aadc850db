"""The records as a picture: header, first state, segments, close record and root, top to bottom.

A segment's sign says how many of its proofs were verified. Long runs are summed up: the first and
the last segment stand alone, those between in a few stacks. What a failed or unfinished
verification did not show is drawn with broken lines.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from zk_autograd.core.records import Log, Segment
from zk_autograd.core.text import counted
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.page.markup import Element, element
from zk_autograd.verify.report import Report
from zk_autograd.verify.statement import SEGMENT_RECORD

_ALONE = 8
"""Segments that are drawn one by one; of more, the first, the last, and stacks between."""

_STACKS = 6
_WIDTH, _ROW, _TOP, _SPINE = 420, 66, 34, 24


@dataclass(frozen=True, slots=True)
class Verified:
    """How many of each segment's proofs were verified, of how many.

    `of_segment` is None if all were; `known` is false for a report that ended early, which doesn't
    say how far it came.
    """

    of_segment: Counter[int] | None
    each: int
    known: bool = True

    @classmethod
    def of(cls, report: Report, log: Log) -> "Verified":
        """What step 7 of the report looked at."""
        each = len(log.header.blocks) if log.header.prover.form.proves else 0
        if not report.judged:
            return cls(Counter(), each, known=False)
        if report.sample is not None:
            return cls(Counter(number // len(log.header.blocks) for number in report.sample.verified), each)
        shown = Level.L1 in report.outcomes[Step.PROOFS].shown
        return cls(None if shown else Counter(), each)

    def among(self, segments: Sequence[Segment]) -> tuple[int, int]:
        """Those verified, and all there are."""
        there = self.each * len(segments)
        if self.of_segment is None:
            return there, there
        return sum(self.of_segment[segment.index] for segment in segments), there


@dataclass(frozen=True, slots=True)
class _Row:
    title: str
    detail: str
    sign: str
    """The class of its sign: plain, whole, part, unseen, bad, root."""

    stacked: bool = False


def picture(report: Report, log: Log) -> Element:
    """The chain of the run's records."""
    rows = list(_rows(report, log, Verified.of(report, log)))
    shown = Step.CHAIN in report.outcomes and report.findings[Step.CHAIN].status in (Status.PASSED, Status.NOT_SHOWN)
    height = _TOP * 2 + _ROW * (len(rows) - 1)
    spine = element(
        "line", x1=_SPINE, y1=_TOP, x2=_SPINE, y2=height - _TOP, class_="spine" if shown else "spine broken"
    )
    return element(
        "svg",
        element("title", "The chain of records", id="chain-title"),
        element("desc", f"{_description(rows)} {_links(shown)}", id="chain-text"),
        spine,
        *(part for i, row in enumerate(rows) for part in _drawn(row, _TOP + i * _ROW)),
        role="img",
        aria_labelledby="chain-title chain-text",
        viewBox=f"0 0 {_WIDTH} {height}",
        width=_WIDTH,
        height=height,
        class_="chain",
    )


def mark(sign: str) -> Element:
    """A segment's sign, for the legend."""
    return element("svg", *_sign(sign, 13, 13), viewBox="0 0 26 26", width=20, height=20, aria_hidden="true")


def links(report: Report) -> str:
    """What is known of the joints between the records."""
    return _links(
        Step.CHAIN in report.outcomes and report.findings[Step.CHAIN].status in (Status.PASSED, Status.NOT_SHOWN)
    )


def _links(shown: bool) -> str:
    if shown:
        return "Each state that a segment begins with is the state that the one before it ended with."
    return "That the records fit together was not shown; they are drawn as they were found."


def _description(rows: Sequence[_Row]) -> str:
    return " ".join(f"{row.title}: {row.detail}." for row in rows)


def _rows(report: Report, log: Log, verified: Verified) -> Iterator[_Row]:
    header, bad = log.header, report.failure.record if report.failure is not None else None
    yield _Row(
        "record 0, the header",
        f"rule {header.rule.value}, {counted(header.size, 'parameter')}",
        "bad" if bad == 0 else "plain",
    )
    if log.genesis is not None:
        committed = " and ".join(header.states)
        yield _Row("record 1, the first state", f"{committed}, committed", "bad" if bad == 1 else "plain")
    for group in _groups(log.segments):
        yield _segments(group, verified, bad)
    number = SEGMENT_RECORD + len(log.segments)
    if log.close is not None:
        yield _Row(
            f"record {number}, the close", f"{counted(log.close.last_step, 'step')} in all", "bad" if bad == number else "plain"
        )  # fmt: skip
    if report.summary is not None:
        yield _Row("root", f"{report.summary.root.hex()[:16]}...@{report.summary.size}", "root")


def _groups(segments: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    count = len(segments)
    if count <= _ALONE:
        yield from (segments[i : i + 1] for i in range(count))
        return
    yield segments[:1]
    cuts = [1 + (count - 2) * i // _STACKS for i in range(_STACKS + 1)]
    yield from (segments[a:b] for a, b in pairwise(cuts))
    yield segments[-1:]


def _segments(group: Sequence[Segment], verified: Verified, bad: int | None) -> _Row:
    first, last = group[0], group[-1]
    done, there = verified.among(group)
    alone = len(group) == 1
    title = f"segment {first.index}" if alone else f"segments {first.index} to {last.index} ({len(group)})"
    steps = f"step {first.first}" if first.first == last.last else f"steps {first.first} to {last.last}"
    if not verified.known:
        sign, proofs = "unseen", "not shown"
    elif there == 0:
        sign, proofs = "unseen", "no proofs"
    elif done == there:
        sign, proofs = "whole", f"{done} of {counted(there, 'proof')} verified"
    else:
        sign, proofs = "part" if done else "unseen", f"{done} of {counted(there, 'proof')} verified"
    if bad is not None and SEGMENT_RECORD + first.index <= bad <= SEGMENT_RECORD + last.index:
        sign, proofs = "bad", f"refused: record {bad}"
    return _Row(title, f"{steps}; {proofs}", sign, stacked=not alone)


def _drawn(row: _Row, y: int) -> Iterator[Element]:
    if row.stacked:
        for shift in (8, 4):
            yield element(
                "rect", x=_SPINE - 11 + shift, y=y - 11 - shift, width=22, height=22, rx=4, class_="mark stack"
            )
    yield from _sign(row.sign, _SPINE, y)
    yield element("text", row.title, x=_SPINE + 34, y=y - 3, class_="name")
    yield element("text", row.detail, x=_SPINE + 34, y=y + 16, class_="detail")


def _sign(sign: str, x: int, y: int) -> Iterator[Element]:
    if sign == "plain":
        yield element("circle", cx=x, cy=y, r=7, class_="mark plain")
        return
    if sign == "root":
        yield element("path", d=f"M{x} {y - 12}L{x + 12} {y}L{x} {y + 12}L{x - 12} {y}Z", class_="mark root")
        return
    yield element("rect", x=x - 11, y=y - 11, width=22, height=22, rx=4, class_=f"mark {sign}")
    if sign == "whole":
        yield element("path", d=f"M{x - 5} {y}L{x - 1.5} {y + 4}L{x + 5.5} {y - 4.5}", class_="tick")
    if sign == "part":
        yield element("path", d=f"M{x} {y - 11}H{x - 7}a4 4 0 0 0 -4 4v14a4 4 0 0 0 4 4H{x}Z", class_="half")
    if sign == "bad":
        yield element("path", d=f"M{x - 5} {y - 5}L{x + 5} {y + 5}M{x + 5} {y - 5}L{x - 5} {y + 5}", class_="tick")
