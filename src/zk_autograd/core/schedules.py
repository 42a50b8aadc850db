"""Learning-rate schedules, defined to the last bit: from a text to the exact rate of every step. No
floats.

A schedule is one text, the same in a header, an option and a configuration file:

    constant
    step:every=30,factor=0.1
    linear:steps=100,end=0
    cosine:steps=100,end=0.01
    recorded                     nothing is declared: each step's record holds its rates

Each but `recorded` may end in `,warm_up=10`. Counts are 1 .. 2^40. `factor` and `end` are shares of
the group's own lr: decimals below 1 of at most 9 places, `factor` above 0; `end` defaults to 0.
Options may come in any order; a header holds the form above.

The rate of step t = 1, 2, 3 ... is lr_t = lr * f_t, a rational that is not rounded. With w =
`warm_up` (0 without) and e = t - 1 - w,

    f_t = t / (w + 1)                                       t <= w: each warm-up step is below lr
    f_t = 1                                                 constant
          P(e // every) / 2^256                             step
          1 - (1 - end) * e / steps                         linear,  for e < steps
          end + (1 - end) * (2^64 + C(e, steps)) / 2^65     cosine,  for e < steps
          end                                               both, from e = steps on

where

* P(j) is the power factor^j at scale 2^256, by squaring: P = 2^256; then for each binary digit of j
  from the first, P = floor(P * P / 2^256) and, if the digit is 1, P = floor(P * factor); at the
  end, 0 if P < 2^128. It is below the true power by less than 4j units, and it falls with every j
  until it is 0: above 2^128 a factor of at most 1 - 10^-9 takes away more than 2^98 units. For j >=
  2^40 it is 0 in any case.
* C(e, n) is the integer nearest to 2^64 * cos(pi * e / n). There is always one: a cosine of a
  rational part of pi that is rational is 0, 1/2 or 1 in size (Niven, 1956, corollary 3.12), so none
  lies halfway between two integers. As it is the rounding of a falling function, it never rises.

So f_t is at most 1, at step w + 1 it is 1, and from there on it never rises. A step costs the same
however large t is.

Where a scheduler of torch.optim steps once after each step of the optimizer, e is its `last_epoch`:
StepLR(every, factor), LinearLR(1, end, steps), CosineAnnealingLR(steps, end * lr), which here stays
at its end. The warm-up is SequentialLR with LinearLR(1 / (w + 1), 1, w) before them and the
milestone w.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TypeAlias

from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.text import SHOWN

RECORDED = "recorded"
"""The text of a run whose records hold the rates."""

MAX_COUNT = 2**40
MAX_TEXT = 200
PLACES = 9
"""Digits of a share after the point, at most."""

COSINE_BITS = 64
_WHOLE = Fraction(1)
_POWER_ONE = 2**256
_POWER_LEAST = 2**128
_FORMS = (
    '"constant", "step:every=30,factor=0.1", "linear:steps=100,end=0" or "cosine:steps=100,end=0", each with ",warm_up=10" '
    'if wanted, or "recorded"'
)


@dataclass(frozen=True, slots=True)
class Constant:
    """The whole rate at every step."""

    text = "constant"
    words = "the same at every step"

    def share(self, e: int) -> Fraction:
        """f_t, `e` >= 0 steps after the warm-up."""
        return _WHOLE


@dataclass(frozen=True, slots=True)
class StepDecay:
    """Multiplied by `factor` after every `every` steps. VerificationError for a value out of range,
    here and in the classes below."""

    every: int
    factor: Fraction

    def __post_init__(self) -> None:
        _require_count("every", self.every)
        _require_share("factor", self.factor, "above 0 and below 1", self.factor > 0)

    @property
    def text(self) -> str:
        return f"step:every={self.every},factor={decimal_text(self.factor)}"

    @property
    def words(self) -> str:
        return f"multiplied by {decimal_text(self.factor)} after every {_steps(self.every)}"

    def share(self, e: int) -> Fraction:
        """f_t, `e` >= 0 steps after the warm-up."""
        return Fraction(power(self.factor, e // self.every), _POWER_ONE)


@dataclass(frozen=True, slots=True)
class Linear:
    """Down to `end` in equal parts, over `steps` steps."""

    steps: int
    end: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        _require_count("steps", self.steps)
        _require_share("end", self.end)

    @property
    def text(self) -> str:
        return f"linear:steps={self.steps},end={decimal_text(self.end)}"

    @property
    def words(self) -> str:
        return f"linearly down to {decimal_text(self.end)} of lr over {_steps(self.steps)}"

    def share(self, e: int) -> Fraction:
        """f_t, `e` >= 0 steps after the warm-up."""
        whole, end = self.end.denominator, self.end.numerator
        return Fraction(whole * self.steps - (whole - end) * min(e, self.steps), whole * self.steps)


@dataclass(frozen=True, slots=True)
class Cosine:
    """Down to `end` along half a period of a cosine, over `steps` steps; it does not rise again."""

    steps: int
    end: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        _require_count("steps", self.steps)
        _require_share("end", self.end)

    @property
    def text(self) -> str:
        return f"cosine:steps={self.steps},end={decimal_text(self.end)}"

    @property
    def words(self) -> str:
        return f"along a cosine down to {decimal_text(self.end)} of lr over {_steps(self.steps)}"

    def share(self, e: int) -> Fraction:
        """f_t, `e` >= 0 steps after the warm-up."""
        height = 2**COSINE_BITS + cosine(min(e, self.steps), self.steps)
        whole, end = self.end.denominator, self.end.numerator
        return Fraction((end << COSINE_BITS + 1) + (whole - end) * height, whole << COSINE_BITS + 1)


Curve: TypeAlias = Constant | StepDecay | Linear | Cosine


@dataclass(frozen=True, slots=True)
class Schedule:
    """A declared schedule: a linear warm-up of `warm_up` steps (0: none), and then the curve."""

    curve: Curve
    warm_up: int = 0

    def __post_init__(self) -> None:
        if self.warm_up:
            _require_count("warm_up", self.warm_up)

    @property
    def text(self) -> str:
        """The one text of this schedule that a header holds."""
        return self.curve.text + (f",warm_up={self.warm_up}" if self.warm_up else "")

    @property
    def words(self) -> str:
        """What it does to a group's lr, for a report."""
        return self.curve.words + (f", after a linear warm-up of {_steps(self.warm_up)}" if self.warm_up else "")

    def share(self, t: int) -> Fraction:
        """f_t of step `t` >= 1."""
        if t <= self.warm_up:
            return Fraction(t, self.warm_up + 1)
        return self.curve.share(t - 1 - self.warm_up)

    def rate(self, lr: Fraction, t: int) -> Fraction:
        """lr_t of step `t` >= 1 for a group whose own rate is `lr`."""
        return scaled(lr, self.share(t))

    def extremes(self, last: int) -> tuple[int, ...]:
        """Steps of 1..`last` (>= 1) among which are one of the least rate and one of the greatest:
        the rate rises up to step warm_up + 1 and never after it."""
        return tuple(sorted({1, min(last, self.warm_up + 1), last}))


