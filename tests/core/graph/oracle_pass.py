"""A second implementation of the exact pass in plain Python integers, one example and one unit at a
time, over the units' one sparse matrix: written from the design's text, and from the text form of a
graph, by nothing of the package.

    Y_b = sum_a A_a W[a, b];   Z = floor((Y + 2^15) / 2^16)
    D_a = floor((sum_b W[a, b] dZ_b + 2^15) / 2^16)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

PAIRS = ("class", "zero-class", "value")


class OutOfRange(Exception):
    """A value left its range."""


@cache
def scaled_exponentials() -> list[Decimal]:
    """2^20 exp(-z / 4096), z = 0 .. 65535, by the decimal module, which rounds correctly, to 50
    digits."""
    context = Context(prec=50)
    return [context.multiply(context.exp(Decimal(-z) / 4096), Decimal(2**20)) for z in range(2**16)]


@cache
def table() -> list[int]:
    """T[z] = floor(2^20 exp(-z / 4096) + 1/2)."""
    return [int(value + Decimal("0.5")) for value in scaled_exponentials()]


@dataclass
class Units:
    """What a text says: each unit's kind ("target" for a pair's first), and each parameter's place
    (a, b), in order."""

    kinds: list[str]
    places: list[tuple[int, int]]


def read(text: str) -> Units:
    kinds: list[str] = []
    places: list[tuple[int, int]] = []
    for line in text.splitlines()[1:]:
        kind, *numbers = line.split(" ")
        if kind in ("weight", "bias"):
            a, b, rows, columns, offset = map(int, numbers)
            assert offset == len(places)
            step = 2 if kinds[b] in PAIRS else 1
            places += [(a + c, b + step * r) for r in range(rows) for c in range(columns)]
        elif kind in PAIRS:
            kinds += ["target", kind] * int(numbers[0])
        else:
            kinds += [kind] * int(numbers[0])
    return Units(kinds, places)


def softmax(Z: Sequence[int]) -> tuple[int, list[int]]:
    """c and the p: the least c, and at least every Z, for which the p add up to at most 2^20."""
    T = table()

    def at(c: int) -> list[int]:
        return [T[min(c - z, 65535)] for z in Z]

    c, step = max(Z), 1 << 16
    if sum(at(c)) > 2**20:  # the last c for which they add up to more, by ever smaller steps
        while step:
            if sum(at(c + step)) > 2**20:
                c += step
            step >>= 1
        c += 1
    return c, at(c)


def step(
    text: str, W: Sequence[int], cells: Sequence[Sequence[int]], live: int, log_batch: int, k: int
) -> tuple[list[int], Fraction]:
    """G and the mean loss. OutOfRange."""
    units = read(text)
    kinds, places = units.kinds, units.places
    Wf = [w // 2**16 for w in W]
    if any(not -(2**22) <= w <= 2**22 for w in Wf):
        raise OutOfRange("Wf")
    into: dict[int, list[tuple[int, int]]] = {}
    out: dict[int, list[tuple[int, int]]] = {}
    for q, (a, b) in enumerate(places):
        into.setdefault(b, []).append((a, Wf[q]))
        out.setdefault(a, []).append((b, Wf[q]))
    features = kinds.count("feature")
    I = [0] * len(W)  # noqa: E741
    losses = Fraction(0)
    for example, row in enumerate(cells):
        targets = iter(row[features:])
        A = [0] * len(kinds)
        Z = [0] * len(kinds)
        for u, kind in enumerate(kinds):
            if kind == "feature":
                A[u] = row[u]
            elif kind == "constant":
                A[u] = 2**12
            elif kind == "target":
                A[u] = next(targets)
            elif kind in ("relu", "class", "value"):
                Y = sum(A[a] * w for a, w in into[u])
                Z[u] = (Y + 2**15) // 2**16
                A[u] = max(Z[u], 0) if kind == "relu" else 0
            # Of a dead example the targets are never looked at.
            seen = A[u] if kind != "target" or example < live else 0
            if max(abs(Z[u]), abs(seen)) >= 2**22:
                raise OutOfRange(f"unit {u}")
        if example >= live:
            continue
        dZ = [0] * len(kinds)
        outputs = [u for u, kind in enumerate(kinds) if kind in PAIRS]
        if kinds[outputs[0]] == "value":
            for u in outputs:
                dZ[u] = 2**8 * (Z[u] - A[u - 1])
            losses += Fraction(sum((Z[u] - A[u - 1]) ** 2 for u in outputs), 2 * 2**24)
        else:
            if sorted(A[u - 1] for u in outputs) != [0] * (len(outputs) - 1) + [2**12]:
                raise OutOfRange("targets")
            c, p = softmax([Z[u] for u in outputs])
            for u, own in zip(outputs, p, strict=True):
                dZ[u] = own - 2**8 * A[u - 1]
            losses += Fraction(next(c - Z[u] for u in outputs if A[u - 1]), 2**12)
        for u in reversed(range(len(kinds))):
            if kinds[u] == "relu":
                D = (sum(w * dZ[b] for b, w in out[u]) + 2**15) // 2**16
                if abs(D) >= 2**28:
                    raise OutOfRange(f"D of unit {u}")
                dZ[u] = D if Z[u] > 0 else 0
            elif abs(dZ[u]) >= 2**28:
                raise OutOfRange(f"dZ of unit {u}")
        for q, (a, b) in enumerate(places):
            I[q] += A[a] * dZ[b]
    s = 4 + log_batch - k
    assert 0 <= s <= 16
    half = 2**s // 2
    G = [(i + half) // 2**s for i in I]
    if any(abs(g) >= 2**30 for g in G):
        raise OutOfRange("G")
    return G, losses / live
