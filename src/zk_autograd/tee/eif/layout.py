"""The bytes of an EIF's two headers: the image's at its beginning, and one before each section.

All numbers are big-endian. Of 32 places in the image's table of sections the first `len(sections)`
are in use; the others are zero.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from zk_autograd.core.errors import VerificationError

MAGIC = b".eif"
VERSION = 4
MAX_SECTIONS = 32
ARM64 = 1
"""The one flag that is defined: the image is for aarch64, else for x86-64."""

_HEADER = struct.Struct(f">4sHHQQHH{MAX_SECTIONS}Q{MAX_SECTIONS}QII")
_SECTION = struct.Struct(">HHQ")
HEADER_BYTES = _HEADER.size
SECTION_BYTES = _SECTION.size
CRC_BYTES = 4
"""The CRC-32 (ISO-HDLC, as zlib's) ends the image's header, and is over all other bytes."""


class Kind(IntEnum):
    """What a section holds."""

    KERNEL = 1
    CMDLINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


@dataclass(frozen=True, slots=True)
class Header:
    """The image's header. `memory` is in bytes; `offsets` are those of the sections' headers."""

    flags: int
    memory: int
    cpus: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    crc: int

    def encode(self) -> bytes:
        """Its 548 bytes."""
        spare = (0,) * (MAX_SECTIONS - len(self.offsets))
        return _HEADER.pack(
            MAGIC, VERSION, self.flags, self.memory, self.cpus, 0, len(self.offsets),
            *self.offsets, *spare, *self.sizes, *spare, 0, self.crc,
        )  # fmt: skip

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """The header of 548 bytes. VerificationError unless `encode` gives the same."""
        magic, version, flags, memory, cpus, _, number, *rest = _HEADER.unpack(data)
        if magic != MAGIC:
            raise VerificationError("this is no enclave image: it doesn't begin with '.eif'")
        if version != VERSION:
            raise VerificationError("the image is of another version of EIF", expected=str(VERSION), found=str(version))
        if number > MAX_SECTIONS:
            raise VerificationError(
                "the image has too many sections", expected=f"at most {MAX_SECTIONS}", found=str(number)
            )
        if flags & ~ARM64:
            raise VerificationError("the image has flags that nothing defines", expected="0 or 1", found=str(flags))
        header = cls(
            flags, memory, cpus, tuple(rest[:number]), tuple(rest[MAX_SECTIONS : MAX_SECTIONS + number]), rest[-1]
        )
        if header.encode() != data:
            raise VerificationError("the image's header holds something where nothing belongs")
        return header


def encode_section(kind: Kind, size: int) -> bytes:
    """The 12 bytes before a section of `size` bytes."""
    return _SECTION.pack(kind, 0, size)


def parse_section(data: bytes) -> tuple[Kind, int]:
    """Kind and size that 12 bytes state. VerificationError."""
    number, flags, size = _SECTION.unpack(data)
    try:
        kind = Kind(number)
    except ValueError:
        raise VerificationError("a section is of no kind that EIF has", expected="1 to 5", found=str(number)) from None
    if flags:
        raise VerificationError("a section has flags, and none are defined", expected="0", found=str(flags))
    return kind, size
