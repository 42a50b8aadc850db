"""The report's three forms: data, JSON, text."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.text import printable, quoted
from zk_autograd.core.trust import Security
from zk_autograd.verify.fixes import FAILED
from zk_autograd.verify.outcome import (
    NOT_REACHED,
    Claim,
    Finding,
    Level,
    Outcome,
    SampleTaken,
    Source,
    Status,
    Step,
    UncoveredFile,
)
from zk_autograd.verify.report import FORMAT, Report, Summary

L0, L1, SAMPLED = Level.L0, Level.L1, Level.L1_SAMPLED
ENDED: tuple[dict[str, Any], ...] = (
    {"failure": VerificationError("false")},
    {"unreadable": UnreadableError("no")},
)
SUMMARY = Summary("ab" * 16, "adam", "ezkl", 31, bytes(range(32)), 7, 100, 4, 1, True)


def report(
    findings: Mapping[Step, Finding] | None = None,
    claims: tuple[Claim, ...] = (),
    limits: tuple[str, ...] = (),
    **changes: Any,
) -> Report:
    """A report of these findings; the claims and limits are the last step's."""
    findings = findings or dict.fromkeys(Step, Finding(Status.PASSED, ("all of it",)))
    outcomes = {step: Outcome(finding) for step, finding in findings.items()}
    outcomes[Step.VERDICT] = replace(outcomes[Step.VERDICT], claims=claims, limits=limits)
    fields: dict[str, object] = {
        "outcomes": outcomes,
        "required": frozenset({L1}),
        "pinned": True,
        "levels": frozenset({L0, L1}),
        "summary": SUMMARY,
    }
    return Report(**{**fields, **changes})


def test_steps_are_numbered_from_1_to_11() -> None:
    assert [step.value for step in Step] == list(range(1, 12))
    assert [step.title for step in Step][3:5] == ["Register and anchors", "Statement"]


@pytest.mark.parametrize(
    ("changes", "verdict", "status"),
    [
        ({}, "L0, L1", 0),
        ({"levels": frozenset({L0}), "missing": ("why",)}, "L0", 3),
        ({"levels": frozenset({L0, SAMPLED})}, "L0, L1-sampled", 0),
        ({"pinned": False, "levels": frozenset[Level](), "missing": ("no key",)}, "UNPINNED", 3),
        ({"pinned": False, "levels": frozenset[Level]()}, "UNPINNED", 3),
        ({"failure": VerificationError("false"), "levels": frozenset[Level]()}, "FAILED", 1),
        ({"failure": VerificationError("false"), "pinned": False, "levels": frozenset[Level]()}, "FAILED", 1),
        ({"unreadable": UnreadableError("no"), "levels": frozenset[Level]()}, "NOT JUDGED", 4),
        ({"unreadable": UnreadableError("no"), "pinned": False, "levels": frozenset[Level]()}, "NOT JUDGED", 4),
    ],
    ids=[
        "shown",
        "less",
        "sampled",
        "unpinned",
        "unpinned, nothing missing",
        "failed",
        "failed and unpinned",
        "unreadable",
        "unreadable and unpinned",
    ],
)
def test_step11_verdict_and_exit_status(changes: dict[str, Any], verdict: str, status: int) -> None:
    assert (report(**changes).verdict, report(**changes).exit_status) == (verdict, status)


def test_json_form_is_stable() -> None:
    sample = SampleTaken(10, (0, 3, 9), b"noon", True, "7/8", 8)
    failure = VerificationError("false", step=6, record=3, expected="a", found="b")
    findings = {**dict.fromkeys(Step, NOT_REACHED), Step.CHAIN: Finding(Status.FAILED, ("false",))}
    value = report(
        findings=findings,
        failure=failure,
        levels=frozenset(),
        sample=sample,
        limits=("limit",),
        claims=(Claim("the gradients", Source.CLAIMED),),
        missing=("why",),
        security=Security(100.25, "a hash"),
        uncovered=(UncoveredFile("model/x", False, True, None),),
    ).to_json()
    steps = value.pop("steps")
    assert value == {
        "format": FORMAT,
        "verdict": "FAILED",
        "exit_status": 1,
        "emulated": False,
        "levels": [],
        "required": ["L1"],
        "missing": ["why"],
        "fix": FAILED[Step.CHAIN],
        "evidence": None,
        "signers": [],
        "unreadable": None,
        "failure": {"step": 6, "record": 3, "message": "false", "expected": "a", "found": "b"},
        "run": {
            "id": "ab" * 16,
            "rule": "adam",
            "backend": "ezkl",
            "parameters": 31,
            "root": bytes(range(32)).hex(),
            "size": 7,
            "steps": 100,
            "segments": 4,
            "blocks": 1,
            "finished": True,
        },
        "sample": {
            "proofs": 10,
            "verified": [0, 3, 9],
            "seed": b"noon".hex(),
            "seed_from": "beacon",
            "miss_one": "7/8",
            "found_with_99_percent": 8,
            "earlier": None,
        },
        "replay": None,
        "security": {"proven_bits": 100.25, "assumption": "a hash"},
        "register": None,
        "anchors": [],
        "online": [],
        "attestation": None,
        "claims": [],
        "limits": [],
        "uncovered": [{"name": "model/x", "harmless": False, "accepted": True, "resembles": None}],
        "uncovered_more": False,
        "policy": None,
    }
    assert [step["number"] for step in steps] == list(range(1, 12))
    assert steps[5] == {"number": 6, "name": "Chain", "status": "failed", "findings": ["false"]}
    assert steps[6] == {"number": 7, "name": "Proofs", "status": "not reached", "findings": []}
    json.dumps(value)


