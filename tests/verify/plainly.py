"""JSON read plainly, for a model of the truth that shares no code with the verifier."""

import json
from collections.abc import Iterator
from typing import Any


class Untrue(Exception):
    """Something in the run is false, malformed or missing: FAILED is the only right verdict."""


def require(holds: bool, what: str) -> None:
    """Untrue unless it holds."""
    if not holds:
        raise Untrue(what)


def canonical(value: Any) -> bytes:
    """The one form of a value whose names are ASCII."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def plain(leaf: bytes) -> Any:
    """The object that these bytes are the only form of; all names here are ASCII."""
    try:
        value = json.loads(leaf)
        require(isinstance(value, dict) and canonical(value) == leaf, "not canonical")
    except (ValueError, RecursionError) as error:
        raise Untrue(f"not canonical: {error}") from error
    for part in _parts(value):
        require(isinstance(part, str | int | dict | list), "null or a float")
        require(not isinstance(part, int) or abs(part) < 2**53, "an integer too large")
    return value


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parts(item)
