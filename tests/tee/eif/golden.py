"""The golden images of AWS's crate (tests/data/eif), and images put together byte by byte."""

import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from zk_autograd.tee.eif import Image, Kind, read_image
from zk_autograd.tee.eif.layout import Header, encode_section

DATA = Path(__file__).parents[2] / "data" / "eif"
LINE = "console=ttyS0 panic=30 i8042.noaux"
Parts = Sequence[tuple[Kind, bytes]]


def golden(name: str) -> bytes:
    """The bytes of a golden image: "unsigned", "signed", or "one" with one ramdisk."""
    return (DATA / f"{name}.eif").read_bytes()


def registers(name: str) -> dict[str, str]:
    """What AWS's reader measured of it."""
    found = json.loads((DATA / f"{name}.pcrs.json").read_bytes())
    return {register.lower(): value for register, value in found.items()}


def opened(data: bytes) -> Image:
    return read_image(io.BytesIO(data))


def parts(name: str) -> list[tuple[Kind, bytes]]:
    """The sections of a golden image."""
    image = opened(golden(name))
    return [(section.kind, b"".join(image.chunks(section))) for section in image.sections]


def packed(parts: Parts) -> bytes:
    """An image of these sections, in this order, whose headers and CRC are right."""
    body, offsets = b"", []
    for kind, content in parts:
        offsets.append(548 + len(body))
        body += encode_section(kind, len(content)) + content
    header = Header(0, 2**30, 2, tuple(offsets), tuple(len(content) for _, content in parts), 0)
    return sealed(header.encode() + body)


def sealed(data: bytes) -> bytes:
    """The bytes with the CRC that belongs to them."""
    crc = zlib.crc32(data[548:], zlib.crc32(data[:544]))
    return data[:544] + crc.to_bytes(4, "big") + data[548:]


def patched(data: bytes, place: int, value: int, size: int) -> bytes:
    """The bytes with a big-endian number in them, and the CRC that belongs to it."""
    return sealed(data[:place] + value.to_bytes(size, "big") + data[place + size :])
