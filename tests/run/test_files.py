"""File primitives: what is on disk after a write that worked, one that failed, one that was
interrupted; reads that are refused."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.evidence.files import open_bounded, open_folder, read_bounded
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, names_in

FILES = Files()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_makes_and_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    FILES.write_atomic(path, b"old", PRIVATE_FILE)
    assert mode_of(path) == 0o600
    FILES.write_atomic(path, b"new one", 0o640)
    assert (path.read_bytes(), mode_of(path)) == (b"new one", 0o640)
    assert names_in(tmp_path) == ["file"]


def test_a_file_is_durable_before_it_gets_its_name_and_its_folder_after(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[tuple[bytes, bytes]] = []

    def fsync(fd: int) -> None:
        content = b"folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else Path(f"/proc/self/fd/{fd}").read_bytes()
        seen.append((content, path.read_bytes()))

    Files(fsync).write_atomic(path, b"new")
    assert seen == [(b"new", b"old"), (b"folder", b"new")]


@pytest.mark.parametrize(
    ("write", "synced"),
    [
        (lambda files, path: files.append(path, b"x"), "file"),
        (lambda files, path: files.truncate(path, 1), "file"),
        (lambda files, path: files.remove(path), "folder"),
        (lambda files, path: files.make_dir(path.with_name("new")), "folder"),
        (lambda files, path: files.make_private_dir(path.with_name("new")), "folder"),
    ],
    ids=["append", "truncate", "remove", "make_dir", "make_private_dir"],
)
def test_every_other_write_is_durable_too(tmp_path: Path, write: Callable[[Files, Path], None], synced: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[str] = []
    write(Files(lambda fd: seen.append(os.readlink(f"/proc/self/fd/{fd}"))), path)
    assert seen == [str(path if synced == "file" else tmp_path)]


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fsync(fd: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RunError, match=r"file could not be written: No space left on device; free some space"):
        Files(fsync).write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_folder_that_could_not_be_made_durable_is_not_left_behind(tmp_path: Path) -> None:
    def fsync(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(RunError, match="check the disk"):
        Files(fsync).make_dir(tmp_path / "new")
    assert names_in(tmp_path) == []


def test_what_a_crash_left_under_the_temporary_name_is_not_followed_and_does_no_harm(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / ".file.tmp").symlink_to(other)
    FILES.write_atomic(tmp_path / "file", b"new", PRIVATE_FILE)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert other.read_bytes() == b"precious"
    (tmp_path / ".file.tmp").write_bytes(b"half")
    (tmp_path / ".file.tmp").chmod(0o644)
    FILES.write_atomic(tmp_path / "file", b"newer", PRIVATE_FILE)
    assert mode_of(tmp_path / "file") == 0o600


def test_append_truncate_and_remove(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab")
    FILES.append(path, b"cd")
    assert path.read_bytes() == b"abcd"
    FILES.truncate(path, 3)
    assert path.read_bytes() == b"abc"
    FILES.remove(path)
    assert not exists(path)


def test_append_makes_no_file_and_follows_no_link(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        FILES.append(tmp_path / "missing", b"x")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(RunError, match="could not be appended to"):
        FILES.append(tmp_path / "link", b"x")


def test_append_to_a_full_disk_is_a_run_error() -> None:
    with pytest.raises(RunError, match="/dev/full could not be appended to: No space left on device; free some space"):
        FILES.append(Path("/dev/full"), b"x")


def test_private_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    FILES.make_private_dir(tmp_path / "new")
    (tmp_path / "old").mkdir(0o755)
    FILES.make_private_dir(tmp_path / "old")
    assert [mode_of(tmp_path / name) for name in ("new", "old")] == [0o700, 0o700]


def test_new_folder_is_made_with_its_parents_and_nothing_may_stand_in_its_place(tmp_path: Path) -> None:
    FILES.make_dir(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("a", "a/b", "file", "link", "file/below"):
        with pytest.raises(RunError, match="already exists; choose another place"):
            FILES.make_dir(tmp_path / name)


def test_missing_things_are_run_errors(tmp_path: Path) -> None:
    for write in (FILES.remove, lambda path: FILES.truncate(path, 0), lambda path: FILES.write_atomic(path / "x", b"")):
        with pytest.raises(RunError, match="No such file or directory"):
            write(tmp_path / "missing")
    with pytest.raises(RunError, match=r"missing can.t be listed: No such file"):
        names_in(tmp_path / "missing")


def test_exists_sees_links_to_nothing_and_says_when_it_cannot_know(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert exists(tmp_path / "link")
    assert not exists(tmp_path / "link" / "below")
    with pytest.raises(RunError, match="choose a shorter path"):
        exists(tmp_path / ("x" * 300))


def test_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file"
    FILES.write_atomic(path, b"old")
    with pytest.raises(RunError, match="No space left on device; free some space"):
        FILES.write_atomic(path, bytes(2**21))
    assert path.read_bytes() == b"old"
    FILES.write_atomic(path, bytes(2**19))  # the space of the failed one is free again
    assert names_in(small_disk) == ["file"]


def test_read_takes_exactly_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcd")
    assert read_bounded(path, 4) == b"abcd"
    with pytest.raises(VerificationError, match="too large"):
        read_bounded(path, 3)


def test_read_counts_what_it_reads_not_what_the_size_says() -> None:
    path = Path("/proc/version")  # of size 0
    size = len(path.read_bytes())
    assert path.stat().st_size == 0
    assert len(read_bounded(path, size)) == size
    with pytest.raises(VerificationError, match="too large"):
        read_bounded(path, size - 1)


def test_a_file_that_is_too_large_is_not_even_begun(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcd")
    with pytest.raises(VerificationError, match="too large"), open_bounded(tmp_path / "file", 3):
        raise AssertionError


def test_read_refuses_links_pipes_folders_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        "link": "it is a link",
        "folder": "not a regular file",
        "pipe": "not a regular file",
        "gone": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(VerificationError, match=reason):
            read_bounded(tmp_path / name, 100)


def test_folder_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.close(open_folder(tmp_path / "folder"))
    with pytest.raises(VerificationError, match="link can't be read"):
        open_folder(tmp_path / "link")


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcd")
    before = names_in(Path("/proc/self/fd"))
    read_bounded(tmp_path / "file", 4)
    for name in ("file", "gone", ""):
        with pytest.raises(VerificationError):
            read_bounded(tmp_path / name, 3)
    assert len(names_in(Path("/proc/self/fd"))) == len(before)
