"""Strict reading of fields: what is accepted, what is refused, and that a refusal names the
place."""

import re
from collections.abc import Callable

import pytest

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields, Value

Read = Callable[[Fields], object]


def fields(value: Json) -> Fields:
    return Fields({"x": value}, "header")


@pytest.mark.parametrize(
    ("value", "read", "expected"),
    [
        ("a", lambda f: f.text("x", max_len=1), "a"),
        ("", lambda f: f.text("x", max_len=1, min_len=0), ""),
        ("\U0001f600" * 3, lambda f: f.text("x", max_len=3), "\U0001f600" * 3),
        (-2, lambda f: f.integer("x", -2, 5), -2),
        (5, lambda f: f.integer("x", -2, 5), 5),
        (True, lambda f: f.boolean("x"), True),
        (False, lambda f: f.boolean("x"), False),
        ("00ff", lambda f: f.hex("x", 2), b"\x00\xff"),
        ("b", lambda f: f.choice("x", ("a", "b")), "b"),
        ([1, "a"], lambda f: f.array("x", max_items=2), [Value(1, "header.x[0]"), Value("a", "header.x[1]")]),
        ([], lambda f: f.array("x", max_items=0), []),
        (["a", "b"], lambda f: f.texts("x", max_items=2, max_len=1), ["a", "b"]),
        ({"y": 1}, lambda f: f.object("x").integer("y", 1, 1), 1),
        ([{"y": 1}, {"y": 2}], lambda f: [g.integer("y", 1, 2) for g in f.objects("x", max_items=2)], [1, 2]),
        ([["0a"]], lambda f: [[v.hex(1) for v in row.array(1)] for row in f.array("x", 1)], [[b"\n"]]),
    ],
)
def test_field_of_the_right_type_is_returned(value: Json, read: Read, expected: object) -> None:
    reader = fields(value)
    found = read(reader)
    assert found == expected
    assert type(found) is type(expected)
    reader.end()


@pytest.mark.parametrize(
    ("value", "read", "message"),
    [
        (1, lambda f: f.text("x", max_len=9), "header.x is invalid (expected a text, found 1)"),
        (["a"], lambda f: f.text("x", max_len=9), "expected a text, found an array of 1 items"),
        ("", lambda f: f.text("x", max_len=9), "a text of 1 to 9 characters"),
        ("ab", lambda f: f.text("x", max_len=1), "expected a text of 1 to 1 characters, found one of 2"),
        ("a\n", lambda f: f.text("x", max_len=9), "without control characters"),
        ("\x1b[2J", lambda f: f.text("x", max_len=9), r"found '\x1b[2J'"),
        ("\x7f", lambda f: f.text("x", max_len=9), "without control characters"),
        ("\x9b", lambda f: f.text("x", max_len=9), "without control characters"),
        ("1", lambda f: f.integer("x", 0, 9), "header.x is invalid"),
        (True, lambda f: f.integer("x", 0, 9), "expected an integer from 0 to 9, found true"),
        (-1, lambda f: f.integer("x", 0, 9), "found -1"),
        (10, lambda f: f.integer("x", 0, 9), "found 10"),
        (1, lambda f: f.boolean("x"), "expected true or false, found 1"),
        ("true", lambda f: f.boolean("x"), "expected true or false"),
        ("00FF", lambda f: f.hex("x", 2), "expected 2 bytes as 4 lower-case hexadecimal digits"),
        ("00f", lambda f: f.hex("x", 2), "2 bytes"),
        ("00ff0", lambda f: f.hex("x", 2), "2 bytes"),
        ("00 f", lambda f: f.hex("x", 2), "2 bytes"),
        ("0x0f", lambda f: f.hex("x", 2), "2 bytes"),
        ("000\uff11", lambda f: f.hex("x", 2), "2 bytes"),
        (1234, lambda f: f.hex("x", 2), "2 bytes"),
        ("c", lambda f: f.choice("x", ("a", "b")), "expected one of a, b, found 'c'"),
        (1, lambda f: f.choice("x", ("1",)), "expected one of 1, found 1"),
        ("ab", lambda f: f.array("x", max_items=2), "expected an array, found 'ab'"),
        ({}, lambda f: f.array("x", max_items=2), "found an object of 0 fields"),
        ([1, 2], lambda f: f.array("x", max_items=1), "expected an array of 0 to 1 items"),
        ([], lambda f: f.array("x", max_items=1, min_items=1), "expected an array of 1 to 1 items"),
        ([{}], lambda f: f.objects("x", max_items=1, min_items=2), "array of 2 to 1 items"),
        (["a", 1], lambda f: f.texts("x", max_items=2, max_len=1), "header.x[1] is invalid"),
        (["a", "bc"], lambda f: f.texts("x", max_items=2, max_len=1), "header.x[1] is invalid"),
        ([], lambda f: f.texts("x", max_items=2, max_len=1, min_items=1), "array of 1 to 2 items"),
        ([""], lambda f: f.texts("x", max_items=2, max_len=1), "a text of 1 to 1 characters"),
        ([], lambda f: f.object("x"), "header.x is invalid (expected an object, found an array"),
        ([{}, 1], lambda f: f.objects("x", max_items=2), "header.x[1] is invalid"),
        ([{"lr": 1}], lambda f: f.objects("x", 1)[0].text("lr", 9), "header.x[0].lr is invalid"),
        ([{}], lambda f: f.objects("x", 1)[0].text("lr", 9), "header.x[0].lr is missing"),
        (
            {"y": [[1]]},
            lambda f: f.object("x").array("y", 1)[0].array(1)[0].text(1),
            "header.x.y[0][0] is invalid",
        ),
        (1, lambda f: f.value("y"), "header.y is missing"),
    ],
)
def test_field_of_another_kind_is_refused_by_its_path(value: Json, read: Read, message: str) -> None:
    with pytest.raises(VerificationError, match=re.escape(message)):
        read(fields(value))


@pytest.mark.parametrize("raw", [[], "x", 1, True])
def test_what_is_no_object_has_no_fields(raw: Json) -> None:
    with pytest.raises(VerificationError, match=r"^header is invalid \(expected an object"):
        Fields(raw, "header")


def test_unknown_field_is_refused() -> None:
    reader = Fields({"a": 1, "b": 2, "\x1b": 3}, "header")
    reader.integer("a", 1, 1)
    assert "b" in reader  # asking is not reading
    with pytest.raises(
        VerificationError, match=re.escape(r"header has unknown fields (expected none, found '\x1b', 'b')")
    ):
        reader.end()
    reader.integer("b", 2, 2)
    reader.integer("\x1b", 3, 3)
    reader.end()


def test_unknown_fields_are_named_in_short() -> None:
    reader = Fields({name * 1000: 1 for name in "abcdefgh"}, "header")
    with pytest.raises(VerificationError, match="and 5 more") as caught:
        reader.end()
    assert len(str(caught.value)) < 250


def test_optional_field_can_be_asked_for() -> None:
    assert "x" in fields(1)
    assert "y" not in fields(1)


def test_long_text_is_not_repeated_in_full() -> None:
    with pytest.raises(VerificationError, match="of 100000 characters") as caught:
        fields("a" * 100_000).integer("x", 0, 1)
    assert len(str(caught.value)) < 250
