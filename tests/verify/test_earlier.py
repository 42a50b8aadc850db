"""--continue: what an earlier sample left is verified, nothing is drawn again, and the report says
whose word the rest is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.verify.run_builder import KEY, POLICY, Run, StandInSystem, honest, judge
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import UsageError
from zk_autograd.verify.brief import brief
from zk_autograd.verify.earlier import MAX_REPORT, Earlier
from zk_autograd.verify.outcome import Level, Source, Step
from zk_autograd.verify.policy import Policy

SAMPLED = replace(POLICY, sample=3, beacon="noon")


def report_of(judged: Run, folder: Path, **changes: Any) -> bytes:
    value = judge(judged, folder / "earlier", SAMPLED).to_json()
    value.update(changes)
    return json.dumps(value).encode()


def continuing(report: bytes) -> Policy:
    return replace(POLICY, earlier=Earlier.read(report))


def test_step7_all_that_was_left_is_verified_and_no_more(tmp_path: Path) -> None:
    run = honest()
    earlier = report_of(run, tmp_path)
    before = json.loads(earlier)["sample"]["verified"]
    system = StandInSystem()
    report = judge(run, tmp_path / "now", continuing(earlier), system)
    assert system.last is not None
    left = [number for number in range(6) if number not in before]
    assert sorted(2 * segment + block for segment, block in system.last.looked_at) == left
    assert (report.levels, report.exit_status) == (frozenset({Level.L0, Level.L1}), 0)
    assert report.sample is not None
    assert (list(report.sample.verified), list(report.sample.earlier)) == (left, before)
    sample = report.to_json()["sample"]
    assert (sample["seed"], sample["seed_from"]) == (b"noon".hex(), "earlier report")
    word = [limit for limit in report.limits if "is the word of the report that was continued" in limit]
    assert len(word) == 1 and sample["earlier"]["report"] in word[0]
    proved = [claim.what for claim in report.claims if claim.source is Source.PROVED]
    assert f"the optimizer steps of the other {len(before)}, if your earlier report is right" in proved
    assert not any(claim.startswith("each optimizer step") for claim in proved)


def test_the_brief_report_says_whose_word_the_earlier_proofs_are(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path / "now", continuing(report_of(honest(), tmp_path)))
    text = " ".join(brief(report).split())
    assert "not shown that 3 of the 6 proofs are valid is the word of the report that was continued" in text


def test_a_report_that_leaves_nothing_to_verify_is_refused(tmp_path: Path) -> None:
    value = json.loads(report_of(honest(), tmp_path))
    value["sample"]["verified"] = list(range(6))
    with pytest.raises(UsageError, match="nothing is left"):
        Earlier.read(json.dumps(value).encode())


def test_step7_a_false_proof_among_those_that_were_left(tmp_path: Path) -> None:
    run = honest()
    earlier = report_of(run, tmp_path)
    verified = json.loads(earlier)["sample"]["verified"]
    number = next(n for n in range(6) if n not in verified)
    run.proofs[number // 2, number % 2] += b"x"
    assert judge(run, tmp_path / "now", continuing(earlier)).exit_status == 1


def test_step7_a_report_of_another_root_or_number_of_proofs(tmp_path: Path) -> None:
    other = honest()
    other.edit_header(run=bytes(16))
    other.reprove()
    with pytest.raises(UsageError, match="same root alone"):
        judge(honest(), tmp_path / "now", continuing(report_of(other, tmp_path)))
    wrong = json.loads(report_of(honest(), tmp_path / "2"))
    wrong["sample"] |= {"proofs": 7, "verified": [0, 3, 6]}
    with pytest.raises(UsageError, match="same root alone"):
        judge(honest(), tmp_path / "3", continuing(json.dumps(wrong).encode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "zk-autograd/report/v0"},
        {"levels": ["L0"]},
        {"levels": ["L0", "L1"]},
        {"failure": {"step": 7}},
        {"run": None},
        {"sample": None},
        {"sample": {"proofs": 6, "verified": [0, 9], "seed": "00"}},
        {"sample": {"proofs": 6, "verified": [1, 5], "seed": "00"}},
        {"sample": {"proofs": 6, "verified": [0, 5, 5], "seed": "00"}},
        {"sample": {"proofs": 6, "verified": [5, 0], "seed": "00"}},
        {"sample": {"proofs": 6, "verified": [0, 5], "seed": "0g"}},
    ],
    ids=str,
)
def test_what_is_no_report_of_a_sample_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--continue"):
        Earlier.read(report_of(honest(), tmp_path, **changes))


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{ }", b"\xff", b"[" * 10**5, b'{"format": 1, "format": 2}', b" " * (MAX_REPORT + 1)],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="--continue"):
        Earlier.read(data)


def test_a_report_goes_with_no_other_sample(tmp_path: Path) -> None:
    earlier = Earlier.read(report_of(honest(), tmp_path))
    with pytest.raises(UsageError, match="goes without --sample"):
        replace(POLICY, earlier=earlier, sample=3)


def test_a_report_that_lies_in_the_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("none").write(tmp_path / "run")
    report = report_of(honest(), tmp_path)
    for inside in (run / "report.json", run / "private" / "report.json"):
        inside.parent.mkdir(exist_ok=True)
        inside.write_bytes(report)
        (tmp_path / "link.json").unlink(missing_ok=True)
        (tmp_path / "link.json").symlink_to(inside)
        for path in (inside, tmp_path / "link.json"):
            assert main([str(run), "--key", KEY.encode(), "--continue", str(path)]) == 2
            assert "lies in the run" in capsys.readouterr().err
    assert main([str(run), "--key", KEY.encode(), "--continue", str(tmp_path / "no.json")]) == 2


def test_step7_keep_going_names_every_false_proof(tmp_path: Path) -> None:
    run = honest()
    for place in ((0, 1), (2, 0), (2, 1)):
        run.proofs[place] += b"x"
    first = judge(run, tmp_path / "1")
    assert first.failure is not None and (first.failure.step, first.failure.record) == (Step.PROOFS, 2)
    assert "other proof" not in first.failure.message
    whole = judge(run, tmp_path / "2", replace(POLICY, keep_going=True))
    assert whole.failure is not None and whole.failure.record == 2
    assert whole.failure.message.endswith("; 2 other proofs failed, too, of the records 4, 4")
    assert (whole.exit_status, whole.verdict) == (1, "FAILED")


def test_a_seed_is_at_most_the_longest_beacon(tmp_path: Path) -> None:
    """1,000 characters of four bytes, in hexadecimal."""
    value = json.loads(report_of(honest(), tmp_path))
    value["sample"]["seed"] = "ab" * 4000
    assert Earlier.read(json.dumps(value).encode()).seed == b"\xab" * 4000
    value["sample"]["seed"] += "ab"
    with pytest.raises(UsageError, match="seed"):
        Earlier.read(json.dumps(value).encode())
