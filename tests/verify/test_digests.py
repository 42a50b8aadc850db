"""What a report prints as a digest was computed by the verifier, or given by the auditor: never
repeated from the run unseen."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.run_builder import KEY, POLICY, SRS, StandInSystem, honest, judge
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_artefacts
from zk_autograd.verify.policy import TreeHead
from zk_autograd.verify.report import Report

_DIGEST = re.compile(r"\b[0-9a-f]{32,}\b")


def printed(report: Report) -> set[str]:
    """Texts of 16 bytes and more in hexadecimal, in both forms of a report."""
    return set(_DIGEST.findall(report.text(10_000))) | set(_DIGEST.findall(str(report.to_json())))


@pytest.mark.parametrize("whole", [True, False])
def test_every_digest_that_is_printed_is_the_verifiers_own(tmp_path: Path, whole: bool) -> None:
    run = honest()
    contents = contents_of(run)
    name_artefacts(run, contents)
    head = TreeHead(run.root(4), 4)
    policy = POLICY if whole else replace(POLICY, head=head)
    if not whole:
        run.model = {}
    else:
        for file, data in contents.items():
            (tmp_path / file).write_bytes(data)
    report = judge(run, tmp_path, policy)
    assert report.failure is None
    own = {
        run.header.run.hex(),  # a name: it is in the checkpoint that was signed, and in every proof's context
        SRS.hex(),
        run.root().hex(),
        StandInSystem().own.digest.hex(),
        *([] if whole else [head.root.hex()]),
    }
    assert printed(report) <= own, printed(report) - own
    assert run.root().hex() in printed(report)
    assert KEY.label in report.text(10_000)


@pytest.mark.parametrize("file", ["config.toml", "environment.json", "train_log.jsonl", "hashes.json"])
def test_a_digest_in_the_close_record_is_compared_with_its_file(tmp_path: Path, file: str) -> None:
    run = honest()
    contents = contents_of(run)
    name_artefacts(run, contents)
    assert run.close is not None
    digests = {**dict(run.close.artefacts), file: sha256(b"another").digest()}
    run.close = replace(run.close, artefacts=tuple(sorted(digests.items())))
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    report = judge(run, tmp_path)
    assert report.failure is not None
    assert report.failure.step == 10
    assert report.failure.found == sha256(contents[file]).hexdigest()


@pytest.mark.parametrize("digest", range(3))
def test_a_digest_in_the_close_record_is_compared_with_the_published_file(tmp_path: Path, digest: int) -> None:
    run = honest()
    assert run.close is not None
    model = list(run.close.model)
    name = model[digest][0]
    model[digest] = (name, sha256(b"another").digest())
    run.close = replace(run.close, model=tuple(model))
    report = judge(run, tmp_path)
    assert report.failure is not None
    assert report.failure.step == 10
    assert report.failure.found == sha256(run.model[name]).hexdigest()
