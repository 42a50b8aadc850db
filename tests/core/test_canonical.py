"""Canonical JSON: the vectors of RFC 8785, round trips, and everything that has to be refused."""

import json
import re
import time
import tracemalloc
from collections.abc import Callable
from enum import IntEnum
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zk_autograd.core import canonical
from zk_autograd.core.canonical import MAX_DEPTH, MAX_INTEGER, Json, decode, decode_foreign, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Value

LIMIT = 1 << 20
SYNTAX = r"not canonical JSON: .*\(char \d+\)$"  # the parser's own words differ between versions of Python

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: st.SearchStrategy[Json] = st.recursive(
    TEXTS | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


class Level(IntEnum):
    ONE = 1


def test_keys_are_sorted_as_in_rfc_8785_section_3_2_3() -> None:
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\x80": "Control",
        "\xf6": "Latin Small Letter O With Diaeresis",
    }
    text = encode(value).decode("utf-8")
    order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
    assert sorted(order, key=text.index) == order
    assert decode(text.encode("utf-8"), max_bytes=LIMIT) == value


def test_strings_are_escaped_as_in_rfc_8785_sections_3_2_2_and_3_2_4() -> None:
    value = json.loads(r'{"string":"\u20ac$\u000F\u000aA' + r"'" + r'\u0042\u0022\u005c\\\"\/","literals":[true]}')
    assert encode(value).hex() == (
        "7b226c69746572616c73223a5b747275655d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )


def test_each_control_character_has_its_shortest_escape() -> None:
    short = {"\b": rb"\b", "\t": rb"\t", "\n": rb"\n", "\f": rb"\f", "\r": rb"\r"}
    for code in range(0x20):
        escape = short.get(chr(code), b"\\u%04x" % code)
        assert encode(chr(code)) == b'"' + escape + b'"'
    assert encode('\x7f\u2028/"\\') == '"\x7f\u2028/\\"\\\\"'.encode()


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, b"0"),
        (-1, b"-1"),
        (MAX_INTEGER, b"9007199254740991"),
        (-MAX_INTEGER, b"-9007199254740991"),
        (True, b"true"),
        (False, b"false"),
        ("", b'""'),
        ([], b"[]"),
        ({}, b"{}"),
        ((1, ("a",)), b'[1,["a"]]'),
        ({"b": {"d": 1, "c": 2}, "a": [True, 1]}, b'{"a":[true,1],"b":{"c":2,"d":1}}'),
    ],
)
def test_value_has_these_bytes(value: Json, data: bytes) -> None:
    assert encode(value) == data
    again = decode(data, max_bytes=len(data))
    assert encode(again) == data
    assert type(again) is (list if isinstance(value, tuple) else type(value))


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "NoneType"),
        (1.0, "float"),
        (b"1", "bytes"),
        ({1}, "set"),
        (MAX_INTEGER + 1, "2\\^53"),
        ({"a": [0, -MAX_INTEGER - 1]}, r"value\.'a'\[1\]"),
        ({"a": {"b": None}}, r"value\.'a'\.'b'"),
        (Level.ONE, "Level"),
        ({1: "a"}, "not a string"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
    ],
)
def test_value_without_canonical_form_is_the_callers_mistake(value: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        encode(cast(Json, value))


def test_cycle_is_the_callers_mistake() -> None:
    cycle: list[Json] = []
    cycle.append(cycle)
    with pytest.raises(ValueError, match="too deep"):
        encode(cycle)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", SYNTAX),
        (b"null", "NoneType"),
        (b'{"a":null}', "NoneType"),
        (b"nul", SYNTAX),
        (b"1.0", "not an integer"),
        (b"1e3", "not an integer"),
        (b"[0.5]", "not an integer"),
        (b"NaN", "not an integer"),
        (b"-Infinity", "not an integer"),
        (b"-0", "canonical form at byte 0"),
        (b"01", SYNTAX),
        (b"+1", SYNTAX),
        (b"9007199254740992", "2\\^53"),
        (b"-9007199254740992", "2\\^53"),
        (b"1" * 18, "18 characters"),
        (b"1" * 10_000, "10000 characters"),
        (b'{"a":1,"a":1}', "duplicate key 'a'"),
        (b'{"a":1,"\\u0061":1}', "duplicate key 'a'"),
        (b'{"b":1,"a":1}', "canonical form at byte 2"),
        ('{"\ufb33":1,"\U0001f600":1}'.encode(), "canonical form"),  # sorted by code points
        (b'{"a":{"c":1,"b":1}}', "canonical form"),
        (b" 1", "canonical form at byte 0"),
        (b"1 ", "canonical form at byte 1"),
        (b"1\n", "canonical form"),
        (b"[1, 2]", "canonical form at byte 3"),
        (b'{"a": 1}', "canonical form"),
        (b"1,", SYNTAX),
        (b"[]]", SYNTAX),
        (b"[1,]", SYNTAX),
        (b'{"a":1,}', SYNTAX),
        (b"{'a':1}", SYNTAX),
        (b'"\\u0061"', "canonical form"),
        (b'"\\/"', "canonical form"),
        (b'"\\u000A"', "canonical form"),
        (b'"\\u001F"', "canonical form"),
        (b'"\\ud83d\\ude00"', "canonical form"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'"\xed\xa0\x80"', "utf-8"),
        (b'"\xc0\xaf"', "utf-8"),
        (b'"\xff"', "utf-8"),
        (b"\xff\xfe1\x00", "utf-8"),
        (b"\xef\xbb\xbf1", SYNTAX),
        (b'"\t"', SYNTAX),
        (b'"\x00"', SYNTAX),
        (b'"a', SYNTAX),
        (b'"\\', SYNTAX),
        (b'"\\x"', SYNTAX),
        (b"True", SYNTAX),
        (b"1/**/", SYNTAX),
        ("\uff11".encode(), SYNTAX),  # a digit, but not an ASCII one
        ("1\u0662".encode(), SYNTAX),
    ],
)
def test_text_that_is_not_canonical_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        decode(data, max_bytes=LIMIT)


