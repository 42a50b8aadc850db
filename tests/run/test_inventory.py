"""How a run stands, seen from outside: in every state that a training, a crash or a meddler leaves
it in."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.test_packing import cut_last, edit, unsign
from tests.run.test_recovery import begin, resume
from tests.run.trainer import SIGNER, FailingFiles, first_weights, hashed_backend, make_header, train
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.run import inventory
from zk_autograd.run.files import Files
from zk_autograd.run.inventory import Condition, RunStatus, Secrets, find_runs, look_at
from zk_autograd.run.writer import RunWriter


def abandoned(path: Path, steps: int, drain: int = 0) -> Path:
    """A run of `steps` steps, drained after `drain` of them if not 0."""
    writer = begin(path, Files(lambda _: None))
    if drain:
        train(writer, drain)
        writer.drain()
    train(writer, steps)
    writer.abandon()
    return path


def finished(path: Path) -> Path:
    writer = begin(path, Files(lambda _: None))
    train(writer, 3)
    writer.close({"weights": b"published"})
    return path


def counts(status: RunStatus) -> tuple[int, int, int, int]:
    return status.steps, status.recorded, status.proved, status.waiting


def test_an_unfinished_run(tmp_path: Path) -> None:
    status = look_at(abandoned(tmp_path / "run", 5, drain=4))
    assert (status.condition, status.reason, status.secrets) == (Condition.UNFINISHED, "", Secrets.KEPT)
    assert counts(status) == (5, 4, 4, 0)
    assert status.repairs == ("continue after step 5",)
    assert status.header is not None
    assert status.head is not None
    assert status.head.size == 4


def test_a_finished_run(tmp_path: Path) -> None:
    status = look_at(finished(tmp_path / "run"))
    assert (status.condition, status.repairs, counts(status)) == (Condition.FINISHED, (), (3, 3, 3, 0))


def test_without_a_prover_nothing_is_proved(tmp_path: Path) -> None:
    backend = hashed_backend()
    writer = RunWriter.create(tmp_path / "run", make_header(backend), backend, [SIGNER], first_weights())
    train(writer, 2)
    writer.close()
    assert counts(look_at(tmp_path / "run")) == (2, 2, 0, 0)


def test_a_copy_without_its_private_folder(tmp_path: Path) -> None:
    for run, condition in (
        (finished(tmp_path / "a"), Condition.FINISHED),
        (abandoned(tmp_path / "b", 5, 4), Condition.UNFINISHED),
    ):
        shutil.rmtree(run / "private")
        status = look_at(run)
        assert (status.condition, status.secrets, status.private_bytes) == (condition, Secrets.ABSENT, 0)
        assert status.steps == status.recorded


def test_segments_that_wait_for_their_proofs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = begin(run, FailingFiles(run, "append log/records.jsonl #3", "torn"))
    with pytest.raises(RunError):
        train(writer, 6)
        writer.drain()
    writer.abandon()
    status = look_at(run)
    assert status.condition is Condition.UNFINISHED
    assert status.recorded == 2
    assert status.waiting >= 1
    assert status.repairs[0] == "drop the record that a crash tore"
    assert status.repairs[1].startswith("prove and record ")
    assert status.repairs[-1] == f"continue after step {status.steps}"
    resumed = resume(run)
    assert resumed.step == status.steps
    resumed.close()
    assert look_at(run).condition is Condition.FINISHED


def test_a_crash_before_the_first_checkpoint(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 1)
    for name in ("log/checkpoint", "private/head"):
        (run / name).unlink()
    status = look_at(run)
    assert (status.condition, counts(status)) == (Condition.UNFINISHED, (1, 0, 0, 0))
    assert status.repairs == ("compare 2 records with the journal, and sign them", "continue after step 1")
    edit(run / "log" / "records.jsonl", lambda data: data[:-10])
    assert look_at(run).repairs[:2] == (
        "drop the record that a crash tore",
        "compare 1 record with the journal, and sign them",
    )
    edit(run / "log" / "records.jsonl", lambda data: data[:10])
    assert look_at(run).condition is Condition.UNFINISHED
    (run / "log" / "records.jsonl").unlink()
    assert look_at(run).repairs == ("continue after step 1",)
    (run / "log" / "records.jsonl").write_bytes(b"x\n")
    assert look_at(run).condition is Condition.DAMAGED
    with pytest.raises(RunError, match="first record is not the header"):
        resume(run)


def test_a_close_record_that_is_not_signed_does_not_finish_a_run(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    unsign(run)
    status = look_at(run)
    assert status.condition is Condition.UNFINISHED
    assert status.repairs[0] == "compare 1 record with the journal, and sign them"


def test_a_segment_that_is_not_signed_is_not_recorded(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    unsign(run)
    status = look_at(run)
    assert (status.condition, counts(status)) == (Condition.UNFINISHED, (5, 2, 2, 0))
    assert status.repairs == ("compare 1 record with the journal, and sign them", "continue after step 5")


def test_a_checkpoint_over_records_that_are_not_there_is_damage(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    leaves = (run / "log" / "records.jsonl").read_bytes().split(b"\n")[:-1]
    text = checkpoint_text(f"zk-autograd/{bytes(range(16)).hex()}", len(leaves) + 1, root([*map(leaf_hash, leaves)]))
    (run / "log" / "checkpoint").write_bytes(sign(text, [SIGNER]))
    assert look_at(run).condition is Condition.DAMAGED


def test_the_trainer_is_named_while_it_is_at_work(tmp_path: Path) -> None:

    writer = begin(tmp_path / "run", Files(lambda _: None))
    for _ in range(3):  # looking does not take the lock away
        assert look_at(tmp_path / "run").trainer == str(os.getpid())
    writer.abandon()
    assert look_at(tmp_path / "run").trainer is None


@pytest.mark.slow
def test_a_run_that_grows_meanwhile_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    writer = begin(tmp_path / "run", Files(lambda _: None))
    trainer = threading.Thread(target=train, args=(writer, 100))
    trainer.start()
    seen = [look_at(tmp_path / "run")]
    while trainer.is_alive():
        seen.append(look_at(tmp_path / "run"))
    trainer.join()
    writer.abandon()
    assert {status.condition for status in seen} == {Condition.UNFINISHED}, [s.reason for s in seen if s.reason][:1]
    assert [status.steps for status in seen] == sorted(status.steps for status in seen)
    assert len({status.recorded for status in seen}) > 5


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "record": (
        lambda run: edit(run / "log/records.jsonl", lambda d: d.replace(b"0.4", b"0.5")),
        "root of its checkpoint",
    ),
    "missing record": (cut_last, "root of its checkpoint"),
    "no record": (lambda run: (run / "log/records.jsonl").unlink(), "No such file"),
    "checkpoint": (lambda run: (run / "log/checkpoint").write_bytes(b"note"), "note"),
    "signature": (lambda run: edit(run / "log/checkpoint", lambda d: d[:-8] + b"AAAA" + d[-4:]), "sign"),
    "header": (lambda run: (run / "private/header").unlink(), "creation was interrupted before the first step"),
    "journal": (
        lambda run: shutil.rmtree(run / "private/segments/2"),
        "has no segment 2, where the run would be resumed",
    ),
    "format": (lambda run: edit(run / "log/records.jsonl", lambda d: d.replace(b"run/v2", b"run/v9")), "format"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_no_crash_leaves_is_damage(tmp_path: Path, case: str) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    change, reason = DAMAGE[case]
    change(run)
    status = look_at(run)
    assert (status.condition, status.repairs) == (Condition.DAMAGED, ())
    assert reason in status.reason
    with pytest.raises(RunError):
        resume(run)


STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe for a lock": (lambda private: os.mkfifo(private / "lock"), "lock is not a trainer's lock file"),
    "folder for a lock": (lambda private: (private / "lock").mkdir(), "lock is not a trainer's lock file"),
    "link for a lock": (lambda private: (private / "lock").symlink_to("header"), "lock can't be inspected"),
    "marker": (lambda private: (private / "forgotten").write_bytes(b"{}"), "forgotten is not what forgetting"),
    "pipe for a marker": (lambda private: os.mkfifo(private / "forgotten"), "forgotten is not what forgetting"),
    "pipe for a header": (lambda private: os.mkfifo(private / "header"), "not a regular file"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_whatever_a_stranger_put_into_a_private_folder_is_damage_of_that_run_alone(tmp_path: Path, case: str) -> None:
    change, reason = STRANGE[case]
    run = abandoned(tmp_path / "run", 2)
    for name in ("lock", "header") if "header" in case else ("lock",):
        (run / "private" / name).unlink()
    change(run / "private")
    status = look_at(run)
    assert (status.condition, status.trainer, status.forgotten) == (Condition.DAMAGED, None, None)
    assert reason in status.reason


def test_sizes_and_times_are_of_the_files(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    files = [path for path in run.rglob("*") if path.is_file()]
    private = [path for path in files if "private" in path.relative_to(run).parts]
    status = look_at(run)
    assert status.private_bytes == sum(path.stat().st_size for path in private)
    assert status.public_bytes == sum(path.stat().st_size for path in files) - status.private_bytes
    assert status.changed >= max(path.stat().st_mtime for path in files)


def test_of_more_files_than_any_run_has_not_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(tmp_path / "run")
    for i in range(50):
        (run / "proofs" / f"x{i}").write_bytes(b"x" * 1000)
    assert look_at(run).public_bytes > 50_000
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 20)
    status = look_at(run)
    assert (status.condition, status.public_bytes < 50_000) == (Condition.FINISHED, True)


def test_runs_are_found_in_a_folder(tmp_path: Path) -> None:
    finished(tmp_path / "b")
    abandoned(tmp_path / "a", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(UsageError, match="can't be listed: No such file"):
        find_runs(tmp_path / "missing")
    with pytest.raises(UsageError, match="there is no run at"):
        look_at(tmp_path / "empty")
