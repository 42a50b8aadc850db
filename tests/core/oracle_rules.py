"""The update rules and their constants once more, from the design's formulas, on Python integers
and fractions.

An oracle for tests: one element at a time, unlimited integers, `Fraction` and `math.floor` for
every division, no code of the package. Slow and plain on purpose.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True)
class Violation:
    """The first check of a step that an element fails: its place in the order of checks, quantity
    and value."""

    order: int
    what: str
    value: int


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def half_even(value: Fraction) -> int:
    below = math.floor(value)
    rest = value - below
    if rest == Fraction(1, 2):
        return below + below % 2
    return below + (rest > Fraction(1, 2))


def shifted(value: int) -> int:
    """floor((x + 2^14) / 2^15)."""
    return math.floor(Fraction(value + 2**14, 2**15))


def root(value: int) -> int:
    """floor(sqrt(value)), bit by bit."""
    result = 0
    for bit in range(value.bit_length() // 2, -1, -1):
        if (result | 1 << bit) ** 2 <= value:
            result |= 1 << bit
    return result


def check(order: int, what: str, value: int, bound: int) -> Violation | None:
    return None if abs(value) < bound else Violation(order, what, value)


@dataclass(frozen=True)
class Adam:
    """The constants of a step of Adam or AdamW; `Dt` is the decay."""

    c1: int
    c2: int
    LR: int
    E: int
    Dt: int


@dataclass(frozen=True)
class Sgd:
    """The constants of an SGD step; `D` is the decay, `cg` 2^15 or, in a no-op, 0."""

    mu: int
    cg: int
    LR: int
    s: int
    D: int


@dataclass(frozen=True)
class Lion:
    """The constants of a Lion step."""

    c1: int
    c2: int
    LR: int
    D: int


@dataclass(frozen=True)
class Rmsprop:
    """The constants of an RMSprop step; `Dt` is the decay."""

    c2: int
    LR: int
    E: int
    Dt: int


def adam(W: int, M: int, V: int, G: int, c: Adam) -> dict[str, int] | Violation:
    """Everything one element's step computes, or the first check it fails."""
    failed = (
        check(0, "weight", W, 2**45)
        or check(1, "first moment", M, 2**45)
        or check(2, "second moment", V, 2**60 + 1)
        or (Violation(3, "second moment", V) if V < 0 else None)
        or check(4, "gradient", G, 2**30)
    )
    if failed:
        return failed
    M1 = M + shifted(c.c1 * (2**15 * G - M))
    Mh = shifted(M1)
    V1 = V + shifted(c.c2 * (G * G - V))
    assert abs(M1) < 2**45 and 0 <= V1 <= 2**60, "the rule's docstring says that these need no check"
    S = root(V1)
    D = S + c.E
    U = math.floor(Fraction(2 * c.LR * Mh + D, 2 * D))
    R = shifted(c.Dt * math.floor(Fraction(W, 2**15)))
    W1 = W - U - R
    failed = (
        check(5, "rounded first moment", Mh, 2**30)
        or check(6, "update", U, 2**31 - 2**20)
        or check(7, "weight", W1, 2**45)
    )
    return failed or {"M": M1, "Mh": Mh, "V": V1, "S": S, "D": D, "U": U, "R": R, "W": W1}


def _sgd(W: int, B: int, G: int, c: Sgd, nesterov: bool) -> dict[str, int] | Violation:
    failed = check(0, "weight", W, 2**45) or check(1, "momentum", B, 2**30) or check(2, "gradient", G, 2**30)
    if failed:
        return failed
    gradient = G if c.cg == 2**15 else 0  # the design's rule, and a no-op
    B1 = shifted(c.mu * B) + gradient
    failed = check(3, "momentum", B1, 2**30)
    if failed:
        return failed
    A = shifted(c.mu * B1) + gradient if nesterov else B1
    assert abs(A) < 2**31, "the rule's docstring says that this needs no check"
    U = math.floor(Fraction(c.LR * A + 2 ** (c.s - 1), 2**c.s))
    R = shifted(c.D * math.floor(Fraction(W, 2**15)))
    W1 = W - U - R
    failed = check(4, "update", U, 2**31 - 2**20) or check(5, "weight", W1, 2**45)
    return failed or {"B": B1, "A": A, "U": U, "R": R, "W": W1}


def sgd(W: int, B: int, G: int, c: Sgd) -> dict[str, int] | Violation:
    return _sgd(W, B, G, c, nesterov=False)


def nesterov(W: int, B: int, G: int, c: Sgd) -> dict[str, int] | Violation:
    return _sgd(W, B, G, c, nesterov=True)


