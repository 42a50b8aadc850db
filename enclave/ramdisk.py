"""A folder as a ramdisk for Linux: a cpio archive in the form "newc", the same for the same files.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux. Nothing of the machine
goes in: names in the order of their bytes, inode numbers counted, times zero, everything root's,
hard links written as separate files. It is not compressed: two versions of a compressor differ.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_TRAILER = b"TRAILER!!!"
_CHUNK = 2**20


def write_ramdisk(root: Path, out: BinaryIO) -> None:
    """Writes what lies in `root`, and `root` itself, into `out`. ValueError for a file that is none
    of regular, folder and link."""
    for number, (name, path) in enumerate(_entries(root), 1):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                _write(out, name, number, status.st_mode, status.st_size, file)
        elif stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(path))
            _write(out, name, number, stat.S_IFLNK | 0o777, len(target), target)
        elif stat.S_ISDIR(status.st_mode):
            # The root's mode is that of whoever made the folder.
            mode = status.st_mode if name != b"." else stat.S_IFDIR | 0o755
            _write(out, name, number, mode, 0, b"")
        else:
            raise ValueError(f"{path} is neither a file, a folder nor a link")
    _write(out, _TRAILER, 0, 0, 0, b"")
    _pad(out, 512)


def _entries(root: Path) -> Iterator[tuple[bytes, Path]]:
    """Names and paths, a folder before what is in it."""
    found = {b".": root}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            found[os.fsencode(path.relative_to(root))] = path
    return iter(sorted(found.items(), key=lambda entry: entry[0].split(b"/") if entry[0] != b"." else []))


def _write(out: BinaryIO, name: bytes, number: int, mode: int, size: int, content: bytes | BinaryIO) -> None:
    # inode, mode, owner, group, links, time, size, two numbers each of the device that it is on and
    # of the one that it is, length of the name, checksum
    fields = (number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0)
    out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0")
    _pad(out, 4)
    if isinstance(content, bytes):
        out.write(content)
    else:
        left = size
        while chunk := content.read(_CHUNK):
            left -= len(chunk)
            out.write(chunk)
        if left:
            raise ValueError(f"{os.fsdecode(name)} changed while it was read")
    _pad(out, 4)


def _pad(out: BinaryIO, unit: int) -> None:
    out.write(bytes(-out.tell() % unit))
