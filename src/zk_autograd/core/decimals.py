"""Exact decimals: text to rational and back, and the one rounding of the constants. No floats.

Rules: a decimal is ASCII digits, an optional point between digits and an optional exponent, without
sign or spaces. Length and exponent are bounded before anything is computed, so that a hostile
"1e999999999" costs nothing. Every finite float64 that isn't negative can be read back from its
repr.
"""

import re
from fractions import Fraction

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import SHOWN

MAX_TEXT = 80
MAX_EXPONENT = 400
"""A decimal's first digit is below 10^400 and its last one not below 10^-400: more than a
float64 can need."""

_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")


def parse_decimal(text: str, name: str) -> Fraction:
    """The exact value, at least 0, of a decimal such as "0.001" or "1e-08"; messages call it
    `name`.

    Raises VerificationError for anything else: a sign, "nan", "1.", ".5", a longer text or a larger
    exponent.
    """
    match = _DECIMAL.fullmatch(text) if len(text) <= MAX_TEXT else None
    if match is not None:
        whole, fraction, exponent = match[1], match[2] or "", int(match[3] or "0")
        if len(whole) + exponent <= MAX_EXPONENT and exponent - len(fraction) >= -MAX_EXPONENT:
            return int(whole + fraction) * Fraction(10) ** (exponent - len(fraction))
    raise VerificationError(
        f"{name} is not a decimal",
        expected=f'such as "0.001" or "1e-08", of at most {MAX_TEXT} characters, within 10^+-{MAX_EXPONENT}',
        found=ascii(text[:SHOWN]) + ("..." if len(text) > SHOWN else ""),
    )


def decimal_text(value: Fraction) -> str:
    """One text for each value: its exact decimal if it has one ("0.001", or "1e-90" if that is too
    long), else "p/q".

    `parse_decimal` reads a decimal back to the same value.
    """
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    sign, digits = "-" if value < 0 else "", str(abs(value.numerator) * 10**places // value.denominator)
    padded = digits.rjust(places + 1, "0")
    plain = sign + (f"{padded[:-places]}.{padded[-places:]}" if places else digits)
    if len(plain) <= MAX_TEXT:
        return plain
    short = digits.rstrip("0")
    return f"{sign}{short}e{len(digits) - len(short) - places}"


def rounded(value: Fraction, digits: int) -> Fraction:
    """`value` >= 0 to that many significant digits, rounded half up, for people to read."""
    if value == 0:
        return value
    unit = Fraction(10) ** (len(str(value.numerator)) - len(str(value.denominator)) - digits)
    while value >= unit * 10**digits:
        unit *= 10
    return round_half_up(value / unit) * unit


def round_half_up(value: Fraction) -> int:
    """floor(value + 1/2)."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
