"""Every line solved for another solution: there is no direction in which next state and hints can
move to a second claim.

What a step looks up depends linearly on each of the prover's variables, if limbs are taken together
as one number and the root S stands. So a prover who wants another claim picks a *direction*, a
change of some variables under which as many looked-up values as can be stay as they are, and how
far to go: until one of the moving values is another entry of the table. Here every such direction
is tried, and on it every entry for every value that moves; wraps, halves and fractions k/2^15 are
among them, since the field has them. What is in the table everywhere may differ from the honest
claim in hints only.

The lines of the root are quadratic, and so is that of a sign: their other solutions are tried
apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import ADAMS, DECAYING, LIONS, ROOTED, SGDS, start, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, PairRows, rows_of
from zk_autograd.prove.ezkl.circuit.relations import RADIX, TABLE_MAX, Lookup, Operation
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.witness import Tensors

LIMBS = dict.fromkeys(("G", "m", "t", "e", "u", "a", "b", "q", "B", "N"), 2) | {"M": 3, "K": 4}
"""Values in limbs, by the letter that all begin with, and how many there are."""
FREE_HINTS = ("Mh", "wq", "Rd", "N", "r1", "sg")
"""Those that don't only split a value."""
FEW = tuple(k for n in range(1, 40) for k in (n, -n)) + tuple(s * 2**k for k in range(6, 33) for s in (1, -1))
"""Where a value in limbs is moved to, which has too many places to try all: so far from where it
was."""

Vector = tuple[int, ...]


def looked_up(variant: str, steps: int, tensors: Tensors) -> dict[str, int]:
    """What the first step of one element looks up, limbs joined, and with decay W's floor after it;
    penalties are left out."""
    layout = Layout(CIRCUITS[variant].relations, 1, steps)
    pool = [v for values in tensors.values() for v in values]
    found: dict[str, int] = {}
    for rows in rows_of(layout):
        if isinstance(rows, DotRows):
            for coefficients, variables in zip(rows.coefficients, rows.variables, strict=True):
                pool.append(sum(pool[c] * pool[v] for c, v in zip(coefficients, variables, strict=True)) % MODULUS)
        elif isinstance(rows, PairRows):
            for left, right in zip(rows.left, rows.right, strict=True):
                a, b = pool[left], pool[right]
                result = {Operation.PRODUCT: a * b, Operation.SUM: a + b, Operation.DIFFERENCE: a - b}
                pool.append(result[rows.operation] % MODULUS)
        else:
            for place, label in zip(rows.inputs, rows.labels, strict=True):
                if label not in found:
                    found[label] = pool[place]
                elif label in ("wl", "q0", "q1"):
                    found[f"next {label}"] = pool[place]
                pool.append(1)
    if steps > 1:  # the weights at the end are the second step's
        found = {name: value for name, value in found.items() if not name.endswith("_out")}
    left_out = ("one", "h") if variant in LIONS else ("one", "h", "p")  # Lion's p has its sign's equation
    joined = {name: value for name, value in found.items() if name not in left_out}
    for name in (*LIMBS, "next q"):
        if f"{name}0" in joined and f"{name}1" in joined:
            count = LIMBS[name.removeprefix("next ")]
            joined[name] = sum(joined.pop(f"{name}{i}") * RADIX**i for i in range(count)) % MODULUS
    for end in ("in", "out"):
        if f"w0_{end}" in joined:
            joined[f"w_{end}"] = sum(joined.pop(f"w{i}_{end}") * RADIX**i for i in range(3)) % MODULUS
    return joined


def allowed(name: str) -> int:
    """The largest number that is in the table for it."""
    count = 3 if name.startswith("w_") else LIMBS.get(name.removeprefix("next "), 1)
    largest: int = TABLE_MAX * sum(RADIX**i for i in range(count))
    return largest


