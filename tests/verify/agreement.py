"""Exit status, verdict and every form of a report say the same, and none speaks well of a run that
failed. A new form of the report takes a function here and its place in `FORMS`."""

from collections.abc import Callable

from zk_autograd.verify.brief import brief
from zk_autograd.verify.outcome import Step
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


FORMS: tuple[Callable[[Report], None], ...] = (as_json, as_text, as_brief)
"""Every form in which a report leaves the verifier."""


def _words(line: str) -> set[str]:
    return {word.strip(".,:;()'\"").rstrip() for word in line.split()}
