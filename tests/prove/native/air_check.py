"""The native relations a third time: a slow judge of small traces, in plain integers modulo p,
written from the documentation.

A row is one step of one parameter, a list of field elements in the order of `columns`. It is right
if every relation is zero modulo p = 2^64 - 2^32 + 1, every looked-up value lies below 2^16, and the
next row of the parameter (or the state after the segment) has the states that the row says.
`rows_of_step` writes rows the way an honest prover does, from core's rules and not from Rust.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names, trace
from zk_autograd.core.rules.sgd import SgdTrace

P = 2**64 - 2**32 + 1
TABLE = 2**16

_ROOT = "x0 x1 x2 xl V* S a0 a1 b1 u0 u1 r0 r1 c1"
_OWN = {
    Rule.ADAM: f"m0 m1 r2 {_ROOT}",
    Rule.ADAMW: f"m0 m1 r2 {_ROOT}",
    Rule.RMSPROP: _ROOT,
    Rule.LION: "m0 m1 m2 sg k0 k1 k2 k3",
    Rule.SGD: "u0 u1 e0",
    Rule.SGD_MOMENTUM: "b0 b1 u0 u1 e0",
    Rule.NESTEROV: "b0 b1 n0 n1 u0 u1 e0",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """What a statement says of a segment; with `weights_in_range` each row shows that its weight is
    in range."""

    rule: Rule
    s: int
    decay: bool
    weights_in_range: bool
    steps: tuple[StepConstants, ...]


def columns(segment: Segment) -> list[str]:
    """The names of a row's columns: states, limbs and remainders, the weight's and the decay's, the
    gradient's."""
    names = [*state_names(segment.rule), *_OWN[segment.rule].split()]
    if segment.s == 30:
        names.append("e1")
    if segment.decay or segment.weights_in_range:
        names += ["h0", "h1"]
    if segment.decay:
        names += ["d0", "d1", "d2", "rr"]
    return [*names, "g0", "g1"]


def fault(
    segment: Segment,
    rows: Sequence[Sequence[int]],
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
) -> str | None:
    """The first thing that doesn't hold of a trace, None if all does.

    `rows` are those of the first parameter's steps, then of the second's ...; `before` and `after`
    have a state for each parameter.
    """
    steps, states = len(segment.steps), len(state_names(segment.rule))
    names = columns(segment)
    if len(rows) != steps * len(before) or len(before) != len(after) or any(len(row) != len(names) for row in rows):
        return "lengths"
    for index, row in enumerate(rows):
        parameter, step = divmod(index, steps)
        judged = _Row(segment, step, dict(zip(names, row, strict=True)))
        for name, value in judged.zeros():
            if value % P:
                return f"row {index}: {name} is not zero"
        for name, value in judged.lookups():
            if value % P >= TABLE:
                return f"row {index}: {name} is not in the table"
        if step == 0 and not _same(row[:states], before[parameter]):
            return f"row {index}: another state before"
        following = after[parameter] if step == steps - 1 else rows[index + 1][:states]
        if not _same(judged.following(), following):
            return f"row {index}: another state after"
    return None


def _same(left: Sequence[int], right: Sequence[int]) -> bool:
    return [value % P for value in left] == [value % P for value in right]


