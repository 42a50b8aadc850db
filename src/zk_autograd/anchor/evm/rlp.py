"""RLP lists of byte strings (Yellow Paper, appendix B): what headers, accounts and the nodes of a
trie are written in. Strict: each list has one writing, and any other is refused."""

from collections.abc import Sequence

from zk_autograd.core.errors import VerificationError


def decode_list(data: bytes, what: str) -> list[bytes]:
    """The byte strings of a list. VerificationError, which calls it `what`, for anything else: a
    list within it, a length that is wrong or longer than it need be, bytes that are left over."""
    body, end = _payload(data, 0, 0xC0, what)
    if end != len(data):
        raise VerificationError(f"{what} has bytes after its end")
    found = []
    while body < end:
        start, body = _payload(data, body, 0x80, what) if data[body] >= 0x80 else (body, body + 1)
        found.append(data[start:body])
    return found


def decode_bytes(data: bytes, what: str) -> bytes:
    """The one byte string that `data` writes. VerificationError."""
    if len(data) == 1 and data[0] < 0x80:
        return data
    start, end = _payload(data, 0, 0x80, what)
    if end != len(data):
        raise VerificationError(f"{what} has bytes after its end")
    return data[start:end]


def integer(item: bytes, what: str, most: int) -> int:
    """A number from 0 to `most` without leading zeros (0 has no bytes). VerificationError."""
    if item[:1] == b"\0" or len(item) > 32 or (number := int.from_bytes(item, "big")) > most:
        raise VerificationError(f"{what} is not a number from 0 to {most}", found=f"0x{item[:33].hex()}")
    return number


def encode_list(items: Sequence[bytes]) -> bytes:
    """The list of these byte strings."""
    body = b"".join(map(encode_bytes, items))
    return _prefix(len(body), 0xC0) + body


def encode_bytes(item: bytes) -> bytes:
    """One byte string."""
    return item if len(item) == 1 and item[0] < 0x80 else _prefix(len(item), 0x80) + item


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((offset + 55 + len(size),)) + size


def _payload(data: bytes, at: int, offset: int, what: str) -> tuple[int, int]:
    """Where the payload of the string (`offset` 0x80) or list (0xc0) at `at` begins and ends."""
    if at >= len(data) or not offset <= data[at] < offset + 64:
        raise VerificationError(f"{what} is not a list of byte strings in RLP")
    length, start = data[at] - offset, at + 1
    if length > 55:
        size, start = data[start : start + length - 55], start + length - 55
        length = int.from_bytes(size, "big")
        if size[:1] in (b"", b"\0") or length < 56:
            raise VerificationError(f"{what} writes a length in more bytes than it needs")
    elif length == 1 and offset == 0x80 and data[start : start + 1] < b"\x80":
        raise VerificationError(f"{what} writes a byte in more bytes than it needs")
    if start + length > len(data):
        raise VerificationError(f"{what} is cut off")
    return start, start + length
