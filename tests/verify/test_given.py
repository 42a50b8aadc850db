"""Step 10: a file that the auditor has is one that the close record names, by its digest."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.run_builder import KEY, Run, honest, stand_ins
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import ARTEFACTS
from zk_autograd.verify.brief import brief
from zk_autograd.verify.given import check_given
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
    said = f"'downloaded.bin' is the run's 'model/{FLOATS}', by its SHA-256"
    assert any(sentence.startswith(said) for sentence in report.findings[Step.MODEL].sentences)


def test_step10_a_digest_that_the_trainer_signed_under_another_name_is_of_nothing_that_was_shown(
    tmp_path: Path,
) -> None:
    """The close record may name whatever it likes beside the model: a backdoored one, say."""
    run = honest("none")
    assert run.close is not None
    backdoor = Subject("weights.f32.safetensors", bytes(range(32)))
    run.close = replace(run.close, artefacts=(("model.safetensors", bytes(range(32))),))
    report = judged(run, tmp_path, backdoor)
    assert report.exit_status == 3
    assert any("no proof is about what it holds" in why for why in report.missing)
    assert "'weights.f32.safetensors' (its 'model.safetensors')" in brief(report)


def test_step10_a_digest_that_is_named_twice_is_the_models(tmp_path: Path) -> None:
    run = honest("none")
    assert run.close is not None
    same = sha256(run.model[FLOATS]).digest()
    run.close = replace(run.close, artefacts=(("other.bin", same),))
    report = judged(run, tmp_path, subject(run))
    assert report.exit_status == 0
    assert f"'downloaded.bin' (its 'model/{FLOATS}')" in brief(report)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_step10_weights_that_pass_for_one_of_the_trainers_own_files(tmp_path: Path, name: str) -> None:
    run = honest("none")
    assert run.close is not None
    run.close = replace(run.close, artefacts=((name, bytes(range(32))),))
    log = parse_log(run.leaves())
    outcome = check_given(log, (Subject("weights.f32.safetensors", bytes(range(32))), subject(run)))
    assert outcome.finding.status is Status.NOT_SHOWN
    assert outcome.withheld and "no proof is about what it holds" in outcome.withheld[0]
    assert "'downloaded.bin'" not in outcome.withheld[0]


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
