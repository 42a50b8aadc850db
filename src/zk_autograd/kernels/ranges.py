"""What a packed state can hold: the ranges of `core.formats`, looked at before a state is packed.

Every state that a step produces lies within them, so a packed one does from its first step to its
last.
"""

from collections.abc import Mapping

import numpy as np

from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import (
    FIRST_MOMENT_BOUND,
    MOMENTUM_BOUND,
    SECOND_MOMENT_MAX,
    WEIGHT_ADVICE,
    WEIGHT_BOUND,
    IntArray,
    require_below,
)

_DAMAGED = "no step produces such a value: the state is damaged; resume from an earlier one"
_BOUNDS = {
    "W": ("weight", WEIGHT_BOUND, WEIGHT_ADVICE),
    "M": ("first moment", FIRST_MOMENT_BOUND, _DAMAGED),
    "V": ("second moment", SECOND_MOMENT_MAX + 1, _DAMAGED),
    "B": ("momentum", MOMENTUM_BOUND, _DAMAGED),
}


def require_ranges(state: Mapping[str, IntArray]) -> None:
    """RangeError (tensor "", index in the flat vector) if an element of the state is one that no
    step could begin with."""
    for name in [name for name in state if name in _BOUNDS]:
        values, (what, bound, advice) = state[name], _BOUNDS[name]
        require_below(what, values, bound, advice)
        if name == "V" and values.size and int(values.min()) < 0:
            index = int(np.argmax(values < 0))
            raise RangeError(what, "", index, int(values[index]), bound, f"and it must not be negative: {advice}")