class _Row:
    """A row's values by name, and what has to hold of them."""

    def __init__(self, segment: Segment, step: int, cells: Mapping[str, int]) -> None:
        self._segment = segment
        self._cells = cells
        self._own = segment.steps[step]
        self._shared = segment.steps[0]
        own = self._own
        self._active = int(_is_real(own))
        self._G = self._joined(("g0", 0), ("g1", 15)) - 2**30
        limbs = segment.decay or segment.weights_in_range
        self._Wh = self._joined(("h0", 0), ("h1", 15)) - 2**30 if limbs else 0
        self._R = self._joined(("d0", 0), ("d1", 16), ("d2", 28)) - 2**43 if segment.decay else 0
        if isinstance(own, LionConstants):
            self._U = own.LR * cells["sg"]
        else:
            self._U = self._joined(("u0", 0), ("u1", 16)) - 2**31

    def _joined(self, *limbs: tuple[str, int]) -> int:
        return sum(self._cells[name] << shift for name, shift in limbs)

    def zeros(self) -> Iterator[tuple[str, int]]:
        """Relations, by name."""
        yield "G in a no-op step", (1 - self._active) * self._G
        if self._segment.decay:
            yield "R", self._own.D * self._Wh + 2**14 - 2**15 * self._R - self._cells["rr"]
        if isinstance(self._own, SgdConstants):
            yield from self._sgd_zeros(self._own)
        elif isinstance(self._own, LionConstants):
            yield "C", self._mixed() - self._cells["sg"] * (self._size() + 1)
        else:
            yield from self._root_zeros(self._own)

    def lookups(self) -> Iterator[tuple[str, int]]:
        """Looked-up values, by name."""
        yield from self._limbs("g0", "g1")
        if self._segment.decay or self._segment.weights_in_range:
            lower = self._cells["W"] - 2**15 * self._Wh
            yield from self._limbs("h0", "h1")
            yield "2 wl", 2 * lower
            if self._segment.weights_in_range:
                yield "wl", lower
        if self._segment.decay:
            yield from self._limbs("d0", "d1", "d2")
            yield "2 rr", 2 * self._cells["rr"]
        if isinstance(self._shared, SgdConstants):
            yield from self._sgd_lookups(self._shared)
        elif isinstance(self._shared, LionConstants):
            yield from self._lion_lookups(self._shared)
        else:
            if isinstance(self._shared, AdamConstants):
                yield from self._moment_lookups(self._shared)
            yield from self._root_lookups(self._shared)

    def following(self) -> list[int]:
        """The states after the row."""
        cells, moved = self._cells, [self._cells["W"] - self._U - self._R]
        if not isinstance(self._own, SgdConstants):
            if "M" in cells:
                moved.append(cells["M"] + self._active * (self._new_m() - cells["M"]))
            if "V" in cells:
                moved.append(cells["V"] + self._active * (cells["V*"] - cells["V"]))
        elif self._segment.rule is not Rule.SGD:
            moved.append(cells["B"] + self._active * (self._new_b() - cells["B"]))
        return moved

    def _limbs(self, *names: str) -> Iterator[tuple[str, int]]:
        for name in names:
            yield name, self._cells[name]

    # Lion

    def _mixed(self) -> int:
        assert isinstance(self._shared, LionConstants)
        c1 = self._shared.c1
        return c1 * 2**15 * self._G + (2**15 - c1) * self._cells["M"]

    def _size(self) -> int:
        return self._joined(("k0", 0), ("k1", 16), ("k2", 32), ("k3", 48))

    def _lion_lookups(self, shared: LionConstants) -> Iterator[tuple[str, int]]:
        cells = self._cells
        yield from self._limbs("m0", "m1", "m2", "k0", "k1", "k2", "k3")
        yield "2 k3", 2 * cells["k3"]
        yield "sg + 1", cells["sg"] + 1
        yield "32767 (sg + 1)", 32767 * (cells["sg"] + 1)
        yield "2 r1", 2 * (shared.c2 * (2**15 * self._G - cells["M"]) + 2**14 - 2**15 * (self._new_m() - cells["M"]))

    # Adam and RMSprop

    def _mh(self) -> int:
        return self._joined(("m0", 0), ("m1", 15)) - 2**30

    def _numerator(self) -> int:
        return self._G if self._segment.rule is Rule.RMSPROP else self._mh()

    def _new_m(self) -> int:
        if self._segment.rule is Rule.LION:
            return self._joined(("m0", 0), ("m1", 16), ("m2", 30)) - 2**45
        return 2**15 * self._mh() + self._cells["r2"] - 2**14

    def _xh(self) -> int:
        return self._joined(("x0", 0), ("x1", 16), ("x2", 31)) - 2**46

    def _root_zeros(self, own: AdamConstants | RmspropConstants) -> Iterator[tuple[str, int]]:
        cells = self._cells
        divisor = cells["S"] + own.E
        yield "X", self._G**2 - cells["V"] - cells["xl"] - 2**15 * self._xh()
        yield "V*", cells["S"] ** 2 + self._joined(("a0", 0), ("a1", 16)) - cells["V*"]
        quotient = 2 * divisor * self._U + self._joined(("r0", 0), ("r1", 16))
        yield "U", 2 * own.LR * self._numerator() + divisor - quotient

    def _moment_lookups(self, shared: AdamConstants) -> Iterator[tuple[str, int]]:
        cells = self._cells
        yield from self._limbs("m0", "m1", "r2")
        yield "2 r2", 2 * cells["r2"]
        yield "2 r1", 2 * (shared.c1 * (2**15 * self._G - cells["M"]) + 2**14 - 2**15 * (self._new_m() - cells["M"]))

    def _root_lookups(self, shared: AdamConstants | RmspropConstants) -> Iterator[tuple[str, int]]:
        cells, own = self._cells, self._own
        assert isinstance(own, AdamConstants | RmspropConstants)
        yield from self._limbs("x0", "x1", "x2", "a0", "a1", "b1", "u0", "u1", "r0", "r1", "c1")
        yield "2 xl", 2 * cells["xl"]
        q = cells["V*"] - cells["V"] - shared.c2 * self._xh()
        yield "2 rho", 2 * (shared.c2 * cells["xl"] + 2**14 - 2**15 * q)
        yield "a1 + b1 + q + 1", cells["a1"] + cells["b1"] + q + 1
        yield "b0", 2 * cells["S"] - self._joined(("a0", 0), ("a1", 16), ("b1", 16))
        remainder = self._joined(("r0", 0), ("r1", 16), ("c1", 16))
        yield "c0", 2 * (cells["S"] + own.E) - 1 - remainder

    # SGD

    def _new_b(self) -> int:
        return self._joined(("b0", 0), ("b1", 15)) - 2**30

    def _argument(self) -> int:
        if self._segment.rule is Rule.SGD:
            return self._G
        if self._segment.rule is Rule.SGD_MOMENTUM:
            return self._new_b()
        return self._joined(("n0", 0), ("n1", 16)) - 2**31

    def _sgd_zeros(self, own: SgdConstants) -> Iterator[tuple[str, int]]:
        s = self._segment.s
        rest = self._cells["e0"] + (self._cells["e1"] << 15 if s == 30 else 0)
        yield "U", own.LR * self._argument() + 2 ** (s - 1) - 2**s * self._U - rest

    def _sgd_lookups(self, shared: SgdConstants) -> Iterator[tuple[str, int]]:
        cells = self._cells
        yield from self._limbs("u0", "u1")
        yield "2 e0", 2 * cells["e0"]
        if self._segment.s == 30:
            yield from self._limbs("e1")
            yield "2 e1", 2 * cells["e1"]
        if self._segment.rule is not Rule.SGD:
            yield from self._limbs("b0", "b1")
            yield "2 rb", 2 * (shared.mu * cells["B"] + 2**14 - 2**15 * (self._new_b() - self._G))
        if self._segment.rule is Rule.NESTEROV:
            yield from self._limbs("n0", "n1")
            yield "2 rn", 2 * (shared.mu * self._new_b() + 2**14 - 2**15 * (self._argument() - self._G))


