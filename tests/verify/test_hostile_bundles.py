"""A stranger's bundle, judged by the command: never a traceback, never more than its run would
show, and no length that lies costs anything."""

import os
from pathlib import Path

import pytest

from tests.evidence.bundles import packed
from tests.evidence.test_hostile_bundle import HOSTILE
from tests.verify.hostile import FAILED, FLAGS, LESS, SHOWN, USAGE, said, sparse, step_of, within
from tests.verify.run_builder import SRS, Run, honest, stand_ins
from zk_autograd.core.errors import VerificationError
from zk_autograd.evidence.bundle import BLOCK, END, Bundle, header, padding
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.verifier import Verifier


@pytest.fixture
def run() -> Run:
    return honest("none")


def files_of(run: Run, folder: Path) -> dict[str, bytes]:
    """The run's public files by name, in order."""
    run.write(folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_bundle_is_refused_in_step_1(tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: str) -> None:
    (tmp_path / "b.tar").write_bytes(HOSTILE[attack])
    status, report = said(capsys, tmp_path / "b.tar")
    assert status in (FAILED, USAGE)  # what has nothing of a bundle may be no run at all
    if status == FAILED:
        assert step_of(report) == 1
        assert "bundle" in report["failure"]["message"]


def test_a_bundle_cut_anywhere_is_refused(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = packed(files_of(run, tmp_path / "run"))
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    assert said(capsys, path)[0] == SHOWN
    blocks = range(BLOCK, len(data), BLOCK)
    for end in (*blocks, *(end + 1 for end in blocks[::7]), *(end - 1 for end in blocks[::7])):
        path.write_bytes(data[:end])
        status, report = said(capsys, path, *FLAGS)
        # What has not one whole header may be no bundle, but a file that no run published.
        assert (status, step_of(report)) == (FAILED, 1) or (end < BLOCK and status in (USAGE, FAILED)), end


def test_a_bundle_with_a_file_more_or_less_shows_no_more_than_its_run(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(run, tmp_path / "run")
    path = tmp_path / "b.tar"
    for name in files:
        path.write_bytes(packed({n: d for n, d in files.items() if n != name}))
        assert said(capsys, path)[0] == FAILED, name
    for name in ("config.toml", "environment.json", "model/other", "proofs/0-0", "proofs/9-9", "hashes.json"):
        path.write_bytes(packed(dict(sorted({**files, name: b"x"}.items()))))
        status, report = said(capsys, path)
        assert status in ((SHOWN, LESS) if name.startswith("proofs") else (LESS, FAILED)), name
        assert report["levels"] in (["L0"], [])


@pytest.mark.parametrize("name", ["log/checkpoint", "log/records.jsonl", "model/opening.json", "proofs/0-0"])
def test_a_member_of_2_gib_that_takes_no_room_is_not_read(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A file's length is compared with its bound before a byte of it is read."""
    files, size = files_of(run, tmp_path / "run"), 2 * 2**30 - BLOCK
    files[name] = b""
    path = tmp_path / "b.tar"
    with path.open("wb") as file:
        for member, data in sorted(files.items()):
            file.write(header(member, size if member == name else len(data)))
            file.write(data)
            file.seek(size if member == name else padding(len(data)), os.SEEK_CUR)
        file.write(END)
    with within(2**24):
        status, report = said(capsys, path)
    if name.startswith("proofs"):  # no record of this run names it
        assert status in (SHOWN, LESS, FAILED)
    else:
        assert (status, step_of(report)) == (FAILED, 10 if name.startswith("model") else 1)


def test_a_bundle_that_ends_in_a_hole_is_refused(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(packed(files_of(run, tmp_path / "run")))
    os.truncate(path, 2**40)
    with within(2**24):
        status, report = said(capsys, path)
    assert (status, step_of(report)) == (FAILED, 1)
    sparse(path, 2**40)  # from its first byte to its last
    with within(2**24):
        assert said(capsys, path)[0] in (FAILED, USAGE)


def test_a_bundle_exchanged_while_it_is_read_is_judged_by_its_hashes(tmp_path: Path) -> None:
    """What lies where a file was, when it is read, is compared with the records: the headers were
    looked at before."""
    run = honest()
    path = tmp_path / "b.tar"
    whole = packed(files_of(run, tmp_path / "run"))
    for name, step in (("proofs/1-0", 7), ("model/opening.json", 10), ("log/records.jsonl", 1), ("log/checkpoint", 1)):
        path.write_bytes(whole)
        with Bundle(path) as reader:
            place = reader._index()[name]
            with path.open("r+b") as file:
                file.seek(place.start)
                file.write(bytes(place.size))
            report = Verifier(Policy(srs=frozenset({SRS})), stand_ins()).verify(reader)
        assert report.failure is not None
        assert report.failure.step == step, str(report.failure)


def test_a_bundle_of_many_files_is_looked_over_in_bounded_memory(tmp_path: Path) -> None:
    """Names and sizes are kept, and nothing else: below a kilobyte a file."""
    count = 4000
    path = tmp_path / "b.tar"
    names = sorted(f"proofs/{i}-0" for i in range(count))
    path.write_bytes(b"".join(header(name, 0) for name in names) + END)
    with Bundle(path) as reader:
        with within(2**10 * count):
            assert len(reader.names()) == count
        with pytest.raises(VerificationError, match="not in the bundle"):
            reader.checkpoint()
