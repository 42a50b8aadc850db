"""The circuits' lookups, stated again as formulas of the decoded variables, and compared as
polynomials.

Every committed value is a random field element, and so is every output of a lookup: two polynomials
that agree there are one, but for a chance of about 2^-245. Nothing here reads the lines that a
circuit is made of; the formulas are those of docs/soundness-ezkl.md.
"""

import random
from collections import defaultdict

import pytest

from zk_autograd.core.constants import (
    AdamConstants,
    LionConstants,
    RmspropConstants,
    SgdConstants,
    StepConstants,
)
from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.layout import CONTEXT, Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, PairRows, rows_of
from zk_autograd.prove.ezkl.circuit.public import public_values
from zk_autograd.prove.ezkl.circuit.relations import Lookup, Operation
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

RADIX = 65_526
HALF = 2**14 + 1
ONE = 2**15
OFFSET_G, OFFSET_U, OFFSET_W = 2**30, 2**31 - 2**20, 2**45
BIG = 2**100
ROOTED = ("adam", "adamw", "rmsprop")


def drawn_constants(draw: random.Random, name: str, steps: int) -> list[StepConstants]:
    """Extreme and random constants of each step, no-ops among them."""
    s = draw.choice([15, 30])
    decays = CIRCUITS[name].decays

    def number(low: int, high: int) -> int:
        return draw.choice([low, high, draw.randint(low, high)])

    found: list[StepConstants] = []
    for _ in range(steps):
        D = number(0, 2**28 - 1) if decays else 0
        no_op = draw.random() < 0.3
        if name == "rmsprop":
            some = RmspropConstants(number(1, ONE), number(0, 2**30 - 1), number(1, 2**29 - 1), D)
            found.append(RmspropConstants.no_op() if no_op else some)
        elif name == "lion":
            one = LionConstants(number(1, ONE), number(1, ONE), number(0, 2**30 - 1), D)
            found.append(LionConstants.no_op() if no_op else one)
        elif no_op:
            found.append(AdamConstants.no_op() if name in ROOTED else SgdConstants.no_op(s))
        elif name in ROOTED:
            found.append(AdamConstants(number(1, ONE), number(1, ONE), number(0, 2**30 - 1), number(1, 2**29 - 1), D))
        else:
            found.append(SgdConstants(number(0, ONE - 1), ONE, number(0, 2**31 - 1), s, D))
    return found


class Cells:
    """The committed values of a circuit, all of them random but for the public ones, and what they
    stand for."""

    def __init__(self, draw: random.Random, layout: Layout, name: str, constants: list[StepConstants]) -> None:
        self.layout, self.name, self.constants = layout, name, constants
        self.values = [draw.randrange(MODULUS) for _ in range(layout.pool)]
        self.public = public_values(layout, CIRCUITS[name], constants, [1, 2])
        self.first_public = layout.starts["aux"] + layout.aux["public"][0]
        self.values[self.first_public : self.first_public + len(self.public)] = self.public
        self.offsets = [0]  # of M or B between steps
        for c in constants[:-1]:
            factor = ONE - c.c1 if isinstance(c, AdamConstants) else c.mu if isinstance(c, SgdConstants) else 0
            self.offsets.append((factor * self.offsets[-1] - HALF) * inverse(ONE) % MODULUS)

    def aux(self, part: str, index: int) -> int:
        start, length = self.layout.aux[part]
        assert index < length
        return self.values[self.layout.starts["aux"] + start + index]

    def tensor(self, name: str, index: int) -> int:
        return self.values[self.layout.starts[name] + index]

    def state(self, name: str, t: int, i: int) -> int:
        """A state after `t` steps."""
        if t in (0, self.layout.steps):
            return self.tensor(f"{name}_in" if t == 0 else f"{name}_out", i)
        kept = self.aux(f"{name}_between", (t - 1) * self.layout.block + i)
        if self.name == "lion":
            return kept
        if name == "W":
            return kept + t * OFFSET_U
        return kept * inverse(ONE) - self.offsets[t] if name in ("M", "B") else kept


