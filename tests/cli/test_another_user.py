"""Runs and folders of another user: what can't be read is never called broken, and what can be is
shown."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.another_user import ROOT, TRAINING, UID, as_another, public_folder
from tests.run.test_inventory import abandoned, finished
from zk_autograd.evidence.bundle import Bundle


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the owner's, with a folder `mine` that the other user may write to."""
    with public_folder() as folder:
        (folder / "mine").mkdir()
        (folder / "mine").chmod(0o777)
        yield folder


def shown(run: Path, command: str = "status", status: int = 0) -> Any:
    done = as_another("run", command, str(run), "--json", cwd=run.parent)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_another_user_sees_how_a_run_stands_though_its_private_part_is_closed(place: Path) -> None:
    for run, state, steps in (
        (finished(place / "a"), "finished", 3),
        (abandoned(place / "b", 5, drain=4), "unfinished", 4),
    ):
        assert (run / "private").stat().st_mode & 0o777 == 0o700
        found = shown(run)
        assert (found["state"], found["steps"], found["private"]) == (state, steps, "not readable")
        assert "Permission denied" in found["private_closed"]
        assert found["reason"] is None
        assert found["next"] == f"zk-run bundle {run}"
        assert not found["resumable"]
    listed = shown(place, "list")["runs"]
    assert [(run["state"], run["private"]) for run in listed] == [
        ("finished", "not readable"),
        ("unfinished", "not readable"),
    ]


def test_another_user_packs_a_bundle_of_it(place: Path) -> None:
    run = finished(place / "run")
    done = as_another("run", "bundle", str(run), "--out", "b.tar", cwd=place / "mine")
    assert done.returncode == 0, done.stderr
    with Bundle(place / "mine" / "b.tar") as reader:
        assert "log/records.jsonl" in reader.names()


def test_a_lock_that_another_user_can_see_keeps_the_bundle_from_a_run_in_use(place: Path) -> None:
    from tests.run.test_recovery import begin
    from tests.run.trainer import train
    from zk_autograd.run.files import Files

    writer = begin(place / "run", Files(lambda _: None))
    train(writer, 3)
    writer.drain()
    (place / "run" / "private").chmod(0o755)
    (place / "run" / "private" / "lock").chmod(0o644)
    done = as_another("run", "bundle", str(place / "run"), "--out", "b.tar", cwd=place / "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"is being written by another trainer (process {os.getpid()})" in done.stderr
    writer.abandon()
    done = as_another("run", "bundle", str(place / "run"), "--out", "b.tar", cwd=place / "mine")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["", "log", "log/records.jsonl", "log/checkpoint"])
def test_what_another_user_cannot_read_is_not_damaged(place: Path, part: str) -> None:
    run = finished(place / "runs" / "closed")
    finished(place / "runs" / "open")
    (run / part).chmod(0o600 if "." in part or "checkpoint" in part else 0o700)
    found = shown(run, status=4)
    assert (found["state"], found["next"]) == ("can't be read", f"zk-run status {run}, as its owner")
    assert "Permission denied" in found["reason"]
    assert [r["state"] for r in shown(place / "runs", "list", status=4)["runs"]] == ["can't be read", "finished"]
    done = as_another("run", "bundle", str(run), "--out", "b.tar", cwd=place / "mine")
    assert (done.returncode, done.stdout) == (4, "")
    assert "Permission denied" in done.stderr
    assert "restore" not in done.stderr
    assert not (place / "mine" / "b.tar").exists()


def test_a_run_that_has_no_records_yet_cannot_be_read_by_another_user(place: Path) -> None:
    run = abandoned(place / "run", 1)
    for name in ("checkpoint", "records.jsonl"):
        (run / "log" / name).unlink()
    found = shown(run, status=4)
    assert (found["state"], found["private"]) == ("can't be read", "not readable")
    shutil.rmtree(run / "private")
    assert shown(run)["state"] == "damaged"


def test_a_folder_that_another_user_cannot_list_is_status_4(place: Path) -> None:
    (place / "runs").mkdir(mode=0o700)
    finished(place / "runs" / "a")
    done = as_another("run", "list", str(place / "runs"), cwd=place)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"error: {place}/runs can't be listed: Permission denied\n"


def test_another_user_does_not_forget_it(place: Path) -> None:
    run = finished(place / "run")
    before = sorted(os.listdir(run / "private"))
    done = as_another("run", "forget", str(run), "--yes", cwd=place)
    assert (done.returncode, done.stdout) == (4, "")
    assert "Permission denied" in done.stderr
    assert sorted(os.listdir(run / "private")) == before


def test_damage_is_damage_for_another_user_too(place: Path) -> None:
    run = finished(place / "run")
    (run / "log" / "checkpoint").write_bytes(b"note")
    found = shown(run)
    assert (found["state"], found["private"]) == ("damaged", "not readable")


def test_files_of_the_private_part_that_are_closed_are_not_damaged(place: Path) -> None:
    for name in ("lock", "header", "segments"):
        run = abandoned(place / name, 5, drain=4)
        (run / "private").chmod(0o755)
        (run / "private" / "lock").chmod(0o644)
        (run / "private" / "header").chmod(0o644)
        (run / "private" / name).chmod(0o600)
        found = shown(run)
        assert (found["state"], found["private"]) == ("unfinished", "not readable"), name
        assert name in found["private_closed"]


def test_the_owner_reads_all_of_it(place: Path) -> None:
    run = finished(place / "run")
    for folder, folders, names in os.walk(run):
        for name in (*folders, *names):
            os.chown(os.path.join(folder, name), UID, UID)
    assert shown(run)["private"] == "kept"


@pytest.mark.torch
@pytest.mark.slow
def test_reproduce_leaves_out_a_private_part_that_is_closed(place: Path, native_prover: None) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    shutil.copytree(ROOT / "tests" / "data" / "runs" / "native-finished", place / "run")
    (place / "run" / "private").mkdir(mode=0o700)
    (place / "run" / "private" / "train.json").write_bytes(b"another's")
    done = as_another("reproduce", "run", "--verify-only", "--json", cwd=place, parts=TRAINING)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "CONFIG ONLY"
    assert any("private/: left out, since it can't be read here" in text for text in found["differences"])


@pytest.mark.torch
@pytest.mark.slow
def test_another_user_does_not_go_on_with_it_and_is_told_why(place: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    shutil.copytree(ROOT / "tests" / "data" / "runs" / "train-open", place / "run")
    (place / "run" / "private").chmod(0o700)
    done = as_another("train", "--resume", "run", cwd=place)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
