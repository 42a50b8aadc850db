"""Every form of a report says the same: status, verdict line, JSON, page and signed verdict."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.verify.agreement import agree
from tests.verify.kinds import KINDS
from zk_autograd.core.canonical import decode
from zk_autograd.verify import annex_xi, svr
from zk_autograd.verify.brief import brief
from zk_autograd.verify.outcome import Source
from zk_autograd.verify.page.document import page
from zk_autograd.verify.report import Report
from zk_autograd.verify.standing import Standing

MADE = datetime(2026, 11, 30, 14, 2, 23, tzinfo=UTC)
STATUS = {Standing.SHOWN: 0, Standing.LESS: 3, Standing.UNPINNED: 3, Standing.FAILED: 1, Standing.UNJUDGED: 4}


@pytest.fixture(params=KINDS)
def report(request: pytest.FixtureRequest, report_of: Callable[[str], Report]) -> Report:
    """A report of each kind."""
    return report_of(request.param)


def test_all_kinds_of_standing_are_here(report_of: Callable[[str], Report]) -> None:
    assert {Standing.of(report_of(kind)) for kind in KINDS} == set(Standing)


def test_every_form_agrees(report: Report) -> None:
    agree(report)


def test_every_form_says_the_same(report: Report) -> None:
    standing, value = Standing.of(report), json.loads(json.dumps(report.to_json()))
    line = report.text().rsplit("\n", 1)[1]
    assert line.startswith(f"verdict: {value['verdict']}")
    assert brief(report).split("\n", 1)[0] == line
    assert value["exit_status"] == report.exit_status == STATUS[standing]

    html = page(report, MADE, annex_xi=True)
    (title,) = re.findall(r"<h1><span class=\"said\">Verdict:</span> (.*?)</h1>", html, re.IGNORECASE)
    assert f"verdict: {title}" == line
    assert f'<body class="{standing.value}">' in html
    assert f'<header class="banner {standing.value}">' in html
    reached = re.findall(r'<span class="title">(L[0-9][^<]*)</span><span class="state passed">', html)
    assert reached == value["levels"]

    if not list(svr.subjects(report)):
        assert report.failure is not None
        return
    predicate = svr.statement(report, MADE)["predicate"]
    names = [name.removeprefix("ZK_AUTOGRAD_").replace("_", "-").lower() for name in predicate["properties"]]
    assert names == [level.lower() for level in value["levels"]]
    assert predicate["zkAutograd"]["verdict"] == value["verdict"]
    assert predicate["zkAutograd"]["exitStatus"] == value["exit_status"]
    assert predicate["timeCreated"] == "2026-11-30T14:02:23Z"


def test_only_what_was_shown_looks_like_a_success(report: Report) -> None:
    html = page(report, MADE)
    banner = html.split("</header>")[0]
    assert ("All that was asked for" in banner) == ('class="icon shown large"' in banner) == (report.exit_status == 0)
    if not report.levels:
        assert "reached</span>" not in html.replace("not reached</span>", "")
    if report.failure is not None or report.unreadable is not None:
        for gone in ("In plain words", "What the trainer says", "Where each claim", "not show</h2>", "Levels</h2>"):
            assert gone not in html


def test_a_signed_verdict_says_no_more_than_the_report(report: Report) -> None:
    properties = svr.properties(report)
    if report.verdict in ("FAILED", "NOT JUDGED", "UNPINNED"):
        assert properties == []
    assert ("ZK_AUTOGRAD_L1" in properties) == ("L1" in report.verdict.split(", "))
    named = [subject["name"] for subject in svr.subjects(report)]
    assert any(name.startswith("model/") for name in named) <= report.judged
    if list(svr.subjects(report)):
        envelope = svr.envelope(report, MADE)
        assert decode(envelope.payload, max_bytes=10**6) == svr.statement(report, MADE)


def test_no_heading_of_annex_xi_is_filled_by_a_run_that_nobody_vouches_for(report: Report) -> None:
    facts = [fact for heading in annex_xi.headings(report) for fact in heading.facts]
    sources = {fact.source for fact in facts}
    if not report.judged or not report.pinned:
        assert sources == {Source.ABSENT}
        assert all(f"the verdict is {report.verdict}" in fact.text for fact in facts)
    assert (Source.PROVED in sources) == any(level in report.verdict for level in ("L1", "L1-sampled"))
    assert not sources & {Source.ATTESTED, Source.REPLAYED}
