"""TOML of a stranger: what is refused before the parser sees it, and that nothing else is."""

import tomllib
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.bounded_toml import MAX_BYTES, parse
from zk_autograd.core.errors import UsageError

LONG = ".".join("a" * 9)
MANY = MAX_BYTES // 2 - 10


@pytest.mark.parametrize(
    "text",
    [
        "a." * MANY + "b = 1",
        "[" + "a." * MANY + "b]",
        "[[" + "a." * MANY + "b]]",
        "x = {" + "a." * MANY + "b = 1}",
        "x = [1, {" + "a." * MANY + "b = 1}]",
        '""."".""."".""' + ".''" * 20_000 + " = 1",
        "a . " * (MANY // 2) + "b = 1",
        "'''\n''' = 1\n" + "a." * (MANY - 20) + "b = 1",
    ],
    ids=["key", "table", "array of tables", "inline", "inline in an array", "quoted", "spaces", "no TOML before"],
)
def test_a_key_of_many_parts_is_refused_without_taking_memory(text: str) -> None:
    assert len(text) <= MAX_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"^it has a key of more than 4 parts in line \d; no name|^it is not TOML"):
            parse(text, "it")
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


STRINGS = ('"\\"#{}"', "'#{}'", '"""\n{}"" #\\"""""', "'''{}\n''''''"[:-1], '"""{}\\\n  """', '""""{}"""')


@pytest.mark.parametrize("string", STRINGS)
def test_dots_in_strings_and_comments_are_no_parts_of_a_key(string: str) -> None:
    text = f"# {LONG}\na = {string.format(LONG)} # {LONG}\r\nb = [1.5, 2.5, 3.5, 4.5, 07:32:00.99] # '\nd.e.f.g = 1\n"
    assert parse(text, "it") == tomllib.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("string", STRINGS)
def test_a_long_key_after_a_string_is_seen(string: str) -> None:
    with pytest.raises(UsageError, match="more than 4 parts in line"):
        parse(f"a = {string.format('x')}\n{LONG} = 1\n", "it")
    with pytest.raises(UsageError, match="more than 4 parts in line"):
        parse(f"a = [{string.format('x')}, {{{LONG} = 1}}]\n", "it")


PARTS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        ".",
        ".",
        " ",
        "=",
        "\n",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "#",
        "[",
        "]",
        "{",
        "}",
        ",",
        "1",
        "\r\n",
        "\u00e9",
    ]
)


@given(st.lists(PARTS, max_size=40).map("".join))
def test_whatever_the_parser_accepts_with_a_long_key_is_refused(text: str) -> None:
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except ValueError:
        with pytest.raises(UsageError):
            parse(text, "it")
        return
    for key in ("a." * 5 + "z", '"x".' * 5 + "z"):
        with pytest.raises(UsageError, match="more than 4 parts"):
            parse(f"{text}\n[{key}]\n", "it")
    if text.count(".") < 4:
        assert parse(text, "it") == values


def test_bytes_are_counted_and_not_characters() -> None:
    assert parse("#" + "x" * (MAX_BYTES - 1), "it") == {}
    for text in ("#" + "x" * MAX_BYTES, "#" + "\u00e9" * (MAX_BYTES // 2)):
        with pytest.raises(UsageError, match="it has more than 65536 bytes"):
            parse(text, "it")


@pytest.mark.parametrize("number", [2**64 - 1, -(2**64) + 1, 0])
def test_integers_of_64_bits_are_read(number: int) -> None:
    assert parse(f"a = [{{b = {number}}}]", "it") == {"a": [{"b": number}]}
