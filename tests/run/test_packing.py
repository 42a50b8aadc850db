"""Making a bundle: the public files of a run and no others, the same bytes each time, whole or not
at all."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.run.test_recovery import begin, sign_again
from tests.run.trainer import FailingFiles, TracedFiles, train
from zk_autograd.core.errors import RunError
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.run.files import Files
from zk_autograd.run.packing import Packed, pack

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = {"config.toml": b"seed = 1\n", "hashes.json": b"{}"}


def quiet(what: str, done: int, total: int) -> None:
    return


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, with two of the trainer's own files, one of them in the close record."""
    path = tmp_path / "run"
    writer = begin(path, Files(lambda _: None))
    train(writer, 3)
    for name, data in ARTEFACTS.items():
        (path / name).write_bytes(data)
    writer.close({"weights": b"published"}, {"config.toml": sha256(ARTEFACTS["config.toml"]).digest()})
    return path


def packed(run: Path, out: Path, files: Files | None = None) -> Packed:
    return pack(run, out, files or Files(lambda _: None), quiet)


def test_a_linked_private_folder_is_not_locked(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "private")
    (run / "private").symlink_to(".")
    (run / "lock").write_text("not ours")
    with pytest.raises(RunError, match="private is a link or not a folder"):
        packed(run, tmp_path / "b.tar")
    assert (run / "lock").read_text() == "not ours"
    assert not (tmp_path / "b.tar").exists()


PUBLIC = [
    "config.toml",
    "log/checkpoint",
    "log/records.jsonl",
    "model/weights",
    *(f"proofs/{segment}-{block}" for segment in range(2) for block in range(3)),
]


def test_it_holds_the_public_files_and_says_what_it_holds(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar"
    done = packed(run, out)
    with Bundle(out) as reader:
        assert reader.names() == PUBLIC
        for name in PUBLIC:
            with reader.opened(name, 2**20) as file:
                assert file.read() == (run / name).read_bytes()
    assert (done.files, done.size, done.finished, done.left_out) == (
        len(PUBLIC),
        out.stat().st_size,
        True,
        ("hashes.json",),
    )
    assert done.digest == sha256(out.read_bytes()).digest()
    assert done.records == 5


def test_the_bytes_depend_on_the_contents_alone(run: Path, tmp_path: Path) -> None:
    packed(run, tmp_path / "a.tar")
    for path in run.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("private"))
    packed(run, tmp_path / "b.tar")
    packed(tmp_path / "copy", tmp_path / "c.tar")
    contents = {(tmp_path / name).read_bytes() for name in ("a.tar", "b.tar", "c.tar")}
    assert len(contents) == 1
    assert not (tmp_path / "copy" / "private").exists()


def test_what_no_record_names_is_left_out(run: Path, tmp_path: Path) -> None:
    for name in ("proofs/7-0", "proofs/.0-0.tmp", "model/backdoor", "notes.txt", "log/old"):
        (run / name).write_bytes(b"other")
    (run / "Model").mkdir()
    left = ("Model", "hashes.json", "log/old", "model/backdoor", "notes.txt", "proofs/.0-0.tmp", "proofs/7-0")
    assert packed(run, tmp_path / "b.tar").left_out == left
    with Bundle(tmp_path / "b.tar") as reader:
        assert reader.names() == PUBLIC


def test_an_unfinished_run_is_packed_up_to_its_checkpoint(tmp_path: Path) -> None:
    writer = begin(tmp_path / "run", Files(lambda _: None))
    train(writer, 4)
    writer.drain()
    train(writer, 5)
    writer.abandon()
    done = packed(tmp_path / "run", tmp_path / "b.tar")
    assert (done.finished, done.records) == (False, 4)


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def cut_last(run: Path) -> None:
    edit(run / "log" / "records.jsonl", lambda data: data[: data.rfind(b"\n", 0, -1) + 1])


