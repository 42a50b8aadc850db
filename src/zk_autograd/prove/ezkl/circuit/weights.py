"""The parts that every rule has: the gradient, the weights and how far they move, with and without
decay.

One element and one step; `R` is RADIX and every name is a line's:

    G0 = G - R*G1 + 2^30                      G an integer, by two limbs
    w0 = W + 2^45 - R*w1 - R^2*w2             W an integer, by three limbs, at an end of the segment
    u  = W - W' [- Rd] + OFFSET_U
    u0 = u - R*u1                             U = W - W' [- Rd] an integer, by two limbs

and with weight decay, wq being the hint floor(W / 2^15) + 2^30:

    wl = W + 2^45 - 2^15*wq + 1               in 1 .. 2^15
    q0 = wq - R*q1                            wq an integer, by two limbs: so W is one, wq the floor
    rd = decay*(wq - 2^30) - 2^15*Rd + HALF   in 1 .. 2^15: Rd is the rounded quotient

Limbs on wq itself are needed: with decay = 2^15 a fractional wq = (W + 2^45) / 2^15 satisfies wl =
1 and rd, with W' off by one. Rd is looked up nowhere: U is an integer, and so are W and W', the
first by its own wl and wq, the second by those of the next step, or by three limbs after the last.
So the weights before the first step need no limbs of their own where there is decay.

Copies of W between steps are W - t*OFFSET_U, so that u needs no constant; the last step's u, whose
W' is committed as it is, is a line with one. wl has one for each step.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import SHIFT
from zk_autograd.core.rules.arithmetic import rounded
from zk_autograd.prove.ezkl.circuit.part import Part, Values, column, no_coefficients
from zk_autograd.prove.ezkl.circuit.ranges import EXACT, THREE_LIMBS, TWO_LIMBS, Interval, Shown, only
from zk_autograd.prove.ezkl.circuit.relations import (
    HALF,
    OFFSET_G,
    OFFSET_U,
    OFFSET_W,
    RADIX,
    Dot,
    Operation,
    Pair,
    Where,
)

Constants = Sequence[AdamConstants] | Sequence[SgdConstants] | Sequence[RmspropConstants] | Sequence[LionConstants]

_ONE = 2**SHIFT
_LARGEST_DECAY = 2**28 - 1

SIGNED = TWO_LIMBS - only(OFFSET_G)
"""What is shown in two limbs with an offset of 2^30."""

WEIGHTS = THREE_LIMBS - only(OFFSET_W)


def _gradient_hints(states: Values, gradients: Any, constants: Constants) -> Values:
    return {"G1": (gradients + OFFSET_G) // RADIX}


GRADIENT = Part(
    lines=(
        Dot("G low", (("one", "G"), ("-R", "G1"))),
        Pair("G0", Operation.SUM, "G low", "offset G"),
    ),
    looked_up=("G0", "G1"),
    hints=("G1",),
    shown=(Shown("G", SIGNED, "G + 2^30 is G0 + R*G1: two limbs"),),
    solve=_gradient_hints,
)


# ---- how far the weights move --------------------------------------------------------------------


def require_no_decay(constants: Constants) -> None:
    """VerificationError for a step with weight decay: a circuit without a line for it would prove
    the step without decay."""
    for step in constants:
        if step.D != 0:
            raise VerificationError(
                "this circuit has no line for weight decay", expected="D = 0", found=f"D = {step.D}"
            )


def decays(states: Values, constants: Constants) -> Any:
    """Rd of each step, (T, n)."""
    return rounded(column([c.D for c in constants]) * (states["W"][:-1] >> SHIFT))


def updates(states: Values, constants: Constants) -> Any:
    """U of each step, (T, n): what the weights moved by, less decay."""
    return states["W"][:-1] - states["W"][1:] - decays(states, constants)


def _without_decay(constants: Constants) -> dict[str, list[int]]:
    require_no_decay(constants)
    return {}


def _update_hints(states: Values, gradients: Any, constants: Constants) -> Values:
    return {"u1": (updates(states, constants) + OFFSET_U) // RADIX}


_UPDATES = TWO_LIMBS - only(OFFSET_U)
_U0 = Dot("u0", (("one", "u"), ("-R", "u1")))

MOVED = Part(
    lines=(
        Pair("u", Operation.DIFFERENCE, "W", "W'", Where.INNER),
        Dot("u", (("one", "W"), ("-1", "W'"), ("offset u", "one")), Where.LAST),
        _U0,
    ),
    looked_up=("u0", "u1"),
    hints=("u1",),
    shown=(Shown("U", _UPDATES, "U = W - W', and U + 2^31 - 2^20 is u0 + R*u1: two limbs"),),
    coefficients=_without_decay,
    solve=_update_hints,
)
"""W' = W - U."""

MOVED_AND_DECAYED = Part(
    lines=(
        Pair("moved", Operation.DIFFERENCE, "W", "W'", Where.INNER),
        Pair("u", Operation.DIFFERENCE, "moved", "Rd", Where.INNER),
        Dot("u", (("one", "W"), ("-1", "W'"), ("-1", "Rd"), ("offset u", "one")), Where.LAST),
        _U0,
    ),
    looked_up=("u0", "u1"),
    hints=("u1",),
    shown=(Shown("U", _UPDATES, "U = W - W' - Rd, and U + 2^31 - 2^20 is u0 + R*u1: two limbs"),),
    solve=_update_hints,
)
"""W' = W - U - Rd; Rd is DECAY's."""


