"""Temporary files lie where nobody but the caller can exchange them, and never where the caller
happens to stand."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.local.own_folders import temporary_folder


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python remembers the temporary folder that it found first."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)


def made(place: Path | None = None) -> Path:
    with temporary_folder("zk-", place) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.is_absolute()
        assert not list(folder.iterdir())
    assert not folder.exists()
    return folder


@pytest.mark.usefixtures("asked_anew")
def test_it_lies_in_the_systems_folder_or_in_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made().parent in (Path("/tmp"), Path("/var/tmp"))
    monkeypatch.chdir(tmp_path)
    assert made(Path()).parent == tmp_path
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert made().parent == tmp_path


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("name", ["TMPDIR", "TEMP", "TMP"])
def test_a_relative_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, ".")
    with (
        pytest.raises(UsageError, match=rf"{name} is '\.', which depends on the current folder: set TMPDIR"),
        temporary_folder("zk-"),
    ):
        pass


@pytest.mark.usefixtures("asked_anew")
def test_none_is_made_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [os.getcwd()])  # nothing else can be written
    with pytest.raises(UsageError, match="none is made in the current one"), temporary_folder("zk-"):
        pass


@pytest.mark.usefixtures("asked_anew")
def test_a_folder_that_others_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(shared / "mine"))
    assert made().parent == shared / "mine"
    for mode, words in ((0o777, "is open to everybody"), (0o775, "is open to group 4242")):
        if mode == 0o775 and os.geteuid() != 0:
            continue  # only root gives a folder to any group
        os.chown(shared, -1, 4242) if mode == 0o775 else None
        shared.chmod(mode)
        with (
            pytest.raises(UsageError, match=f"where others can exchange them .{shared} {words}"),
            temporary_folder("zk-"),
        ):
            pass
    shared.chmod(0o1777)  # sticky: nobody else can exchange what is mine
    assert made().parent == shared / "mine"


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_a_folder_of_another_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 4242, -1)
    monkeypatch.setenv("TMPDIR", str(theirs))
    with pytest.raises(UsageError, match="belongs to user 4242"), temporary_folder("zk-"):
        pass


SCRIPT = """
import os, sys
from pathlib import Path
from zk_autograd.local.own_folders import temporary_folder
folder = temporary_folder("zk-")
path = folder.__enter__()
(path / "witness").touch()
if (child := os.fork()) == 0:
    sys.exit()
assert os.waitpid(child, 0) == (child, 0)
assert (path / "witness").exists()
print(path)
"""


def test_a_folder_is_removed_at_the_end_of_the_process_that_made_it_and_not_of_its_forked_child(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []
