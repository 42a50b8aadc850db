"""Reading an enclave image: where its sections are. Every byte belongs to the header or to one
section; nothing is held in memory but headers and small sections.

The image's table and the headers before the sections both say where a section is. Readers differ in
which of them they follow, so both must say the same: sections follow each other in the table's
order, from the header to the file's end, without a gap or an overlap.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.text import counted
from zk_autograd.tee.eif.layout import (
    ARM64,
    CRC_BYTES,
    HEADER_BYTES,
    MAX_SECTIONS,
    SECTION_BYTES,
    Header,
    Kind,
    parse_section,
)

MAX_IMAGE = 2**34
"""Bytes of an image, 16 GiB: it is all in the enclave's memory when that starts."""

MAX_CMDLINE = 2**12
"""Bytes of a kernel's command line; Linux takes 2047 on x86-64 and aarch64."""

MAX_METADATA = 2**20
MAX_SIGNATURE = 2**18
_MOST = {Kind.CMDLINE: MAX_CMDLINE, Kind.METADATA: MAX_METADATA, Kind.SIGNATURE: MAX_SIGNATURE}
_ORDER = (Kind.KERNEL, Kind.CMDLINE, Kind.RAMDISK)
_NAMES = {
    Kind.KERNEL: "kernel",
    Kind.CMDLINE: "command line",
    Kind.RAMDISK: "ramdisk",
    Kind.SIGNATURE: "signature",
    Kind.METADATA: "metadata section",
}
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section's content begins in the file, and how many bytes it has."""

    kind: Kind
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose form and CRC are right. What it says of itself, the metadata, is not checked,
    nor measured. `sections` are in the file's order."""

    file: BinaryIO
    sections: tuple[Section, ...]
    arm64: bool
    memory: int
    cpus: int

    def all(self, kind: Kind) -> tuple[Section, ...]:
        """The sections of a kind."""
        return tuple(section for section in self.sections if section.kind == kind)

    def chunks(self, section: Section) -> Iterator[bytes]:
        """A section's content, piece by piece. UnreadableError, VerificationError."""
        return _chunks(self.file, section.offset, section.size)

    def content(self, kind: Kind) -> bytes:
        """All of the command line, the metadata or the signature; b"" if there is none."""
        return b"".join(chunk for section in self.all(kind) for chunk in self.chunks(section))

    @property
    def cmdline(self) -> str:
        """The kernel's command line, as it is measured, without the NUL that ends it in memory."""
        return self.content(Kind.CMDLINE).decode("utf-8", "backslashreplace")

    @property
    def in_order(self) -> bool:
        """Whether kernel, command line and ramdisks follow each other in this order, as AWS's tools
        write them. Its tools measure any image in the file's order; this package in this one."""
        found = [section.kind for section in self.sections if section.kind in _ORDER]
        return found == sorted(found)


def read_image(file: BinaryIO) -> Image:
    """The image in a seekable file, which is read through once for its CRC and stays the caller's.

    VerificationError for what is no whole EIF of version 4, UnreadableError if the file can't be
    read.
    """
    try:
        length = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise UnreadableError(f"the image can't be read: {error.strerror}") from error
    if not HEADER_BYTES <= length <= MAX_IMAGE:
        raise VerificationError(
            "the image has no length that an EIF has",
            expected=f"{HEADER_BYTES} to {MAX_IMAGE} bytes",
            found=str(length),
        )
    raw = b"".join(_chunks(file, 0, HEADER_BYTES))
    header = Header.parse(raw)
    image = Image(file, tuple(_sections(file, header, length)), bool(header.flags & ARM64), header.memory, header.cpus)
    _require_numbers(image)
    crc = zlib.crc32(raw[:-CRC_BYTES])
    for chunk in _chunks(file, HEADER_BYTES, length - HEADER_BYTES):
        crc = zlib.crc32(chunk, crc)
    if crc != header.crc:
        raise VerificationError("the image's CRC is another", expected=f"{crc:08x}", found=f"{header.crc:08x}")
    if b"\0" in image.content(Kind.CMDLINE):
        # The kernel stops reading there: what follows would be measured and shown for nothing.
        raise VerificationError("the image's command line has a NUL character")
    return image


def _sections(file: BinaryIO, header: Header, length: int) -> Iterator[Section]:
    """The sections that the table and their own headers agree on."""
    place = HEADER_BYTES
    for index, (offset, size) in enumerate(zip(header.offsets, header.sizes, strict=True)):
        what = f"section {index + 1} of the image"
        if offset != place:
            how = "overlaps what is before it" if offset < place else "doesn't follow what is before it"
            raise VerificationError(f"{what} {how}", expected=f"byte {place}", found=str(offset))
        begin = place + SECTION_BYTES
        if begin + size > length:
            raise VerificationError(
                f"{what} ends beyond the file", expected=f"at most byte {length}", found=str(begin + size)
            )
        kind, stated = parse_section(b"".join(_chunks(file, place, SECTION_BYTES)))
        if stated != size:
            raise VerificationError(f"{what} has two sizes", expected=f"the table's {size}", found=str(stated))
        if size > _MOST.get(kind, MAX_IMAGE):
            raise VerificationError(
                f"the image's {_NAMES[kind]} is too long", expected=f"at most {_MOST[kind]} bytes", found=str(size)
            )
        yield Section(kind, begin, size)
        place = begin + size
    if place != length:
        raise VerificationError(f"{counted(length - place, 'byte')} of the image belong to no section")


def _require_numbers(image: Image) -> None:
    allowed = {Kind.KERNEL: (1, 1), Kind.CMDLINE: (1, 1), Kind.RAMDISK: (1, MAX_SECTIONS)}
    for kind in Kind:
        least, most = allowed.get(kind, (0, 1))
        found = len(image.all(kind))
        if not least <= found <= most:
            expected = "one" if least == most else "at least one" if least else "at most one"
            raise VerificationError(f"an image has {expected} {_NAMES[kind]}", expected=expected, found=str(found))
    for section in image.sections:
        if not section.size and section.kind in (Kind.KERNEL, Kind.RAMDISK):
            raise VerificationError(f"the image's {_NAMES[section.kind]} is empty")


def _chunks(file: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    while size:
        try:
            file.seek(offset)
            chunk = file.read(min(size, _CHUNK))
        except OSError as error:
            raise UnreadableError(f"the image can't be read: {error.strerror}") from error
        if not chunk:
            raise VerificationError("the image became shorter while it was read")
        offset += len(chunk)
        size -= len(chunk)
        yield chunk
