"""The errors of a pass, and of the data that it is given."""

from dataclasses import dataclass

from zk_autograd.core.errors import RangeError


@dataclass(slots=True)
class UnitRangeError(RangeError):
    """A value of the pass left its range. `tensor` names the layer, `index` the unit in it, counted
    from 0; `example` is the row of the batch, or of the data (`among`), -1 for a weight or a
    gradient; `bits` are the value's fraction bits."""

    example: int
    bits: int
    among: str = "the batch"

    def __str__(self) -> str:
        where = f", example {self.example} of {self.among}" if self.example >= 0 else ""
        value, bound = _real(self.value, self.bits), _real(self.bound, self.bits)
        if value.lstrip("-") == bound and abs(self.value) != self.bound:
            value = _real(self.value, self.bits, 15)
        return (
            f"{self.what} of {self.tensor}, unit {self.index}{where}, is {value} and must stay below {bound} in size "
            f"at L3: {self.advice}"
        )


@dataclass(slots=True)
class TargetsError(RangeError):
    """The targets of an example of classes aren't one 1 and else 0. `index` is the class whose
    target is neither, -1 where it is their number."""

    example: int
    among: str = "the batch"

    def __str__(self) -> str:
        return (
            f"the targets of example {self.example} of {self.among} are not those of one class: one has to be 1, "
            f"and all others 0; {self.advice}"
        )


def _real(units: int, bits: int, digits: int = 6) -> str:
    return f"{units / 2**bits:,.{digits}g}"
