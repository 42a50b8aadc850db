"""What the auditor names, and where its evidence is found: beside it, named, or not at all."""

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tests.verify.run_builder import honest
from zk_autograd.cli import run as zk_run
from zk_autograd.core.errors import UsageError
from zk_autograd.evidence.finding import MAX_NAMES, Subject, find, is_run
from zk_autograd.evidence.opening import open_run

FLOATS = "weights.f32.safetensors"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return honest("none").write(tmp_path / "runs" / "one")


def digest(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()


def test_a_run_and_a_bundle_are_their_own_evidence(run: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "one.bundle"
    assert zk_run.main(["bundle", str(run), "--out", str(bundle)]) == 0
    for path in (run, bundle):
        found = find(path)
        assert (found.run, found.how, found.subjects) == (path, "given", ())


def test_a_published_file_is_found_in_its_run_whatever_lies_around(run: Path) -> None:
    shutil.copytree(run, run.parent / "two")
    for name in (f"model/{FLOATS}", "config.toml"):
        (run / name).touch()
        found = find(run / name)
        assert (Path(found.run).resolve(), found.how) == (run, "beside")
        assert found.subjects == (Subject(Path(name).name, digest(run / name)),)
    found = find(run / "model")
    assert Path(found.run).resolve() == run
    assert [subject.name for subject in found.subjects] == sorted(os.listdir(run / "model"))


@pytest.mark.parametrize("where", ["beside", "above"])
@pytest.mark.parametrize("form", ["folder", "bundle"])
def test_a_downloaded_file_has_its_evidence_beside_it_or_one_folder_above(
    run: Path, tmp_path: Path, where: str, form: str
) -> None:
    folder = tmp_path / "download" / "weights"
    folder.mkdir(parents=True)
    shutil.copy(run / "model" / FLOATS, folder / "renamed.safetensors")
    there = (folder if where == "beside" else folder.parent) / "evidence"
    if form == "folder":
        shutil.copytree(run, there)
    else:
        assert zk_run.main(["bundle", str(run), "--out", str(there)]) == 0
    found = find(folder / "renamed.safetensors")
    assert (Path(found.run).resolve(), found.how) == (there, "beside")
    assert found.subjects == (Subject("renamed.safetensors", digest(run / "model" / FLOATS)),)
    if where == "above" or form == "bundle":
        shutil.rmtree(there) if form == "folder" else there.unlink()
    else:
        shutil.rmtree(there)
    with pytest.raises(UsageError, match="holds a run or a bundle"):
        find(folder / "renamed.safetensors")


def test_the_current_folder_is_not_searched(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(run / "model" / FLOATS, tmp_path / "far.safetensors")
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "far.safetensors").rename(tmp_path / "x" / "y" / "far.safetensors")
    monkeypatch.chdir(run)
    with pytest.raises(UsageError, match="--from RUN"):
        find(tmp_path / "x" / "y" / "far.safetensors")
    found = find(tmp_path / "x" / "y" / "far.safetensors", run)
    assert (found.run, found.how) == (run, "from")


def test_nothing_is_chosen_between_two(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "download"
    folder.mkdir()
    shutil.copy(run / "model" / FLOATS, folder)
    shutil.copytree(run, folder / "a")
    find(folder / FLOATS)
    shutil.copytree(run, tmp_path / "b")  # one beside it, one above
    with pytest.raises(UsageError, match="several beside it"):
        find(folder / FLOATS)
    assert find(folder / FLOATS, tmp_path / "b").run == tmp_path / "b"


def test_a_run_with_a_source_is_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="is a run: with --from"):
        find(run, run)


def test_a_link_in_a_folder_of_weights_is_no_file_and_a_harmless_name_is_left_out(run: Path, tmp_path: Path) -> None:
    (run / "model" / "more.bin").symlink_to(run / "model" / FLOATS)
    (run / "model" / "README.md").write_text("x")
    (run / "model" / "sub").mkdir()
    named = {subject.name: subject.digest for subject in find(run / "model").subjects}
    assert named["more.bin"] is None and named["sub"] is None and named[FLOATS] is not None
    assert "README.md" not in named


def test_a_file_that_the_auditor_names_by_a_link_is_read_and_searched_where_it_was_named(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "link").symlink_to(run / "model" / FLOATS)
    with pytest.raises(UsageError, match="holds a run or a bundle"):
        find(folder / "link")  # not in the folder that the link leads to
    assert find(folder / "link", run).subjects == (Subject("link", digest(run / "model" / FLOATS)),)


def test_what_is_no_file_is_refused(tmp_path: Path, run: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "nothing", Path("/dev/zero")):
        with pytest.raises(UsageError):
            find(path, run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty folder"):
        find(tmp_path / "empty", None)
    with pytest.raises(UsageError, match="holds no file"):
        find(tmp_path / "empty", run)


def test_a_folder_with_too_many_names_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_NAMES >= 1000
    monkeypatch.setattr("zk_autograd.evidence.finding.MAX_NAMES", 20)
    for i in range(21):
        (tmp_path / f"{i}.bin").touch()
    with pytest.raises(UsageError, match="more than 20 names"):
        find(tmp_path / "0.bin")
    with pytest.raises(UsageError, match="more than 20 names"):
        find(tmp_path, tmp_path)


def test_a_log_in_whatever_state_makes_a_run(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    assert not is_run(tmp_path)
    (tmp_path / "log" / "checkpoint").touch()
    assert is_run(tmp_path)


def test_a_file_called_log_beside_an_artefact_makes_no_run_of_its_folder(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "download" / "weights"
    folder.mkdir(parents=True)
    shutil.copy(run / "model" / FLOATS, folder)
    shutil.copytree(run, folder / "evidence")
    for place in (folder, folder.parent):
        (place / "log").write_text("what some program said")
    assert Path(find(folder / FLOATS).run) == folder / "evidence"
    shutil.rmtree(folder / "evidence")
    with pytest.raises(UsageError, match="holds a run or a bundle"):
        find(folder / FLOATS)
    (folder / "log").unlink()
    (folder / "log").symlink_to(run / "log")  # in a log's place: to be judged, and refused
    assert find(folder / FLOATS).run == folder


@pytest.mark.parametrize("form", ["folder", "bundle"])
def test_a_folder_that_holds_its_evidence_is_its_other_files(run: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "download"
    folder.mkdir()
    shutil.copy(run / "model" / FLOATS, folder)
    evidence = folder / "evidence"
    if form == "folder":
        shutil.copytree(run, evidence)
    else:
        assert zk_run.main(["bundle", str(run), "--out", str(evidence)]) == 0
    for found in (find(folder), find(folder, evidence)):
        assert [subject.name for subject in found.subjects] == [FLOATS]
    assert [subject.name for subject in find(folder, run).subjects] == ["evidence", FLOATS]


@pytest.mark.parametrize("name", ["log", "log/records.jsonl", "proofs/0-0", "private/x"])
def test_a_part_of_a_run_is_no_published_file(run: Path, name: str) -> None:
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).touch() if "/" in name else None
    with pytest.raises(UsageError, match="is a part of the run"):
        find(run / name)


def test_an_empty_text_is_not_the_current_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    for target, source in (("", None), (f"model/{FLOATS}", "")):
        with pytest.raises(UsageError, match="an empty text"):
            find(target, source)
    with pytest.raises(UsageError, match="an empty text"):
        open_run("")
