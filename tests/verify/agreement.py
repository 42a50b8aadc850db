"""Exit status, verdict and every form of a report say the same, and none speaks well of a run that
failed. A new form of the report takes a function here and its place in `FORMS`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from zk_autograd.verify import annex_xi, svr
from zk_autograd.verify.brief import brief
from zk_autograd.verify.outcome import Source, Step
from zk_autograd.verify.page.document import page
from zk_autograd.verify.report import Report

SUCCESS = ("passed", "shown", "valid", "ok", "success", "successful", "verified", "proved", "L0", "L1", "L1-sampled")
"""Words that a reader takes for a good end: no verdict of a failed run holds one."""

_NAMES = {0: "passed", 1: "failed", 3: "not shown", 4: "unreadable"}


def agree(report: Report) -> None:
    """The report with itself, in each of its forms."""
    status = report.exit_status
    assert status in _NAMES
    assert (report.failure is not None) == (status == 1) == (report.verdict == "FAILED")
    assert (report.unreadable is not None) == (status == 4) == (report.verdict == "NOT JUDGED")
    assert bool(report.missing) == (status == 3)
    if status in (1, 4):
        assert (report.levels, report.claims, report.limits) == (frozenset(), (), ())
        assert not _words(report.verdict_line) & set(SUCCESS)
    if not report.pinned:
        assert status != 0
        assert report.verdict in ("UNPINNED", "FAILED", "NOT JUDGED")
    for form in FORMS:
        form(report)


def as_json(report: Report) -> None:
    """--json."""
    value, status = report.to_json(), report.exit_status
    assert (value["exit_status"], value["verdict"]) == (status, report.verdict)
    assert value["levels"] == sorted(level.value for level in report.levels)
    steps = {step["number"]: step["status"] for step in value["steps"]}
    assert steps[Step.VERDICT] == _NAMES[status]
    (last, *_) = value["steps"][-1]["findings"]
    assert (value["failure"] is not None, value["unreadable"] is not None) == (status == 1, status == 4)
    assert bool(value["missing"]) == (status == 3)
    assert not _words(" ".join(value["missing"])) & {"passed", "success", "successful"}
    if status in (1, 4):
        error = value["failure"] or value["unreadable"]
        assert not _words(last) & set(SUCCESS)
        assert (value["levels"], value["claims"], value["limits"]) == ([], [], [])
        assert list(steps.values()).count(_NAMES[status]) == 2
        assert steps[error["step"]] == _NAMES[status]
        assert all(steps[number] == "not reached" for number in range(error["step"] + 1, Step.VERDICT))


def as_text(report: Report) -> None:
    """--long: the verdict is the last line, and no other begins like it."""
    lines = report.text().split("\n")
    assert lines[-1] == report.verdict_line
    assert sum(line.startswith("verdict:") for line in lines) == 1
    assert report.text().isascii()


def as_brief(report: Report) -> None:
    """What is printed first: the verdict is the first line, and no other begins like it."""
    lines = brief(report).split("\n")
    assert lines[0] == report.verdict_line
    assert sum(line.startswith("verdict:") for line in lines) == 1
    assert len(lines) <= 12
    assert brief(report).isascii()
    if report.failure is not None:
        assert any(line.startswith("Fix:") for line in lines)
        assert str(report.failure.step) in " ".join(lines)


def as_page(report: Report) -> None:
    """--report: the verdict in its words, and the look of a success for status 0 alone."""
    html = page(report, datetime(2026, 11, 30, tzinfo=UTC), annex_xi=True)
    (title,) = re.findall("<h1>.*?</span> (.*?)</h1>", html)
    assert f"verdict: {title}" == report.verdict_line
    assert ('<header class="banner shown">' in html) == (report.exit_status == 0)
    reached = re.findall('<span class="title">(L[0-9][^<]*)</span><span class="state passed">', html)
    assert reached == sorted(level.value for level in report.levels)
    assert html.isascii()


def as_signed_verdict(report: Report) -> None:
    """--svr: the levels that the verdict names, and no others."""
    assert svr.properties(report) == [
        f"ZK_AUTOGRAD_{name.upper().replace('-', '_')}" for name in report.verdict.split(", ") if name.startswith("L")
    ]
    if list(svr.subjects(report)):
        told = svr.statement(report, datetime(2026, 11, 30, tzinfo=UTC))["predicate"]["zkAutograd"]
        assert (told["verdict"], told["exitStatus"]) == (report.verdict, report.exit_status)
    else:
        assert not report.judged


def as_annex_xi(report: Report) -> None:
    """--annex-xi: nothing is there of a run that nobody vouches for, nothing proved without L1."""
    sources = {fact.source for heading in annex_xi.headings(report) for fact in heading.facts}
    if not report.judged or not report.pinned:
        assert sources == {Source.ABSENT}
    assert (Source.PROVED in sources) == ("L1" in report.verdict)


FORMS: tuple[Callable[[Report], None], ...] = (as_json, as_text, as_brief, as_page, as_signed_verdict, as_annex_xi)
"""Every form in which a report leaves the verifier."""


def _words(line: str) -> set[str]:
    return {word.strip(".,:;()'\"").rstrip() for word in line.split()}
