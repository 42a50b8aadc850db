"""DER, split and written; what is not in it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core import der
from zk_autograd.core.errors import VerificationError


@given(st.binary(max_size=70_000), st.sampled_from([der.OCTETS, der.SEQUENCE, 0xA0]))
def test_an_element_is_read_as_it_was_written(content: bytes, tag: int) -> None:
    written = der.encode(tag, content)
    found = der.element(written, tag)
    assert (found.tag, found.content, found.whole) == (tag, content, written)


@given(st.integers(0, 2**200))
def test_an_integer_is_written_as_short_as_can_be(value: int) -> None:
    content = der.element(der.encode_integer(value), der.INTEGER).content
    assert int.from_bytes(content, "big", signed=True) == value
    assert len(content) == 1 or content[0] or content[1] & 0x80


@given(st.binary(max_size=60))
def test_whatever_is_read_is_written_the_same(data: bytes) -> None:
    try:
        found = der.elements(data)
    except VerificationError:
        return
    assert b"".join(der.encode(one.tag, one.content) for one in found) == data


@pytest.mark.parametrize(
    "data",
    ["30", "3001", "3080 0000", "308100", "30817f" + "00" * 127, "30820080" + "00" * 128, "1f8100", "3085 0000000000"],
)
def test_other_encodings_are_refused(data: str) -> None:
    with pytest.raises(VerificationError, match="not in DER"):
        der.elements(bytes.fromhex(data.replace(" ", "")))


def test_one_element_is_one_and_of_its_tag() -> None:
    null = der.encode(0x05)
    for data, tag in ((null * 2, 0x05), (null, 0x04), (b"", 0x05)):
        with pytest.raises(VerificationError):
            der.element(data, tag)
    with pytest.raises(VerificationError):
        der.element(null, 0x05).items()
    with pytest.raises(VerificationError, match="more than 256"):
        der.elements(null * 257)
