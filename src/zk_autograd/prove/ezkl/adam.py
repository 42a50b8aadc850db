"""Adam's checker circuit.

The rule (core.rules) and what its lines show, for one element; `R` is RADIX and every name is the line's:

    G0 = G - R*G1 + 2^30                              G an integer, by two limbs
    r1 = c1*2^15*G + (2^15-c1)*M - 2^15*M' + HALF     in 1 .. 2^15: M' is the rounded quotient
    rm = M' - 2^15*Mh + HALF                          in 1 .. 2^15: Mh is the rounded quotient
    m0 = Mh - R*m1 + 2^30                             Mh an integer, so M' is one
    r2 = c2*G*G + (2^15-c2)*V - 2^15*V' + HALF        in 1 .. 2^15
    S  = h + R/2*s1,  t1 = s1 - e1                    h, e1, t1 integers >= 0: S is an integer >= 0
    t0 = S*S + 2*S - V' - R*t1                        t = t0 + R*t1 >= 0: V' is an integer, V' <= S*S + 2*S
    e0 = 2*h - t0                                     e = e0 + R*e1 = 2*S - t >= 0: V' >= S*S
    D  = S + E
    u  = W - W' + OFFSET_U;   u0 = u - R*u1           W - W' an integer, by two limbs
    a0 = 2*LR*Mh + D - 2*D*(W - W') - R*a1            a = a0 + R*a1 >= 0
    b0 = 2*D - 1 - a - R*b1 + penalties               a <= 2*D - 1: W - W' is the rounded quotient

The penalties are BIG * ((1 - y:r1) + 2*(1 - y:rm) + 4*(1 - y:r2)). Every 1 - y is -1, 0 or 1, so the sum is 0 only where each is 0
(weights all 1 would let two cancel), and every other term of b0's line is range-checked, so nothing can pay for it.

Copies of the states *between* steps are hints of this circuit alone, so an offset that is public may be added to them; that
moves constants out of lines, and each constant is a place in the circuit:

* W is kept as W - t*OFFSET_U, so that u is one subtraction (the last step's u is a line of three terms);
* M is kept as 2^15*(M + mu_t) with 2^15*mu_{t+1} = (2^15-c1)*mu_t - HALF in the field, which swallows r1's constant and the factor of
  M'; rm's own constant becomes HALF - mu_{t+1}; the last step, whose M' is committed as it is, has a line with both.

An inner product costs half a row (of two columns) a term, rounded up to a row, and a sum or difference half a row: so a line of three
terms is written as one of two and a sum, and t1 is had from s1 = e1 + t1. 31.5 rows a step and parameter in all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zk_autograd.core.constants import AdamConstants
from zk_autograd.core.rules.arithmetic import isqrt
from zk_autograd.prove.ezkl.field import MODULUS, inverse
from zk_autograd.prove.ezkl.relations import (
    BIG,
    HALF,
    OFFSET_G,
    OFFSET_U,
    RADIX,
    SHIFT,
    WEIGHT_COEFFICIENTS,
    WEIGHT_HINTS,
    WEIGHT_LIMBS,
    Dot,
    Line,
    Lookup,
    Operation,
    Pair,
    Relations,
    Where,
    require_no_decay,
    weight_lines,
)

_ONE = 2**SHIFT

_LINES: tuple[Line, ...] = (
    Pair("GG", Operation.PRODUCT, "G", "G"),
    Dot("G low", (("one", "G"), ("-R", "G1"))),
    Pair("G0", Operation.SUM, "G low", "offset G"),
    Dot("M mixed", (("c1 shifted", "G"), ("1-c1", "M")), Where.INNER),
    Pair("r1", Operation.DIFFERENCE, "M mixed", "M'", Where.INNER),
    Dot("r1", (("c1 shifted", "G"), ("1-c1", "M"), ("-2^15", "M'"), ("r1 constant", "one")), Where.LAST),
    Dot("M low", (("M' scale", "M'"), ("-2^15", "Mh"))),
    Pair("rm", Operation.SUM, "M low", "rm constant"),
    Dot("Mh low", (("one", "Mh"), ("-R", "m1"))),
    Pair("m0", Operation.SUM, "Mh low", "offset G"),
    Dot("r2", (("c2", "GG"), ("1-c2", "V"), ("-2^15", "V'"), ("half", "one"))),
    Pair("t1", Operation.DIFFERENCE, "s1", "e1"),
    Dot("S", (("one", "h"), ("R/2", "s1"))),
    Pair("SS", Operation.PRODUCT, "S", "S"),
    Dot("t0", (("one", "SS"), ("2", "S"), ("-1", "V'"), ("-R", "t1"))),
    Dot("e0", (("2", "h"), ("-1", "t0"))),
    Pair("D", Operation.SUM, "S", "E"),
    Pair("u", Operation.DIFFERENCE, "W", "W'", Where.INNER),
    Dot("u", (("one", "W"), ("-1", "W'"), ("offset u", "one")), Where.LAST),
    Dot("u0", (("one", "u"), ("-R", "u1"))),
    Pair("Du", Operation.PRODUCT, "D", "u"),
    Dot("a0", (("2 LR", "Mh"), ("1+2 offset u", "D"), ("-2", "Du"), ("-R", "a1"))),
    *weight_lines(),
    Lookup(
        (
            *("G0", "G1", "r1", "rm", "m0", "m1", "r2", "h", "t0", "t1", "e0", "e1", "u0", "u1", "a0", "a1", "b1"),
            *WEIGHT_LIMBS,
        ),
        exact=("r1", "rm", "r2"),
    ),
    Dot(
        "b0",
        (
            ("2", "D"),
            ("-1", "a0"),
            ("-R", "a1"),
            ("-R", "b1"),
            ("b constant", "one"),
            ("penalty 1", "y:r1"),
            ("penalty 2", "y:rm"),
            ("penalty 4", "y:r2"),
        ),
    ),
    Lookup(("b0",)),
)

RELATIONS = Relations(
    rule="adam",
    states=("W", "M", "V"),
    hints=("G1", "Mh", "m1", "h", "s1", "e1", "u1", "a1", "b1"),
    state_hints=WEIGHT_HINTS,
    global_coefficients={
        **WEIGHT_COEFFICIENTS,
        "-1": -1,
        "2": 2,
        "-2": -2,
        "R/2": RADIX // 2,
        "-2^15": -_ONE,
        "half": HALF,
        "offset G": OFFSET_G,
        "1+2 offset u": 1 + 2 * OFFSET_U,
        "b constant": 7 * BIG - 1,
        "penalty 1": -BIG,
        "penalty 2": -2 * BIG,
        "penalty 4": -4 * BIG,
    },
    step_coefficients=(
        *("c1 shifted", "1-c1", "r1 constant", "M' scale", "rm constant", "c2", "1-c2", "2 LR", "E", "offset u"),
    ),
    lines=_LINES,
)


def moment_offsets(constants: Sequence[AdamConstants]) -> list[int]:
    """mu_0 .. mu_{T-1} for the T steps' constants: field elements, mu_0 = 0 (mu_T is 0 too)."""
    offsets = [0]
    for step in constants[:-1]:
        offsets.append(((_ONE - step.c1) * offsets[-1] - HALF) * inverse(_ONE) % MODULUS)
    return offsets