def stated(cells: Cells) -> tuple[dict[str, list[int]], list[int]]:
    """What is looked up under each label, step by step and element by element; and the part of the
    last lookup that is no penalty."""
    layout, decays = cells.layout, CIRCUITS[cells.name].decays
    nesterov = "nesterov" in cells.name
    buffer = nesterov or "momentum" in cells.name
    found: dict[str, list[int]] = defaultdict(list)
    rests = []

    def put(**values: int) -> None:
        for label, value in values.items():
            found[label].append(value % MODULUS)

    for t, c in enumerate(cells.constants):
        for i in range(layout.block):

            def hint(label: str, place: int = t * layout.block + i) -> int:
                return cells.aux(label, place)

            W, W2 = cells.state("W", t, i), cells.state("W", t + 1, i)
            G = cells.tensor("G", t * layout.block + i)
            put(G0=G - RADIX * hint("G1") + OFFSET_G, G1=hint("G1"))
            if isinstance(c, LionConstants):
                U = c.LR * hint("sg")
                Rd = W - W2 - U
            else:
                Rd = hint("Rd") if decays else 0
                U = W - W2 - Rd
                put(u0=U + OFFSET_U - RADIX * hint("u1"), u1=hint("u1"))
            if decays:
                put(wl=W + OFFSET_W - ONE * hint("wq") + 1, q0=hint("wq") - RADIX * hint("q1"), q1=hint("q1"))
                put(rd=c.D * (hint("wq") - OFFSET_G) - ONE * Rd + HALF)
            if isinstance(c, AdamConstants):
                M, M2, Mh = cells.state("M", t, i), cells.state("M", t + 1, i), hint("Mh")
                put(r1=c.c1 * ONE * G + (ONE - c.c1) * M - ONE * M2 + HALF, rm=M2 - ONE * Mh + HALF)
                put(m0=Mh - RADIX * hint("m1") + OFFSET_G, m1=hint("m1"))
            if isinstance(c, AdamConstants | RmspropConstants):
                V, V2, h = cells.state("V", t, i), cells.state("V", t + 1, i), hint("h")
                put(r2=c.c2 * G * G + (ONE - c.c2) * V - ONE * V2 + HALF)
                t1, S = hint("s1") - hint("e1"), h + RADIX // 2 * hint("s1")
                t0 = S * S + 2 * S - V2 - RADIX * t1
                put(h=h, t0=t0, t1=t1, e0=2 * h - t0, e1=hint("e1"))
                D = S + c.E
                a = 2 * c.LR * (hint("Mh") if isinstance(c, AdamConstants) else G) + D - 2 * D * U
                put(a0=a - RADIX * hint("a1"), a1=hint("a1"), b1=hint("b1"))
                rests.append((2 * D - 1 - a - RADIX * hint("b1")) % MODULUS)
            elif isinstance(c, LionConstants):
                M, M2, sg = cells.state("M", t, i), cells.state("M", t + 1, i), hint("sg")
                put(r1=c.c2 * ONE * G + (ONE - c.c2) * M - ONE * M2 + HALF)
                put(M0=M2 + OFFSET_W - RADIX * hint("M1") - RADIX**2 * hint("M2"), M1=hint("M1"), M2=hint("M2"))
                limbs = [hint(f"K{place}") for place in range(4)]
                put(s=sg + 1, sR=RADIX // 2 * (sg + 1), K0=limbs[0], K1=limbs[1], K2=limbs[2], K3=limbs[3])
                K = sum(RADIX**place * limb for place, limb in enumerate(limbs))
                rests.append(2**16 * (c.c1 * (ONE * G - M) + ONE * M - sg * (K + 1)) % MODULUS)
            elif isinstance(c, SgdConstants):
                argument = G
                if buffer:
                    B, B2 = cells.state("B", t, i), cells.state("B", t + 1, i)
                    put(rm=c.mu * B + c.cg * G - ONE * B2 + HALF, B0=B2 - RADIX * hint("B1") + OFFSET_G, B1=hint("B1"))
                    argument = B2
                if nesterov:
                    N = hint("N") - OFFSET_G
                    put(rn=c.mu * B2 - ONE * N + HALF, N0=hint("N") - RADIX * hint("N1"), N1=hint("N1"))
                    argument = N + G
                carried = ONE * (hint("r1") - 1) if c.s == 30 else 0
                put(r1=hint("r1"), r0=c.LR * argument + 2 ** (c.s - 1) - 2**c.s * U + 1 - carried)
                rests.append(0)
    for i in range(layout.block):
        for end in ("out",) if decays else ("in", "out"):
            middle, high = (cells.aux(f"w{limb}_{end}", i) for limb in (1, 2))
            low = cells.tensor(f"W_{end}", i) + OFFSET_W - RADIX * middle - RADIX * RADIX * high
            put(**{f"w0_{end}": low, f"w1_{end}": middle, f"w2_{end}": high})
    return found, rests


def made(draw: random.Random, cells: Cells) -> tuple[dict[str, list[int]], dict[str, list[int]], set[str]]:
    """What the plan looks up under each label, the random outputs, and the labels that must be
    exact."""
    pool, public = list(cells.values), range(cells.first_public, cells.first_public + len(cells.public) - CONTEXT)
    inputs: dict[str, list[int]] = defaultdict(list)
    outputs: dict[str, list[int]] = defaultdict(list)
    exact = set()
    for rows in rows_of(cells.layout):
        assert rows.start == len(pool)
        if isinstance(rows, DotRows):
            read = (rows.coefficients, rows.variables)
        else:
            read = (rows.left, rows.right) if isinstance(rows, PairRows) else (rows.inputs, rows.inputs)
        assert min(int(part.min()) for part in read) >= 0
        assert max(int(part.max()) for part in read) < rows.start, "a cell that comes later"
        if isinstance(rows, DotRows):
            assert {int(i) for i in rows.coefficients.flat} <= set(public), "a coefficient that is not public"
            for coefficients, variables in zip(rows.coefficients, rows.variables, strict=True):
                pool.append(sum(pool[c] * pool[v] for c, v in zip(coefficients, variables, strict=True)) % MODULUS)
        elif isinstance(rows, PairRows):
            for left, right in zip(rows.left, rows.right, strict=True):
                a, b = pool[left], pool[right]
                pool.append(
                    {Operation.PRODUCT: a * b, Operation.SUM: a + b, Operation.DIFFERENCE: a - b}[rows.operation]
                    % MODULUS
                )
        else:
            for place, label, one in zip(rows.inputs, rows.labels, rows.exact, strict=True):
                inputs[label].append(pool[place])
                pool.append(draw.randrange(MODULUS))
                outputs[label].append(pool[-1])
                exact |= {label} if one else set()
    return inputs, outputs, exact


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_each_lookup_is_the_formula_that_the_document_has(name: str, steps: int) -> None:
    circuit = CIRCUITS[name]
    for seed in range(6):
        draw = random.Random(seed)
        layout = Layout(circuit.relations, 1 + seed % 2, steps)
        cells = Cells(draw, layout, name, drawn_constants(draw, name, steps))
        wanted, rests = stated(cells)
        inputs, outputs, exact = made(draw, cells)
        assert inputs.pop("one") == [1]
        last = inputs.pop("b0" if name in ROOTED else "p")
        assert inputs == wanted
        own = {"rmsprop": {"r2"}, "lion": {"r1"}}
        must = own.get(name, {"r1", "rm", "r2"} if name in ROOTED else {"r0", "r1"})
        must |= {"wl", "rd"} if circuit.decays else set()
        must |= {"rn", "rm"} if "nesterov" in name else {"rm"} if "momentum" in name else set()
        assert exact - {"one"} == must
        order = next(line.exact for line in circuit.relations.lines if isinstance(line, Lookup))
        assert set(order) == must
        for row, rest in enumerate(rests):
            penalties = sum(2**i * BIG * (1 - outputs[label][row]) for i, label in enumerate(order))
            assert last[row] == (rest + penalties) % MODULUS
