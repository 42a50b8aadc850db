"""Frames between a trainer and its worker process, over pipes: 8 bytes of length, big-endian, and
that many bytes."""

from typing import IO

_LENGTH = 8


class BrokenFrameError(Exception):
    """The other side ended, or sent more than was agreed."""


def send(file: IO[bytes], *parts: bytes) -> None:
    """Writes the parts as one frame. OSError if nobody reads."""
    file.write(sum(map(len, parts)).to_bytes(_LENGTH, "big"))
    for part in parts:
        file.write(part)
    file.flush()


def receive(file: IO[bytes], limit: int) -> bytes:
    """The next frame, of at most `limit` bytes; nothing is read of a longer one."""
    head = file.read(_LENGTH)
    if len(head) < _LENGTH:
        raise BrokenFrameError("it ended")
    size = int.from_bytes(head, "big")
    if size > limit:
        raise BrokenFrameError(f"it sent {size} bytes, and at most {limit} were agreed")
    data = file.read(size)
    if len(data) < size:
        raise BrokenFrameError("it ended in the middle of an answer")
    return data