def rows_of_step(segment: Segment, step: int, state: Mapping[str, IntArray], G: IntArray) -> list[list[int]]:
    """The rows of one step, one for each parameter, from core's rule: `state` and `G` are int64
    vectors.

    A no-op step's row computes with the coefficients of the first step, as every row does, and
    keeps the state.
    """
    own = segment.steps[step]
    result = trace(segment.rule, state, G, own)
    rows = []
    for i in range(len(G)):
        cells = {name: int(values[i]) for name, values in state.items()}
        g = int(G[i])
        cells |= _split("g", g + 2**30, 15) | _split("u", int(result.U[i]) + 2**31, 16)
        if isinstance(own, AdamConstants):
            cells |= _adam_cells(segment, own, cells, g)
        elif isinstance(own, RmspropConstants):
            cells |= _root_cells(segment, own, cells["V"], g, g)
        elif isinstance(own, LionConstants):
            cells |= _lion_cells(segment, cells["M"], g)
        else:
            assert isinstance(result, SgdTrace)
            cells |= _sgd_cells(segment, own, cells, g, result, i)
        cells |= _split("h", (cells["W"] >> 15) + 2**30, 15)
        taken = int(result.R[i]) + 2**43
        cells |= {"d0": taken & 0xFFFF, "d1": taken >> 16 & 0xFFF, "d2": taken >> 28}
        cells["rr"] = own.D * (cells["W"] >> 15) + 2**14 - 2**15 * int(result.R[i])
        rows.append([cells[name] for name in columns(segment)])
    return rows


