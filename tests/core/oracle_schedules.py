"""The schedules once more, from the definition's formulas, with no code of the package.

An oracle for tests. The cosine: pi by the Gauss-Legendre iteration and the series at a fraction of
the angle, in decimals of 120 digits, doubled back by 2 c^2 - 1. The power: by recursion on half of
the exponent, with `math.floor` of fractions.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from functools import cache

DIGITS = 120
HALVINGS = 12


@cache
def pi() -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS + 20
        a, b, t, p = Decimal(1), 1 / Decimal(2).sqrt(), Decimal("0.25"), Decimal(1)
        for _ in range(8):
            mean = (a + b) / 2
            t -= p * (a - mean) ** 2
            a, b, p = mean, (a * b).sqrt(), 2 * p
        return (a + b) ** 2 / (4 * t)


def real_cosine(e: int, n: int) -> Decimal:
    """cos(pi e / n) to some 110 digits."""
    with localcontext() as context:
        context.prec = DIGITS
        x = pi() * e / n / 2**HALVINGS
        total, term, k = Decimal(0), Decimal(1), 0
        while abs(term) > Decimal(10) ** -DIGITS:
            total += term
            k += 2
            term *= -x * x / (k * (k - 1))
        for _ in range(HALVINGS):
            total = 2 * total * total - 1
        return total


def cosine(e: int, n: int) -> int:
    """2^64 cos(pi e / n), to the nearest integer; the oracle fails where 90 digits don't tell which
    one that is."""
    with localcontext() as context:
        context.prec = DIGITS
        scaled = real_cosine(e, n) * 2**64
        nearest = scaled.to_integral_value(ROUND_HALF_EVEN)
        assert abs(abs(scaled - nearest) - Decimal("0.5")) > Decimal(10) ** -70
        return int(nearest)


def power(factor: Fraction, j: int) -> int:
    """P(j) of the definition."""

    def whole(j: int) -> int:
        if j == 0:
            return 2**256
        half = math.floor(Fraction(whole(j // 2) ** 2, 2**256))
        return math.floor(half * factor) if j % 2 else half

    product = whole(j)
    return product if product >= 2**128 else 0


def share(kind: str, t: int, warm_up: int, length: int = 1, level: str = "0") -> Fraction:
    """f_t of a schedule: `length` is its steps or every, `level` its end or factor."""
    if t <= warm_up:
        return Fraction(t, warm_up + 1)
    e, number = t - warm_up - 1, Fraction(Decimal(level))
    if kind == "constant":
        return Fraction(1)
    if kind == "step":
        return Fraction(power(number, e // length), 2**256)
    if e >= length:
        return number
    if kind == "linear":
        return (Fraction(length - e) + number * e) / length
    assert kind == "cosine"
    return number + (1 - number) * (1 + Fraction(cosine(e, length), 2**64)) / 2