def test_size_is_bounded_before_anything_is_read() -> None:
    assert decode(b'"abc"', max_bytes=5) == "abc"
    with pytest.raises(VerificationError, match="too long"):
        decode(b"\xff" * 6, max_bytes=5)


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}"), (b'["]\\"",', b"]")])
def test_depth_is_bounded(before: bytes, after: bytes) -> None:
    inner = b"1"
    for depth in (1, 7, MAX_DEPTH):
        data = before * depth + inner + after * depth
        assert encode(decode(data, max_bytes=LIMIT, max_depth=depth)) == data
        with pytest.raises(VerificationError, match=f"deeper than {depth - 1}"):
            decode(data, max_bytes=LIMIT, max_depth=depth - 1)
    for data in (before * 100_000, before * 100_000 + inner + after * 100_000):
        with pytest.raises(VerificationError, match=f"deeper than {MAX_DEPTH} "):
            decode(data, max_bytes=len(data))


def test_brackets_in_strings_do_not_nest() -> None:
    data = encode(["[" * 100, '"' + "{" * 100, "\\" * 3 + "[" * 100])
    assert encode(decode(data, max_bytes=LIMIT, max_depth=1)) == data
    siblings = b"[" + b",".join([b"[]"] * 100) + b"]"
    assert encode(decode(siblings, max_bytes=LIMIT, max_depth=2)) == siblings


@pytest.mark.parametrize(
    "data",
    [
        b'["' + b'\\"' * 500_000,
        b'"\\' * 500_000,
        b'"' * 1_000_000,
        b"9" * 1_000_000,
        b"[" + b"9" * 999_999,
        b"[" * 1_000_000,
    ],
    ids=["open string", "escapes", "quotes", "integer", "integer in array", "brackets"],
)
def test_hostile_megabyte_is_refused_in_linear_time(data: bytes) -> None:
    start = time.process_time()
    with pytest.raises(VerificationError):
        decode(data, max_bytes=1_000_000)
    assert time.process_time() - start < 2  # a quadratic step on a megabyte takes minutes