def _is_real(step: StepConstants) -> bool:
    """Whether a step isn't a no-op."""
    return (step.cg if isinstance(step, SgdConstants) else step.c2) != 0


def _split(name: str, value: int, bits: int) -> dict[str, int]:
    return {f"{name}0": value & (1 << bits) - 1, f"{name}1": value >> bits}


def _adam_cells(segment: Segment, own: AdamConstants, state: Mapping[str, int], g: int) -> dict[str, int]:
    shared = segment.steps[0]
    assert isinstance(shared, AdamConstants)
    M = state["M"]
    moved = M + ((shared.c1 * (2**15 * g - M) + 2**14) >> 15)
    rounded = (moved + 2**14) >> 15
    return {
        **_split("m", rounded + 2**30, 15),
        "r2": moved + 2**14 - 2**15 * rounded,
        **_root_cells(segment, own, state["V"], g, rounded),
    }


def _lion_cells(segment: Segment, M: int, g: int) -> dict[str, int]:
    shared = segment.steps[0]
    assert isinstance(shared, LionConstants)
    moved = M + ((shared.c2 * (2**15 * g - M) + 2**14) >> 15) + 2**45
    mixed = shared.c1 * 2**15 * g + (2**15 - shared.c1) * M
    size = abs(mixed) - (mixed != 0)
    return {
        "m0": moved & 0xFFFF,
        "m1": moved >> 16 & 0x3FFF,
        "m2": moved >> 30,
        "sg": (mixed > 0) - (mixed < 0),
        **{f"k{i}": size >> 16 * i & 0xFFFF for i in range(4)},
    }


def _root_cells(
    segment: Segment, own: AdamConstants | RmspropConstants, V: int, g: int, numerator: int
) -> dict[str, int]:
    shared = segment.steps[0]
    assert isinstance(shared, AdamConstants | RmspropConstants)
    X = g * g - V
    xh = (X >> 15) + 2**46
    new_v = V + ((shared.c2 * X + 2**14) >> 15)
    root = _isqrt(new_v)
    a, b = new_v - root * root, 2 * root - new_v + root * root
    divisor = root + own.E
    r = (2 * own.LR * numerator + divisor) % (2 * divisor)
    return {
        "x0": xh & 0xFFFF,
        "x1": xh >> 16 & 0x7FFF,
        "x2": xh >> 31,
        "xl": X & 0x7FFF,
        "V*": new_v,
        "S": root,
        **_split("a", a, 16),
        "b1": b >> 16,
        **_split("r", r, 16),
        "c1": (2 * divisor - 1 - r) >> 16,
    }


def _isqrt(value: int) -> int:
    low, high = 0, 2**31
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * middle <= value else (low, middle)
    return low


def _sgd_cells(
    segment: Segment, own: StepConstants, state: Mapping[str, int], g: int, result: SgdTrace, i: int
) -> dict[str, int]:
    shared = segment.steps[0]
    assert isinstance(own, SgdConstants) and isinstance(shared, SgdConstants)
    new_b = ((shared.mu * state.get("B", 0) + 2**14) >> 15) + g
    argument = ((shared.mu * new_b + 2**14) >> 15) + g if segment.rule is Rule.NESTEROV else new_b
    rest = own.LR * argument + 2 ** (own.s - 1) - (int(result.U[i]) << own.s)
    limbs = _split("e", rest, 15) if segment.s == 30 else {"e0": rest}
    return {**_split("b", new_b + 2**30, 15), **_split("n", argument + 2**31, 16), **limbs}