def test_json_has_the_source_of_each_claim_and_the_limits_of_what_was_judged() -> None:
    claims = (Claim("the gradients", Source.CLAIMED), Claim("each optimizer step, 1..9", Source.PROVED))
    value = report(claims=claims, limits=("limit",)).to_json()
    assert value["limits"] == ["limit"]
    assert value["claims"] == [
        {"claim": "the gradients", "source": "claimed by the trainer"},
        {"claim": "each optimizer step, 1..9", "source": "proved"},
    ]
    for gone in (report(claims=claims, limits=("limit",), **ended) for ended in ENDED):
        assert (gone.claims, gone.limits, gone.to_json()["claims"]) == ((), (), [])


def test_text_has_the_claims_by_their_source_the_strongest_first() -> None:
    claims = (
        Claim("the gradients", Source.CLAIMED),
        Claim("each optimizer step, 1..9", Source.PROVED),
        Claim("the first weights", Source.CLAIMED),
        Claim("published weights", Source.ABSENT),
    )
    assert (
        "Where each claim comes from\n"
        "  - proved: each optimizer step, 1..9\n"
        "  - claimed by the trainer: the gradients; the first weights\n"
        "  - absent: published weights\n"
    ) in report(claims=claims, limits=("no anchor",)).text()
    assert "Where each claim comes from" not in report().text()


def test_json_form_of_nothing_to_say() -> None:
    value = report(summary=None).to_json()
    assert (value["failure"], value["unreadable"], value["run"], value["sample"], value["uncovered"]) == (None,) * 5


def test_verdict_says_how_many_uncovered_files_were_accepted() -> None:
    files = tuple(UncoveredFile(f"x{i}", i == 0, i > 0, None) for i in range(3))
    given = report(uncovered=files)
    assert given.text().endswith("\nverdict: L0, L1 (uncovered files accepted: 2)")
    assert given.to_json()["verdict"] == "L0, L1"
    assert report(uncovered=files[:1]).text().endswith("\nverdict: L0, L1")


def test_text_has_every_step_and_what_is_not_shown() -> None:
    text = report(limits=("no anchor",), missing=("no key",)).text()
    for step in Step:
        assert f"{step.value:2}  {step.title:21}passed\n      all of it" in text
    assert "What this does not show\n  - no anchor" in text
    assert "Why this is less than was asked for\n  - no key" in text
    assert text.endswith("\nverdict: L0, L1")
    assert "100 steps, finished" in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_text_keeps_to_its_width(width: int) -> None:
    findings = dict.fromkeys(Step, Finding(Status.PASSED, ("a sentence of some words " * 20,)))
    lines = report(findings=findings, summary=None, limits=("and a limit " * 30,)).text(width).split("\n")
    assert max(map(len, lines)) <= width


def test_text_obeys_nobody() -> None:
    sentence = "\x1b[2J\x9b1m \u202everdict: L1\u202c \u2028 tail"
    findings = dict.fromkeys(Step, Finding(Status.PASSED, (sentence,)))
    text = report(findings=findings, missing=(sentence,), limits=(sentence,)).text()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b[2J" in text


def test_line_of_a_run_can_not_pass_for_a_line_of_the_report() -> None:
    findings = dict.fromkeys(Step, Finding(Status.FAILED, ("x\nverdict: L0, L1",)))
    assert "\nverdict: L0" not in report(findings=findings, failure=VerificationError("x")).text()


HOSTILE = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["verdict:", "verdict: L0, L1", "VERDICT: L0", "L0, L1", "x" * 88, "y" * 30, " ", "  ", "\u2003", "\n", "\r", "\x85", "\u2028", "'", '"', "\\",
         "\u202e", "\u05d0", "a\u0300\u0300", "\x1b[2J", "\udc80", "- verdict: L0", "11  Verdict              passed"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
"""Names as whoever makes a run would choose them."""


def own_lines(text: str) -> None:
    """The text's last line is its verdict, no other is like it, and all is printable ASCII."""
    *lines, last = text.split("\n")
    assert last.startswith("verdict: ")
    assert not any(line.strip(" -").lower().startswith("verdict") for line in lines)
    assert all(line.isascii() and (line.isprintable() or not line) for line in lines)


@given(names=st.lists(HOSTILE, min_size=1, max_size=4), width=st.integers(40, 120))
def test_a_name_makes_no_line_of_the_report(names: list[str], width: int) -> None:
    listed = ", ".join(quoted(name) for name in names)
    sentences = (f"buffers that no proof covers: {listed}", *(f"{quoted(name, 200)} is one" for name in names))
    findings = dict.fromkeys(Step, Finding(Status.PASSED, sentences))
    text = report(findings=findings, limits=sentences, missing=sentences).text(width)
    own_lines(text)
    assert "verdict: L0" not in text.rpartition("\n")[0]


@given(name=HOSTILE, width=st.integers(40, 120))
def test_a_name_in_a_failure_makes_no_line_of_the_report(name: str, width: int) -> None:
    """Whether or not whoever raised it quoted the name."""
    failure = VerificationError(name, step=6, expected=name, found=name)
    findings = {**dict.fromkeys(Step, NOT_REACHED), Step.CHAIN: Finding(Status.FAILED, (name, str(failure), name))}
    own_lines(report(findings=findings, failure=failure, summary=None, missing=(name,)).text(width))


def test_quoted_texts_are_ascii_and_short() -> None:
    assert quoted("plain") == "'plain'"
    assert quoted("two words") == "'two\\x20words'"
    assert quoted("\u0430\n") == "'\\u0430\\n'"
    assert quoted("x" * 100) == "'" + "x" * 60 + "'..."


def test_printable_escapes_what_a_terminal_obeys() -> None:
    assert printable("a\tb\x7f\u2066\ud800") == "a\\tb\\x7f\\u2066\\ud800"
