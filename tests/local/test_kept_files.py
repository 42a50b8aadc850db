"""Files that a command keeps for its next time."""

import errno
import os
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.local.kept_files import write_at, write_over


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    (tmp_path / "old").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for name in ("old", "new"):
            with pytest.raises(StorageError, match="no space"):
                write_over(tmp_path / name, b"new", "it")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old", b"old")]
    write_over(tmp_path / "old", b"new", "it")
    assert (tmp_path / "old").read_bytes() == b"new"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_over(tmp_path / "none" / "file", b"", "it")


def test_appended_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_at(path, 0, b"abcdef", "it")
    write_at(path, 3, b"x", "it")
    assert path.read_bytes() == b"abcx"
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(UsageError):
        write_at(path, 0, b"", "it")
    assert not (tmp_path / "elsewhere").exists()
