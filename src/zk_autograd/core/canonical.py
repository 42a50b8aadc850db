"""Canonical JSON: one value, one sequence of bytes. Every record, statement and receipt is written
with it.

Rules (RFC 8785, JSON Canonicalization Scheme, restricted):

* values are objects, arrays, strings, booleans and integers n with |n| < 2^53 (the integers that
  every JSON reader keeps exact, RFC 8785 section 3.2.2.3 and RFC 7493 section 2.2); no null, no
  floats: larger numbers and decimals are strings;
* keys are sorted by their UTF-16 code units (section 3.2.3), which differs from code point order
  above U+FFFF;
* no white space; the shortest escapes in strings (section 3.2.2.2); UTF-8 without surrogates and
  without a byte order mark.

A reader re-encodes what it has parsed and compares bytes, so that whatever the parser is lenient
about is refused. What has to be bounded is checked before the parser runs: size, depth, and the
number of marks, since each array and object, and each item of one, takes memory of its own; integer
literals are measured before they are converted. Memory stays below 20 bytes for each byte of input
and 100 for each mark.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import is_unicode, quoted

# What `decode` returns consists of dict, list, str, int and bool only; `encode` takes tuples as
# arrays too.
Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | bool"

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
MAX_MARKS = 2**22
"""Brackets, commas and colons of a text, including those in strings. A header of 10^5 parameters,
as many unproved tensors and 10^5 blocks has 3.5 million."""

_MARKS = (b"[", b"]", b"{", b"}", b",", b":")
_LONGEST_INTEGER = len(str(-MAX_INTEGER))

# A string or a bracket. Linear time: nothing backtracks, and a string that never ends matches up to
# the end.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)

_encode_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(value: Json) -> bytes:
    """The canonical bytes of a value of dict, list, tuple, str, int and bool, at most `MAX_DEPTH`
    deep.

    Raises ValueError for anything else: it is the caller's mistake, not bad evidence.
    """
    return _encode(value, MAX_DEPTH)


def decode(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Json:
    """The value whose canonical bytes are `data`, with `encode(decode(data)) == data`.

    `max_depth` counts nested arrays and objects: a number has depth 0, `[]` has depth 1. It is the
    caller's constant and must stay well below Python's recursion limit. Raises VerificationError
    for anything that is longer, deeper, of more than `MAX_MARKS` marks, or not canonical.
    """
    value = _parsed(data, max_bytes, max_depth, _DECODER, "canonical JSON")
    try:
        canonical = _encode(value, max_depth)
    except ValueError as error:
        raise VerificationError(f"not canonical JSON: {error}") from error
    if canonical != data:
        raise VerificationError(
            "not canonical JSON: it differs from its own canonical form "
            f"at byte {_first_difference(canonical, data)}; check white space, key order, escapes and numbers"
        )
    return value


@dataclass(frozen=True, slots=True, repr=False)
class NoInteger:
    """A number that isn't written as an integer, or null, in the JSON of others: `text` is how it
    is written. It is neither text, number nor object, so no reader takes it for one."""

    text: str

    def __repr__(self) -> str:
        return self.text


def decode_foreign(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Json:
    """The value of a JSON text that another program wrote in a form of its own: white space, key
    order and escapes are free, and where it has null or a number like 1.0 the value has a
    `NoInteger`.

    All else is as in `decode`: bounds, UTF-8, no key twice (readers differ in which one they take),
    integers below 2^53. VerificationError for anything else.
    """
    value = _parsed(data, max_bytes, max_depth, _FOREIGN_DECODER, "JSON that can be read here")
    try:
        found: Json = _foreign(value)
    except ValueError as error:
        raise VerificationError(f"not JSON that can be read here: {error}") from error
    return found


def _foreign(value: Any) -> Any:
    if isinstance(value, dict):
        return {_foreign(key): _foreign(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_foreign(inner) for inner in value]
    if isinstance(value, str) and not is_unicode(value):
        raise ValueError(f"{quoted(value, 40)} has a lone surrogate")
    if type(value) is int and abs(value) > MAX_INTEGER:
        raise ValueError("an integer outside +-(2^53 - 1)")
    return NoInteger("null") if value is None else value


def _parsed(data: bytes, max_bytes: int, max_depth: int, decoder: json.JSONDecoder, what: str) -> Json:
    """The parser's value, which may still hold null, large integers and lone surrogates."""
    if len(data) > max_bytes:
        raise VerificationError(
            "JSON text is too long", expected=f"at most {max_bytes} bytes", found=f"{len(data)} bytes"
        )
    marks = sum(map(data.count, _MARKS))
    if marks > MAX_MARKS:
        raise VerificationError(
            "JSON text has too many brackets, commas and colons", expected=f"at most {MAX_MARKS}", found=str(marks)
        )
    try:
        text = data.decode("utf-8")
        _check_depth(text, max_depth)
        value: Json = decoder.decode(text)
    except ValueError as error:  # covers UnicodeDecodeError and JSONDecodeError
        raise VerificationError(f"not {what}: {error}") from error
    return value


def _encode(value: Json, max_depth: int) -> bytes:
    return _encode_text(_ordered(value, max_depth, "value")).encode("utf-8")  # which refuses surrogates


def _ordered(value: object, depth_left: int, where: str) -> Json:
    """A copy with sorted keys, of plain dict, list, str, int and bool; ValueError if impossible."""
    # Exact types: a subclass (an enum, say) may print differently from how it compares.
    if type(value) is bool:
        return value
    if type(value) is int:
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"{where} is an integer outside +-(2^53 - 1); write it as a string")
        return value
    if type(value) is str:
        return value
    if not isinstance(value, dict | list | tuple):
        raise ValueError(f"{where} is of type {type(value).__name__}, which canonical JSON does not have")
    if depth_left == 0:
        raise ValueError(f"{where} is nested too deep")
    if isinstance(value, dict):
        if any(type(key) is not str for key in value):
            raise ValueError(f"{where} has a key that is not a string")
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _ordered(value[key], depth_left - 1, f"{where}.{quoted(key, 40)}") for key in keys}
    return [_ordered(item, depth_left - 1, f"{where}[{index}]") for index, item in enumerate(value)]


def _check_depth(text: str, max_depth: int) -> None:
    # Up to the parser's first error, the text is valid JSON and its brackets are the ones found
    # here; what the parser never reaches can't nest.
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        match text[token.start()]:
            case "[" | "{":
                depth += 1
                if depth > max_depth:
                    raise ValueError(f"nested deeper than {max_depth} at character {token.start()}")
            case "]" | "}":
                depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"duplicate key {quoted(key, 40)}")
        result[key] = value
    return result


def _integer(literal: str) -> int:
    if len(literal) > _LONGEST_INTEGER:  # before int(), whose time is quadratic
        raise ValueError(f"an integer of {len(literal)} characters, outside +-(2^53 - 1)")
    return int(literal)


def _refuse_number(literal: str) -> NoReturn:
    raise ValueError(f"{quoted(literal, 40)} is not an integer")


def _first_difference(one: bytes, other: bytes) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)
_FOREIGN_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=NoInteger, parse_constant=_refuse_number
)
