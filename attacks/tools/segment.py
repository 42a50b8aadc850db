"""A segment in the hands of a hostile prover: every committed value is theirs, and hints are solved
for in the field.

States and gradients are integers or field elements, (T+1) or T rows of n. For given states and
gradients `Segment.tensors` chooses the hints that satisfy as many lookups as they can: a value x =
lo + R*hi is split into two table entries wherever that is possible (0 <= x <= TABLE_MAX * (R + 1)),
and nowhere else; where it is not, one of the two must leave the table, and `spare` names the one.
So a cheat is written down as the states that the prover wants, and ends at exactly the check that
stands in its way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.circuit.field import MODULUS, centred, inverse
from zk_autograd.prove.ezkl.circuit.layout import CONTEXT, Layout
from zk_autograd.prove.ezkl.circuit.part import RuleCircuit
from zk_autograd.prove.ezkl.circuit.public import public_values
from zk_autograd.prove.ezkl.circuit.relations import HALF, OFFSET_G, OFFSET_U, OFFSET_W, RADIX, SALTS, SHIFT, TABLE_MAX
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.witness import Tensors, violations

ONE: int = 2**SHIFT
TWO_LIMBS = TABLE_MAX * (RADIX + 1)
"""The largest value of two limbs."""

FAR = 2**80
"""Beyond every integer that a cheat is about: a larger element is negative, or a fraction."""

Rows = tuple[tuple[int, ...], ...]
"""A state's (T+1, n) or the gradients' (T, n) values: integers, negative ones included, or field
elements."""

State = dict[str, int]
"""One element's state."""


def element(value: int | Fraction) -> int:
    """An integer as it is, a fraction as the field element that it is."""
    return value if isinstance(value, int) else value.numerator * inverse(value.denominator) % MODULUS


def exact_step(variant: str, state: Mapping[str, int], gradient: int | Fraction, constants: StepConstants) -> State:
    """One element's next state by the variant's rule, on unlimited integers and without its range
    checks (which the prover would leave out).

    A gradient that is no integer is taken as it is: every quotient is floored, so the next state is
    one of integers all the same.
    """
    c = constants
    weight = state["W"] - _rounded(c.D * (state["W"] >> SHIFT))
    if isinstance(c, AdamConstants):
        moment = state["M"] + _rounded(c.c1 * (ONE * gradient - state["M"]))
        second, update = _rooted(c, state["V"], gradient, _rounded(moment))
        return {"W": weight - update, "M": moment, "V": second}
    if isinstance(c, RmspropConstants):
        second, update = _rooted(c, state["V"], gradient, gradient)
        return {"W": weight - update, "V": second}
    if isinstance(c, LionConstants):
        moment = state["M"] + _rounded(c.c2 * (ONE * gradient - state["M"]))
        return {"W": weight - c.LR * _sign(_mixed(c, state["M"], gradient)), "M": moment}
    assert isinstance(c, SgdConstants)
    rule = CIRCUITS[variant].rule
    if rule is Rule.SGD:
        return {"W": weight - _sgd_quotient(c, gradient)}
    buffer = _rounded(c.mu * state["B"] + c.cg * gradient)
    moved_by = _rounded(c.mu * buffer) + gradient if rule is Rule.NESTEROV else buffer  # in a no-op LR is 0: no matter
    return {"W": weight - _sgd_quotient(c, moved_by), "B": buffer}


