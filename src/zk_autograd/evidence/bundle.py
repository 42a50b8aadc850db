"""A bundle: the public files of a run in one tar archive, and nothing else.

It is a ustar archive (POSIX.1-1988) in one form only, which any tar reads: regular files, sorted by
name, each name one that a run's layout has (evidence.layout.is_public); mode 0644, owner 0, time 0;
zeros up to the next multiple of 512 after each; two blocks of zeros, and the end. A header is a
function of name and size. So the reader rebuilds each header and compares bytes: links, devices,
holes, extensions, paths that lead elsewhere, a name given twice and bytes after the end are all
refused, none as a special case.

The bytes depend on the files' contents alone. A file of more than 8 GiB - 1 byte doesn't fit a
ustar header.
"""

import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.text import quoted
from zk_autograd.evidence.beside import Entry, EntryKind
from zk_autograd.evidence.files import unreadable
from zk_autograd.evidence.layout import CHECKPOINT, LOG, RECORDS, is_public
from zk_autograd.evidence.run import Evidence
from zk_autograd.evidence.source import LocalFile, Place, Source, reader

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_MEMBER = 8**11 - 1
"""Bytes of a file, at most: eleven octal digits."""

MAX_MEMBERS = 2**20

_NAME = slice(0, 100)
_SIZE = slice(124, 135)
_CHECKSUM = slice(148, 156)
_PREFIX = slice(345, 500)
_MAGIC = slice(257, 262)
_COMPRESSED = {
    b"\x1f\x8b": "it is gzip-compressed: unpack it with gunzip",
    b"PK\3\4": "it is a zip archive: unpack it with unzip",
    b"PK\5\6": "it is an empty zip archive",
    b"BZh": "it is bzip2-compressed: unpack it with bunzip2",
    b"\xfd7zXZ\0": "it is xz-compressed: unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "it is zstd-compressed: unpack it with unzstd",
    b"7z\xbc\xaf\x27\x1c": "it is a 7-Zip archive: unpack it with 7z x",
}
_OCTAL = frozenset(b"01234567")


def header(name: str, size: int) -> bytes:
    """The block before a file's bytes. ValueError unless `name` is public, and `size` fits."""
    if not is_public(name) or not 0 <= size <= MAX_MEMBER:
        raise ValueError("no file of a bundle")
    prefix, last = ("", name) if len(name) <= 100 else name.rsplit("/", 1)
    fields = (
        last.encode().ljust(100, b"\0"),
        b"0000644\0",  # mode
        b"0000000\0" * 2,  # owner and group
        b"%011o\0" % size,
        b"00000000000\0",  # time
        b" " * 8,  # stands here while the checksum is computed
        b"0",  # a regular file
        bytes(100),  # linked to nothing
        b"ustar\x0000",
        bytes(64),  # names of owner and group
        b"0000000\0" * 2,  # device
        prefix.encode().ljust(155, b"\0"),
        bytes(12),
    )
    block = b"".join(fields)
    return block[: _CHECKSUM.start] + b"%06o\0 " % sum(block) + block[_CHECKSUM.stop :]


def padding(size: int) -> int:
    """How many zeros follow a file of `size` bytes."""
    return -size % BLOCK