@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"":0}', b"[[[[[[]]]]]]", b"0", '"\xe9"'.encode()])
def test_memory_is_bounded_by_the_size(item: bytes) -> None:
    data = b"[" + b",".join([item] * (50_000 // len(item))) + b"]"
    tracemalloc.start()
    try:
        decode(data, max_bytes=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 100 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("item", [b"[]", b"0", b'""', b'{"":0}', b'"[,:]"'])
def test_marks_are_counted_before_anything_is_parsed(item: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = sum(item.count(mark) for mark in (b"[", b"]", b"{", b"}", b",", b":"))
    most = (1000 - 1) // (marks + 1)
    fits, more = (b"[" + b",".join([item] * n) + b"]" for n in (most, most + 1))
    monkeypatch.setattr(canonical, "MAX_MARKS", 1000)
    decode(fits, max_bytes=LIMIT)
    monkeypatch.setattr(canonical, "_DECODER", None)
    with pytest.raises(VerificationError, match="too many brackets, commas and colons"):
        decode(more, max_bytes=LIMIT)


def test_a_record_of_brackets_is_refused_at_once() -> None:
    data = b'{"a":[' + b",".join([b"[]"] * 5_000_000) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(VerificationError, match="too many brackets"):
            decode(data, max_bytes=1 << 26)
        assert tracemalloc.get_traced_memory()[1] < len(data) // 10
    finally:
        tracemalloc.stop()


@given(VALUES)
def test_round_trip(value: Json) -> None:
    data = encode(value)
    assert decode(data, max_bytes=len(data)) == value
    assert json.loads(data) == value


@given(st.dictionaries(TEXTS, st.booleans(), min_size=2), st.randoms(use_true_random=False))
def test_order_of_insertion_does_not_matter(value: dict[str, Json], random: object) -> None:
    keys = list(value)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert encode({key: value[key] for key in keys}) == encode(value)


@settings(max_examples=400)
@given(VALUES, st.data())
def test_changed_bytes_are_refused_or_have_another_value(value: Json, data: st.DataObject) -> None:
    whole = encode(value)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 3, len(whole))))
    spice = st.sampled_from([b" ", b"0", b"-", b'"', b"\\", b",", b"{", b"]", b".0", b"null", b"\n", b"\xff"])
    changed = whole[:start] + data.draw(spice | st.binary(max_size=3)) + whole[end:]
    try:
        again = decode(changed, max_bytes=LIMIT)
    except VerificationError:
        return
    assert encode(again) == changed
    assert (encode(again) == whole) == (changed == whole)


@given(st.binary(max_size=24))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        value = decode(data, max_bytes=LIMIT)
    except VerificationError:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "text",
    [
        '{"verdict: L0, L1":1,"verdict: L0, L1":1}',
        '{"aaaaaaaaaaaaaaaa verdict: L0, L1":9007199254740993}',
        '{"verdict: L0":{"verdict: L1":9007199254740993}}',
        "[1.5]",
        "[NaN]",
    ],
)
def test_what_a_text_says_stands_as_one_word_in_a_message(text: str) -> None:
    """A report is wrapped at blanks: no line of it may begin with what a stranger wrote."""
    with pytest.raises(VerificationError) as caught:
        decode(text.encode(), max_bytes=1000)
    assert "verdict: " not in str(caught.value)
    assert not text.count("verdict") or "verdict:\\x20L" in str(caught.value)


# ---- JSON of others ------------------------------------------------------------------------------


@given(VALUES)
def test_json_of_others_may_be_written_in_any_form(value: Json) -> None:
    for indent, ascii_only in ((2, True), (None, False)):
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
        assert decode_foreign(text, max_bytes=LIMIT) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"1" * 5000,
        b'"\\ud800"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"[1,]",
        b"[" * 40 + b"]" * 40,
        b"",
    ],
)
def test_json_of_others_is_bounded_and_has_one_meaning(text: bytes) -> None:
    with pytest.raises(VerificationError, match="not JSON that can be read here"):
        decode_foreign(text, max_bytes=LIMIT)


@pytest.mark.parametrize("text", ["null", "1.0", "1e3", "-0.5", "1" + "0" * 500 + ".0"])
def test_other_numbers_and_null_of_others_are_taken_for_nothing(text: str) -> None:
    value = Value(decode_foreign(f"[{text}]".encode(), max_bytes=LIMIT), "x").array(1)[0]
    reads: list[Callable[[], object]] = [
        lambda: value.text(1000),
        lambda: value.integer(-MAX_INTEGER, MAX_INTEGER),
        value.boolean,
        lambda: value.hex(1),
        lambda: value.choice([text]),
        lambda: value.array(9),
        value.object,
    ]
    for read in reads:
        with pytest.raises(VerificationError, match=rf"x\[0\] is invalid .*found '{re.escape(text[:40])}"):
            read()


def test_json_of_others_is_measured_before_it_is_read() -> None:
    with pytest.raises(VerificationError, match="too long"):
        decode_foreign(b" " * 11, max_bytes=10)
