"""The brief report: at most twelve lines, the verdict first, and nothing that a run could add."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.run_builder import KEY, POLICY, honest, judge, stand_ins
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.brief import MAX_LINES, brief
from zk_autograd.verify.outcome import Claim, Finding, Level, Outcome, Source, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

FOUND = Found("w.bin", Path("runs/x"), "beside", tuple(Subject(f"{i}.bin", bytes(32)) for i in range(9)))


@pytest.fixture
def shown(tmp_path: Path) -> Report:
    path = honest().write(tmp_path / "run")
    with RunFolder(path) as files:
        report = Verifier(POLICY, stand_ins()).verify(files)
    return replace(report, found=FOUND)


def test_a_verdict_says_who_signed_each_source_of_claims_and_what_weighs_most(shown: Report) -> None:
    lines = brief(shown).split("\n")
    assert lines[0] == shown.verdict_line == "verdict: L0, L1"
    heads = [line.split("  ")[0] for line in lines if not line.startswith(" ")]
    assert heads == [
        "verdict: L0, L1",
        "file",
        "evidence",
        "run",
        "root",
        "signed by",
        "proved",
        "nothing is attested or replayed",
        "claimed",
        "absent",
        "not shown",
    ]
    assert "L1 does not say where a gradient came from" in brief(shown)
    assert f"signed by  {KEY.label}" in lines
    assert len(lines) <= MAX_LINES
    assert "Fix:" not in brief(shown)


@pytest.mark.parametrize("error", [VerificationError, UnreadableError])
def test_a_failure_says_where_what_and_what_to_do(shown: Report, error: type[VerificationError]) -> None:
    found = error("a long word " * 40, step=7, record=3, expected="ab" * 200, found="cd" * 200)
    report = replace(shown, levels=frozenset())
    report = replace(report, unreadable=found) if isinstance(found, UnreadableError) else replace(report, failure=found)
    lines = brief(report).split("\n")
    assert len(lines) <= MAX_LINES
    assert lines[0] in ("verdict: FAILED", "verdict: NOT JUDGED")
    assert any(line.startswith("where      step 7, Proofs, record 3") for line in lines)
    assert any(line.startswith("Fix: ") for line in lines[-2:])
    assert not any(line.startswith("proved") for line in lines)


def test_each_step_that_fails_has_its_own_advice_and_none_says_how_to_pass(shown: Report) -> None:
    for step in list(Step)[:-1]:
        fix = replace(shown, failure=VerificationError("x", step=step)).fix
        assert fix
        assert "--accept" not in fix


def test_unpinned_says_no_claims_and_what_to_do(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, Policy())
    lines = brief(report).split("\n")
    assert lines[0] == "verdict: UNPINNED"
    assert not any(line.startswith(("proved", "claimed", "nothing is", "absent")) for line in lines)
    assert lines[-1].startswith("Fix: name the trainer's public key")


def test_less_than_was_asked_for_says_why_and_what_to_do_about_that_reason(tmp_path: Path) -> None:
    folder = honest("none").write(tmp_path / "run")
    (folder / "model" / "extra.bin").write_bytes(b"x")
    policy = Policy(keys=(KEY,), require=frozenset({Level.L0}))
    with RunFolder(folder) as files:
        report = Verifier(policy, stand_ins()).verify(files)
    # Not that there are no proofs, which nobody asked for.
    assert report.missing[0].startswith("there are files that no record")
    assert report.fix.startswith("judge a copy without the files")


@pytest.mark.parametrize("accept", [False, True])
def test_a_sample_says_what_it_misses(tmp_path: Path, accept: bool) -> None:
    report = judge(honest(), tmp_path, replace(POLICY, sample=3, beacon="noon", accept_sample=accept))
    for width in (80, 100, 120):
        assert "is missed 75.0 % of the time" in " ".join(brief(replace(report, found=FOUND), width).split())


def test_advice_that_is_cut_says_so(shown: Report) -> None:
    error = VerificationError("a long word " * 40, step=10, record=3, expected="ab" * 200, found="cd" * 200)
    lines = brief(replace(shown, levels=frozenset(), failure=error)).split("\n")
    assert (len(lines), lines[-1].startswith("Fix: don't use these files"), lines[-1].endswith(" ...")) == (
        12,
        True,
        True,
    )


_WORDS = st.text(max_size=300) | st.sampled_from(["verdict: L0, L1", "\nverdict: L0", "Fix: none", "\u202e", "x" * 500])


@given(st.lists(_WORDS, max_size=6), _WORDS, _WORDS, st.integers(40, 120))
def test_whatever_a_run_says_is_twelve_printable_lines_and_one_verdict(
    claims: list[str], limit: str, name: str, width: int
) -> None:
    outcomes = {step: Outcome(Finding(Status.PASSED)) for step in Step}
    outcomes[Step.PROOFS] = Outcome(
        Finding(Status.PASSED), claims=tuple(Claim(c, Source.PROVED) for c in claims), limits=(limit,)
    )
    report = Report(
        outcomes,
        frozenset({Level.L1}),
        True,
        missing=(limit,),
        advice=limit,
        found=Found(name, Path("x"), "from", (Subject(name, None),)),
    )
    for shown in (report, replace(report, failure=VerificationError(limit or "x", step=1, expected=name, found=name))):
        lines = brief(shown, width).split("\n")
        assert len(lines) <= MAX_LINES
        assert all(line.isascii() and line.isprintable() for line in lines)
        assert [line.startswith("verdict") for line in lines].count(True) == 1
        assert lines[0].startswith("verdict: ")
