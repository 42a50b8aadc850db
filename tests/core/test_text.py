"""Texts in evidence: characters, UTF-8, and the one spelling of base64."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import decode_base64, encode_base64, encode_utf8, has_control


def test_control_characters_are_c0_del_and_c1() -> None:
    controls = [code for code in range(0x2100) if has_control(f"a{chr(code)}b")]
    assert controls == [*range(0x20), *range(0x7F, 0xA0)]
    assert not has_control("")


def test_utf8_has_no_surrogates() -> None:
    assert encode_utf8("\u20ac\U0001f600", "name") == b"\xe2\x82\xac\xf0\x9f\x98\x80"
    for text in ("\ud800", "a\udfffb", "\ud83d\ude00"):
        with pytest.raises(VerificationError, match=r"^name has a lone surrogate$"):
            encode_utf8(text, "name")


# RFC 4648 section 10.
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"fooba", "Zm9vYmE="),
        (b"foobar", "Zm9vYmFy"),
    ],
)
def test_base64_of_rfc_4648(data: bytes, text: str) -> None:
    assert encode_base64(data) == text
    assert decode_base64(text, "text") == data


@given(st.binary(max_size=40))
def test_base64_round_trip(data: bytes) -> None:
    assert decode_base64(encode_base64(data), "text") == data


NO_BASE64 = ["Zg", "Zg=", "Z", "=", "====", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9-", "Zm9_", "\u00e9m9v", "Zm9\uff56"]


@pytest.mark.parametrize("text", NO_BASE64, ids=ascii)
def test_other_characters_and_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(VerificationError, match=r"^root is not base64$"):
        decode_base64(text, "root")


@pytest.mark.parametrize("text", ["Zg===", "Zg==Zg==", "Zm9v="])
def test_padding_stands_at_the_end_where_it_is_needed(text: str) -> None:
    with pytest.raises(VerificationError, match=r"^root is not (canonical )?base64$"):
        decode_base64(text, "root")


@pytest.mark.parametrize("text", ["Zh==", "Zv==", "Zm9=", "Zm+="])
def test_spare_bits_are_zero(text: str) -> None:
    base64.b64decode(text, validate=True)  # a usual decoder takes it
    with pytest.raises(VerificationError, match=r"^root is not canonical base64$"):
        decode_base64(text, "root")
