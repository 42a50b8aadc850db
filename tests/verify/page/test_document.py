"""A page: self-contained, without scripts, and honest for every kind of report."""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from tests.verify.kinds import KINDS, synthetic
from tests.verify.page.test_markup import Seen
from zk_autograd.core.records import Log
from zk_autograd.core.segments import Segments
from zk_autograd.verify.page import curves
from zk_autograd.verify.page.document import page
from zk_autograd.verify.report import Report

MADE = datetime(2026, 11, 30, 14, 2, 23, tzinfo=UTC)


@pytest.fixture
def passed(report_of: Callable[[str], Report]) -> Report:
    """A report in which all that was asked for was shown."""
    return report_of("passed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_and_runs_nothing(kind: str, report_of: Callable[[str], Report]) -> None:
    html = page(report_of(kind), MADE, annex_xi=True)
    seen = Seen(html)
    assert html.isascii()
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(seen.tags)
    assert seen.tags.count("style") == seen.tags.count("h1") == seen.tags.count("main") == 1
    assert not [name for name, _ in seen.attributes if name in ("style", "src", "srcset") or name.startswith("on")]
    assert all(value and value.startswith("#") for name, value in seen.attributes if name == "href")
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in html
    assert "default-src 'none'" in html and "url(" not in style and "@import" not in style
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert "".join(c for c in html if not (c.isprintable() or c == "\n")) == ""


def test_a_run_s_texts_are_nothing_but_texts(report_of: Callable[[str], Report]) -> None:
    for kind in ("hostile texts", "uncovered"):
        html = page(report_of(kind), MADE, annex_xi=True)
        assert "script" in Seen(html).text
        assert html.count("</style>") == 1
        assert "<script" not in html
        assert "\\u202e" in html


def test_the_eleven_steps_and_every_sentence_are_there(passed: Report) -> None:
    text = Seen(page(passed, MADE)).text
    for finding in passed.findings.values():
        assert finding.status.value in text
        for sentence in finding.sentences:
            assert sentence in text
    for sentence in (*passed.limits, *(claim.what for claim in passed.claims)):
        assert sentence in text
    assert passed.summary is not None and f"{passed.summary.root.hex()}@{passed.summary.size}" in text


def test_bits_are_never_rounded_up(report_of: Callable[[str], Report]) -> None:
    report = report_of("passed, native")
    assert report.security is not None
    report = replace(report, security=replace(report.security, proven_bits=101.79))
    text = Seen(page(report, MADE)).text
    assert "at least 2^101.7 operations" in text and "101.8" not in text


def test_curves_are_marked_as_claims(passed: Report, report_of: Callable[[str], Report]) -> None:
    for report, mark in (
        (passed, "claimed by the trainer"),
        (report_of("unpinned"), "claimed by nobody you pinned"),
    ):
        html = page(report, MADE)
        for part in re.findall("<figcaption><strong>.*?</figcaption>", html):
            assert mark in part
        assert html.count("<figcaption><strong>") == 1
        assert f'<title id="loss-title">Loss, {mark}</title>' in html


@pytest.mark.parametrize(
    ("losses", "drawn", "odd"),
    [
        (("1", "2", "3"), 3, 0),
        (("1", "", "nan"), 1, 1),
        (("inf", "-inf", "1e999"), 0, 3),
        (("1.7e308", "-1.7e308", "0"), 3, 0),
        (("\u0661", "1_0", "x"), 0, 3),
        (("", "", ""), 0, 0),
    ],
)
def test_losses_of_any_kind_are_drawn_or_counted(passed: Report, losses: tuple[str, ...], drawn: int, odd: int) -> None:
    assert passed.log is not None
    log: Log = replace(passed.log, segments=Segments(passed.log.header, [replace(passed.log.segments[0], loss=losses)]))
    series = curves.losses(log)
    assert (len(series.values), series.odd) == (drawn, odd)
    html = page(replace(passed, log=log), MADE)
    for points in re.findall('points="([^"]*)"', html):
        for y in re.findall(r",(-?[0-9.]+)", points):
            assert -0.1 <= float(y) <= 120.1
    assert "nan," not in html and "inf," not in html


def test_a_peak_between_columns_is_drawn(passed: Report) -> None:
    log = synthetic(passed, 2000).log
    assert log is not None
    middle = replace(log.segments[1234], loss=("0.1", "99", "0.1"))
    log = replace(log, segments=Segments(log.header, [*log.segments[:1234], middle, *log.segments[1235:]]))
    html = page(replace(passed, log=log), MADE)
    (points,) = re.findall('<polyline points="([^"]*)" class="line">', html)
    assert min(float(pair.split(",")[1]) for pair in points.split()) == 0
    assert "greatest 99" in html and len(points.split()) <= 600


def test_a_page_of_ten_thousand_segments_is_small_and_quick(passed: Report) -> None:
    report = synthetic(passed, 10_000)
    begun = time.process_time()
    html = page(report, MADE, annex_xi=True)
    assert time.process_time() - begun < 3
    assert len(html) < 2 * 10**6
    assert html.count('class="name"') <= 14
    text = Seen(html).text
    assert "segment 0" in text and "segment 9999" in text and "segments 1 to " in text


def test_the_picture_says_which_proofs_were_verified(report_of: Callable[[str], Report]) -> None:
    signs = {
        "passed": {"whole"},
        "sample": {"part", "whole", "unseen"},
        "less, no proofs": {"unseen"},
        "less, no SRS allowed": {"unseen"},
        "failed, proof": {"unseen", "bad"},
    }
    for kind, expected in signs.items():
        html = page(report_of(kind), MADE)
        (picture,) = re.findall('<svg role="img" aria-labelledby="chain-title.*?</svg>', html)
        found = set(re.findall('class="mark (whole|part|unseen|bad)"', picture))
        assert found == expected, kind


def test_a_continued_sample_says_on_whose_word(report_of: Callable[[str], Report]) -> None:
    report = report_of("continued")
    assert report.sample is not None
    text = Seen(page(report, MADE, annex_xi=True)).text
    assert f"is the word of the report that was continued, SHA-256 {report.sample.report.hex()}" in text
    assert "3 of 6 verified" in text and "6 of 6 verified" not in text
    assert "for 3 of 6 proofs by the word of the report that was continued" in text
    assert "of the proofs, 3 were verified, and of 3 the report that was continued says so" in text
    assert "every proof was verified" not in text


def test_what_the_auditor_named_and_what_to_do_are_there(report_of: Callable[[str], Report]) -> None:
    text = Seen(page(report_of("from a file"), MADE)).text
    assert "native-finished (named with --from)" in text and "wei\\u202eghts<script>.bin" in text
    for kind in ("from another file", "unpinned", "sample", "failed, proof"):
        report = report_of(kind)
        assert report.fix and f"Fix: {report.fix}" in Seen(page(report, MADE)).text


def test_the_demands_of_a_policy_file_are_there(report_of: Callable[[str], Report]) -> None:
    for kind, met in (("policy file met", {True}), ("policy file not met", {True, False})):
        report = report_of(kind)
        assert report.policy is not None
        assert {demand.met for demand in report.policy.demands} == met
        text = Seen(page(report, MADE)).text
        assert report.policy.digest.hex() in text
        assert ("not met" in text) == (False in met)
        assert all(demand.expected in text for demand in report.policy.demands)


def test_a_long_key_is_called_by_its_name(report_of: Callable[[str], Report]) -> None:
    report = report_of("two keys")
    text = Seen(page(report, MADE)).text
    assert len(report.signers) == 2 and all(key.label in text for key in report.signers)
    assert text.count(" --key KEY --key KEY") == 1
    lines = [key.encode() for key in report.signers if len(key.encode()) > 200]
    assert lines and not any(line in text for line in lines)


def test_a_broken_chain_is_drawn_broken(report_of: Callable[[str], Report]) -> None:
    html = page(report_of("failed, chain"), MADE)
    assert 'class="spine broken"' in html and "refused: record 3" in html
    assert 'class="spine"' in page(report_of("passed"), MADE)


def test_standings_look_different_without_colours(report_of: Callable[[str], Report]) -> None:
    shapes = set()
    for kind in ("passed", "sample", "unpinned", "failed, proof", "unreadable"):
        (sign,) = re.findall('<div class="verdict"><svg[^>]*>(.*?)</svg>', page(report_of(kind), MADE))
        shapes.add(re.sub('class="[^"]*"', "", sign))
    assert len(shapes) == 5