@dataclass(frozen=True)
class Claim:
    """The first step of an honest segment: what it looks up, and how far each of the prover's
    variables moves that."""

    variant: str
    values: dict[str, int]
    exact: frozenset[str]
    variables: tuple[str, ...]
    slopes: dict[str, Vector]

    @classmethod
    def of(cls, segment: Segment) -> "Claim":
        variant, steps = segment.rule, segment.steps
        relations = CIRCUITS[variant].relations
        layout = Layout(relations, 1, steps)
        tensors = segment.tensors()
        values = looked_up(variant, steps, tensors)
        assert values == {name: value for name, value in values.items() if value <= allowed(name)}
        cells = {
            f"{s}'": (f"{s}_out", 0) if steps == 1 else ("aux", layout.aux[f"{s}_between"][0]) for s in relations.states
        }
        cells |= {name: ("aux", layout.aux[name][0]) for name in FREE_HINTS if name in relations.hints}
        if steps > 1 and "wq" in relations.hints:
            cells["next wq"] = ("aux", layout.aux["wq"][0] + 1)
        columns = []
        for tensor, place in cells.values():
            changed = {name: list(numbers) for name, numbers in tensors.items()}
            changed[tensor][place] += 1
            after = looked_up(variant, steps, changed)
            columns.append([(after[name] - value) % MODULUS for name, value in values.items()])
        rows = dict(zip(values, zip(*columns, strict=True), strict=True))
        line = next(line for line in relations.lines if isinstance(line, Lookup))
        exact = frozenset(name for name in values if name.removeprefix("next ") in line.exact)
        return cls(variant, values, exact, tuple(cells), {name: row for name, row in rows.items() if any(row)})

    def directions(self, unchecked: str = "") -> set[Vector]:
        """Every change of the variables, up to a factor, that leaves as many values as they are as
        a change can; `unchecked` doesn't count."""
        found = set()
        rows = [row for name, row in self.slopes.items() if name != unchecked]
        for still in combinations(rows, len(self.variables) - 1):
            if direction := only_solution(still):
                found.add(direction)
        return found

    def claims(self, direction: Vector, unchecked: str = "") -> Iterator[int]:
        """How far along a direction there are other claims that the circuit accepts, were it not to
        look up `unchecked`."""
        moving = {
            name: slope
            for name, row in self.slopes.items()
            if name != unchecked and (slope := sum(a * b for a, b in zip(row, direction, strict=True)) % MODULUS)
        }
        alone = [name for name in moving if allowed(name) == TABLE_MAX]
        for driver in alone or moving:
            value, unit = self.values[driver], inverse(moving[driver])
            targets: Sequence[int] = range(1, ONE + 1) if driver in self.exact else range(TABLE_MAX + 1)
            moves = np.array([t - value for t in targets if t != value] if alone else FEW, dtype=object)
            distances = moves * unit % MODULUS
            for name, slope in moving.items():
                reached = (self.values[name] + slope * distances) % MODULUS
                low, high = (1, ONE) if name in self.exact else (0, allowed(name))
                distances = distances[(reached >= low) & (reached <= high)]
                if not distances.size:
                    break
            yield from distances

    def changes_state(self, direction: Vector) -> bool:
        return any(d for d, name in zip(direction, self.variables, strict=True) if name.endswith("'"))


def only_solution(rows: Sequence[Vector]) -> Vector | None:
    """The one solution of `rows` * x = 0 over the field, its first element that isn't 0 being 1;
    None if there are more."""
    matrix, pivots = [list(row) for row in rows], list[int]()
    width = len(matrix[0]) if matrix else 1
    for column in range(width):
        place = len(pivots)
        at = next((r for r in range(place, len(matrix)) if matrix[r][column]), None)
        if at is None:
            continue
        matrix[place], matrix[at] = matrix[at], matrix[place]
        unit = inverse(matrix[place][column])
        matrix[place] = [v * unit % MODULUS for v in matrix[place]]
        for r in range(len(matrix)):
            if r != place and (factor := matrix[r][column]):
                matrix[r] = [(a - factor * b) % MODULUS for a, b in zip(matrix[r], matrix[place], strict=True)]
        pivots.append(column)
    if len(pivots) != width - 1:
        return None
    (free,) = set(range(width)) - set(pivots)
    solution = [0] * width
    solution[free] = 1
    for row, pivot in zip(matrix, pivots, strict=False):
        solution[pivot] = -row[free] % MODULUS
    unit = inverse(next(v for v in solution if v))
    return tuple(v * unit % MODULUS for v in solution)


