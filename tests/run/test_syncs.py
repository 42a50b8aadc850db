"""How often a run waits for the disk, and what a power cut then costs.

A power cut is played: of each file only what was synced is left, of each folder only the names that
were."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.run.test_recovery import resume
from tests.run.trainer import SIGNER, FaultyProver, audit, first_weights, make_header, train
from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.run.artefacts import Artefacts
from zk_autograd.run.events import ignore
from zk_autograd.run.files import Files
from zk_autograd.run.inventory import look_at
from zk_autograd.run.writer import RunWriter


class Disk:
    """Syncs by path, and what each file held when it was last synced."""

    def __init__(self) -> None:
        self.syncs: Counter[str] = Counter()
        self.sizes: dict[str, int] = {}
        self.broken = False

    def fsync(self, fd: int) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        path = os.readlink(f"/proc/self/fd/{fd}").removesuffix(" (deleted)")
        self.syncs[path] += 1
        inode = os.fstat(fd)
        self.sizes[str(inode.st_ino)] = inode.st_size

    def cut(self, run: Path) -> None:
        """The power is cut: what was appended to a file since its last sync is gone."""
        for path in run.rglob("*"):
            if path.is_file() and (size := self.sizes.get(str(path.stat().st_ino))) is not None:
                os.truncate(path, min(size, path.stat().st_size))


def begin(run: Path, disk: Disk, every: int, artefacts: Artefacts | None = None) -> RunWriter:
    backend = FaultyProver()
    return RunWriter.create(
        run,
        make_header(backend),
        backend,
        [SIGNER],
        first_weights(),
        files=Files(disk.fsync),
        sync_every=every,
        on_event=artefacts or ignore,
    )


def journals(disk: Disk) -> int:
    """Syncs of a segment's journal once it was begun."""
    return sum(count for path, count in disk.syncs.items() if path.endswith("/journal"))


def test_a_step_costs_one_sync_and_a_segment_three_more(tmp_path: Path) -> None:
    disk = Disk()
    writer = begin(tmp_path / "run", disk, 1)
    try:
        disk.syncs.clear()
        train(writer, 1)
        assert dict(disk.syncs) == {str(tmp_path / "run/private/segments/0/journal"): 1}
        train(writer, 2)
        writer._thread.drain()
        segments = str(tmp_path / "run/private/segments")
        found = {path.removeprefix(segments): count for path, count in disk.syncs.items() if path.startswith(segments)}
        made = {"": 1, "/1": 1, "/1/.journal.tmp": 1}  # the folder's name, the file's, and what is in it
        assert {name: found[name] for name in made} == made
        assert found["/0/journal"] == 2
    finally:
        writer.abandon()


@pytest.mark.parametrize("every", [2, 5])
def test_only_each_kth_step_is_synced_and_what_is_sealed_is(tmp_path: Path, every: int) -> None:
    disk, backend = Disk(), FaultyProver()
    header = make_header(backend)
    writer = begin(tmp_path / "run", disk, every)
    try:
        steps = 7
        train(writer, steps)
        full = steps // header.prover.steps
        in_segment = header.prover.steps // every + (1 if header.prover.steps % every else 0)
        assert journals(disk) == full * in_segment + (steps % header.prover.steps) // every
        before = journals(disk)
        writer.abandon()
        writer.abandon()
        assert journals(disk) == before + 1  # the last step was left
    finally:
        writer.abandon()


def killed(writer: RunWriter) -> None:
    """Its process is gone: nothing is written any more, and the lock is free."""
    writer._journal.sync = lambda: None  # type: ignore[method-assign]
    writer.abandon()


@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_a_power_cut_takes_less_than_k_steps_and_a_kill_none(tmp_path: Path, every: int) -> None:
    whole = tmp_path / "whole"
    writer = begin(whole, Disk(), 1)
    train(writer, 6)
    expected = writer.state
    writer.close()
    for steps in range(1, 7):
        for cut in (False, True):
            run, disk = tmp_path / f"{steps}{cut}", Disk()
            writer = begin(run, disk, every)
            train(writer, steps)
            killed(writer)
            if cut:
                disk.cut(run)
            assert steps - every < look_at(run).steps <= steps
            assert look_at(run).steps == steps or cut
            again = resume(run)
            assert again.step == look_at(run).steps
            train(again, 6)
            for name, values in again.state.items():
                np.testing.assert_array_equal(values, expected[name])
            again.close()
            audit(run, FaultyProver())
            shutil.rmtree(run)


def test_nothing_public_names_a_step_that_a_power_cut_took(tmp_path: Path) -> None:
    """Records are of sealed segments, whose steps were synced; the training's log, whose lines are
    written without waiting, is mended by who goes on."""
    run, disk = tmp_path / "run", Disk()
    artefacts = Artefacts(files=Files(disk.fsync))
    writer = begin(run, disk, 100, artefacts)
    artefacts.begin(writer)
    for step in range(1, 6):
        train(writer, step)
        artefacts.step(step, f"0.{step}", ("0.001", "0.002"), step)
    writer._thread.drain()
    recorded = writer._settlement.recorded
    lines = (run / "train_log.jsonl").read_bytes()
    writer.keep_settings(b"of step 5", durable=True)
    killed(writer)
    disk.cut(run)
    (run / "train_log.jsonl").write_bytes(lines)  # as it may be: the system writes what it likes first
    status = look_at(run)
    assert (status.steps, status.recorded) == (recorded, 4)
    again = resume(run)
    assert again.step == 4
    assert not (run / "private" / "settings").exists()  # step 5 will be another, perhaps
    mended = Artefacts()
    mended.resume(again)
    assert b'"step":5' in lines
    text = (run / "train_log.jsonl").read_bytes()
    assert b'"step":4' in text
    assert b'"step":5' not in text
    again.abandon()


def test_a_disk_that_fails_as_the_run_is_left_is_told_of(tmp_path: Path) -> None:
    disk = Disk()
    writer = begin(tmp_path / "run", disk, 9)
    train(writer, 1)
    disk.broken = True
    with pytest.raises(StorageError, match="journal could not be synced: Input/output error"):
        writer.abandon()
    disk.broken = False
    resume(tmp_path / "run").abandon()  # the lock was released


@pytest.mark.parametrize("every", [0, -1, 2**16 + 1, True, 1.5, "2"])
def test_a_number_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path, every: int) -> None:
    with pytest.raises(UsageError, match=r"sync_every is .*; it must be an integer from 1 to 65536"):
        begin(tmp_path / "run", Disk(), every)
    assert not (tmp_path / "run").exists()
