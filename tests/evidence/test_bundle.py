"""Reading a bundle: everything that is in it, each file within its bound, as a folder is read."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evidence.bundles import POLICY, SMALL, contents, judged, opened, packed
from tests.verify.run_builder import Run, honest
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.evidence.beside import Entry, EntryKind
from zk_autograd.evidence.bundle import BLOCK, Bundle, header, padding
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.verifier import Verifier


@pytest.fixture(scope="module")
def run() -> Run:
    return honest("none")


def test_everything_is_read(tmp_path: Path) -> None:
    with opened(tmp_path / "b.tar", packed(SMALL)) as reader:
        assert contents(reader) == SMALL
        assert reader.leaves() == [b"one", b"", b"three"]
        assert list(reader.entries("model")) == [Entry("weights.f32.safetensors", EntryKind.FILE)]
        assert [entry.name for entry in reader.entries("")] == ["config.toml"]
        assert reader.artefact_names() == ["config.toml"]


def test_a_tar_reader_takes_it(tmp_path: Path) -> None:
    long = "model/" + "w" * 100
    files = dict(sorted({**SMALL, long: b"weights"}.items()))
    (tmp_path / "b.tar").write_bytes(packed(files))
    with tarfile.open(tmp_path / "b.tar") as archive:
        members = archive.getmembers()
        assert {m.name: archive.extractfile(m).read() for m in members} == files  # type: ignore[union-attr]
        assert {(m.type, m.mode, m.uid, m.gid, m.mtime, m.uname) for m in members} == {(b"0", 0o644, 0, 0, 0, "")}
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", "b.tar", "-C", "out"], cwd=tmp_path, check=True)
    assert {
        str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    } == files
    with Bundle(tmp_path / "b.tar") as reader:
        assert contents(reader) == files


def test_the_form_is_a_tar_writers(tmp_path: Path) -> None:
    # Python's own writer, told to leave out what is not a file's: an independent statement of each
    # field's place.
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in SMALL.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    found = raw.getvalue()
    device = b"0000000\0" * 2  # some versions of Python write this as zeros where there is no device
    start = 0
    for name, data in SMALL.items():
        theirs, ours = bytearray(found[start : start + BLOCK]), bytearray(header(name, len(data)))
        for block in (theirs, ours):
            block[329:345] = device
            block[148:156] = bytes(8)
        assert theirs == ours
        start += BLOCK + len(data) + padding(len(data))


def test_no_such_file_is_a_usage_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match="is neither a run nor a bundle"):
            Bundle(path)


def test_what_is_not_in_the_bundle_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path / "b.tar", packed({})) as reader:
        assert (reader.names(), list(reader.entries("model")), reader.artefact_names()) == ([], [], [])
        for read in (reader.leaves, reader.checkpoint, lambda: reader.proof(0, 0), lambda: reader.model_file("w")):
            with pytest.raises(VerificationError, match="it is not in the bundle"):
                read()


def test_files_have_limits(tmp_path: Path) -> None:
    with opened(tmp_path / "b.tar", packed(SMALL | {"log/checkpoint": bytes(2**16 + 1)})) as reader:
        reads: list[Callable[[], object]] = [
            lambda: reader.leaves(limit=10),
            reader.checkpoint,
            lambda: reader.proof(0, 0, limit=511),
            lambda: reader.artefact("config.toml", limit=8),
        ]
        for read in reads:
            with pytest.raises(VerificationError, match="is too large"):
                read()
        assert len(reader.proof(0, 0, limit=512)) == 512
        with pytest.raises(VerificationError, match="does not end"):
            reader.leaves(record_limit=4)


@pytest.mark.parametrize("name", ["private/header", "../x", "/etc/passwd", "", "hashes.json/x", "a" * 101])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / "b.tar", packed(SMALL)) as reader:
        with pytest.raises(VerificationError, match="is not a file at a run's top level"):
            reader.artefact(name)
        if name not in ("", "a" * 101):
            with pytest.raises(VerificationError, match="not the name of a published file"):
                reader.model_file(name)


def test_nothing_is_read_after_closing(tmp_path: Path) -> None:
    reader = opened(tmp_path / "b.tar", packed(SMALL))
    reader.names()
    reader.close()
    reader.close()
    with pytest.raises(VerificationError, match="the bundle can't be read"):
        reader.checkpoint()


def test_a_bundle_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "b.tar", packed(SMALL)) as reader:
        reader.names()
        os.truncate(tmp_path / "b.tar", 600)
        for read in (reader.checkpoint, reader.leaves, lambda: reader.proof(0, 0)):
            with pytest.raises(VerificationError, match="the bundle ends early"):
                read()


def test_a_bundle_is_judged_as_its_run(tmp_path: Path, run: Run) -> None:
    folder = run.write(tmp_path / "run")
    pack(folder, tmp_path / "b.tar", Files(), lambda what, done, total: None)
    with RunFolder(folder) as reader:
        whole = Verifier(POLICY, Systems()).verify(reader)
    report = judged(tmp_path / "b.tar", (tmp_path / "b.tar").read_bytes())
    assert report.failure is None
    assert report.to_json() == whole.to_json()
