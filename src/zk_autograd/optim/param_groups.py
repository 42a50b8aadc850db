"""torch's `param_groups` without the tensors: writes to them are noticed, and they are kept as
bytes, from which a resumed run restores them.

A scheduler writes the next lr after a step without telling the optimizer. So each group is a
dictionary that reports when it is written to.

What is kept of a group are the numbers, texts, booleans, None, and lists and tuples of these; a
tensor of one element counts as its number. Anything else (a function, a dictionary) stays what the
caller of the constructor makes it.
"""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias
from weakref import WeakMethod

import numpy as np
import torch

from zk_autograd.core.errors import RunError

Kept: TypeAlias = float | int | str | Decimal | list["Kept"] | tuple["Kept", ...] | None

TENSORS: Final = ("params", "param_names")
"""The entries of a group that are the model's, not settings."""

_MAX_DEPTH = 20
_MAX_INTEGER = 2**1000
"""Python doesn't parse integers of more than some thousand digits."""


class WatchedGroup(dict[str, Any]):
    """An entry of `param_groups` that calls `written`, a method, with itself after each of its
    changes, as long as the method's object is alive.

    A copy, and what comes back from pickle, is a plain dictionary.
    """

    def __init__(self, entries: Mapping[str, Any], written: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(entries)
        self._written = WeakMethod(written)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._tell()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._tell()

    def __ior__(self, other: Any) -> "WatchedGroup":  # type: ignore[override, misc]
        self.update(other)
        return self

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, *arguments: Any) -> Any:
        value = super().pop(*arguments)
        self._tell()
        return value

    def popitem(self) -> tuple[str, Any]:
        item = super().popitem()
        self._tell()
        return item

    def clear(self) -> None:
        super().clear()
        self._tell()

    def update(self, *arguments: Any, **entries: Any) -> None:
        super().update(*arguments, **entries)
        self._tell()

    def _tell(self) -> None:
        if (written := self._written()) is not None:
            written(self)


def encoded(groups: Iterable[Mapping[str, object]], left_out: Iterable[str]) -> str:
    """What is to be kept of the groups, without the tensors and the entries `left_out`. Equal texts
    are equal settings."""
    without = {*TENSORS, *left_out}
    return as_text([_kept(group, without) for group in groups])


def as_text(groups: object) -> str:
    """The text of groups that were parsed from a text of `encoded`: the same text."""
    return json.dumps(groups, separators=(",", ":"))


def decoded(text: str, count: int) -> list[dict[str, Kept]]:
    """The groups that `encoded` gave. RunError if it isn't what that writes of `count` groups."""
    try:
        groups = json.loads(text)
        if not isinstance(groups, list) or len(groups) != count:
            raise ValueError
        return [{_name(n): _value(item) for n, item in group} for group in groups]
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        raise RunError("the settings in the run's private folder are not this optimizer's") from None


def _kept(group: Mapping[str, object], without: Container[str]) -> list[list[object]]:
    found = [(name, _item(group[name])) for name in sorted(map(str, group)) if name in group and name not in without]
    return [[name, item] for name, item in found if item]


def _item(value: object, depth: int = 0) -> list[object] | None:
    """A value with its type, as JSON has it; None for one that isn't kept."""
    if type(value) is float:  # the most frequent type, and a step waits for this
        return ["float", repr(value)]
    match value:
        case None:
            return ["none"]
        case bool() | str():
            return [type(value).__name__, value] if type(value) in (bool, str) else None
        case int():
            return ["int", int(value)] if abs(value) < _MAX_INTEGER else None
        case float():
            return ["float", repr(float(value))]
        case Decimal():
            return ["decimal", str(value)]
        case np.generic():
            return _item(value.item(), depth + 1) if depth < _MAX_DEPTH else None
        case torch.Tensor():
            return _item(value.item(), depth) if value.numel() == 1 and not value.is_meta else None
        case list() | tuple():
            items = [_item(v, depth + 1) for v in value] if depth < _MAX_DEPTH else [None]
            return None if None in items else ["list" if isinstance(value, list) else "tuple", items]
        case _:
            return None


def _value(item: Sequence[object]) -> Kept:
    match item:
        case ["none"]:
            return None
        case ["bool", bool(value)] | ["int", int(value)] | ["str", str(value)]:
            return value
        case ["float", str(value)]:
            return float(value)
        case ["decimal", str(value)]:
            return Decimal(value)
        case ["list", list(values)]:
            return [_value(v) for v in values]
        case ["tuple", list(values)]:
            return tuple(_value(v) for v in values)
        case _:
            raise ValueError


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError
    return name