def unsign(run: Path) -> None:
    whole = (run / "log" / "records.jsonl").read_bytes()
    cut_last(run)
    sign_again(run)
    (run / "log" / "records.jsonl").write_bytes(whole)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn record": (
        lambda run: edit(run / "log/records.jsonl", lambda d: d[:-5]),
        "a crash tore its last record",
    ),
    "unsigned record": (unsign, "checkpoint is over 4 records, and its log has 5; resume"),
    "missing record": (cut_last, "is half-written"),
    "no checkpoint": (lambda run: (run / "log/checkpoint").unlink(), "checkpoint can't be read"),
    "no log": (lambda run: shutil.rmtree(run / "log"), "log can't be read"),
    "missing proof": (lambda run: (run / "proofs/1-2").unlink(), "No such file"),
    "another proof": (
        lambda run: (run / "proofs/1-2").write_bytes(b"x"),
        "1-2 is not the file whose hash",
    ),
    "proof that is a link": (
        lambda run: (run / "proofs/1-2").symlink_to((run / "proofs/1-2").rename(run / "p")),
        "it is a link",
    ),
    "another model": (
        lambda run: (run / "model/weights").write_bytes(b"x"),
        "weights is not the file",
    ),
    "missing model": (lambda run: (run / "model/weights").unlink(), "No such file"),
    "another config": (
        lambda run: (run / "config.toml").write_bytes(b"x"),
        "config.toml is not the file",
    ),
    "missing config": (
        lambda run: (run / "config.toml").unlink(),
        "config.toml can't be read: No such file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_run_that_is_not_whole_is_refused_and_leaves_nothing(run: Path, tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    change(run)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=message):
        packed(run, tmp_path / "b.tar")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_is_never_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"b\.tar already exists"):
        packed(run, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == b"mine"


def test_a_run_is_not_packed_while_a_trainer_writes_it(tmp_path: Path) -> None:
    writer = begin(tmp_path / "run", Files(lambda _: None))
    train(writer, 3)
    with pytest.raises(RunError, match="is being written by this very process"):
        packed(tmp_path / "run", tmp_path / "b.tar")
    writer.close()
    packed(tmp_path / "run", tmp_path / "b.tar")


@pytest.mark.parametrize("way", ["lost", "kept"])
def test_a_failed_write_leaves_the_whole_bundle_or_none(run: Path, tmp_path: Path, way: str) -> None:
    traced = TracedFiles(tmp_path)
    packed(run, tmp_path / "b.tar", traced)
    assert traced.done == ["write_stream b.tar #0"]
    whole = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "b.tar").unlink()
    with pytest.raises(RunError, match="failed and was"):
        packed(run, tmp_path / "b.tar", FailingFiles(tmp_path, traced.done[0], way))
    left = {path.name: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    assert left == ({"b.tar": whole} if way == "kept" else {})


def test_a_disk_that_fills_up_leaves_no_bundle(small_disk: Path, run: Path) -> None:
    free = os.statvfs(small_disk).f_bavail
    (small_disk / "ballast").write_bytes(bytes(4096 * (free - 1)))
    with pytest.raises(RunError, match="No space left on device; free some space"):
        packed(run, small_disk / "b.tar")
    assert os.listdir(small_disk) == ["ballast"]
    (small_disk / "ballast").unlink()
    packed(run, small_disk / "b.tar")


KILLED = """
import os, signal, sys
from pathlib import Path
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack

def advance(what, done, total):
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

pack(Path(sys.argv[1]), Path(sys.argv[2]), Files(), advance)
"""


@pytest.mark.parametrize("done", [1, len(PUBLIC)])
def test_a_killed_bundle_is_made_again(run: Path, tmp_path: Path, done: int) -> None:
    out = tmp_path / "b.tar"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(run), str(out), str(done)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/src", "PATH": ""},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    packed(run, out)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "b.tar"}
    with Bundle(out) as reader:
        assert reader.names() == PUBLIC