class Bundle(Evidence):
    """The public files of a run in a bundle.

    The archive is scanned at the first read, which raises VerificationError if it is not a bundle
    from its first byte to its last; its files' contents are read when asked for.
    """

    def __init__(self, where: Path | Source) -> None:
        """Opens the bundle at a path, or one that is read from a source and closed with it.
        UsageError if there is no file there, or one that is not a bundle; UnreadableError if this
        machine can't open it."""
        self._source = LocalFile(where) if isinstance(where, Path) else where
        self._members: dict[str, Place] | None = None
        try:
            other = _other_than_a_bundle(self._source.read_at(0, min(self._source.size, BLOCK)))
        except VerificationError:
            self.close()
            raise
        if other is not None:
            self.close()
            raise UsageError(f"{self._source.name} is neither a run nor a bundle: {other}")

    def close(self) -> None:
        self._source.close()

    def has_log(self) -> bool:
        """As Evidence's. A malformed bundle is to be judged, and so refused."""
        try:
            index = self._index()
        except UnreadableError:
            raise
        except VerificationError:
            return True
        return f"{LOG}/{RECORDS}" in index or f"{LOG}/{CHECKPOINT}" in index

    def has(self, path: str) -> bool:
        return path in self._index()

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        for path in self._index():
            parent, _, name = path.rpartition("/")
            if parent == folder:
                yield Entry(name, EntryKind.FILE)

    def opened(self, path: str, limit: int) -> BinaryIO:
        return reader(self._source, self._place(path, limit))

    def names(self) -> list[str]:
        """Everything that is in the bundle, in order."""
        return list(self._index())

    def _place(self, name: str, limit: int) -> Place:
        place = self._index().get(name)
        if place is None:
            raise VerificationError(f"{name} can't be read: it is not in the bundle")
        if place.size > limit:
            raise VerificationError(f"{name} is too large", expected=f"at most {limit} bytes", found=str(place.size))
        return place

    def _index(self) -> dict[str, Place]:
        if self._members is None:
            self._members = self._looked_over()
        return self._members

    def _looked_over(self) -> dict[str, Place]:
        """Where each file lies. All but the contents is read, and must be what the writer would
        write."""
        members: dict[str, Place] = {}
        last, at = "", 0
        block = self._source.read_at(0, BLOCK)
        while block != END[:BLOCK]:
            name, size = _named(block, at)
            if name <= last:
                raise VerificationError(
                    "the files of the bundle are not in order", expected=f"after {last}", found=name
                )
            if len(members) == MAX_MEMBERS:
                raise VerificationError(
                    "the bundle holds too many files", expected=f"at most {MAX_MEMBERS}", found="more"
                )
            start = at + BLOCK
            members[name] = Place(start, size)
            zeros = padding(size)
            at = start + size + zeros
            if at + len(END) > self._source.size:
                raise VerificationError(
                    "the bundle ends early", expected=f"the {size} bytes of {name}", found="its end"
                )
            ahead = self._source.read_at(at - zeros, zeros + BLOCK)
            if any(ahead[:zeros]):
                raise VerificationError(f"bytes other than zeros follow {name} in the bundle")
            last, block = name, ahead[zeros:]
        if self._source.size != at + len(END) or self._source.read_at(at, len(END)) != END:
            raise VerificationError(
                "the bundle does not end where it should",
                expected=f"{at + len(END)} bytes",
                found=f"{self._source.size} bytes",
            )
        return members


def other_than_a_bundle(path: Path) -> str | None:
    """What the file at `path` is, and what to do about it; None if it begins like a bundle,
    whatever follows. UnreadableError if this machine can't read it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _other_than_a_bundle(os.read(fd, BLOCK)) if stat.S_ISREG(os.fstat(fd).st_mode) else "it is no file"
        finally:
            os.close(fd)
    except OSError as error:
        found = unreadable(path, error)
        if isinstance(found, UnreadableError):
            raise found from error
        return "it is no file"


def _other_than_a_bundle(start: bytes) -> str | None:
    """What a file that begins with these bytes is, and what to do about it; None if it begins like
    a bundle, whatever follows."""
    if not start:
        return "it is empty"
    for magic, what in _COMPRESSED.items():
        if start.startswith(magic):
            return what
    if len(start) < BLOCK:
        return "it is too short"
    if start == END[:BLOCK]:
        return None
    if start[_MAGIC] != b"ustar":
        return (
            "it is not a tar archive; `zk-run bundle RUN` makes a bundle, and a run is a folder that a training wrote"
        )
    if not is_public(_name(start)):
        return (
            "it is a tar archive, but begins with a file that no bundle has; if it holds a run, unpack it and give the run's folder, or pack that "
            "with `zk-run bundle RUN`"
        )
    return None


def _name(block: bytes) -> str:
    prefix, last = (block[part].rstrip(b"\0") for part in (_PREFIX, _NAME))
    return (prefix + b"/" * bool(prefix) + last).decode("latin-1")


def _named(block: bytes, at: int) -> tuple[str, int]:
    """Name and size of a file from the header block before it, which is at `at`."""
    name, digits = _name(block), block[_SIZE]
    if set(digits) <= _OCTAL and is_public(name):
        size = int(digits, 8)
        if header(name, size) == block:
            return name, size
    raise VerificationError(
        f"the header at byte {at} is not a bundle's",
        expected="a public file of a run, in the one form that a bundle has",
        found=quoted(name),
    )
