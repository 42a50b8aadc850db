"""Files that take no space on the disk, and would take all memory, in a run of somebody else's:
each is one run's matter, told in a sentence.

The commands run in a process that may take 2 GiB of addresses: Python and NumPy need a part of
that.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.run.journals import frames_of
from tests.run.test_inventory import abandoned, finished
from tests.run.test_packing import edit
from tests.run.test_recovery import resume
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.run.claims import Claims
from zk_autograd.run.frames import MAGIC
from zk_autograd.run.inventory import Condition, look_at
from zk_autograd.run.journal import MAX_LOOP_STATE

ROOT = Path(__file__).resolve().parents[2]
SPARSE = 2**39
ADDRESSES = 2 * 2**30


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))


def zk_run(*flags: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "zk_autograd.cli.run", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def listed(folder: Path) -> list[Any]:
    done = zk_run("list", str(folder), "--json")
    assert "Traceback" not in done.stderr
    runs: list[Any] = json.loads(done.stdout)["runs"]
    return runs


def sparse(path: Path, size: int = SPARSE) -> None:
    """`size` bytes, the first of which are as they were."""
    with open(path, "ab") as file:
        file.truncate(size)


def torn(run: Path) -> None:
    """A log whose last record does not end, for ever."""
    (run / "log" / "checkpoint").unlink()
    sparse(run / "log" / "records.jsonl")


def holes(run: Path) -> None:
    """A log of lines that are holes but for their ends."""
    (run / "log" / "checkpoint").unlink()
    with open(run / "log" / "records.jsonl", "r+b") as file:
        for line in range(1, 60):
            file.seek(line * (64 * 2**20 - 10))
            file.write(b"\n")


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "header": (lambda run: sparse(run / "private" / "header"), "header is missing, torn or altered"),
    "lock": (lambda run: sparse(run / "private" / "lock"), "lock is not a trainer's lock file"),
    "marker": (lambda run: sparse(run / "private" / "forgotten"), "forgotten is not what forgetting"),
    "checkpoint": (lambda run: sparse(run / "log" / "checkpoint"), "checkpoint is too large"),
    "log": (lambda run: sparse(run / "log" / "records.jsonl"), "records.jsonl is too large"),
    "torn log": (torn, "records.jsonl is too large"),
    "log that ends in a hole": (lambda run: sparse(run / "log" / "records.jsonl", 2**32 - 1), "is not a record"),
    "log of holes": (holes, "is not a record"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sparse_file_is_damage_of_its_own_run(tmp_path: Path, case: str) -> None:
    make, reason = CASES[case]
    make(abandoned(tmp_path / "bad", 5, drain=4))
    finished(tmp_path / "good")
    bad, good = listed(tmp_path)
    assert (bad["state"], good["state"]) == ("damaged", "finished")
    assert reason in bad["reason"]
    for flags in (("status", str(tmp_path / "bad")), ("forget", str(tmp_path / "bad"), "--yes")):
        done = zk_run(*flags)
        assert done.returncode == (0 if flags[0] == "status" else 1), done.stderr
        assert reason in done.stdout + done.stderr or "is damaged" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", ["checkpoint", "log", "log that ends in a hole", "log of holes"])
def test_no_bundle_is_made_of_one(tmp_path: Path, case: str) -> None:
    CASES[case][0](abandoned(tmp_path / "run", 5, drain=4))
    done = zk_run("bundle", str(tmp_path / "run"), "--out", str(tmp_path / "b.tar"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "b.tar").exists()


def test_an_artefact_that_takes_no_space_here_takes_none_in_a_bundle(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    sparse(run / "train_log.jsonl", 2**31)
    done = zk_run("bundle", str(run), "--out", str(tmp_path / "b.tar"))
    assert (done.returncode, "train_log.jsonl is too large" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "b.tar").exists()


def test_a_hole_behind_the_journals_steps_is_cut_off_without_being_read(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    path = run / "private" / "segments" / "2" / "journal"
    kept = path.read_bytes()
    sparse(path)
    (found,) = listed(tmp_path)
    assert (found["state"], found["steps"]) == ("unfinished", 5)
    resume(run).abandon()
    assert path.read_bytes() == kept


def test_sparse_files_of_the_private_folder_are_refused_before_they_are_read(tmp_path: Path) -> None:
    run = abandoned(tmp_path / "run", 5, drain=4)
    path = run / "private" / "segments" / "2" / "journal"
    kept = path.read_bytes()
    for size in (len(MAGIC), 0):  # of a start there is nothing but holes
        path.write_bytes(kept[:size])
        sparse(path)
        with pytest.raises(RunError, match="2/journal is missing, torn or altered"):
            resume(run)
    path.write_bytes(kept)
    sparse(run / "private" / "segments" / "2" / "published", MAX_LOOP_STATE)
    writer = resume(run)
    try:
        with pytest.raises(RunError, match=r"is missing, torn or altered \(.*is too large"):
            writer.drain()
    finally:
        writer.abandon()
    (run / "private" / "segments" / "2" / "published").unlink()
    sparse(run / "proofs" / "0-0", 2**30)
    with pytest.raises(RunError, match=r"proofs/0-0 is too large"):
        resume(run)


def test_memory_that_runs_out_is_the_matter_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zk_autograd.run import inventory

    def without(*_: object) -> None:
        raise MemoryError

    run = finished(tmp_path / "run")
    monkeypatch.setattr(inventory, "parse_log", without)
    status = look_at(run)
    assert (status.condition, status.reason) == (Condition.UNREADABLE, "memory ran out while it was being read")


def test_a_loop_state_that_no_journal_keeps_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    import numpy as np

    from tests.run.test_recovery import begin
    from zk_autograd.run.files import Files

    writer = begin(tmp_path / "run", Files(lambda _: None))
    try:
        large = bytes(MAX_LOOP_STATE + 1)
        with pytest.raises(UsageError, match=f"the loop's state has {len(large)} bytes, and at most {MAX_LOOP_STATE}"):
            writer.append(
                np.zeros(writer.header.size, np.int64),
                Claims(loop_state=large),
                lr=("0.1",) * len(writer.header.groups),
            )
        assert writer.step == 0
        assert len(frames_of(tmp_path / "run", 0)) == 1
    finally:
        writer.abandon()


def deep(folder: Path, levels: int) -> None:
    """Folders in folders, deeper than Python recurses and longer than a path may be, with a file in
    the last."""
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 50, dir_fd=fd)
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


def test_folders_in_folders_are_neither_walked_nor_in_the_way_of_forgetting(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    before = look_at(run)
    try:
        for place in ("private", "proofs", "private/segments"):
            deep(run / place, 3000)
        (run / "private" / "loop").symlink_to(".")
        status = look_at(run)
        assert (status.condition, status.reason) == (Condition.FINISHED, "")
        assert status.public_bytes == before.public_bytes
        done = zk_run("forget", str(run), "--yes")
        assert done.returncode == 0, done.stderr
        assert sorted(os.listdir(run / "private")) == [".gitignore", "forgotten", "lock"]
    finally:  # rm goes as deep as a path is long, pytest not even that
        subprocess.run(["find", str(run), "-depth", "-delete"], check=True)


def test_a_header_may_be_as_long_as_a_record(tmp_path: Path) -> None:
    from zk_autograd.core.records import MAX_RECORD
    from zk_autograd.run import private_file

    path = tmp_path / "header"
    path.write_bytes(private_file.encode("header", bytes(32), {}, {"leaf": bytes(MAX_RECORD)}))
    assert len(private_file.read(path, "header", None)[1]["leaf"]) == MAX_RECORD
    edit(path, lambda data: data + bytes(2**16))
    with pytest.raises(RunError, match="is too large"):
        private_file.read(path, "header", None)
