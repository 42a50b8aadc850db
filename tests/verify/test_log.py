"""Steps 1 to 3: what is read, who signed it, and whether it is the log."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verify.run_builder import (
    KEY,
    LOG_POLICY,
    SECOND,
    SIGNER,
    Run,
    honest,
    judge,
    refused,
    stand_ins,
)
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify import log
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

L0 = frozenset({Level.L0})


@pytest.fixture
def run() -> Run:
    return honest("none")


def look(folder: Path, policy: Policy = LOG_POLICY) -> Report:
    with RunFolder(folder) as files:
        return Verifier(policy, stand_ins()).verify(files)


# ---- (1) parse


@pytest.mark.parametrize("name", ["log/records.jsonl", "log/checkpoint"])
def test_step1_missing_file(run: Run, tmp_path: Path, name: str) -> None:
    (run.write(tmp_path) / name).unlink()
    refused(look(tmp_path), 1, "can't be read")


@pytest.mark.parametrize("name", ["log/records.jsonl", "log/checkpoint"])
def test_step1_links_are_not_followed(run: Run, tmp_path: Path, name: str) -> None:
    path = run.write(tmp_path) / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused(look(tmp_path), 1, "it is a link")


def test_step1_pipe_does_not_hang(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/records.jsonl"
    path.unlink()
    os.mkfifo(path)
    refused(look(tmp_path), 1, "not a regular file")


def test_step1_log_has_a_bound(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_LOG", 1000)
    refused(judge(run, tmp_path), 1, "too large")


def test_step1_checkpoint_has_a_bound(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/checkpoint"
    path.write_bytes(path.read_bytes() * 1000)
    refused(look(tmp_path), 1, "too large")


@pytest.mark.parametrize("note", [b"", b"\xff", b"no note\n", b"a\n1\n\n\n"])
def test_step1_checkpoint_is_no_note(run: Run, tmp_path: Path, note: bytes) -> None:
    (run.write(tmp_path) / "log/checkpoint").write_bytes(note)
    refused(look(tmp_path), 1, "note")


def test_step1_checkpoint_with_an_extension_line(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/checkpoint"
    path.write_bytes(path.read_bytes().replace(b"\n\n", b"\nextension\n\n", 1))
    refused(look(tmp_path), 1, "extension lines")


def test_step1_record_that_is_not_canonical(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/records.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b":", b": ", 1)
    path.write_bytes(b"\n".join(lines))
    refused(look(tmp_path), 1, "not canonical", record=3)


def test_step1_record_of_another_version(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/records.jsonl"
    path.write_bytes(path.read_bytes().replace(b"zk-autograd/run/v2", b"zk-autograd/run/v4"))
    refused(look(tmp_path), 1, "record.format", record=0)


def test_step1_unknown_field(run: Run, tmp_path: Path) -> None:
    path = run.write(tmp_path) / "log/records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"type":"genesis"', b'"type":"genesis","x":0', 1))
    refused(look(tmp_path), 1, "unknown fields", record=1)


def test_step1_last_line_is_torn(run: Run, tmp_path: Path) -> None:
    run.tail = b'{"torn'
    refused(judge(run, tmp_path), 1, "does not end", record=len(run.leaves()))


def test_step1_empty_log(run: Run, tmp_path: Path) -> None:
    run.signed = 0
    refused(judge(run, tmp_path), 1, "no records")


# ---- (2) signatures


def test_step2_nothing_pinned_is_skipped_and_unpinned(run: Run, tmp_path: Path) -> None:
    report = judge(run, tmp_path, Policy(require=L0))
    assert report.failure is None
    assert report.findings[Step.SIGNATURES].status is Status.SKIPPED
    assert (report.verdict, report.exit_status, report.levels) == ("UNPINNED", 3, frozenset())
    assert "no key is pinned" in report.missing[0]


def test_step2_signed_by_another_key(run: Run, tmp_path: Path) -> None:
    run.signers = (Ed25519Signer("trainer", bytes(32)),)
    refused(judge(run, tmp_path, LOG_POLICY), 2, "not signed by the key")


def test_step2_resigned_and_the_header_names_the_other_key(run: Run, tmp_path: Path) -> None:
    thief = Ed25519Signer("trainer", bytes(32))
    run.signers = (thief,)
    run.edit_header(keys=(thief.public_key.encode(),))
    refused(judge(run, tmp_path, LOG_POLICY), 2, "not signed by the key")


def test_step2_signature_of_another_text(run: Run, tmp_path: Path) -> None:
    whole = run.write(tmp_path / "whole") / "log/checkpoint"
    run.signed = 3
    part = run.write(tmp_path / "part") / "log/checkpoint"
    text, signature = whole.read_bytes().split(b"\n\n")[0], part.read_bytes().split(b"\n\n")[1]
    whole.write_bytes(text + b"\n\n" + signature)
    refused(look(tmp_path / "whole"), 2, "wrong signature")


def test_step2_one_of_two_signatures_dropped(run: Run, tmp_path: Path) -> None:
    both = Policy(keys=(KEY, SECOND.public_key), require=L0)
    run.signers = (SIGNER, SECOND)
    assert judge(run, tmp_path / "both", both).exit_status == 0
    for signer in run.signers:
        run.signers = (signer,)
        refused(judge(run, tmp_path / signer.name, both), 2, "not signed by the key")


def test_step2_pinned_key_that_the_header_does_not_name(run: Run, tmp_path: Path) -> None:
    run.edit_header(keys=(SECOND.public_key.encode(),))
    refused(judge(run, tmp_path, LOG_POLICY), 2, "does not name a pinned key", record=0)


def test_step2_every_pinned_key_must_be_named(run: Run, tmp_path: Path) -> None:
    run.signers = (SIGNER, SECOND)
    run.edit_header(keys=(KEY.encode(),))
    refused(judge(run, tmp_path, Policy(keys=(KEY, SECOND.public_key), require=L0)), 2, "does not name", record=0)


def test_step2_keys_that_are_not_pinned_are_counted(run: Run, tmp_path: Path) -> None:
    report = judge(run, tmp_path, LOG_POLICY)
    assert "not pinned, so not looked at: 1 of the keys" in " ".join(report.findings[Step.SIGNATURES].sentences)


# ---- (3) log


def drop_last(run: Run) -> None:
    run.signed, run.close = len(run.leaves()), None


def change_a_claim(run: Run) -> None:
    run.segments[0] = replace(run.segments[0], loss=("0.4",) * 3)


def swap(run: Run) -> None:
    run.segments[0], run.segments[1] = run.segments[1], run.segments[0]


@pytest.mark.parametrize("change", [change_a_claim, swap])
def test_step3_records_changed_after_they_were_signed(run: Run, tmp_path: Path, change: Callable[[Run], None]) -> None:
    run.head_root = run.root()
    change(run)
    refused(judge(run, tmp_path, LOG_POLICY), 3, "checkpoint's root is not that of the log")


def test_step3_log_truncated(run: Run, tmp_path: Path) -> None:
    run.head_root = run.root()
    drop_last(run)
    refused(judge(run, tmp_path, LOG_POLICY), 3, "shorter than its checkpoint")


def test_step3_checkpoint_of_another_run(run: Run, tmp_path: Path) -> None:
    run.origin = "zk-autograd/" + "00" * 16
    refused(judge(run, tmp_path, LOG_POLICY), 3, "belongs to another log")


def test_step3_given_root_is_confirmed(run: Run, tmp_path: Path) -> None:
    head = TreeHead(run.root(), len(run.leaves()))
    report = judge(run, tmp_path, replace(LOG_POLICY, head=head))
    assert report.exit_status == 0
    assert "is the one that was given" in " ".join(report.findings[Step.LOG].sentences)
    assert report.summary is not None
    assert report.summary.finished


def test_step3_records_after_the_given_root_do_not_exist(run: Run, tmp_path: Path) -> None:
    head = TreeHead(run.root(4), 4)
    run.model = {}  # published later, and nothing covers it in this view (step 10)
    report = judge(run, tmp_path, replace(LOG_POLICY, head=head))
    assert report.exit_status == 0
    assert report.summary is not None
    assert (report.summary.segments, report.summary.steps, report.summary.finished) == (2, 6, False)
    assert (report.summary.root, report.summary.size) == (head.root, 4)
    assert "later records don't count, and nothing is said about them: 2" in " ".join(
        report.findings[Step.LOG].sentences
    )
    assert report.findings[Step.MODEL].status is Status.ABSENT
    assert any("unfinished" in limit for limit in report.limits)


def test_step3_given_root_is_not_that_of_the_log(run: Run, tmp_path: Path) -> None:
    head = TreeHead(run.root(4), 5)
    refused(judge(run, tmp_path, replace(LOG_POLICY, head=head)), 3, "the root that was given is not that of the log")


def test_step3_other_branch_than_the_given_root(run: Run, tmp_path: Path) -> None:
    head = TreeHead(run.root(), len(run.leaves()))
    change_a_claim(run)
    refused(judge(run, tmp_path, replace(LOG_POLICY, head=head)), 3, "the root that was given is not that of the log")


def test_step3_given_root_is_not_covered_by_the_checkpoint(run: Run, tmp_path: Path) -> None:
    run.signed = 4
    head = TreeHead(run.root(5), 5)
    refused(judge(run, tmp_path, replace(LOG_POLICY, head=head)), 3, "does not cover the root that was given")


def test_step3_records_after_the_checkpoint_do_not_count(run: Run, tmp_path: Path) -> None:
    run.signed, run.model = 4, {}
    run.tail = b"not even a record\n"
    report = judge(run, tmp_path, LOG_POLICY)
    assert report.exit_status == 0
    assert report.summary is not None
    assert (report.summary.size, report.summary.segments, report.summary.finished) == (4, 2, False)


def test_step4_no_anchor(run: Run, tmp_path: Path) -> None:
    report = judge(run, tmp_path, LOG_POLICY)
    assert report.findings[Step.ANCHORS].status is Status.ABSENT
    assert report.findings[Step.ANCHORS].sentences[-1] == "no anchor"
    assert "no anchor: nothing shows that there is no other view of this log" in report.limits[0]
