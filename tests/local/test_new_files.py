"""Files that a user asked for: new ones, whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.local import new_files
from zk_autograd.local.new_files import new_file, private_file, require_new, require_outside, write_new


def test_a_new_file_is_whole_and_alone(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"x" * 10_000, "--out")
    assert (tmp_path / "a").read_bytes() == b"x" * 10_000
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "broken link", "pipe"])
def test_nothing_that_exists_is_replaced(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    other.write_bytes(b"other")
    if kind == "file":
        path.write_bytes(b"mine")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(other if kind == "link" else tmp_path / "none")
    before = path.lstat()
    with pytest.raises(UsageError, match="exists, and is not overwritten"):
        require_new(path, "--out")
    with pytest.raises(UsageError, match="can't be written"):  # it came after the first look
        write_new(path, b"new", "--out")
    assert path.lstat() == before and other.read_bytes() == b"other"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_place_that_isn_t_there_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "a", tmp_path / "file" / "a", tmp_path / "x\0"):
        with pytest.raises(UsageError, match="can't be made"):
            require_new(path, "--out")


def test_a_file_inside_the_run_is_refused(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "run2"
    (run / "model").mkdir(parents=True)
    other.mkdir()
    (other / "in").symlink_to(run)
    (other / "model").symlink_to(run / "model")
    for path in (run / "a", run / "model" / "a", run / "model" / ".." / "a", other / "in" / "a", other / "model" / "a"):
        with pytest.raises(UsageError, match="because"):
            require_outside(path, run, "--out", "because")
    for path in (other / "a", tmp_path / "a"):
        require_outside(path, run, "--out", "because")
    require_outside(tmp_path / "a", tmp_path / "bundle.tar", "--out", "because")


def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(StorageError, match="can't be written"):
        write_new(small_disk / "a", bytes(2 * 2**20), "--out")
    assert os.listdir(small_disk) == []


def test_where_there_are_no_links_it_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", no_link)
    write_new(tmp_path / "a", b"x", "--out")
    assert (tmp_path / "a").read_bytes() == b"x"
    with pytest.raises(UsageError):
        write_new(tmp_path / "a", b"y", "--out")
    assert (tmp_path / "a").read_bytes() == b"x" and os.listdir(tmp_path) == ["a"]


def test_a_file_that_is_written_piece_by_piece_is_whole_or_none(tmp_path: Path) -> None:
    with new_file(tmp_path / "a", "--out", 0o600) as file:
        file.write(b"one, ")
        assert not (tmp_path / "a").exists()
        file.write(b"two")
    assert (tmp_path / "a").read_bytes() == b"one, two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError, match="in between"), new_file(tmp_path / "b", "--out") as file:
        file.write(b"one, ")
        raise RuntimeError("in between")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_there_are_no_links_nothing_is_replaced_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    write_new(tmp_path / "a", b"one", "--out")
    assert (tmp_path / "a").read_bytes() == b"one"
    with pytest.raises(UsageError, match="File exists"):
        write_new(tmp_path / "a", b"two", "--out")
    assert (tmp_path / "a").read_bytes() == b"one" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("nameless", [True, False])
def test_a_private_file_has_no_name_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    if not nameless:  # as where a file system knows no such files
        monkeypatch.setattr(new_files, "_nameless", lambda folder: None)
    with private_file(tmp_path / "a", "--out") as file:
        file.write(b"secret")
        assert nameless is (os.listdir(tmp_path) == [])
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"secret" and os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="File exists"), private_file(tmp_path / "a", "--out") as file:
        file.write(b"other")
    assert (tmp_path / "a").read_bytes() == b"secret"
    with pytest.raises(RuntimeError), private_file(tmp_path / "b", "--out") as file:
        file.write(b"other")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["a"]
    with pytest.raises(UsageError, match="can't be written"), private_file(tmp_path / "none" / "a", "--out"):
        pass


@pytest.mark.parametrize("links", [True, False])
def test_what_is_written_piece_by_piece_has_its_name_at_the_end(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system has no hard links."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with new_file(tmp_path / "a", "--out") as file:
        file.write(b"x" * 10_000)
        assert not (tmp_path / "a").exists()
        file.seek(0)
        file.write(b"y")
    assert (tmp_path / "a").read_bytes() == b"y" + b"x" * 9_999
    with pytest.raises(UsageError, match="can't be written"), new_file(tmp_path / "a", "--out") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").stat().st_size == 10_000


def test_nothing_is_left_of_what_failed_in_the_middle(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "a", "--out") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
