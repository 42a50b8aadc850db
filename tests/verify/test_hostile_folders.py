"""Folders that a stranger made: something else in a file's place, names of every kind, parts that
are missing, and more than there should be."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.verify.hostile import (
    FAILED,
    FLAGS,
    IN_ITS_PLACE,
    LESS,
    SHOWN,
    UNJUDGED,
    USAGE,
    said,
    sparse,
    step_of,
    within,
)
from tests.verify.run_builder import SRS, Run, honest, stand_ins
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_artefacts
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.verifier import Verifier

STEPS = {
    "log/records.jsonl": 1,
    "log/checkpoint": 1,
    "model/weights.i64.safetensors": 10,
    "model/weights.f32.safetensors": 10,
    "model/opening.json": 10,
    "config.toml": 10,
    "environment.json": 10,
    "train_log.jsonl": 10,
    "hashes.json": 10,
}
"""The public files of a run without proofs, and the step that reads each."""


@pytest.fixture
def run() -> Run:
    """A run with files of its trainer's own."""
    made = honest("none")
    name_artefacts(made, contents_of(made))
    return made


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    path = run.write(tmp_path / "run")
    for name, data in contents_of(run).items():
        (path / name).write_bytes(data)
    return path


def test_the_folder_itself_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = said(capsys, folder)
    assert (status, step_of(report)) == (SHOWN, 0)
    assert set(STEPS) == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_something_else_in_a_files_place(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    """Nothing is waited for, followed, or read beyond its bound."""
    IN_ITS_PLACE[what](folder / name)
    with within(2**24):
        status, report = said(capsys, folder)
    assert (status, step_of(report)) == (FAILED, STEPS[name]), report["failure"]


@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_something_else_in_a_proofs_place(tmp_path: Path, what: str) -> None:
    path = honest().write(tmp_path / "run")
    IN_ITS_PLACE[what](path / "proofs/1-0")
    with RunFolder(path) as files, within(2**24):
        report = Verifier(Policy(srs=frozenset({SRS})), stand_ins()).verify(files)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (7, 3), str(report.failure)


@pytest.mark.parametrize("name", ["log", "model", "proofs"])
@pytest.mark.parametrize("what", ["nothing", "a file", "a link", "a pipe", "a loop of links"])
def test_something_else_in_a_folders_place(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    path = folder / name
    moved = folder.parent / f"moved-{name}"
    shutil.move(path, moved)
    if what == "a file":
        path.write_bytes(b"")
    elif what == "a link":
        path.symlink_to(moved)
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a loop of links":
        path.symlink_to(path)
    status, report = said(capsys, folder)
    if name == "proofs":  # this run has none
        assert status in (SHOWN, LESS, FAILED)
    elif name == "log" and what == "nothing":
        assert status in (FAILED, USAGE)  # perhaps it is no run
    else:
        assert (status, step_of(report)) == (FAILED, 1 if name == "log" else 10)


def test_hard_links_are_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no telling them from others, and nothing is written."""
    for name in STEPS:
        elsewhere = folder.parent / name.replace("/", "-")
        os.link(folder / name, elsewhere)
    assert said(capsys, folder)[0] == SHOWN


ODD = [
    b"\xff\xfe", b"a\nverdict: L0, L1", "\u202egpj".encode(), b"\x1b[2J", b" ", b"a" * 255, b"-", b"nul\x7f", "cafe\u0301".encode(),
    b".hidden", b"private.bak", b"Log", b"MODEL", b"weights.f32.safetensors",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_odd_names_are_escaped_and_never_make_the_verdict_better(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    """Beside the model they are refused. At the run's top they are no files of the run; what is
    said of them, `said` looks at."""
    top = os.path.join(os.fsencode(folder), name)
    with open(top, "wb") as file:
        file.write(b"x")
    status, report = said(capsys, folder)
    assert status in (SHOWN, LESS)
    assert report["levels"] == ["L0"]
    os.unlink(top)
    beside = os.path.join(os.fsencode(folder / "model"), name)
    fresh = not os.path.exists(beside)
    with open(beside, "wb") as file:
        file.write(b"x")
    status, report = said(capsys, folder)
    assert status in ((FAILED, LESS) if fresh else (FAILED,))


@pytest.mark.parametrize("place", ["proofs", "log", "model", "."])
def test_thousands_of_files_are_bounded(folder: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    """1,001 in one folder."""
    (folder / "proofs").mkdir(exist_ok=True)
    for number in range(1001):
        (folder / place / f"{number:04}-0").touch()
    with within(2**24):
        status, report = said(capsys, folder)
    if place == "model":
        assert status in (FAILED, LESS)
    else:
        assert status in (SHOWN, LESS, FAILED)
        assert report["levels"] in (["L0"], [])
    assert len(str(report)) < 200_000


def test_folders_that_are_nested_deep_are_not_walked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(300):  # beyond what one path can name
            os.mkdir("d" * 100, dir_fd=here)
            below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    status, report = said(capsys, folder)
    assert status in (SHOWN, LESS)
    assert report["levels"] == ["L0"]


def test_what_is_no_run_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, a device, a pipe, an empty folder, nothing at all, and names that no system has."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    sparse(tmp_path / "zeros", 2**40)
    targets = [tmp_path / name for name in ("empty", "file", "pipe", "loop", "zeros", "nothing", "file/below")]
    for target in (*targets, Path("/dev/null"), Path("/dev/zero"), Path("/proc/self/mem"), tmp_path / ("x" * 300)):
        with within(2**24):
            status, _ = said(capsys, target)
        assert status in (FAILED, USAGE, UNJUDGED), target
    assert said(capsys, "", *FLAGS)[0] in (FAILED, USAGE)


def test_private_parts_are_not_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a stranger put there."""
    private = folder / "private"
    private.mkdir()
    for name in ("header", "close", "train.json", "lock"):
        sparse(private / name, 2**40)
    os.mkfifo(private / "seed")
    (private / "0").symlink_to("/")
    with within(2**24):
        status, report = said(capsys, folder)
    assert (status, step_of(report)) == (SHOWN, 0)


def test_a_file_that_changes_while_it_is_judged_is_read_once(folder: Path) -> None:
    """The bytes that were hashed are the bytes that were judged: each public file is held once at
    most, and its hash is that of what is held.

    Before, the files of step 10 are hashed where they lie; of the training's log that is all.
    """
    read: list[tuple[str, ...]] = []

    class Watched(RunFolder):
        def checkpoint(self) -> bytes:
            read.append(("checkpoint",))
            return super().checkpoint()

        def lines(self, *limits: int, **more: int) -> Generator[bytes, None, None]:
            read.append(("lines",))
            return super().lines(*limits, **more)

        def model_file(self, name: str, *limits: int, **more: int) -> bytes:
            read.append(("model", name))
            return super().model_file(name, *limits, **more)

        def artefact(self, name: str, *limits: int, **more: int) -> bytes:
            read.append(("artefact", name))
            return super().artefact(name, *limits, **more)

        def digest(self, path: str, limit: int) -> bytes:
            if path == "train_log.jsonl":
                read.append(("digest", path))
            return super().digest(path, limit)

    with Watched(folder) as files:
        report = Verifier(Policy(), Systems()).verify(files)
    assert report.failure is None
    assert len(read) == len(set(read)) == len(STEPS)
