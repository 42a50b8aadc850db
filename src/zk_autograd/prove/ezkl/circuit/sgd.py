"""The parts of the checker circuits of SGD: plain, with momentum, Nesterov's; those for the
gradient, the weights and decay are in weights.py.

The rule (core.rules) and what its lines show, for one element:

    rm = mu*B + cg*G - 2^15*B' + HALF                  in 1 .. 2^15: B' is the rounded quotient
    B0 = B' - R*B1 + 2^30                              B' an integer, by two limbs
    rn = mu*B' - 2^15*N + HALF                         in 1 .. 2^15: N is the rounded quotient
    N0 = N - R*N1 + 2^30                               N an integer, by two limbs
    r0 = LR*A - 2^s*U - carry*(r1 - 1) + HALF + 2^(s-1) - 2^14
                                                       r0 and r1 in 1 .. 2^15: the remainder is in 0
                                                       .. 2^s - 1
    p  = penalties                                     each output that must be 1 is 1

A is G for plain SGD, B' with momentum, N + G for Nesterov's: there the rule's floor((mu*B' + cg*G +
2^14) / 2^15) has cg = 2^15 in a real step, and in a no-op LR is 0 and nothing reads A. A itself
isn't in two limbs: it may come near 2^31 - 2^15 in either direction, which is more than they hold;
N is. `carry` is 2^15 for s = 30 and 0 for s = 15, where r0 alone is the remainder and r1 is any
value of the table's first part. `cg` is 2^15 in a step of the run and 0 in a no-op that pads a
segment: with 2^15 there too, a prover could move B by a gradient that nobody sees (mu is 2^15 in a
no-op, so B' = B + G).

Between steps B is kept as 2^15*(B + beta_t) with 2^15*beta_{t+1} = mu*beta_t - HALF in the field,
which swallows rm's constant and the factor of B'; N is kept as N + 2^30. Rows per step and
parameter: 10.5 plain, 15 with momentum, 21 Nesterov's; with decay 18, 22.5, 28.5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zk_autograd.core.constants import SgdConstants
from zk_autograd.core.rules.arithmetic import rounded
from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.part import Last, Part, Values, column
from zk_autograd.prove.ezkl.circuit.ranges import EXACT, TWO_LIMBS, Interval, Shown, only
from zk_autograd.prove.ezkl.circuit.relations import HALF, OFFSET_G, OFFSET_U, RADIX, SHIFT, Dot, Operation, Pair, Where
from zk_autograd.prove.ezkl.circuit.weights import SIGNED, updates

_ONE = 2**SHIFT
_FACTOR = Interval(0, _ONE)
_RATE = Interval(0, 2**31 - 1)


# ---- the momentum buffer -------------------------------------------------------------------------


def buffer_offsets(constants: Sequence[SgdConstants]) -> list[int]:
    """beta_0 .. beta_{T-1} for the T steps' constants: field elements (beta_0 and beta_T are 0)."""
    offsets = [0]
    for step in constants[:-1]:
        offsets.append((step.mu * offsets[-1] - HALF) * inverse(_ONE) % MODULUS)
    return offsets


def _after(constants: Sequence[SgdConstants]) -> list[int]:
    """beta of the state after each step."""
    return [*buffer_offsets(constants)[1:], 0]


def _scales(constants: Sequence[SgdConstants]) -> list[int]:
    """What takes the copy of the state after each step back to B' + beta."""
    return [inverse(_ONE)] * (len(constants) - 1) + [1]


def _buffer_coefficients(constants: Sequence[SgdConstants]) -> dict[str, list[int]]:
    scales = _scales(constants)
    return {
        "mu": [c.mu * scale for c, scale in zip(constants, [1, *scales[:-1]], strict=True)],
        "cg": [c.cg for c in constants],
        "rm constant": [HALF - c.mu * beta for c, beta in zip(constants, buffer_offsets(constants), strict=True)],
        "B' scale": scales,
        "B constant": [OFFSET_G - beta for beta in _after(constants)],
    }


def _buffer_copies(states: Values, constants: Sequence[SgdConstants]) -> Values:
    offsets = np.array(buffer_offsets(constants)[1:], dtype=object).reshape(-1, 1)
    return {"B": (states["B"][1:-1].astype(object) + offsets) * _ONE}


