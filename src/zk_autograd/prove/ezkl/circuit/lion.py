"""The parts of Lion's checker circuit; those for the gradient, W's floor and the weights at the end
are in weights.py.

The rule (core.rules) and what its lines show, for one element; `R` is RADIX and every name is the
line's:

    r1 = c2*2^15*G + (2^15-c2)*M - 2^15*M' + HALF     in 1 .. 2^15: M' is the rounded quotient
    M0 = M' + 2^45 - R*M1 - R^2*M2                    M' an integer, by three limbs
    C  = c1*2^15*G + (2^15-c1)*M                      an integer, as a sum of integers
    s  = sg + 1, sR = R/2*s                           both in the table: sg is -1, 0 or 1
    K  = K0 + R*K1 + R^2*K2 + R^3*K3                  an integer >= 0, by four limbs
    p  = 2^16*(C - sg*(K + 1)) + penalties            in the table: C = sg*(K + 1), sg its sign
    rd = decay*(wq - 2^30) - 2^15*(W - W' - LR*sg) + HALF
                                                      in 1 .. 2^15: W - W' - LR*sg is the rounded
                                                      quotient

An equation is shown by a lookup: the table ends before 2^16, so of the multiples of 2^16 only 0 is
in it. This one is in the line of the penalties, where it takes no lookup of its own: C, sg and K
are range-checked, and 2^16*(C - sg*(K + 1)) stays below 2^82 in size, far from a penalty.

W' is W less integers, so the decay needs no hint, and U no limbs: rd's line has W - W' - LR*sg in
place of Rd. Copies of M and W between steps are M and W themselves. 27 rows per step and parameter,
decay's lines among them; D may be 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zk_autograd.core.constants import LionConstants
from zk_autograd.prove.ezkl.circuit.part import Last, Part, Values, column
from zk_autograd.prove.ezkl.circuit.ranges import FOUR_LIMBS, Interval, Shown, only
from zk_autograd.prove.ezkl.circuit.relations import OFFSET_W, RADIX, SHIFT, Dot, Operation, Pair
from zk_autograd.prove.ezkl.circuit.weights import DECAY_BOUNDS, DECAYS, SIGNED, WEIGHTS, decay_coefficients

_ONE = 2**SHIFT


# ---- the moment ----------------------------------------------------------------------------------


def _moment_coefficients(constants: Sequence[LionConstants]) -> dict[str, list[int]]:
    return {"c2 shifted": [c.c2 * _ONE for c in constants], "1-c2": [_ONE - c.c2 for c in constants]}


def _moment_copies(states: Values, constants: Sequence[LionConstants]) -> Values:
    return {"M": states["M"][1:-1].astype(object)}


def _moment_hints(states: Values, gradients: Any, constants: Sequence[LionConstants]) -> Values:
    raised = states["M"][1:] + OFFSET_W
    return {"M1": raised // RADIX % RADIX, "M2": raised // RADIX // RADIX}


MOMENT = Part(
    lines=(
        Dot("r1", (("c2 shifted", "G"), ("1-c2", "M"), ("-2^15", "M'"), ("half", "one"))),
        Dot("M0", (("one", "M'"), ("-R", "M1"), ("-RR", "M2"), ("offset W", "one"))),
    ),
    looked_up=("r1", "M0", "M1", "M2"),
    exact=("r1",),
    hints=("M1", "M2"),
    bounds={"c2 shifted": Interval(0, _ONE * _ONE), "1-c2": Interval(0, _ONE)},
    shown=(Shown("M'", WEIGHTS, "M' + 2^45 is M0 + R*M1 + R^2*M2: three limbs; by r1 the rounded quotient"),),
    coefficients=_moment_coefficients,
    between=_moment_copies,
    solve=_moment_hints,
)


# ---- the sign ------------------------------------------------------------------------------------


def _sign_coefficients(constants: Sequence[LionConstants]) -> dict[str, list[int]]:
    return {"c1 shifted": [c.c1 * _ONE for c in constants], "1-c1": [_ONE - c.c1 for c in constants]}


def _sign_hints(states: Values, gradients: Any, constants: Sequence[LionConstants]) -> Values:
    c1, before = column([c.c1 for c in constants]), states["M"][:-1]
    mixed = c1 * _ONE * gradients + (_ONE - c1) * before
    rest = np.maximum(abs(mixed) - 1, 0)
    return {"sg": np.sign(mixed)} | {f"K{i}": rest // RADIX**i % RADIX for i in range(4)}


_SHIFTED = Interval(0, _ONE * _ONE)

SIGN = Part(
    lines=(
        Dot("C", (("c1 shifted", "G"), ("1-c1", "M"))),
        Dot("-K", (("-1", "K0"), ("-R", "K1"), ("-RR", "K2"), ("-RRR", "K3"))),
        Pair("-sK", Operation.PRODUCT, "sg", "-K"),
        Pair("C-sK", Operation.SUM, "C", "-sK"),
        Pair("s", Operation.SUM, "sg", "one"),
        Pair("sR", Operation.PRODUCT, "s", "R/2"),
    ),
    looked_up=("s", "sR", "K0", "K1", "K2", "K3"),
    hints=("sg", "K0", "K1", "K2", "K3"),
    bounds={"c1 shifted": _SHIFTED, "1-c1": Interval(0, _ONE)},
    shown=(
        Shown("C", _SHIFTED * SIGNED + Interval(0, _ONE) * WEIGHTS, "C = c1*2^15*G + (2^15 - c1)*M: integers"),
        Shown("sg", Interval(-1, 1), "s = sg + 1 is an integer by its lookup, and at most 2 by that of R/2*s"),
        Shown("K", FOUR_LIMBS, "K = K0 + R*K1 + R^2*K2 + R^3*K3: four limbs; C = sg*(K + 1) by p"),
    ),
    coefficients=_sign_coefficients,
    solve=_sign_hints,
)

LAST = Last("p", (("2^16", "C-sK"), ("-2^16", "sg")))


# ---- the weights ---------------------------------------------------------------------------------


def _weight_coefficients(constants: Sequence[LionConstants]) -> dict[str, list[int]]:
    return decay_coefficients(constants) | {"2^15 LR": [c.LR * _ONE for c in constants]}


DECAYED = Part(
    lines=(
        Pair("moved", Operation.DIFFERENCE, "W", "W'"),
        Dot("rd", (("decay", "wq"), ("-2^15", "moved"), ("2^15 LR", "sg"), ("rd constant", "one"))),
    ),
    looked_up=("rd",),
    exact=("rd",),
    bounds={**DECAY_BOUNDS, "2^15 LR": only(_ONE) * Interval(0, 2**30 - 1)},
    shown=(Shown("Rd", DECAYS, "Rd = W - W' - LR*sg: integers; by rd the rounded quotient of decay*(wq - 2^30)"),),
    coefficients=_weight_coefficients,
)
"""W' = W - LR*sg - Rd, after FLOOR_OF_KEPT."""