# ---- decay ---------------------------------------------------------------------------------------


def _floor_hints(states: Values, gradients: Any, constants: Constants) -> Values:
    quotient = (states["W"][:-1] >> SHIFT) + OFFSET_G
    return {"wq": quotient, "q1": quotient // RADIX}


def _floor(offset: int) -> Part:
    """floor(W / 2^15), where copies of W between steps are W - t*offset."""

    def coefficients(constants: Constants) -> dict[str, list[int]]:
        return {"wl constant": [OFFSET_W + 1 + t * offset for t in range(len(constants))]}

    return Part(
        lines=(
            Dot("W low", (("one", "W"), ("-2^15", "wq"))),
            Pair("wl", Operation.SUM, "W low", "wl constant"),
            Dot("q0", (("one", "wq"), ("-R", "q1"))),
        ),
        looked_up=("wl", "q0", "q1"),
        exact=("wl",),
        hints=("wq", "q1"),
        bounds={"wl constant": only(OFFSET_W + 1)},
        shown=(
            Shown("wq", TWO_LIMBS, "wq is q0 + R*q1: two limbs; wq - 2^30 is floor(W / 2^15), since wl is exact"),
            Shown(
                "W",
                only(_ONE) * SIGNED + EXACT - only(1),
                "W before a step is 2^15*(wq - 2^30) + wl - 1 with wl exact: an integer",
            ),
        ),
        coefficients=coefficients,
        solve=_floor_hints,
    )


FLOOR, FLOOR_OF_KEPT = _floor(OFFSET_U), _floor(0)
"""The floor for W's copies, and for copies that are W itself."""


def decay_coefficients(constants: Constants) -> dict[str, list[int]]:
    """D, and what rd has beside it: HALF, and wq's offset taken off."""
    return {
        "decay": [c.D for c in constants],
        "rd constant": [HALF - c.D * OFFSET_G for c in constants],
    }


DECAY_BOUNDS = {
    "decay": Interval(0, _LARGEST_DECAY),
    "rd constant": Interval(HALF - _LARGEST_DECAY * OFFSET_G, HALF),
}
"""Of `decay_coefficients`."""


def _decay_hints(states: Values, gradients: Any, constants: Constants) -> Values:
    return {"Rd": decays(states, constants)}


DECAYS = Interval(
    -((EXACT.high - HALF - _LARGEST_DECAY * SIGNED.low) // _ONE),
    (_LARGEST_DECAY * SIGNED.high + HALF - EXACT.low) // _ONE,
)

DECAY = Part(
    lines=(
        Dot("decayed", (("decay", "wq"), ("-2^15", "Rd"))),
        Pair("rd", Operation.SUM, "decayed", "rd constant"),
    ),
    looked_up=("rd",),
    exact=("rd",),
    hints=("Rd",),
    bounds=DECAY_BOUNDS,
    shown=(Shown("Rd", DECAYS, "Rd = W - W' - U: an integer, and by rd the rounded quotient of decay*(wq - 2^30)"),),
    coefficients=decay_coefficients,
    solve=_decay_hints,
)
"""Rd, after FLOOR."""


# ---- the weights at the ends ---------------------------------------------------------------------


def _offset_u(constants: Constants) -> dict[str, list[int]]:
    return {"offset u": [len(constants) * OFFSET_U] * len(constants)}


def _kept(states: Values, constants: Constants) -> Values:
    return {"W": states["W"][1:-1].astype(object)}


def _between(states: Values, constants: Constants) -> Values:
    time = np.arange(1, len(constants), dtype=object)[:, None]
    return {"W": states["W"][1:-1].astype(object) - time * OFFSET_U}


def _limb_hints(states: Values, gradients: Any, constants: Constants) -> Values:
    found: Values = {}
    for end, weights in (("in", states["W"][0]), ("out", states["W"][-1])):
        raised = weights + OFFSET_W
        found |= {f"w1_{end}": raised // RADIX % RADIX, f"w2_{end}": raised // RADIX // RADIX}
    return found


def _ends(ends: dict[str, Where], shown: Shown) -> Part:
    return Part(
        lines=tuple(
            Dot(f"w0_{end}", (("one", "W"), ("-R", f"w1_{end}"), ("-RR", f"w2_{end}"), ("offset W", "one")), where)
            for end, where in ends.items()
        ),
        looked_up=tuple(f"w{limb}_{end}" for end in ends for limb in (0, 1, 2)),
        state_hints=tuple(f"w{limb}_{end}" for end in ends for limb in (1, 2)),
        bounds={"offset u": only(OFFSET_U)},
        shown=(shown,),
        coefficients=_offset_u,
        between=_between,
        solve=_limb_hints,
    )


_BY = "W + 2^45 is w0 + R*w1 + R^2*w2: three limbs"

BOTH_ENDS = _ends(
    {"in": Where.FIRST_STATE, "out": Where.LAST_STATE},
    Shown("W, W' at the ends", WEIGHTS, f"{_BY}; between steps W is the one before less U"),
)
"""The weights before and after a segment without decay."""

LAST_END = _ends({"out": Where.LAST_STATE}, Shown("W' at the end", WEIGHTS, _BY))
"""The weights after a segment with decay."""

LAST_END_OF_KEPT = replace(LAST_END, bounds={}, coefficients=no_coefficients, between=_kept)
"""The same where copies of W between steps are W itself, and no line has its offset."""