def _buffer_hints(states: Values, gradients: Any, constants: Sequence[SgdConstants]) -> Values:
    return {"B1": (states["B"][1:] + OFFSET_G) // RADIX}


BUFFER = Part(
    lines=(
        Dot("B mixed", (("mu", "B"), ("cg", "G")), Where.INNER),
        Pair("rm", Operation.DIFFERENCE, "B mixed", "B'", Where.INNER),
        Dot("rm", (("mu", "B"), ("cg", "G"), ("-2^15", "B'"), ("rm constant", "one")), Where.LAST),
        Dot("B low", (("B' scale", "B'"), ("-R", "B1"))),
        Pair("B0", Operation.SUM, "B low", "B constant"),
    ),
    looked_up=("rm", "B0", "B1"),
    exact=("rm",),
    hints=("B1",),
    bounds={
        "mu": _FACTOR,
        "cg": _FACTOR,
        "rm constant": only(HALF),
        "B' scale": only(1),
        "B constant": only(OFFSET_G),
    },
    shown=(Shown("B'", SIGNED, "B' + 2^30 is B0 + R*B1: two limbs"),),
    coefficients=_buffer_coefficients,
    between=_buffer_copies,
    solve=_buffer_hints,
)


# ---- Nesterov's look ahead -----------------------------------------------------------------------


def _ahead(states: Values, constants: Sequence[SgdConstants]) -> Any:
    """N of each step, (T, n)."""
    return rounded(column([c.mu for c in constants]) * states["B"][1:])


def _ahead_coefficients(constants: Sequence[SgdConstants]) -> dict[str, list[int]]:
    return {
        "mu ahead": [c.mu * scale for c, scale in zip(constants, _scales(constants), strict=True)],
        "rn constant": [
            HALF + _ONE * OFFSET_G - c.mu * beta for c, beta in zip(constants, _after(constants), strict=True)
        ],
    }


def _ahead_hints(states: Values, gradients: Any, constants: Sequence[SgdConstants]) -> Values:
    raised = _ahead(states, constants) + OFFSET_G
    return {"N": raised, "N1": raised // RADIX}


AHEAD = Part(
    lines=(
        Dot("N low", (("mu ahead", "B'"), ("-2^15", "N"))),
        Pair("rn", Operation.SUM, "N low", "rn constant"),
        Dot("N0", (("one", "N"), ("-R", "N1"))),
    ),
    looked_up=("rn", "N0", "N1"),
    exact=("rn",),
    hints=("N", "N1"),
    bounds={"mu ahead": _FACTOR, "rn constant": only(HALF + _ONE * OFFSET_G)},
    shown=(
        Shown("N", TWO_LIMBS, "N, kept with 2^30 added, is N0 + R*N1: two limbs; N - 2^30 is the rounded mu*B' by rn"),
    ),
    coefficients=_ahead_coefficients,
    solve=_ahead_hints,
)


# ---- the quotient --------------------------------------------------------------------------------


def _carry(step: SgdConstants) -> int:
    return _ONE if step.s == 2 * SHIFT else 0


def _quotient(terms: tuple[tuple[str, str], ...], rates: Any, raised: Any, moved_by: Any, constant: Interval) -> Part:
    """r0's line for an A given by `terms`: `rates` are the values of LR there, `raised` what the
    terms hold beyond LR*A."""

    def coefficients(constants: Sequence[SgdConstants]) -> dict[str, list[int]]:
        return {
            "LR": rates(constants),
            "-2^s": [-(2**c.s) for c in constants],
            "-carry": [-_carry(c) for c in constants],
            "r0 constant": [
                2 ** (c.s - 1) + 1 + 2**c.s * OFFSET_U + _carry(c) - c.LR * more
                for c, more in zip(constants, raised(constants), strict=True)
            ],
        }

    def hints(states: Values, gradients: Any, constants: Sequence[SgdConstants]) -> Values:
        s = column([c.s for c in constants])
        rate = column([c.LR for c in constants])
        remainder = rate * moved_by(states, gradients, constants) + (np.int64(1) << (s - 1))
        remainder = remainder - (updates(states, constants) << s)
        return {"r1": np.where(column([_carry(c) for c in constants]) > 0, (remainder >> SHIFT) + 1, 1)}

    return Part(
        lines=(Dot("r0", (*terms, ("-2^s", "u"), ("-carry", "r1"), ("r0 constant", "one"))),),
        looked_up=("r0", "r1"),
        exact=("r1", "r0"),
        hints=("r1",),
        bounds={
            "LR": _RATE,
            "-2^s": Interval(-(2**30), -_ONE),
            "-carry": Interval(-_ONE, 0),
            "r0 constant": constant,
        },
        shown=(Shown("r0, r1", EXACT, "exact: the line p, of penalties alone, is looked up"),),
        coefficients=coefficients,
        solve=hints,
    )


_CONSTANT = Interval(0, 2**30 * OFFSET_U + 2**30)

FROM_GRADIENT = _quotient(
    (("LR", "G"),),
    lambda constants: [c.LR for c in constants],
    lambda constants: [0] * len(constants),
    lambda states, gradients, constants: gradients,
    _CONSTANT,
)
"""A = G."""

FROM_BUFFER = _quotient(
    (("LR", "B'"),),
    lambda constants: [c.LR * scale for c, scale in zip(constants, _scales(constants), strict=True)],
    _after,
    lambda states, gradients, constants: states["B"][1:],
    _CONSTANT,
)
"""A = B'."""

FROM_AHEAD = _quotient(
    (("LR", "N"), ("LR", "G")),
    lambda constants: [c.LR for c in constants],
    lambda constants: [OFFSET_G] * len(constants),
    lambda states, gradients, constants: _ahead(states, constants) + gradients,
    _CONSTANT - only(OFFSET_G) * _RATE,
)
"""A = N + G."""

LAST = Last("p")
