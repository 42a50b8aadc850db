"""The checker circuit of SGD with momentum.

The rule (core.rules) and what its lines show, for one element:

    G0 = G - R*G1 + 2^30                               G an integer, by two limbs
    rm = mu*B + cg*G - 2^15*B' + HALF                  in 1 .. 2^15: B' is the rounded quotient
    B0 = B' - R*B1 + 2^30                              B' an integer, by two limbs
    u  = W - W' + OFFSET_U;   u0 = u - R*u1            W - W' an integer, by two limbs
    r0 = LR*B' - 2^s*(W - W') - carry*(r1 - 1) + HALF + 2^(s-1) - 2^14
                                                       r0 and r1 in 1 .. 2^15: the remainder is in 0 .. 2^s - 1
    p  = BIG*(7 - y:rm - 2*y:r1 - 4*y:r0)              in 0 .. TABLE_MAX: each output is 1

`carry` is 2^15 for s = 30 and 0 for s = 15, where r0 alone is the remainder and r1 is any value of the table's first part. `cg` is 2^15
in a step of the run and 0 in a no-op that fills a segment: with 2^15 there too, a prover could move B by a gradient nobody sees
(mu is 2^15 in a no-op, so B' = B + G).

Between steps B is kept as 2^15*(B + beta_t) with 2^15*beta_{t+1} = mu*beta_t - HALF in the field, which swallows rm's constant and the
factor of B', and W as W - t*OFFSET_U; see adam.py, where the same is done. 15 rows a step and parameter in all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zk_autograd.core.constants import SgdConstants
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
    Dot("G low", (("one", "G"), ("-R", "G1"))),
    Pair("G0", Operation.SUM, "G low", "offset G"),
    Dot("B mixed", (("mu", "B"), ("cg", "G")), Where.INNER),
    Pair("rm", Operation.DIFFERENCE, "B mixed", "B'", Where.INNER),
    Dot("rm", (("mu", "B"), ("cg", "G"), ("-2^15", "B'"), ("rm constant", "one")), Where.LAST),
    Dot("B low", (("B' scale", "B'"), ("-R", "B1"))),
    Pair("B0", Operation.SUM, "B low", "B constant"),
    Pair("u", Operation.DIFFERENCE, "W", "W'", Where.INNER),
    Dot("u", (("one", "W"), ("-1", "W'"), ("offset u", "one")), Where.LAST),
    Dot("u0", (("one", "u"), ("-R", "u1"))),
    Dot("r0", (("LR", "B'"), ("-2^s", "u"), ("-carry", "r1"), ("r0 constant", "one"))),
    *weight_lines(),
    Lookup(("G0", "G1", "rm", "B0", "B1", "u0", "u1", "r0", "r1", *WEIGHT_LIMBS), exact=("rm", "r1", "r0")),
    Dot("p", (("p constant", "one"), ("penalty 1", "y:rm"), ("penalty 2", "y:r1"), ("penalty 4", "y:r0"))),
    Lookup(("p",)),
)

RELATIONS = Relations(
    rule="sgd-momentum",
    states=("W", "B"),
    hints=("G1", "B1", "u1", "r1"),
    state_hints=WEIGHT_HINTS,
    global_coefficients={
        **WEIGHT_COEFFICIENTS,
        "-1": -1,
        "-2^15": -_ONE,
        "offset G": OFFSET_G,
        "p constant": 7 * BIG,
        "penalty 1": -BIG,
        "penalty 2": -2 * BIG,
        "penalty 4": -4 * BIG,
    },
    step_coefficients=(
        *("mu", "cg", "rm constant", "B' scale", "B constant", "LR", "-2^s", "-carry", "r0 constant", "offset u"),
    ),
    lines=_LINES,
)


def _carry(step: SgdConstants) -> int:
    return _ONE if step.s == 2 * SHIFT else 0


def buffer_offsets(constants: Sequence[SgdConstants]) -> list[int]:
    """beta_0 .. beta_{T-1} for the T steps' constants: field elements, beta_0 = 0 (beta_T is 0 too)."""
    offsets = [0]
    for step in constants[:-1]:
        offsets.append((step.mu * offsets[-1] - HALF) * inverse(_ONE) % MODULUS)
    return offsets


def coefficients(constants: Sequence[SgdConstants]) -> dict[str, list[int]]:
    """The T values of each step coefficient, as integers or field elements, for T steps' constants. VerificationError for a weight decay."""
    require_no_decay(constants)
    offsets = buffer_offsets(constants)
    after = [*offsets[1:], 0]
    steps, unit = len(constants), inverse(_ONE)
    scales = [unit] * (steps - 1) + [1]
    return {
        "mu": [c.mu * scale for c, scale in zip(constants, [1, *scales[:-1]], strict=True)],
        "cg": [c.cg for c in constants],
        "rm constant": [HALF - c.mu * beta for c, beta in zip(constants, offsets, strict=True)],
        "B' scale": scales,
        "B constant": [OFFSET_G - beta for beta in after],
        "LR": [c.LR * scale for c, scale in zip(constants, scales, strict=True)],
        "-2^s": [-(2**c.s) for c in constants],
        "-carry": [-_carry(c) for c in constants],
        "r0 constant": [
            2 ** (c.s - 1) + 1 + 2**c.s * OFFSET_U + _carry(c) - c.LR * beta
            for c, beta in zip(constants, after, strict=True)
        ],
        "offset u": [steps * OFFSET_U] * steps,
    }


def between(states: dict[str, Any], constants: Sequence[SgdConstants]) -> dict[str, Any]:
    """The copies between steps, offsets added: for states of shape (T+1, n), object arrays of shape (T-1, n)."""
    steps = len(constants)
    time = np.arange(1, steps, dtype=object)[:, None]
    offsets = np.array(buffer_offsets(constants)[1:], dtype=object).reshape(-1, 1)
    return {
        "W": states["W"][1:-1].astype(object) - time * OFFSET_U,
        "B": (states["B"][1:-1].astype(object) + offsets) * _ONE,
    }


def hints(states: dict[str, Any], gradients: Any, constants: Sequence[SgdConstants]) -> dict[str, Any]:
    """The hints of an honest step: states of shape (T+1, n) and gradients (T, n), int64, in; (T, n) arrays out."""
    lr = np.array([c.LR for c in constants], dtype=np.int64)[:, None]
    s = np.array([c.s for c in constants], dtype=np.int64)[:, None]
    carry = np.array([_carry(c) for c in constants], dtype=np.int64)[:, None]
    buffer = states["B"][1:]
    update = states["W"][:-1] - states["W"][1:]
    remainder = lr * buffer + (np.int64(1) << (s - 1)) - (update << s)
    return {
        "G1": (gradients + OFFSET_G) // RADIX,
        "B1": (buffer + OFFSET_G) // RADIX,
        "u1": (update + OFFSET_U) // RADIX,
        "r1": np.where(carry > 0, (remainder >> SHIFT) + 1, 1),
    }