def _rooted(
    c: AdamConstants | RmspropConstants, before: int, gradient: int | Fraction, numerator: int | Fraction
) -> tuple[int, int]:
    """V' and U."""
    second = before + _rounded(c.c2 * (gradient * gradient - before))
    divisor = isqrt(second) + c.E
    return second, int((2 * c.LR * numerator + divisor) // (2 * divisor))


def _mixed(c: LionConstants, moment: int, gradient: int | Fraction) -> int | Fraction:
    """Lion's C."""
    return c.c1 * ONE * gradient + (ONE - c.c1) * moment


def _sign(value: int | Fraction) -> int:
    return (value > 0) - (value < 0)


def _rounded(value: int | Fraction) -> int:
    return int((value + ONE // 2) // ONE)


def _sgd_quotient(constants: SgdConstants, moved_by: int | Fraction) -> int:
    return int((constants.LR * moved_by + (1 << (constants.s - 1))) // (1 << constants.s))


@dataclass(frozen=True)
class Segment:
    """What a prover claims: `states` and `gradients` as they choose, `constants` as the verifier
    fixes them; `rule` is the circuit's variant.

    `spare` are the lookups to break where one must be broken; `hints` overrides single hints:
    {(name, step, index): element(value)}.
    """

    rule: str
    constants: tuple[StepConstants, ...]
    states: Mapping[str, Rows]
    gradients: Rows
    spare: frozenset[str] = frozenset()
    hints: Mapping[tuple[str, int, int], int] = field(default_factory=dict)

    @classmethod
    def honest(
        cls,
        rule: str,
        constants: Sequence[StepConstants],
        start: Sequence[Mapping[str, int]],
        gradients: Sequence[Sequence[int | Fraction]],
    ) -> "Segment":
        """The exact trajectory from `start` (one state an element) under `gradients` (T, n)."""
        rows = [list(start)]
        for step, row in zip(constants, gradients, strict=True):
            rows.append([exact_step(rule, s, g, step) for s, g in zip(rows[-1], row, strict=True)])
        states = {name: tuple(tuple(s[name] for s in row) for row in rows) for name in start[0]}
        return cls(rule, tuple(constants), states, tuple(tuple(map(element, row)) for row in gradients))

    @property
    def block(self) -> int:
        return len(self.gradients[0])

    @property
    def steps(self) -> int:
        return len(self.constants)

    def with_state(self, name: str, time: int, index: int, value: int | Fraction) -> "Segment":
        """The same claim with one value of one state replaced, and nothing after it recomputed."""
        rows = [list(row) for row in self.states[name]]
        rows[time][index] = element(value)
        return replace(self, states={**self.states, name: tuple(map(tuple, rows))})

    def continued(self, time: int) -> "Segment":
        """The same claim up to the state at `time`, and the exact rule from there."""
        start = [{name: rows[time][i] for name, rows in self.states.items()} for i in range(self.block)]
        rest = Segment.honest(self.rule, self.constants[time:], start, self.gradients[time:])
        return replace(self, states={name: (*rows[:time], *rest.states[name]) for name, rows in self.states.items()})

    def with_gradient(self, step: int, index: int, value: int | Fraction) -> "Segment":
        """The same claim with one gradient replaced."""
        rows = [list(row) for row in self.gradients]
        rows[step][index] = element(value)
        return replace(self, gradients=tuple(map(tuple, rows)))

    def sparing(self, *names: str) -> "Segment":
        """The same claim, which breaks these lookups where it must break one."""
        return replace(self, spare=frozenset(names))

    def quotient(self, step: int, index: int) -> int:
        """The U that the rule gives for the claim's own next M and V (or its Mh and S, if they are
        the prover's), G, next B, or N; or for its own M (or its sg)."""
        c, after = self.constants[step], {name: rows[step + 1][index] for name, rows in self.states.items()}
        if isinstance(c, SgdConstants):
            return _sgd_quotient(c, self.moved_by(step, index))
        if isinstance(c, LionConstants):
            return centred(c.LR * self.hints.get(("sg", step, index), _sign(self.mixed(step, index))))
        assert isinstance(c, AdamConstants | RmspropConstants)
        divisor = self.hints.get(("S", step, index), isqrt(after["V"])) + c.E
        return (2 * c.LR * self.numerator(step, index) + divisor) // (2 * divisor)

    def mixed(self, step: int, index: int) -> int:
        """Lion's C for the claim's own M and G."""
        c = self.constants[step]
        assert isinstance(c, LionConstants)
        return centred(element(_mixed(c, self.states["M"][step][index], self.gradients[step][index])))

    def numerator(self, step: int, index: int) -> int:
        """What Adam or RMSprop divides by the root: the claim's own Mh, or G."""
        if isinstance(self.constants[step], RmspropConstants):
            return self.gradients[step][index]
        return self.hints.get(("Mh", step, index), (self.states["M"][step + 1][index] + ONE // 2) >> SHIFT)

    def moved_by(self, step: int, index: int) -> int:
        """The A of an SGD rule: G, the claim's next B, or its N and G."""
        c = self.constants[step]
        assert isinstance(c, SgdConstants)
        gradient, rule = self.gradients[step][index], CIRCUITS[self.rule].rule
        if rule is Rule.SGD:
            return gradient
        buffer = self.states["B"][step + 1][index]
        if rule is Rule.SGD_MOMENTUM:
            return buffer
        return self.hints.get(("N", step, index), _rounded(c.mu * buffer) + OFFSET_G) - OFFSET_G + gradient

    def decay(self, step: int, index: int) -> int:
        """The Rd that the rule gives for the claim's own W, or its wq; or the prover's own."""
        given = {name: v for (name, t, e), v in self.hints.items() if (t, e) == (step, index)}
        return _decay_hints(self.constants[step], self.states["W"][step][index], frozenset(), given)["Rd"]

    def moved(self, step: int) -> "Segment":
        """The claim with the W' that follows from its other values at a step, and the exact rule
        from there."""
        claim = self
        for i in range(self.block):
            weight = self.states["W"][step][i] - self.quotient(step, i) - self.decay(step, i)
            claim = claim.with_state("W", step + 1, i, weight)
        return claim.continued(step + 1)

    def with_hint(self, name: str, step: int, index: int, value: int | Fraction) -> "Segment":
        """The same claim with a hint of the prover's own choice; those that follow from it are
        solved for again."""
        return replace(self, hints={**self.hints, (name, step, index): element(value)})

    def tensors(self, circuit: RuleCircuit | None = None) -> Tensors:
        """The committed tensors of the claim for `circuit` (default: the published relations)."""
        circuit = circuit or CIRCUITS[self.rule]
        layout = Layout(circuit.relations, self.block, self.steps)
        arrays = {name: np.array(rows, dtype=object) for name, rows in self.states.items()}
        parts: dict[str, Any] = {f"{s}_between": v for s, v in circuit.between(arrays, self.constants).items()}
        parts |= self._hints()
        parts |= self._weight_limbs()
        aux: list[int] = []
        for name in layout.aux:
            if name == "public":
                aux += public_values(layout, circuit, self.constants, [12345] * CONTEXT)
            else:
                aux += [int(v) for v in np.asarray(parts[name], dtype=object).reshape(-1)]
        values = {f"{s}_in": list(self.states[s][0]) for s in layout.relations.states}
        values |= {f"{s}_out": list(self.states[s][-1]) for s in layout.relations.states}
        values |= {"G": [g for row in self.gradients for g in row], "aux": aux}
        return {name: [v % MODULUS for v in (*values[name], *([7] * SALTS))] for name in layout.lengths}

    def refusals(self, circuit: RuleCircuit | None = None) -> list[str]:
        """The lines of the lookups that refuse the claim, each once, in order; empty if the circuit
        accepts it.

        An output that isn't 1 refuses nothing itself: the line of the penalties does.
        """
        circuit = circuit or CIRCUITS[self.rule]
        layout = Layout(circuit.relations, self.block, self.steps)
        found = violations(layout, self.tensors(circuit), limit=10**6)
        return list(dict.fromkeys(v.line for v in found if not 0 <= v.value <= TABLE_MAX))

    def _hints(self) -> dict[str, list[list[int]]]:
        names = CIRCUITS[self.rule].relations.hints
        out: dict[str, list[list[int]]] = {name: [[0] * self.block for _ in range(self.steps)] for name in names}
        for step, constants in enumerate(self.constants):
            for i in range(self.block):
                before, after = ({s: rows[t][i] for s, rows in self.states.items()} for t in (step, step + 1))
                given = {name: v for (name, t, e), v in self.hints.items() if (t, e) == (step, i)}
                found = _solved(self.rule, constants, before, after, self.gradients[step][i], self.spare, given)
                for name in names:
                    out[name][step][i] = found[name]
        return out

    def _weight_limbs(self) -> dict[str, list[int]]:
        out: dict[str, list[int]] = {}  # those before the segment are nobody's where there is decay
        for end, row in (("in", self.states["W"][0]), ("out", self.states["W"][-1])):
            limbs = [_three_limbs(w + OFFSET_W, [f"w{k}_{end}" for k in (0, 1, 2)], self.spare) for w in row]
            out[f"w1_{end}"], out[f"w2_{end}"] = [w1 for w1, _ in limbs], [w2 for _, w2 in limbs]
        return out


def two_limbs(value: int, high: str, spare: frozenset[str]) -> tuple[int, int]:
    """(lo, hi) with lo + R*hi = `value` in the field. Both are in the table if they can be; else hi
    leaves it if `spare` has its name, and lo if not."""
    value %= MODULUS
    if value <= TWO_LIMBS:
        hi = min(value // RADIX, TABLE_MAX)
    elif high in spare:
        lo = centred(value) % RADIX
        return lo, (value - lo) * inverse(RADIX) % MODULUS
    else:
        hi = TABLE_MAX if value < FAR else 0
    return (value - RADIX * hi) % MODULUS, hi


def _three_limbs(value: int, names: Sequence[str], spare: frozenset[str]) -> tuple[int, int]:
    """The two upper limbs of three."""
    value %= MODULUS
    square = RADIX * RADIX
    if names[2] in spare and value > TABLE_MAX * square + TWO_LIMBS:
        rest = centred(value) % square
        return rest // RADIX, (value - rest) * inverse(square) % MODULUS
    top = min(value // square, TABLE_MAX) if value < FAR else 0
    return two_limbs(value - top * square, names[1], spare)[1], top


def _solved(
    variant: str,
    constants: StepConstants,
    before: Mapping[str, int],
    after: Mapping[str, int],
    gradient: int,
    spare: frozenset[str],
    given: Mapping[str, int],
) -> dict[str, int]:
    """All hints of one element and step."""
    circuit = CIRCUITS[variant]
    update = before["W"] - after["W"]
    hints = {"G1": two_limbs(gradient + OFFSET_G, "G1", spare)[1]}
    if circuit.decays:
        hints |= _decay_hints(constants, before["W"], spare, given)
        update -= hints["Rd"]
    hints["u1"] = two_limbs(update + OFFSET_U, "u1", spare)[1]
    if isinstance(constants, AdamConstants):
        rounded = given.get("Mh", _quotient(after["M"]))
        hints |= {"Mh": rounded, "m1": two_limbs(rounded + OFFSET_G, "m1", spare)[1]}
        return hints | _root_hints(constants, rounded, after["V"], update, spare, given)
    if isinstance(constants, RmspropConstants):
        return hints | _root_hints(constants, gradient, after["V"], update, spare, given)
    if isinstance(constants, LionConstants):
        return hints | _lion_hints(constants, before["M"], after["M"], gradient, spare, given)
    assert isinstance(constants, SgdConstants)
    moved_by = gradient
    if circuit.rule is not Rule.SGD:
        moved_by = after["B"]
        hints["B1"] = two_limbs(after["B"] + OFFSET_G, "B1", spare)[1]
    if circuit.rule is Rule.NESTEROV:
        ahead = given.get("N", _quotient(constants.mu * after["B"]) + OFFSET_G)
        hints |= {"N": ahead, "N1": two_limbs(ahead, "N1", spare)[1]}
        moved_by = ahead - OFFSET_G + gradient
    return hints | {"r1": given.get("r1", _upper_remainder(constants, moved_by, update, spare))}


def _quotient(value: int) -> int:
    """The rounded value / 2^15; of what is no integer the fraction that leaves the remainder 1."""
    value = centred(value)
    return _rounded(value) if abs(value) < FAR else (value + HALF - 1) * inverse(ONE) % MODULUS


def _decay_hints(
    constants: StepConstants, weight: int, spare: frozenset[str], given: Mapping[str, int]
) -> dict[str, int]:
    weight = centred(weight)
    floor = weight >> SHIFT if abs(weight) < FAR else weight * inverse(ONE)
    raised = given.get("wq", floor + OFFSET_G)
    return {
        "wq": raised,
        "q1": two_limbs(raised, "q1", spare)[1],
        "Rd": given.get("Rd", _quotient(constants.D * (raised - OFFSET_G))),
    }


def _root_hints(
    c: AdamConstants | RmspropConstants,
    numerator: int,
    second: int,
    update: int,
    spare: frozenset[str],
    given: Mapping[str, int],
) -> dict[str, int]:
    root = given.get("S", isqrt(second % MODULUS)) % MODULUS
    below = (root * root + 2 * root - second) % MODULUS  # t; and e is 2*S - t
    t0, t1 = two_limbs(below, "t1", spare)
    e0, e1 = two_limbs(2 * root - below, "e1", spare)
    divisor = root + c.E
    remainder = 2 * c.LR * numerator + divisor - 2 * divisor * update
    return {
        "h": (t0 + e0) * inverse(2) % MODULUS,
        "s1": t1 + e1,
        "e1": e1,
        "a1": two_limbs(remainder, "a1", spare)[1],
        "b1": two_limbs(2 * divisor - 1 - remainder, "b1", spare)[1],
    }


def _lion_hints(
    c: LionConstants, before: int, after: int, gradient: int, spare: frozenset[str], given: Mapping[str, int]
) -> dict[str, int]:
    mixed = centred(element(_mixed(c, before, gradient)))
    sign = given.get("sg", _sign(mixed) if abs(mixed) < FAR else 1) % MODULUS
    rest = (mixed * inverse(sign) - 1) % MODULUS if sign else 0
    hints = {"sg": sign, **_limbs(rest, ("K0", "K1", "K2", "K3"), spare)}
    return hints | _limbs(after + OFFSET_W, ("M0", "M1", "M2"), spare)


def _limbs(value: int, names: Sequence[str], spare: frozenset[str]) -> dict[str, int]:
    """Limbs whose sum with the weights R^i is `value` in the field, all in the table if they can
    be; else the lowest that `spare` names leaves it, or the lowest of all."""
    value %= MODULUS
    found = dict.fromkeys(names, 0)
    if value > TABLE_MAX * sum(RADIX**i for i in range(len(names))):
        at = next((i for i, name in enumerate(names) if name in spare), 0)
        low = centred(value) % RADIX**at
        found[names[at]] = (value - low) * inverse(RADIX**at) % MODULUS
        return found | {name: low // RADIX**i % RADIX for i, name in enumerate(names[:at])}
    for i in range(len(names) - 1, -1, -1):
        found[names[i]] = min(value // RADIX**i, TABLE_MAX)
        value -= found[names[i]] * RADIX**i
    return found


def _upper_remainder(c: SgdConstants, moved_by: int, update: int, spare: frozenset[str]) -> int:
    """r1: the upper part of the remainder, plus one."""
    remainder = centred(c.LR * moved_by + (1 << (c.s - 1)) - (update << c.s))
    if c.s == SHIFT:
        return 1
    if abs(remainder) >= 2**40:  # no integer: r0 = 1, if r1 may be a fraction
        return remainder * inverse(ONE) + 1 if "r1" in spare else 1
    high = (remainder >> SHIFT) + 1
    return high if "r1" in spare else max(1, min(ONE, high))
