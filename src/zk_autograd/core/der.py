"""DER, as far as it takes to find one's way in a structure: tags, lengths and what they hold.

Source: X.690, 8.1 and 10.1. One value has one encoding: lengths are definite and as short as they
can be, and tags have one byte, which is all that certificates and their signatures use.
"""

from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError

INTEGER, OCTETS, OBJECT, BOOLEAN, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x01, 0x30, 0x31

MAX_ITEMS = 256
"""Elements of one structure."""


@dataclass(frozen=True, slots=True)
class Element:
    """A value: its tag's byte, what it holds, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes

    def items(self, *tags: int) -> "list[Element]":
        """The elements inside. VerificationError unless it is constructed, and their tags begin
        with `tags`."""
        if not self.tag & 0x20:
            raise _malformed("an element holds no others")
        return elements(self.content, *tags)


def elements(data: bytes, *tags: int) -> list[Element]:
    """The elements that `data` consists of. VerificationError if it isn't DER, or unless their tags
    begin with `tags`."""
    found: list[Element] = []
    place = 0
    while place < len(data):
        if len(found) == MAX_ITEMS:
            raise _malformed(f"a structure has more than {MAX_ITEMS} elements")
        begin, end = _content(data, place)
        found.append(Element(data[place], data[begin:end], data[place:end]))
        place = end
    if [element.tag for element in found[: len(tags)]] != list(tags):
        raise _malformed("a structure has other elements than its kind has")
    return found


def element(data: bytes, tag: int) -> Element:
    """The one element that `data` is. VerificationError for anything else."""
    found = elements(data, tag)
    if len(found) != 1:
        raise _malformed("bytes follow it")
    return found[0]


def encode(tag: int, *contents: bytes) -> bytes:
    """An element that holds `contents`, one after the other."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def encode_integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _content(data: bytes, place: int) -> tuple[int, int]:
    """Where the content of the element at `place` begins and ends."""
    if data[place] & 0x1F == 0x1F or place + 2 > len(data):
        raise _malformed("an element has no tag of one byte and a length")
    length, begin = data[place + 1], place + 2
    if length >= 0x80:
        size = length & 0x7F
        digits = data[begin : begin + size]
        length, begin = int.from_bytes(digits, "big"), begin + size
        if not 1 <= size <= 4 or len(digits) != size or digits[0] == 0 or length < 0x80:
            raise _malformed("a length isn't written as DER writes it")
    if begin + length > len(data):
        raise _malformed("an element ends early")
    return begin, begin + length


def _malformed(why: str) -> VerificationError:
    return VerificationError(f"it is not in DER: {why}")
