"""Strict reading of decoded JSON: each field is named, typed and bounded, and none is left over.

Rules: a parser names every field of an object once and then calls `end()`, so that an unknown field
is an error and not a place to hide in. Nothing is converted: "1" is not an integer, 1 is not a
boolean. Texts hold no control characters, since reports print them. Every refusal is a
VerificationError that starts with the field's path, `header.groups[0].lr`.

    fields = Fields(canonical.decode(line, max_bytes=4096), "header")
    run_id = fields.hex("run", 16)
    names = fields.texts("names", max_items=64, max_len=200)
    fields.end()
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import SHOWN, has_control, listed, quoted

_HEX = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Value:
    """A decoded JSON value and its path. Its methods type it, or raise VerificationError."""

    raw: Json
    where: str

    def text(self, max_len: int, min_len: int = 1) -> str:
        """A string of `min_len`..`max_len` characters (code points) without control characters."""
        if not isinstance(self.raw, str):
            raise self._refused("a text")
        if not min_len <= len(self.raw) <= max_len:
            raise self._refused(f"a text of {min_len} to {max_len} characters", f"one of {len(self.raw)}")
        if has_control(self.raw):
            raise self._refused("a text without control characters")
        return self.raw

    def integer(self, low: int, high: int) -> int:
        """An integer in `low`..`high`, both inclusive."""
        if type(self.raw) is not int or not low <= self.raw <= high:
            raise self._refused(f"an integer from {low} to {high}")
        return self.raw

    def boolean(self) -> bool:
        """A boolean."""
        if not isinstance(self.raw, bool):
            raise self._refused("true or false")
        return self.raw

    def hex(self, nbytes: int) -> bytes:
        """The `nbytes` bytes that a string writes in lower-case hexadecimal."""
        if not isinstance(self.raw, str) or len(self.raw) != 2 * nbytes or not _HEX.fullmatch(self.raw):
            raise self._refused(f"{nbytes} bytes as {2 * nbytes} lower-case hexadecimal digits")
        return bytes.fromhex(self.raw)

    def choice(self, options: Sequence[str]) -> str:
        """A string that is one of `options`."""
        if not isinstance(self.raw, str) or self.raw not in options:
            raise self._refused(f"one of {', '.join(options)}")
        return self.raw

    def array(self, max_items: int, min_items: int = 0) -> "list[Value]":
        """The `min_items`..`max_items` items of an array, each with its own path."""
        if not isinstance(self.raw, list):
            raise self._refused("an array")
        if not min_items <= len(self.raw) <= max_items:
            raise self._refused(f"an array of {min_items} to {max_items} items")
        return [Value(item, f"{self.where}[{index}]") for index, item in enumerate(self.raw)]

    def object(self) -> "Fields":
        """The fields of an object."""
        return Fields(self.raw, self.where)

    def _refused(self, expected: str, found: str | None = None) -> VerificationError:
        return VerificationError(f"{self.where} is invalid", expected=expected, found=found or _shown(self.raw))


class Fields:
    """The fields of one decoded JSON object; `where` is its path in messages.

    Each method takes a field's name, and then what `Value`'s method of the same name takes.
    """

    __slots__ = ("_read", "_values", "_where")

    def __init__(self, raw: Json, where: str) -> None:
        """Raises VerificationError if `raw` is not an object."""
        if not isinstance(raw, dict):
            raise VerificationError(f"{where} is invalid", expected="an object", found=_shown(raw))
        self._where = where
        self._values = raw
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether an optional field is there. This doesn't count as reading it."""
        return name in self._values

    def value(self, name: str) -> Value:
        """The field, not yet typed. Raises VerificationError if it is missing."""
        if name not in self._values:
            raise VerificationError(f"{self._where}.{name} is missing")
        self._read.add(name)
        return Value(self._values[name], f"{self._where}.{name}")

    def raw(self, name: str) -> Json:
        """The field as decoded, for a caller that checks it."""
        return self.value(name).raw

    def text(self, name: str, max_len: int, min_len: int = 1) -> str:
        return self.value(name).text(max_len, min_len)

    def integer(self, name: str, low: int, high: int) -> int:
        return self.value(name).integer(low, high)

    def boolean(self, name: str) -> bool:
        return self.value(name).boolean()

    def hex(self, name: str, nbytes: int) -> bytes:
        return self.value(name).hex(nbytes)

    def hex_or_empty(self, name: str, nbytes: int) -> bytes:
        """As `hex`; b"" of an empty string."""
        value = self.value(name)
        return b"" if value.raw == "" else value.hex(nbytes)

    def choice(self, name: str, options: Sequence[str]) -> str:
        return self.value(name).choice(options)

    def array(self, name: str, max_items: int, min_items: int = 0) -> list[Value]:
        return self.value(name).array(max_items, min_items)

    def object(self, name: str) -> "Fields":
        return self.value(name).object()

    def objects(self, name: str, max_items: int, min_items: int = 0) -> "list[Fields]":
        """The objects of an array. Call `end()` on each."""
        return [item.object() for item in self.array(name, max_items, min_items)]

    def texts(self, name: str, max_items: int, max_len: int, min_items: int = 0) -> list[str]:
        """The texts of an array, each of 1..`max_len` characters."""
        return [item.text(max_len) for item in self.array(name, max_items, min_items)]

    def end(self) -> None:
        """Raises VerificationError if the object has a field that was not read."""
        unknown = sorted(self._values.keys() - self._read)
        if unknown:
            raise VerificationError(
                f"{self._where} has unknown fields",
                expected="none",
                found=listed([quoted(name, SHOWN) for name in unknown], 3),
            )


def _shown(raw: Json) -> str:
    """A short text for a message; repr, so that no control sequence reaches a terminal."""
    if isinstance(raw, str):
        return quoted(raw, SHOWN) + (f" of {len(raw)} characters" if len(raw) > SHOWN else "")
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):
        return str(raw)
    if isinstance(raw, list):
        return f"an array of {len(raw)} items"
    # JSON that others decoded may hold null and numbers with a point.
    return f"an object of {len(raw)} fields" if isinstance(raw, dict) else quoted(repr(raw), SHOWN)
