"""The report under the headings of Annex XI: all of them, and no more than the report has."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Close
from zk_autograd.verify import annex_xi
from zk_autograd.verify.beginning import FIRST_WEIGHTS
from zk_autograd.verify.outcome import Claim, Source, Step
from zk_autograd.verify.report import Report

PLACES = (
    *(f"1.1({letter})" for letter in "abcdef"),
    *(f"1.2({letter})" for letter in "abcde"),
    *("2.1", "2.2", "2.3"),
)


def facts(report: Report, place: str) -> list[tuple[Source, str]]:
    (heading,) = [heading for heading in annex_xi.headings(report) if heading.place == place]
    return [(fact.source, fact.text) for fact in heading.facts]


def test_every_heading_of_the_annex_is_there_in_its_order(report_of: Callable[[str], Report]) -> None:
    for kind in ("passed", "failed, proof", "unpinned"):
        assert tuple(heading.place for heading in annex_xi.headings(report_of(kind))) == PLACES


def test_what_the_proofs_cover_is_proved(report_of: Callable[[str], Report]) -> None:
    report = report_of("passed, native")
    assert facts(report, "1.1(d)")[0] == (
        Source.PROVED,
        "31 trained parameters in 2 tensors: those that the proofs cover and the published weights hold",
    )
    assert facts(report, "1.2(b)")[0][0] is Source.PROVED
    assert facts(report, "1.2(d)")[0] == (Source.PROVED, "6 optimizer steps of 31 parameters")


@pytest.mark.parametrize("kind", ["less, no proofs", "less, no SRS allowed", "L0 asked for, no proofs"])
def test_without_proofs_all_is_claimed(kind: str, report_of: Callable[[str], Report]) -> None:
    found = {fact.source for heading in annex_xi.headings(report_of(kind)) for fact in heading.facts}
    assert found == {Source.CLAIMED, Source.ABSENT}


def test_of_a_sample_only_its_steps_are_proved(report_of: Callable[[str], Report]) -> None:
    report = report_of("sample")
    sources = [source for source, _ in facts(report, "1.2(b)")]
    assert sources[:2] == [Source.PROVED, Source.CLAIMED]
    assert "3 of 6 proofs" in facts(report, "1.2(b)")[0][1]
    assert facts(report, "1.2(d)")[0][0] is facts(report, "1.1(d)")[0][0] is Source.CLAIMED


def test_what_is_not_there_is_absent(report_of: Callable[[str], Report]) -> None:
    report = report_of("passed")
    assert report.log is not None and isinstance(report.log.close, Close)
    assert facts(report, "1.2(c)")[0] == (Source.ABSENT, "the data: the header commits to none")
    assert (Source.ABSENT, "training time") in facts(report, "1.2(d)")
    unpublished = replace(report, log=replace(report.log, close=replace(report.log.close, model=())))
    assert facts(unpublished, "1.1(d)")[0] == (Source.PROVED, "6 trained parameters: those that the proofs cover")
    for place in ("1.1(a)", "1.1(b)", "1.1(f)", "1.2(e)", "2.1", "2.3"):
        assert facts(report, place) == [(Source.ABSENT, "nothing in a run speaks of it")]


def test_first_weights_from_a_beacon_are_no_base_models(report_of: Callable[[str], Report]) -> None:
    report = report_of("passed")
    unknown = "the first weights: whether they are a base model's is not shown"
    assert facts(report, "2.2")[1] == (Source.CLAIMED, unknown)
    outcome = report.outcomes[Step.CHAIN]
    later = (
        "The weights after the first steps can nearly be one's: L1 leaves each gradient to the trainer, and a large "
        "learning rate takes the weights far"
    )
    no_base = "the first weights of the trained tensors follow from a beacon: they are no base model's"
    for source, told in (
        (Source.ANCHORED, f"{no_base}. {later}"),
        (Source.ABSENT, unknown),
    ):
        changed = replace(outcome, claims=(Claim(FIRST_WEIGHTS, source),))
        assert facts(replace(report, outcomes={**report.outcomes, Step.CHAIN: changed}), "2.2")[1] == (source, told)


def test_a_report_that_fails_late_fills_nothing(report_of: Callable[[str], Report]) -> None:
    report = replace(report_of("passed"), failure=VerificationError("false", step=10))
    assert {fact.source for heading in annex_xi.headings(report) for fact in heading.facts} == {Source.ABSENT}


def test_the_text_says_what_it_is_not_and_obeys_nobody(report_of: Callable[[str], Report]) -> None:
    for kind in ("passed", "hostile texts", "failed, proof"):
        text = annex_xi.text(report_of(kind), 80)
        assert "Regulation (EU) 2024/1689" in " ".join(text.split())
        assert "no legal advice" in " ".join(text.split())
        assert all(c.isprintable() or c == "\n" for c in text) and text.isascii()
        assert not any(line.strip(" -|").lower().startswith("verdict") for line in text.splitlines())
