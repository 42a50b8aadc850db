"""Any value in a JSON object made another one."""

import json
from collections.abc import Callable, Iterator
from typing import Any


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a record but the record itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places_of(item, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def edit(record: Any, path: tuple[Any, ...], how: int, places: list[tuple[Any, ...]]) -> None:
    """Another value at `path`: one of its own kind, one of another kind, or that of another
    place."""
    parent, key = _at(record, path[:-1]), path[-1]
    old = parent[key]
    changes: list[Callable[[], Any]] = [
        lambda: _at(record, places[how // 8 % len(places)]),
        lambda: [None, 1.5, True, -1, 2**53, 10**12, "", "\u202ex", [], {}][how // 8 % 10],
    ]
    if isinstance(old, bool):
        changes.append(lambda: not old)
    elif isinstance(old, int):
        changes += [lambda: old + 1, lambda: old - 1, lambda: 0]
    elif isinstance(old, str):
        digit = "0" if old[:1] != "0" else "1"
        changes += [lambda: digit + old[1:], lambda: old[:-1] + digit, old.upper, lambda: old + "0"]
    elif isinstance(old, list):
        changes += [lambda: old[:-1], lambda: old + old[-1:], lambda: old[::-1], lambda: old[:1] * len(old)]
    else:
        changes += [lambda: {**old, "more": "x"}, lambda: dict(list(old.items())[1:])]
    changed = json.loads(json.dumps(changes[how % len(changes)]()))
    parent[key] = changed
    if how % 64 == 63 and isinstance(parent, dict):
        del parent[key]
