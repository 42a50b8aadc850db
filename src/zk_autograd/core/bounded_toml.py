"""TOML from untrusted sources, read within bounds of time and memory.

Rules: a text has at most `MAX_BYTES`, a key at most `MAX_PARTS` dotted parts, an integer at most 64
bits, as TOML itself says, and a float an exponent that a Decimal can have. Python's parser takes
time and memory that grow with the square of a key's parts: keys are measured before it sees them.
"""

import re
import tomllib
from decimal import Decimal
from typing import Any

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import SHOWN

MAX_BYTES = 2**16
MAX_PARTS = 4

_INTEGER_BITS = 64

_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|\#[^\n]*+"
    r"|[A-Za-z0-9_-]++"
    r"|[ \t]++"
    r"|(?P<dot>\.)"
    r"|(?P<other>[^\"'])",
    re.DOTALL,
)


def parse(text: str, where: str) -> dict[str, Any]:
    """The values of a text, floats as Decimals; `where` is its name in messages. UsageError."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"{where} is not TOML: it is not UTF-8 text") from error
    if size > MAX_BYTES:
        raise UsageError(f"{where} has more than {MAX_BYTES} bytes")
    if line := _long_key(text):
        raise UsageError(
            f"{where} has a key of more than {MAX_PARTS} parts in line {line}; no name that is known has so many"
        )
    try:
        values = tomllib.loads(text, parse_float=_float)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML: {error}") from error
    except ValueError as error:  # an integer of more digits than Python converts, or `_float`'s
        raise UsageError(f"{where} has a number that is too long: {error}") from error
    for key, value in values.items():
        if _is_too_long(value):
            raise UsageError(
                f"{where} has a number that is too long: {key[:SHOWN]!r} has an integer of more than {_INTEGER_BITS} bits"
            )
    return values


def _float(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"{text[:SHOWN]} has an exponent out of bounds") from error


def _long_key(text: str) -> int:
    """The line, from 1, of the first key with too many parts; 0 if there is none before the point
    where the text stops being TOML."""
    place = parts = 0
    while token := _TOKEN.match(text, place):
        place = token.end()
        if token["dot"]:
            parts += 1
        elif token["other"]:
            parts = 0
        if parts >= MAX_PARTS:
            return text.count("\n", 0, place) + 1
    return 0


def _is_too_long(value: object) -> bool:
    """Whether an integer in the value, however deep, has too many bits."""
    open_values = [value]
    while open_values:
        value = open_values.pop()
        if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
            return True
        if isinstance(value, dict):
            open_values += value.values()
        elif isinstance(value, list):
            open_values += value
    return False
