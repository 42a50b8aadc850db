"""The relations a circuit checks, as data: one description gives the graph, the witness check and
the documentation.

A circuit holds T steps of one rule on a block of n parameters. Its variables are arrays over (step,
element):

* the committed states and gradients, the hints that the host computes, and the public coefficients;
* results of lines: a line is one inner product, product, sum or difference of variables.

Nothing is compared with zero. A quantity is bounded by *looking it up*: the table holds 0 ..
TABLE_MAX and pairs each entry x with y = round(x^a), which is 0 at 0, 1 on 1 .. 2^15 and 2 above.
Looked up alone, x is shown to be an integer in 0 .. TABLE_MAX; where `exact` is set, the output
must also be 1, which a penalty in another line enforces, so x is in 1 .. 2^15.

No constant is in the graph: each coefficient is a public value, so that the verifier computes all
of them itself and one verifying key serves every hyper-parameter.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

LOGROWS = 16
TABLE_MAX = 2**LOGROWS - 9
"""The largest entry of the lookup table: halo2 keeps the last rows of a column for blinding."""

RADIX = 65_526
"""Radix of the limbs: even, and two table entries reach TABLE_MAX * (RADIX + 1), just below 2^32.
"""

BIG = 2**100
"""Weight of a penalty: above every other term of its line, far below the field's order."""

SALTS = 8
"""Uniform field elements at the end of each committed column (see docs/soundness-ezkl.md)."""

SHIFT = 15
HALF = 2 ** (SHIFT - 1) + 1
"""Half of the rounding step, plus 1 to move a remainder 0 .. 2^15 - 1 to the table's 1 .. 2^15."""

OFFSET_G = 2**30
OFFSET_U = 2**31 - 2**20
OFFSET_W = 2**45


def lookup_exponent() -> float:
    """The exponent `a` of the table's output, as the float32 that a graph can hold; asserted to
    separate 2^15 from 2^15 + 1."""
    wanted = math.log(1.5) / math.log(2**SHIFT + 0.5)
    (kept,) = struct.unpack("<f", struct.pack("<f", wanted))
    exponent = float(kept)
    if not (2**SHIFT) ** exponent < 1.5 < (2**SHIFT + 1) ** exponent:
        raise AssertionError("the lookup's exponent does not survive float32")
    return exponent


class Where(Enum):
    """The steps a line runs over."""

    ALL = "every step"
    INNER = "every step but the last"
    LAST = "the last step"
    FIRST_STATE = "the state before the first step"
    LAST_STATE = "the state after the last step"


@dataclass(frozen=True, slots=True)
class Dot:
    """`name = sum(coefficient * variable)`."""

    name: str
    terms: tuple[tuple[str, str], ...]
    where: Where = Where.ALL


class Operation(Enum):
    """An element-wise operation of two variables."""

    PRODUCT = "Mul"
    SUM = "Add"
    DIFFERENCE = "Sub"


@dataclass(frozen=True, slots=True)
class Pair:
    """`name = left (operation) right`, element by element."""

    name: str
    operation: Operation
    left: str
    right: str
    where: Where = Where.ALL


@dataclass(frozen=True, slots=True)
class Lookup:
    """The named variables are looked up at once; the outputs of those in `exact` are `y:<name>`."""

    names: tuple[str, ...]
    exact: tuple[str, ...] = ()


Line = Dot | Pair | Lookup


@dataclass(frozen=True, slots=True)
class Relations:
    """What a circuit consists of, before its size (n, T) is known.

    `states` are committed before and after (in `commitments` order); `hints` are per (step,
    element); `state_hints` per element; `global_coefficients` are public and the same at every
    step, `step_coefficients` are those of a step. Copies of a state *between* steps are hints with
    public offsets and factors (see each rule). `rule` is the circuit's variant, the first part of
    its name.
    """

    rule: str
    states: tuple[str, ...]
    hints: tuple[str, ...]
    state_hints: tuple[str, ...]
    global_coefficients: Mapping[str, int]
    step_coefficients: tuple[str, ...]
    lines: tuple[Line, ...]