def constants_for(variant: str) -> list[StepConstants]:
    """Such that few fractions pass, such that many do, and for SGD such that r0 alone is the
    remainder."""
    if variant not in SGDS:
        return [
            under(variant, AdamConstants(3277, 33, 2**22, 700, 0), 2**20 + 12345),
            under(variant, AdamConstants(ONE, ONE, 2**29, 2**29 - 1, 0), 2 * ONE),
        ]
    return [
        under(variant, SgdConstants(29491, ONE, 2**28 + 12345, 30, 0), 2**20 + 12345),
        under(variant, SgdConstants(0, ONE, 2**20, 30, 0), ONE),
        under(variant, SgdConstants(29491, ONE, 2**20, 30, 0), 2 * ONE),
        under(variant, SgdConstants(29491, ONE, 2**20, 15, 0), 2**28 - 1),
        SgdConstants.no_op(30),
    ]


def claims_of(variant: str) -> list[Claim]:
    return [
        Claim.of(Segment.honest(variant, [c] * steps, [start(variant, W=12345 + ONE // 2)], [[4001]] * steps))
        for c in constants_for(variant)
        for steps in (1, 2)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("variant", CIRCUITS)
def test_no_direction_leads_to_a_second_next_state(variant: str) -> None:
    for claim in claims_of(variant):
        directions = claim.directions()
        assert len(directions) >= len(claim.variables)
        for direction in directions:
            if claim.changes_state(direction):
                assert not any(True for _ in claim.claims(direction)), (claim, direction)


@pytest.mark.slow
@pytest.mark.parametrize("variant", CIRCUITS)
def test_with_a_check_taken_out_some_direction_leads_to_one(variant: str) -> None:
    # t and e need another root. Without decay W' is an integer because W and U are, whatever is
    # looked up of it; with decay a cheat on u moves two values at once, which no such direction
    # does: attacks/fraction_for_each_variable.py has it.
    expected = {"r2", "a", "b"} if variant in ROOTED else {"r0", "r1", "u"}
    if variant in ADAMS:
        expected |= {"r1", "rm", "m"}
    if variant in LIONS:  # nor does one of both s and sR, or of sg and K: attacks/another_sign.py
        expected = {"r1", "M", "p"}
    if "nesterov" in variant:
        expected |= {"rm", "rn", "B", "N"}
    elif "momentum" in variant:
        expected |= {"rm", "B"}
    if variant in DECAYING:
        expected = expected - {"u"} | {"wl", "rd", "q", "w_out"}
    found: set[str] = set()
    for claim in claims_of(variant):
        for name in expected.intersection(claim.slopes) - found:
            directions = [d for d in claim.directions(name) if claim.changes_state(d)]
            if any(True for d in directions for _ in claim.claims(d, name)):
                found.add(name)
    assert found == expected


@pytest.mark.parametrize("variant", ROOTED)
def test_no_other_root_fits(variant: str) -> None:
    honest = Segment.honest(variant, [constants_for(variant)[0]], [start(variant)], [[4001]])
    second = honest.states["V"][1][0]
    root = int(second**0.5)
    half = inverse(2)
    near = [root + k for k in range(-100, 101)] + [root + k * half for k in range(-101, 101, 2)]
    assert [s for s in near if honest.with_hint("S", 0, 0, s % MODULUS).refusals() == []] == [root]
    # t = S*S + 2*S - V' is the same for the field's other solution, -S - 2, and for those that
    # leave another t.
    for other in (-root - 2, -root - 1, -root, -root - 3, *(MODULUS - 2 - k * half for k in range(1, 9))):
        assert honest.with_hint("S", 0, 0, other % MODULUS).refusals()


@pytest.mark.parametrize("gradient", [4001, -4001, 0])
@pytest.mark.parametrize("variant", LIONS)
def test_no_other_sign_fits(variant: str, gradient: int) -> None:
    # K is solved for, so that p holds: a sign fits if K has four limbs and its own lookups pass.
    claims = []
    for sign in (*range(-4, 5), *(k * inverse(d) for d in (2, 3, RADIX // 2, ONE) for k in (-1, 1))):
        honest = Segment.honest(variant, [constants_for(variant)[0]], [start(variant, M=0)], [[gradient]])
        claims.append((sign, honest.with_hint("sg", 0, 0, sign % MODULUS).moved(0)))
    assert [sign for sign, claim in claims if claim.refusals() == []] == [(gradient > 0) - (gradient < 0)]