CONSTANT = Schedule(Constant())


def scaled(lr: Fraction, share: Fraction) -> Fraction:
    """Their product. The constant schedule's is `lr` itself, at no cost."""
    return lr if share is _WHOLE else lr * share


def parse(text: str) -> Schedule | None:
    """The schedule that `text` declares, None for "recorded"; else VerificationError."""
    if len(text) > MAX_TEXT:
        raise VerificationError("the schedule's text is too long", expected=f"at most {MAX_TEXT} characters")
    if text == RECORDED:
        return None
    name, _, rest = text.partition("," if text.startswith("constant") else ":")
    options = _Options(text, rest)
    curve: Curve
    if name == "constant":
        curve = Constant()
    elif name == "step":
        curve = StepDecay(options.count("every"), options.share("factor"))
    elif name == "linear":
        curve = Linear(options.count("steps"), options.share("end", "0"))
    elif name == "cosine":
        curve = Cosine(options.count("steps"), options.share("end", "0"))
    else:
        raise _unknown(text)
    warm_up = 0
    if "warm_up" in options.given:
        _require_count("warm_up", warm_up := options.count("warm_up"))
    if options.given:
        raise VerificationError(
            f"a {name} schedule has no option {next(iter(options.given))!a:.40}", expected=_FORMS, found=ascii(text)
        )
    return Schedule(curve, warm_up)


