"""The error of a pass."""

from dataclasses import dataclass

from zk_autograd.core.errors import RangeError


@dataclass(slots=True)
class UnitRangeError(RangeError):
    """A value of the pass left its range. `tensor` names the layer, `index` the unit in it, counted
    from 0; `example` is the row of the batch, -1 for a weight or a gradient; `bits` are the value's
    fraction bits."""

    example: int
    bits: int

    def __str__(self) -> str:
        where = f", example {self.example} of the batch" if self.example >= 0 else ""
        value, bound = (f"{number / 2**self.bits:,.6g}" for number in (self.value, self.bound))
        return f"{self.what} of {self.tensor}, unit {self.index}{where}, is {value} and must stay below {bound} in size: {self.advice}"
