"""An argument that is an integer."""

import operator
from typing import Any

from zk_autograd.core.errors import UsageError


def whole(value: Any, name: str, lowest: int, highest: int) -> int:
    """The integer, also of NumPy or a tensor of one. UsageError for another value, or one out of
    range."""
    try:
        found = operator.index(value)
    except (TypeError, RuntimeError, ValueError):
        found = lowest - 1
    if not lowest <= found <= highest or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r:.100}; it must be an integer of {lowest:,} to {highest:,}")
    return found