def coefficients(constants: Sequence[AdamConstants]) -> dict[str, list[int]]:
    """The T values of each step coefficient, as integers or field elements, for T steps' constants. VerificationError for a weight decay."""
    require_no_decay(constants)
    offsets = moment_offsets(constants)
    steps, unit = len(constants), inverse(_ONE)
    return {
        "c1 shifted": [c.c1 * _ONE for c in constants],
        "1-c1": [(_ONE - c.c1) * scale for c, scale in zip(constants, [1, *[unit] * (steps - 1)], strict=True)],
        "r1 constant": [HALF - (_ONE - c.c1) * mu for c, mu in zip(constants, offsets, strict=True)],
        "M' scale": [unit] * (steps - 1) + [1],
        "rm constant": [HALF - mu for mu in [*offsets[1:], 0]],
        "c2": [c.c2 for c in constants],
        "1-c2": [_ONE - c.c2 for c in constants],
        "2 LR": [2 * c.LR for c in constants],
        "E": [c.E for c in constants],
        "offset u": [steps * OFFSET_U] * steps,
    }


def between(states: dict[str, Any], constants: Sequence[AdamConstants]) -> dict[str, Any]:
    """The copies between steps, offsets added: for states of shape (T+1, n), object arrays of shape (T-1, n)."""
    steps = len(constants)
    time = np.arange(1, steps, dtype=object)[:, None]
    offsets = np.array(moment_offsets(constants)[1:], dtype=object).reshape(-1, 1)
    return {
        "W": states["W"][1:-1].astype(object) - time * OFFSET_U,
        "M": (states["M"][1:-1].astype(object) + offsets) * _ONE,
        "V": states["V"][1:-1].astype(object),
    }


def hints(states: dict[str, Any], gradients: Any, constants: Sequence[AdamConstants]) -> dict[str, Any]:
    """The hints of an honest step: states of shape (T+1, n) and gradients (T, n), int64, in; (T, n) arrays out.

    They are computed from the *next* states, not from the rule, so that a wrong next state gives hints as near as they can be
    and the lookups refuse it.
    """
    lr = np.array([c.LR for c in constants], dtype=np.int64)[:, None]
    eps = np.array([c.E for c in constants], dtype=np.int64)[:, None]
    moment, second = states["M"][1:], states["V"][1:]
    rounded = (moment + 2 ** (SHIFT - 1)) >> SHIFT
    root = isqrt(second)
    divisor = root + eps
    update = states["W"][:-1] - states["W"][1:]
    below = root * root + 2 * root - second
    above = 2 * root - below
    remainder = 2 * lr * rounded + divisor - 2 * divisor * update
    return {
        "G1": (gradients + OFFSET_G) // RADIX,
        "Mh": rounded,
        "m1": (rounded + OFFSET_G) // RADIX,
        "h": (below % RADIX + above % RADIX) // 2,
        "s1": below // RADIX + above // RADIX,
        "e1": above // RADIX,
        "u1": (update + OFFSET_U) // RADIX,
        "a1": remainder // RADIX,
        "b1": (2 * divisor - 1 - remainder) // RADIX,
    }