def lion(W: int, M: int, G: int, c: Lion) -> dict[str, int] | Violation:
    """Everything one element's step computes, or the first check it fails."""
    failed = check(0, "weight", W, 2**45) or check(1, "first moment", M, 2**45) or check(2, "gradient", G, 2**30)
    if failed:
        return failed
    share = Fraction(c.c1, 2**15)
    C = share * 2**15 * G + (1 - share) * M  # in units of M
    S = (C > 0) - (C < 0)
    M1 = math.floor(M + Fraction(c.c2, 2**15) * (2**15 * G - M) + Fraction(1, 2))
    assert abs(M1) < 2**45, "the rule's docstring says that this needs no check"
    U = c.LR * S
    R = shifted(c.D * math.floor(Fraction(W, 2**15)))
    W1 = W - U - R
    failed = check(3, "weight", W1, 2**45)
    return failed or {"C": int(C * 2**15), "S": S, "M": M1, "U": U, "R": R, "W": W1}


def rmsprop(W: int, V: int, G: int, c: Rmsprop) -> dict[str, int] | Violation:
    """Everything one element's step computes, or the first check it fails."""
    failed = (
        check(0, "weight", W, 2**45)
        or check(1, "second moment", V, 2**60 + 1)
        or (Violation(2, "second moment", V) if V < 0 else None)
        or check(3, "gradient", G, 2**30)
    )
    if failed:
        return failed
    V1 = math.floor(V + Fraction(c.c2, 2**15) * (G * G - V) + Fraction(1, 2))
    assert 0 <= V1 <= 2**60, "the rule's docstring says that this needs no check"
    S = root(V1)
    D = S + c.E
    U = half_up(Fraction(c.LR * G, D))
    R = shifted(c.Dt * math.floor(Fraction(W, 2**15)))
    W1 = W - U - R
    failed = check(4, "update", U, 2**31 - 2**20) or check(5, "weight", W1, 2**45)
    return failed or {"V": V1, "S": S, "D": D, "U": U, "R": R, "W": W1}


def exact(text: str) -> Fraction:
    return Fraction(Decimal(text))


class AdamSchedule:
    """The constants of Adam and AdamW at t = 1, 2, 3 ..., straight from the definition at scale
    2^256."""

    def __init__(self, hyper: dict[str, str], k: int) -> None:
        self.hyper = {name: exact(text) for name, text in hyper.items()}
        self.k = k
        self.c1 = half_up((1 - self.hyper["beta1"]) * 2**15)
        self.c2 = half_up((1 - self.hyper["beta2"]) * 2**15)
        self.t = 1
        self.b1 = self.P1 = (2**15 - self.c1) * 2**241
        self.b2 = self.P2 = (2**15 - self.c2) * 2**241

    def advance(self, t: int) -> None:
        assert t >= self.t
        for _ in range(t - self.t):
            self.P1 = self.P1 * self.b1 // 2**256
            self.P2 = self.P2 * self.b2 // 2**256
        self.t = t

    def correction(self) -> tuple[int, int]:
        """Q_t and F_t."""
        Q = root((2**256 - self.P2) * 2**256)
        return Q, math.floor(Fraction(Q * 2**256, 2**256 - self.P1))

    def constants(self, lr: str) -> Adam:
        Q, F = self.correction()
        rate = half_up(exact(lr) * Fraction(F, 2**256) * 2**32)
        eps = half_up(self.hyper["eps"] * Fraction(Q, 2**256) * Fraction(2) ** (self.k + 28))
        decay = half_up(exact(lr) * self.hyper["weight_decay"] * 2**30)
        return Adam(self.c1, self.c2, rate, max(root(2**15 // self.c2) + 1, eps), decay)


def sgd_constants(hyper: dict[str, str], k: int, s: int, lr: str) -> Sgd:
    rate = half_up(exact(lr) * Fraction(2) ** (32 - 28 - k + s))
    decay = half_up(exact(lr) * exact(hyper["weight_decay"]) * 2**30)
    return Sgd(half_up(exact(hyper["momentum"]) * 2**15), 2**15, rate, s, decay)


def lion_constants(hyper: dict[str, str], lr: str) -> Lion:
    c1, c2 = (half_up((1 - exact(hyper[name])) * 2**15) for name in ("beta1", "beta2"))
    return Lion(c1, c2, half_up(exact(lr) * 2**32), half_up(exact(lr) * exact(hyper["weight_decay"]) * 2**30))


def rmsprop_constants(hyper: dict[str, str], k: int, lr: str) -> Rmsprop:
    c2 = half_up((1 - exact(hyper["alpha"])) * 2**15)
    eps = half_up(exact(hyper["eps"]) * Fraction(2) ** (k + 28))
    decay = half_up(exact(lr) * exact(hyper["weight_decay"]) * 2**30)
    return Rmsprop(c2, half_up(exact(lr) * 2**32), max(root(2**15 // c2) + 1, eps), decay)
