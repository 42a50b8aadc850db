"""The parts of Adam's and AdamW's checker circuits; those for the gradient, the weights and decay
are in weights.py. RMSprop's (rmsprop.py) has the second moment, its root and the quotient, too.

The rule (core.rules) and what its lines show, for one element; `R` is RADIX and every name is the
line's:

    r1 = c1*2^15*G + (2^15-c1)*M - 2^15*M' + HALF     in 1 .. 2^15: M' is the rounded quotient
    rm = M' - 2^15*Mh + HALF                          in 1 .. 2^15: Mh is the rounded quotient
    m0 = Mh - R*m1 + 2^30                             Mh an integer, so M' is one
    r2 = c2*G*G + (2^15-c2)*V - 2^15*V' + HALF        in 1 .. 2^15
    S  = h + R/2*s1,  t1 = s1 - e1                    h, e1, t1 integers >= 0: S is an integer >= 0
    t0 = S*S + 2*S - V' - R*t1                        t = t0 + R*t1 >= 0: V' is an integer,
                                                      V' <= S*S + 2*S
    e0 = 2*h - t0                                     e = e0 + R*e1 = 2*S - t >= 0: V' >= S*S
    D  = S + E
    a0 = 2*LR*Mh + D - 2*D*U - R*a1                   a = a0 + R*a1 >= 0
    b0 = 2*D - 1 - a - R*b1 + penalties               a <= 2*D - 1: U is the rounded quotient

b0's other terms are all range-checked, so it also holds the penalties (part.py), which cost no line
of their own.

M is kept between steps as 2^15*(M + mu_t) with 2^15*mu_{t+1} = (2^15-c1)*mu_t - HALF in the field,
which swallows r1's constant and the factor of M'; rm's own constant becomes HALF - mu_{t+1}; the
last step, whose M' is committed as it is, has a line with both. Such copies are hints of one
circuit only, so a public offset may be added to them; that moves constants out of lines, and each
constant takes a place in the circuit.

An inner product costs half a row (of two columns) a term, rounded up to a row, and a sum or
difference half a row: so a line of three terms is written as one of two and a sum, and t1 is
obtained from s1 = e1 + t1. In all that is 31 rows per step and parameter, 38.5 with decay, and half
a row more in the last step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zk_autograd.core.constants import AdamConstants, RmspropConstants
from zk_autograd.core.rules.arithmetic import isqrt, rounded
from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.part import Last, Part, Values, column
from zk_autograd.prove.ezkl.circuit.ranges import EXACT, TWO_LIMBS, Interval, Shown, only
from zk_autograd.prove.ezkl.circuit.relations import HALF, OFFSET_G, RADIX, SHIFT, Dot, Operation, Pair, Where
from zk_autograd.prove.ezkl.circuit.weights import SIGNED, updates

Rooted = Sequence[AdamConstants] | Sequence[RmspropConstants]
"""A segment's constants, of a rule that divides by the second moment's root."""

_ONE = 2**SHIFT

SQUARE = Part(lines=(Pair("GG", Operation.PRODUCT, "G", "G"),))


# ---- the first moment ----------------------------------------------------------------------------


def moment_offsets(constants: Sequence[AdamConstants]) -> list[int]:
    """mu_0 .. mu_{T-1} for the T steps' constants: field elements, mu_0 = 0 (mu_T is 0 too)."""
    offsets = [0]
    for step in constants[:-1]:
        offsets.append(((_ONE - step.c1) * offsets[-1] - HALF) * inverse(_ONE) % MODULUS)
    return offsets


def _moment_coefficients(constants: Sequence[AdamConstants]) -> dict[str, list[int]]:
    offsets = moment_offsets(constants)
    steps, unit = len(constants), inverse(_ONE)
    return {
        "c1 shifted": [c.c1 * _ONE for c in constants],
        "1-c1": [(_ONE - c.c1) * scale for c, scale in zip(constants, [1, *[unit] * (steps - 1)], strict=True)],
        "r1 constant": [HALF - (_ONE - c.c1) * mu for c, mu in zip(constants, offsets, strict=True)],
        "M' scale": [unit] * (steps - 1) + [1],
        "rm constant": [HALF - mu for mu in [*offsets[1:], 0]],
    }


def _moment_copies(states: Values, constants: Sequence[AdamConstants]) -> Values:
    offsets = np.array(moment_offsets(constants)[1:], dtype=object).reshape(-1, 1)
    return {"M": (states["M"][1:-1].astype(object) + offsets) * _ONE}


