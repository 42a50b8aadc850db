"""What this machine could not read or compute is no failure of the run's: exit status 4, and
nothing that says FAILED."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attest.signed_runs import OTHER, SIGNER, signed, written
from tests.verify.run_builder import (
    KEY,
    LOG_POLICY,
    POLICY,
    StandInChecker,
    StandInSystem,
    honest,
    refused,
    stand_ins,
)
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_files
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import RunError, StorageError, UnreadableError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.source import LocalFile
from zk_autograd.prove.protocol import BlockProof
from zk_autograd.prove.verifiers import Systems
from zk_autograd.reproduce import judgement
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.outcome import NOT_REACHED, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.proof_system import ProofChecker
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

NOBODY = 65534


@contextmanager
def powerless() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others enter: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="zk-unreadable-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def look(path: Path, policy: Policy = POLICY, system: StandInSystem | None = None) -> Report:
    with RunFolder(path) as files:
        return Verifier(policy, stand_ins(system)).verify(files)


def not_judged(report: Report, step: Step, words: str) -> None:
    assert report.failure is None
    assert report.unreadable is not None, report.text()
    assert (report.unreadable.step, words in report.unreadable.message) == (step, True), str(report.unreadable)
    assert (report.verdict, report.exit_status, report.levels) == ("NOT JUDGED", 4, frozenset())
    assert report.findings[step].status is report.findings[Step.VERDICT].status is Status.UNREADABLE
    assert all(report.findings[later] == NOT_REACHED for later in Step if step < later < Step.VERDICT)
    text, value = report.text(), report.to_json()
    assert text.endswith("\nverdict: NOT JUDGED")
    assert "fail" not in text.lower()
    assert (value["failure"], value["exit_status"], value["levels"]) == (None, 4, [])
    assert value["unreadable"]["step"] == step


CLOSED = {
    "log/checkpoint": Step.PARSE,
    "log/records.jsonl": Step.PARSE,
    "log": Step.PARSE,
    "proofs/1-0": Step.PROOFS,
    "proofs": Step.PROOFS,
    "model/weights.i64.safetensors": Step.MODEL,
    "model": Step.MODEL,
}


@pytest.mark.parametrize("name", ["model/opening.json", "environment.json"])
def test_a_false_model_signature_does_not_hide_behind_a_closed_file(place: Path, name: str) -> None:
    folder = signed(written(place / "run"), OTHER)
    if name == "environment.json":
        run = honest("none")
        contents = contents_of(run)
        name_files(run, contents)
        run.write(folder)
        for file, data in contents.items():
            (folder / file).write_bytes(data)
    policy = replace(LOG_POLICY, model_key=SIGNER.public_key)
    (folder / name).chmod(0)
    with powerless():
        refused(look(folder, policy), 10, "names another key than the pinned model key")
        not_judged(look(folder, LOG_POLICY), Step.MODEL, "Permission denied")
        not_judged(look(folder, replace(policy, model_key=OTHER.public_key)), Step.MODEL, "Permission denied")


@pytest.mark.parametrize("name", CLOSED)
def test_a_file_that_may_not_be_read_is_no_failure_of_the_run(place: Path, name: str) -> None:
    run = honest().write(place / "run")
    (run / name).chmod(0)
    with powerless():
        report = look(run)
    (run / name).chmod(0o755)
    not_judged(report, CLOSED[name], "Permission denied")


def test_step7_a_false_proof_does_not_hide_behind_one_that_can_not_be_read(place: Path) -> None:
    run = honest().write(place / "run")
    (run / "proofs" / "0-0").chmod(0)
    (run / "proofs" / "1-1").write_bytes(b"another")
    with powerless():
        report = look(run)
    assert report.failure is not None
    assert (report.exit_status, report.failure.step) == (1, Step.PROOFS)
    assert "proof 1-1 does not match the record's hash" in report.failure.message


def test_a_model_that_no_record_names_and_that_may_not_be_listed_is_no_failure(place: Path) -> None:
    run = honest()
    model, run.model = run.model, {}
    run.name_model()
    run.model = model
    folder = run.write(place / "run")
    (folder / "model").chmod(0)
    with powerless():
        report = look(folder)
    (folder / "model").chmod(0o755)
    not_judged(report, Step.MODEL, "model can't be read: Permission denied")


@pytest.mark.parametrize("name", [".", "log", "log/checkpoint"])
def test_the_command_exits_4_where_it_may_not_read(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("none").write(place / "run")
    assert main([str(run), "--key", KEY.encode(), "--require", "L0"]) == 0
    (run / name).chmod(0)
    capsys.readouterr()
    with powerless():
        assert main([str(run), "--key", KEY.encode(), "--require", "L0"]) == 4
    (run / name).chmod(0o755)
    shown = capsys.readouterr()
    assert "Permission denied" in shown.out + shown.err
    assert "FAILED" not in shown.out + shown.err


def test_a_bundle_that_may_not_be_read_exits_4(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("none").write(place / "run")
    pack(run, place / "b.tar", Files(), lambda what, done, total: None)
    (place / "b.tar").chmod(0)
    with powerless():
        assert main([str(place / "b.tar"), "--key", KEY.encode()]) == 4
    assert "Permission denied" in capsys.readouterr().err


def test_a_key_that_may_not_be_read_exits_4(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("none").write(place / "run")
    (place / "key").write_text(KEY.encode())
    (place / "key").chmod(0)
    with powerless():
        assert main([str(run), "--key", str(place / "key")]) == 4
    assert "Permission denied" in capsys.readouterr().err


def test_packing_and_reproducing_keep_it_apart(place: Path) -> None:
    run = honest("none").write(place / "run")
    (run / "log/checkpoint").chmod(0)
    with powerless():
        with pytest.raises(StorageError, match="Permission denied") as caught:
            pack(run, place / "b.tar", Files(), lambda what, done, total: None)
        assert "restore" not in str(caught.value)
        with RunFolder(run) as files, pytest.raises(UnreadableError, match=r"log/: step 1: .*Permission denied"):
            judgement.judged(run, files, Systems(), lambda what, done, total: None)
    (run / "log/checkpoint").unlink()
    with pytest.raises(RunError, match="restore it from a copy") as refused:
        pack(run, place / "b.tar", Files(), lambda what, done, total: None)
    assert not isinstance(refused.value, StorageError)
    with RunFolder(run) as files, pytest.raises(VerificationError) as wrong:
        judgement.judged(run, files, Systems(), lambda what, done, total: None)
    assert not isinstance(wrong.value, UnreadableError)


class _DiskFails(LocalFile):
    """A file on a disk that fails, beyond its first block."""

    def read_at(self, start: int, size: int) -> bytes:
        if start:
            os.close(self._fd)
        return super().read_at(start, size)

    def close(self) -> None:
        self._fd = -1


def test_a_bundle_that_a_disk_does_not_give_is_not_judged(tmp_path: Path) -> None:
    run = honest("none").write(tmp_path / "run")
    pack(run, tmp_path / "b.tar", Files(), lambda what, done, total: None)
    with Bundle(_DiskFails(tmp_path / "b.tar")) as files:
        not_judged(Verifier(POLICY, Systems()).verify(files), Step.PARSE, os.strerror(errno.EBADF))


class _Raises(StandInChecker):
    def __init__(self, error: Exception) -> None:
        super().__init__(("W", "M", "V"))
        self._error = error

    def verify(self, statement: Statement, proof: bytes) -> BlockProof:
        raise self._error


class _System(StandInSystem):
    """Its checker meets `error`."""

    error: Exception = UnreadableError("EZKL gave no answer")

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        return _Raises(self.error)


def test_step7_a_checker_without_an_answer_is_no_failure_of_the_proof(tmp_path: Path) -> None:
    not_judged(look(honest().write(tmp_path / "run"), system=_System()), Step.PROOFS, "proof 0-0: EZKL gave no answer")


def test_memory_that_runs_out_gives_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_System, "error", MemoryError())
    with pytest.raises(MemoryError):
        look(honest().write(tmp_path / "run"), system=_System())


def _more() -> dict[str, Callable[[Path], object]]:
    return {
        "missing": lambda path: path.unlink(),
        "a folder": lambda path: (path.unlink(), path.mkdir()),
        "a link": lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    }


@pytest.mark.parametrize("change", _more())
@pytest.mark.parametrize("name", ["log/checkpoint", "proofs/1-0", "model/opening.json"])
def test_what_is_missing_or_something_else_stays_a_failure(tmp_path: Path, name: str, change: str) -> None:
    run = honest().write(tmp_path / "run")
    _more()[change](run / name)
    report = look(run)
    assert (report.verdict, report.exit_status, report.unreadable) == ("FAILED", 1, None)
