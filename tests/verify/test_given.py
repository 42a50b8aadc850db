"""Step 10: a file that the auditor has is one that the close record names, by its digest."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.run_builder import KEY, Run, honest, stand_ins
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

FLOATS = "weights.f32.safetensors"


def judged(run: Run, folder: Path, *subjects: Subject, head: TreeHead | None = None) -> Report:
    path = run.write(folder / "run")
    policy = Policy(keys=(KEY,), require=frozenset({Level.L0}), head=head)
    with RunFolder(path) as files:
        return Verifier(policy, stand_ins()).verify(files, found=Found("x", path, "beside", subjects))


def subject(run: Run, name: str = FLOATS) -> Subject:
    return Subject("downloaded.bin", sha256(run.model[name]).digest())


def test_step10_a_published_file_is_recognised_by_its_digest(tmp_path: Path) -> None:
    run = honest("none")
    report = judged(run, tmp_path, subject(run))
    assert report.exit_status == 0
    said = f"'downloaded.bin' is the run's model/{FLOATS}, by its SHA-256"
    assert any(sentence.startswith(said) for sentence in report.findings[Step.MODEL].sentences)


@pytest.mark.parametrize("digest", [bytes(32), None])
def test_step10_a_file_that_the_close_record_does_not_name(tmp_path: Path, digest: bytes | None) -> None:
    run = honest("none")
    report = judged(run, tmp_path, subject(run), Subject("backdoor.bin", digest))
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.MODEL)
    assert report.failure is not None and "'backdoor.bin'" in report.failure.message


def test_step10_without_a_close_record_no_file_is_named(tmp_path: Path) -> None:
    run = honest("none")
    report = judged(run, tmp_path, subject(run), head=TreeHead(run.root(4), 4))
    assert report.exit_status == 3
    assert report.findings[Step.MODEL].status is Status.NOT_SHOWN
    assert any("no close record" in why for why in report.missing)
    assert report.fix.startswith("ask the trainer")
