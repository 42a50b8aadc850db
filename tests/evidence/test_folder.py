"""Reading a stranger's run: what is refused, and that nothing outside of the run is reached."""

import contextlib
import errno
import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.evidence.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory of a run's form; nothing in it is checked here."""
    root = tmp_path / "run"
    for name in ("log", "proofs", "model"):
        (root / name).mkdir(parents=True)
    (root / "log" / "records.jsonl").write_bytes(b"one\n\nthree\n")
    (root / "log" / "checkpoint").write_bytes(b"note")
    (root / "proofs" / "3-1").write_bytes(b"proof")
    (root / "model" / "weights.i64.safetensors").write_bytes(b"weights")
    (root / "hashes.json").write_bytes(b"hashes")
    (root / "config.toml").write_bytes(b"config")
    return root


def read_all(reader: RunFolder) -> tuple[list[bytes], bytes, bytes, bytes]:
    return reader.leaves(), reader.checkpoint(), reader.proof(3, 1), reader.model_file("weights.i64.safetensors")


def test_everything_is_read(run: Path) -> None:
    with RunFolder(run) as reader:
        assert read_all(reader) == ([b"one", b"", b"three"], b"note", b"proof", b"weights")


def test_run_named_by_a_link_is_read(run: Path) -> None:
    (run.parent / "latest").symlink_to(run)
    with RunFolder(run.parent / "latest") as reader:
        assert reader.checkpoint() == b"note"


def test_no_run_there_is_a_usage_error(run: Path) -> None:
    for path in (run.parent / "missing", run / "log" / "checkpoint"):
        with pytest.raises(UsageError, match="is not a run"):
            RunFolder(path)


def test_empty_log_has_no_leaves(run: Path) -> None:
    (run / "log" / "records.jsonl").write_bytes(b"")
    with RunFolder(run) as reader:
        assert reader.leaves() == []


@pytest.mark.parametrize("content", [b"one\ntwo", b"one", b"one\n\ntwo\nthree"])
def test_log_that_does_not_end_in_a_newline_is_refused(run: Path, content: bytes) -> None:
    (run / "log" / "records.jsonl").write_bytes(content)
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="does not end") as caught:
        reader.leaves()
    assert caught.value.record == content.count(b"\n")
    assert caught.value.found == "the end of the file"


def test_a_record_has_a_limit_of_its_own(run: Path) -> None:
    with RunFolder(run) as reader:
        assert reader.leaves(record_limit=5)[2] == b"three"
        with pytest.raises(VerificationError, match="does not end") as caught:
            reader.leaves(record_limit=4)
    assert (caught.value.record, caught.value.found) == (2, "a longer line")


def test_the_log_has_a_limit(run: Path) -> None:
    with RunFolder(run) as reader:
        assert len(reader.leaves(limit=11)) == 3
        with pytest.raises(VerificationError, match="too large"):
            reader.leaves(limit=10)


def test_a_log_that_grew_is_not_cut_silently(run: Path) -> None:
    path = run / "log" / "records.jsonl"
    line = Path("/proc/version").read_bytes()
    mounted = subprocess.run(["mount", "--bind", "/proc/version", str(path)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here, and only files of /proc have a size that lies")
    try:
        with RunFolder(run) as reader:
            assert reader.leaves(limit=len(line)) == [line[:-1]]
            with pytest.raises(VerificationError, match="too large"):
                reader.leaves(limit=len(line) - 1)
    finally:
        subprocess.run(["umount", str(path)], check=True)


READS: dict[str, Callable[[RunFolder], object]] = {
    "log/records.jsonl": lambda reader: reader.leaves(),
    "log/checkpoint": lambda reader: reader.checkpoint(),
    "proofs/3-1": lambda reader: reader.proof(3, 1),
    "model/weights.i64.safetensors": lambda reader: reader.model_file("weights.i64.safetensors"),
    "config.toml": lambda reader: reader.artefact("config.toml"),
}
IN_FOLDERS = [name for name in READS if "/" in name]


@pytest.mark.parametrize("name", READS)
def test_a_file_that_is_a_link_is_refused(run: Path, name: str) -> None:
    (run / name).rename(run / "real")
    (run / name).symlink_to(run / "real")
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="it is a link"):
        READS[name](reader)


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_a_folder_that_is_a_link_is_refused(run: Path, name: str) -> None:
    folder = (run / name).parent
    folder.rename(run / "real")
    folder.symlink_to(run / "real")
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="can't be read"):
        READS[name](reader)


