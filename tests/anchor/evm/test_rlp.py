"""RLP: what is read is what one writer writes, as pyrlp has it."""

import random

import pytest

from zk_autograd.anchor.evm.rlp import decode_bytes, decode_list, encode_bytes, encode_list, integer
from zk_autograd.core.errors import VerificationError

rlp = pytest.importorskip("rlp", reason="pyrlp is not installed: pip install 'zk-autograd[evm]'")

LENGTHS = (0, 1, 2, 54, 55, 56, 57, 255, 256, 257, 65535, 65536)


@pytest.mark.parametrize("length", LENGTHS)
def test_both_write_the_same(length: int) -> None:
    item = bytes(index % 251 for index in range(length))
    assert encode_bytes(item) == rlp.encode(item)
    assert decode_bytes(encode_bytes(item), "it") == item
    items = [item, b"", b"\x7f", b"\x80"]
    assert encode_list(items) == rlp.encode(items)
    assert decode_list(encode_list(items), "it") == items


def reference(data: bytes) -> list[bytes] | None:
    """pyrlp's reading, None where it refuses or finds a list within."""
    try:
        found = rlp.decode(data, strict=True)
    except rlp.exceptions.DecodingError:
        return None
    if not isinstance(found, list) or any(isinstance(item, list) for item in found):
        return None
    return found


def ours(data: bytes) -> list[bytes] | None:
    try:
        return decode_list(data, "it")
    except VerificationError:
        return None


def test_both_read_the_same_of_bytes_that_are_nearly_lists() -> None:
    draw = random.Random(1)
    read = refused = 0
    for _ in range(20_000):
        items = [draw.randbytes(draw.choice((0, 1, 1, 2, 32, 55, 56, 60))) for _ in range(draw.randrange(5))]
        data = bytearray(encode_list(items))
        for _ in range(draw.randrange(4)):
            at = draw.randrange(len(data))
            data[at] = draw.choice((0, 1, 0x37, 0x38, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xB9, 0xBF, 0xC0, 0xF8, 0xFF))
        if draw.random() < 0.2:
            data = data[: draw.randrange(len(data) + 1)]
        found = ours(bytes(data))
        assert found == reference(bytes(data)), bytes(data).hex()
        read, refused = read + (found is not None), refused + (found is None)
    assert read > 1000
    assert refused > 1000


@pytest.mark.parametrize("data", ["", "80", "c1c0", "c28101", "f801", "f80180", "c180ff", "b8", "ff" + "ff" * 8])
def test_another_writing_of_a_list_is_refused(data: str) -> None:
    """Two writings of one node or header would be two hashes of one content."""
    with pytest.raises(VerificationError, match=r"^it "):
        decode_list(bytes.fromhex(data), "it")


@pytest.mark.parametrize("item", ["00", "0001", "ff" * 33, "0100"])
def test_a_number_has_no_leading_zeros_and_a_bound(item: str) -> None:
    with pytest.raises(VerificationError, match="number from 0 to 255"):
        integer(bytes.fromhex(item), "it", 255)
    assert [integer(data, "it", 255) for data in (b"", b"\1", b"\xff")] == [0, 1, 255]