def _moment_hints(states: Values, gradients: Any, constants: Sequence[AdamConstants]) -> Values:
    moment = rounded(states["M"][1:])
    return {"Mh": moment, "m1": (moment + OFFSET_G) // RADIX}


FIRST_MOMENT = Part(
    lines=(
        Dot("M mixed", (("c1 shifted", "G"), ("1-c1", "M")), Where.INNER),
        Pair("r1", Operation.DIFFERENCE, "M mixed", "M'", Where.INNER),
        Dot("r1", (("c1 shifted", "G"), ("1-c1", "M"), ("-2^15", "M'"), ("r1 constant", "one")), Where.LAST),
        Dot("M low", (("M' scale", "M'"), ("-2^15", "Mh"))),
        Pair("rm", Operation.SUM, "M low", "rm constant"),
        Dot("Mh low", (("one", "Mh"), ("-R", "m1"))),
        Pair("m0", Operation.SUM, "Mh low", "offset G"),
    ),
    looked_up=("r1", "rm", "m0", "m1"),
    exact=("r1", "rm"),
    hints=("Mh", "m1"),
    bounds={
        "c1 shifted": Interval(0, _ONE * _ONE),
        "1-c1": Interval(0, _ONE),
        "r1 constant": only(HALF),
        "M' scale": only(1),
        "rm constant": only(HALF),
    },
    shown=(
        Shown("Mh", SIGNED, "Mh + 2^30 is m0 + R*m1: two limbs"),
        Shown(
            "M'",
            only(_ONE) * SIGNED + EXACT - only(HALF),
            f"M' = 2^15*Mh + rm - {HALF:,} with rm exact: an integer, and Mh is its rounded quotient",
        ),
    ),
    coefficients=_moment_coefficients,
    between=_moment_copies,
    solve=_moment_hints,
)


# ---- the second moment and its root --------------------------------------------------------------


def _second_coefficients(constants: Rooted) -> dict[str, list[int]]:
    return {"c2": [c.c2 for c in constants], "1-c2": [_ONE - c.c2 for c in constants]}


def _second_copies(states: Values, constants: Rooted) -> Values:
    return {"V": states["V"][1:-1].astype(object)}


def _root_hints(states: Values, gradients: Any, constants: Rooted) -> Values:
    second = states["V"][1:]
    root = isqrt(second)
    below = root * root + 2 * root - second
    above = 2 * root - below
    return {
        "h": (below % RADIX + above % RADIX) // 2,
        "s1": below // RADIX + above // RADIX,
        "e1": above // RADIX,
    }


SECOND_MOMENT = Part(
    lines=(
        Dot("r2", (("c2", "GG"), ("1-c2", "V"), ("-2^15", "V'"), ("half", "one"))),
        Pair("t1", Operation.DIFFERENCE, "s1", "e1"),
        Dot("S", (("one", "h"), ("R/2", "s1"))),
        Pair("SS", Operation.PRODUCT, "S", "S"),
        Dot("t0", (("one", "SS"), ("2", "S"), ("-1", "V'"), ("-R", "t1"))),
        Dot("e0", (("2", "h"), ("-1", "t0"))),
        Pair("D", Operation.SUM, "S", "E"),
    ),
    looked_up=("r2", "h", "t0", "t1", "e0", "e1"),
    exact=("r2",),
    hints=("h", "s1", "e1"),
    bounds={"c2": Interval(0, _ONE), "1-c2": Interval(0, _ONE)},
    shown=(
        Shown("S", TWO_LIMBS, "2*S = t + e, two values of two limbs, and h = S - R/2*s1 is looked up: an integer"),
        Shown(
            "V'",
            TWO_LIMBS * TWO_LIMBS + only(2) * TWO_LIMBS,
            "V' = S*S + 2*S - t with 0 <= t = 2*S - e <= 2*S: an integer, and S its floor root",
        ),
    ),
    coefficients=_second_coefficients,
    between=_second_copies,
    solve=_root_hints,
)


# ---- the quotient --------------------------------------------------------------------------------


def _quotient_coefficients(constants: Rooted) -> dict[str, list[int]]:
    return {"2 LR": [2 * c.LR for c in constants], "E": [c.E for c in constants]}


def quotient(numerator: str, values: Callable[[Values, Any], Any]) -> Part:
    """a0's line for a variable as the numerator; `values` gives it, (T, n), from states and
    gradients."""

    def hints(states: Values, gradients: Any, constants: Rooted) -> Values:
        divisor = isqrt(states["V"][1:]) + column([c.E for c in constants])
        update = updates(states, constants)
        rate = 2 * column([c.LR for c in constants])
        remainder = rate * values(states, gradients) + divisor - 2 * divisor * update
        return {"a1": remainder // RADIX, "b1": (2 * divisor - 1 - remainder) // RADIX}

    by = f"a = 2*LR*{numerator} + D - 2*D*U and b = 2*D - 1 - a, D = S + E >= 1: two limbs each"
    return Part(
        lines=(
            Pair("Du", Operation.PRODUCT, "D", "u"),
            Dot("a0", (("2 LR", numerator), ("1+2 offset u", "D"), ("-2", "Du"), ("-R", "a1"))),
        ),
        looked_up=("a0", "a1", "b1"),
        hints=("a1", "b1"),
        bounds={"2 LR": Interval(0, 2 * (2**30 - 1)), "E": Interval(1, 2**29 - 1)},
        shown=(Shown("a, b", TWO_LIMBS, by),),
        coefficients=_quotient_coefficients,
        solve=hints,
    )


QUOTIENT = quotient("Mh", lambda states, gradients: rounded(states["M"][1:]))

LAST = Last("b0", (("2", "D"), ("-1", "a0"), ("-R", "a1"), ("-R", "b1")), -1)
