"""Writing an enclave image: the same bytes that AWS's crate writes for the same parts."""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO

from zk_autograd.core.errors import UnreadableError, UsageError
from zk_autograd.tee.eif.image import MAX_CMDLINE, MAX_METADATA, MAX_SIGNATURE
from zk_autograd.tee.eif.layout import (
    ARM64,
    CRC_BYTES,
    HEADER_BYTES,
    MAX_SECTIONS,
    SECTION_BYTES,
    Header,
    Kind,
    encode_section,
)

MEMORY = 2**30
CPUS = 2
_CHUNK = 2**20


def default_metadata(name: str, version: str, kernel: str = "") -> bytes:
    """Metadata with the fields that AWS's tools ask for, and no clock: equal parts make equal
    images."""
    value = {
        "ImageName": name,
        "ImageVersion": version,
        "BuildMetadata": {
            "BuildTime": "1970-01-01T00:00:00+00:00",
            "BuildTool": "zk-enclave",
            "BuildToolVersion": version,
            "OperatingSystem": "Linux",
            "KernelVersion": kernel,
        },
        "DockerInfo": {},
        "CustomMetadata": {},
    }
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def write_image(
    out: BinaryIO,
    kernel: BinaryIO,
    cmdline: str,
    ramdisks: Sequence[BinaryIO],
    metadata: bytes,
    *,
    signature: bytes = b"",
    arm64: bool = False,
    memory: int = MEMORY,
    cpus: int = CPUS,
) -> None:
    """Writes an image into `out`, an empty file that can be sought in. The parts are seekable
    files, read from their beginning; `signature` is a whole section (tee.eif.signature).

    UsageError for parts that make no image; UnreadableError if one of them changes meanwhile or
    can't be read; OSError of `out` is the caller's.
    """
    line = _checked(cmdline, ramdisks, metadata, signature)
    parts: list[tuple[Kind, BinaryIO | bytes, int]] = [
        (Kind.KERNEL, kernel, _size(kernel, "the kernel")),
        (Kind.CMDLINE, line, len(line)),
        (Kind.METADATA, metadata, len(metadata)),
        *((Kind.RAMDISK, disk, _size(disk, f"ramdisk {number}")) for number, disk in enumerate(ramdisks, 1)),
        *([(Kind.SIGNATURE, signature, len(signature))] if signature else []),
    ]
    offsets, place = [], HEADER_BYTES
    for _, _, size in parts:
        offsets.append(place)
        place += SECTION_BYTES + size
    sizes = tuple(size for _, _, size in parts)
    header = Header(ARM64 if arm64 else 0, memory, cpus, tuple(offsets), sizes, 0)
    crc = zlib.crc32(header.encode()[:-CRC_BYTES])
    out.write(header.encode())
    for kind, part, size in parts:
        for chunk in chain((encode_section(kind, size),), _pieces(part, size)):
            crc = zlib.crc32(chunk, crc)
            out.write(chunk)
    out.seek(HEADER_BYTES - CRC_BYTES)
    out.write(crc.to_bytes(CRC_BYTES, "big"))
    out.seek(0, os.SEEK_END)


def _checked(cmdline: str, ramdisks: Sequence[BinaryIO], metadata: bytes, signature: bytes) -> bytes:
    line = cmdline.encode("utf-8", "surrogateescape")
    most = MAX_SECTIONS - 4
    if not 1 <= len(ramdisks) <= most:
        raise UsageError(f"an image has 1 to {most} ramdisks, not {len(ramdisks)}")
    if b"\0" in line or len(line) > MAX_CMDLINE:
        raise UsageError(f"a kernel's command line has at most {MAX_CMDLINE} bytes, and no NUL")
    if len(metadata) > MAX_METADATA or len(signature) > MAX_SIGNATURE:
        raise UsageError(f"an image's metadata has at most {MAX_METADATA} bytes, its signature {MAX_SIGNATURE}")
    return line


def _size(file: BinaryIO, what: str) -> int:
    with _readable(what):
        size = file.seek(0, os.SEEK_END)
    if not size:
        raise UsageError(f"{what} is empty: an image can't be made of it")
    return size


def _pieces(part: BinaryIO | bytes, size: int) -> Iterator[bytes]:
    """The part's `size` bytes, no more and no fewer."""
    if isinstance(part, bytes):
        yield part
        return
    left = size
    with _readable("a part of the image"):
        part.seek(0)
        chunk = part.read(_CHUNK)
    while chunk:
        left -= len(chunk)
        yield chunk
        with _readable("a part of the image"):
            chunk = part.read(_CHUNK)
    if left:
        raise UnreadableError("a part of the image changed while it was read: nothing was made of it")


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableError(f"{what} can't be read: {error.strerror}") from error