class _Options:
    """The options in a schedule's text; those already taken are no longer in `given`."""

    def __init__(self, text: str, options: str) -> None:
        self._text = text
        self.given: dict[str, str] = {}
        for option in options.split(",") if options else ():
            name, equals, value = option.partition("=")
            if not equals or name in self.given:
                raise _unknown(text)
            self.given[name] = value

    def count(self, name: str) -> int:
        value = self._take(name, None)
        if not (value.isascii() and value.isdigit()) or (value[0] == "0" and value != "0"):
            raise VerificationError(
                f"{name} of a schedule is not a number", expected="a count such as 100", found=ascii(value[:SHOWN])
            )
        return int(value)

    def share(self, name: str, default: str | None = None) -> Fraction:
        return parse_decimal(self._take(name, default), f"{name} of a schedule")

    def _take(self, name: str, default: str | None) -> str:
        value = self.given.pop(name, default)
        if value is None:
            raise VerificationError(f"a schedule needs {name}=", expected=_FORMS, found=ascii(self._text))
        return value


def power(factor: Fraction, j: int) -> int:
    """P(j) of the module's definition, for a factor of at most 1 - 10^-9."""
    product = _POWER_ONE
    for digit in format(min(j, MAX_COUNT), "b"):
        product = product * product // _POWER_ONE
        if digit == "1":
            product = product * factor.numerator // factor.denominator
    return product if product >= _POWER_LEAST else 0


def cosine(e: int, n: int, bits: int = COSINE_BITS + 128) -> int:
    """C(e, n) of the module's definition, for 0 <= `e` <= `n`. It doesn't depend on `bits` > 64,
    the precision of the first attempt.

    The default leaves 128 bits below the unit, and is not enough for a cosine within about 2^-120
    of halfway, which none of the 2^79 that a header can ask for is likely to be. The loop ends in
    any case, as none is halfway.
    """
    if 2 * e > n:
        return -cosine(n - e, n, bits)
    while True:
        near, half = _cosine_near(e, n, bits), 1 << (bits - COSINE_BITS - 1)
        low, high = ((near + error + half) >> (bits - COSINE_BITS) for error in (-bits, bits))
        if low == high:
            return low
        bits *= 2


def _cosine_near(e: int, n: int, bits: int) -> int:
    """2^bits * cos(pi * e / n) for 0 <= e <= n / 2, wrong by less than `bits` units, for `bits` >=
    64: the cosine's series with floors.

    The error: pi is wrong by less than 2 units, so x = pi e / n <= 1.58 by less than 2, its square
    by less than 8. A term is that before it times the square through (2k - 1) 2k: the first is
    wrong by less than 5, the second by less than 4, the third by less than 3, and each later one by
    less than 2. The first term that vanishes is number bits / 4 at the latest, and those left out
    come to less than 3.
    """
    x = _pi(bits) * e // n
    square = x * x >> bits
    total, term, k = 0, 1 << bits, 0
    while term:
        total += -term if k % 2 else term
        k += 1
        term = (term * square >> bits) // ((2 * k - 1) * 2 * k)
    return total


@cache
def _pi(bits: int) -> int:
    """2^bits * pi, wrong by less than 2: 16 arctan(1/5) - 4 arctan(1/239) (Machin, 1706)."""
    guard = 32
    return (16 * _arctan(5, bits + guard) - 4 * _arctan(239, bits + guard)) >> guard


def _arctan(k: int, bits: int) -> int:
    """2^bits * arctan(1/k), wrong by less than 1 + n units for its n <= bits / 4 terms."""
    total, term, number = 0, (1 << bits) // k, 1
    while term:
        total += term // number if number % 4 == 1 else -(term // number)
        term //= k * k
        number += 2
    return total


def _require_count(name: str, value: int) -> None:
    if not 1 <= value <= MAX_COUNT:
        raise VerificationError(
            f"{name} of a schedule is out of range", expected=f"1..{MAX_COUNT}", found=str(value)[:SHOWN]
        )


def _require_share(name: str, value: Fraction, expected: str = "at least 0 and below 1", above: bool = True) -> None:
    if not above or not 0 <= value < 1:
        raise VerificationError(
            f"{name} of a schedule is out of range; it is a share of lr", expected=expected, found=decimal_text(value)
        )
    if value * 10**PLACES % 1:
        raise VerificationError(
            f"{name} of a schedule has too many digits",
            expected=f"at most {PLACES} behind the point",
            found=decimal_text(value),
        )


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _unknown(text: str) -> VerificationError:
    return VerificationError("there is no such schedule", expected=_FORMS, found=ascii(text))
