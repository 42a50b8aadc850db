"""Intervals of integers, and what lookups show a value to lie in: the arithmetic behind the
documents' tables."""

from dataclasses import dataclass

from zk_autograd.prove.ezkl.circuit.relations import RADIX, SHIFT, TABLE_MAX


@dataclass(frozen=True, slots=True)
class Interval:
    """The integers from `low` to `high`, both included."""

    low: int
    high: int

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Interval") -> "Interval":
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, other: "Interval") -> "Interval":
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(products), max(products))

    @property
    def size(self) -> int:
        """The largest absolute value in it."""
        return max(abs(self.low), abs(self.high))


def only(value: int) -> Interval:
    """The interval of one integer."""
    return Interval(value, value)


LIMB = Interval(0, TABLE_MAX)
EXACT = Interval(1, 2**SHIFT)
TWO_LIMBS = LIMB + only(RADIX) * LIMB
THREE_LIMBS = TWO_LIMBS + only(RADIX**2) * LIMB
FOUR_LIMBS = THREE_LIMBS + only(RADIX**3) * LIMB


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of a rule's table: lookups and equations (`by`) show `variable` to be in `values`."""

    variable: str
    values: Interval
    by: str