@pytest.mark.parametrize("name", READS)
def test_a_missing_file_is_refused(run: Path, name: str) -> None:
    (run / name).unlink()
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="No such file"):
        READS[name](reader)


def test_a_folder_exchanged_after_it_was_opened_is_not_met(run: Path) -> None:
    elsewhere = run.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "3-1").write_bytes(b"other")
    with RunFolder(run) as reader:
        assert reader.proof(3, 1) == b"proof"
        (run / "proofs").rename(run / "real")
        (run / "proofs").symlink_to(elsewhere)
        assert reader.proof(3, 1) == b"proof"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../log/checkpoint", "/etc/passwd", ".hidden", "a\0b", "a" * 101, "ä", "a\n"]
)
def test_a_name_that_leaves_the_folder_is_refused(run: Path, name: str) -> None:
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="not the name of a published file"):
        reader.model_file(name)


def test_artefacts_that_are_there_are_named_and_read(run: Path) -> None:
    with RunFolder(run) as reader:
        assert reader.artefact_names() == ["config.toml", "hashes.json"]
        assert [reader.artefact(name) for name in reader.artefact_names()] == [b"config", b"hashes"]


def test_an_artefact_that_is_a_link_to_nothing_is_named_so_that_reading_it_fails(run: Path) -> None:
    (run / "environment.json").symlink_to(run / "missing")
    with RunFolder(run) as reader:
        assert "environment.json" in reader.artefact_names()
        with pytest.raises(VerificationError, match="it is a link"):
            reader.artefact("environment.json")


@pytest.mark.parametrize("name", ["private/header", "log/checkpoint", "other.json", "../run/config.toml", ""])
def test_what_is_no_artefact_is_not_read_as_one(run: Path, name: str) -> None:
    with RunFolder(run) as reader, pytest.raises(VerificationError, match="is not a file at a run's top level"):
        reader.artefact(name)


def test_files_have_limits(run: Path) -> None:
    with RunFolder(run) as reader:
        assert reader.proof(3, 1, limit=5) == b"proof"
        with pytest.raises(VerificationError, match="too large"):
            reader.proof(3, 1, limit=4)
        with pytest.raises(VerificationError, match="too large"):
            reader.model_file("weights.i64.safetensors", limit=6)
        with pytest.raises(VerificationError, match="too large"):
            reader.artefact("config.toml", limit=5)
        (run / "log" / "checkpoint").write_bytes(bytes(64 * 1024 + 1))
        with pytest.raises(VerificationError, match="too large"):
            reader.checkpoint()


def test_nothing_is_read_after_closing(run: Path) -> None:
    reader = RunFolder(run)
    reader.checkpoint()
    reader.close()
    reader.close()
    for read in (reader.checkpoint, reader.artefact_names):
        with pytest.raises(VerificationError, match="can't be read"):
            read()


def test_a_log_is_found_among_thousands_of_other_names(run: Path) -> None:
    """Whatever order the file system lists them in."""
    for i in range(3000):
        (run / "log" / f"other-{i}").touch()
    with RunFolder(run) as reader:
        assert reader.has_log()
    (run / "log/records.jsonl").unlink()
    with RunFolder(run) as reader:
        assert reader.has_log()
    (run / "log/checkpoint").unlink()
    with RunFolder(run) as reader:
        assert not reader.has_log()


@pytest.mark.parametrize("path", ["proofs/0-0", "log/checkpoint", "log/records.jsonl"])
def test_a_disk_that_fails_while_a_file_is_read_is_told_of_that_file(
    run: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def read(self, *size: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        readline = read

    with RunFolder(run) as files:
        monkeypatch.setattr(files, "opened", lambda path, limit: contextlib.nullcontext(Failing()))
        with pytest.raises(UnreadableError, match=f"{path} can't be read: {os.strerror(errno.EIO)}"):
            files.leaves() if path.endswith("jsonl") else files.read(path, 100)


def test_a_file_that_grew_since_it_was_measured_is_read_no_further_than_its_bound(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder(run) as files:
        monkeypatch.setattr(files, "opened", lambda path, limit: contextlib.nullcontext(io.BytesIO(bytes(101))))
        for reading in (files.read, files.digest):
            with pytest.raises(VerificationError, match=r"proofs/0-0 is too large .*at most 100 bytes"):
                reading("proofs/0-0", 100)
