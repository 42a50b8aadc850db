"""Ramdisks: cpio, the program, reads them; and nothing of the machine is in them."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from enclave.ramdisk import write_ramdisk


def tree(root: Path, order: int = 1) -> Path:
    names = ["b", "a/x", "a.b", "a/y/z", "sub/é"]
    for name in names[::order]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    (root / "a" / "x").chmod(0o755)
    (root / "a" / "link").symlink_to("../b")
    (root / "empty").mkdir()
    return root


def packed(root: Path) -> bytes:
    out = io.BytesIO()
    write_ramdisk(root, out)
    return out.getvalue()


def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("there is no cpio here (make test-enclave-tools)")
    archive = packed(tree(tmp_path / "in"))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "--extract", "--quiet", "--make-directories"], input=archive, cwd=out, check=True)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == sorted(
        path.relative_to(tmp_path / "in") for path in (tmp_path / "in").rglob("*")
    )
    for path in (tmp_path / "in").rglob("*"):
        copy = out / path.relative_to(tmp_path / "in")
        assert copy.lstat().st_mode == path.lstat().st_mode
        if path.is_symlink():
            assert os.readlink(copy) == os.readlink(path)
        elif path.is_file():
            assert copy.read_bytes() == path.read_bytes()


def test_names_come_in_order_a_folder_before_what_is_in_it(tmp_path: Path) -> None:
    found = packed(tree(tmp_path / "in"))
    names = [b".", b"a", b"a/link", b"a/x", b"a/y", b"a/y/z", b"a.b", b"b", b"empty", b"sub", "sub/é".encode()]
    places = [found.index(b"\0" * 0 + b"00000000" + name + b"\0") for name in (*names, b"TRAILER!!!")]
    assert places == sorted(places)


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two", order=-1)
    os.link(one / "b", tmp_path / "a second name")  # links and times are the machine's
    os.utime(two / "b", (1, 1))
    assert packed(one) == packed(two)
    one.chmod(0o700)  # the root's is of the builder's umask
    assert packed(one) == packed(two)
    (two / "b").chmod(0o600)
    assert packed(one) != packed(two)


def test_owners_and_times_are_nobody_s(tmp_path: Path) -> None:
    """Inode, mode, owner, group, links, time, size, four numbers of devices, the name's length."""
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "f").chmod(0o644)
    found = packed(tmp_path)
    entry = found[found.index(b"f\0abc") - 110 :]
    fields = [int(entry[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
    assert fields == [2, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 2, 0]
    assert len(found) % 512 == 0


def test_what_is_neither_file_folder_nor_link_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="neither a file, a folder nor a link"):
        packed(tmp_path)
