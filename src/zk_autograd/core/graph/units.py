"""A model as one sparse matrix over numbered units: what is computed, without the numbers.

The values that one example leads to are its units, numbered a = 0 .. A - 1, A a power of two. They
come in runs of one kind, in this order: features, the constant, hidden units, outputs, for
cross-entropy one close row, pads. An output is a pair of units, its target and then itself. A
parameter stands at a place (a, b): unit b takes unit a, multiplied by it. Tensors are rectangles of
places, row by row, as torch lays out a Linear's weight (outputs, inputs).

The design is docs/gradients.md's; the text form is `graph.text`'s, what is refused
`graph.acceptance`'s.
"""

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """What a run's units are. CLASS, ZERO_CLASS and VALUE are pairs of a target and an output:
    a logit, a logit that is always 0 and has no weights (of logistic regression), a value compared
    by its squared error."""

    FEATURE = "feature"
    CONSTANT = "constant"
    RELU = "relu"
    CLASS = "class"
    ZERO_CLASS = "zero-class"
    VALUE = "value"
    CLOSE = "close"
    PAD = "pad"

    @property
    def width(self) -> int:
        """How many units one of them is."""
        return 2 if self in (Kind.CLASS, Kind.ZERO_CLASS, Kind.VALUE) else 1

    @property
    def takes(self) -> bool:
        """Whether it is computed from weights."""
        return self in (Kind.RELU, Kind.CLASS, Kind.VALUE)

    @property
    def gives(self) -> bool:
        """Whether others may be computed from it."""
        return self in (Kind.FEATURE, Kind.CONSTANT, Kind.RELU)


@dataclass(frozen=True, slots=True)
class Units:
    """A run of `count` units, or pairs of them, of one kind; its first unit has the number
    `first`."""

    kind: Kind
    first: int
    count: int

    @property
    def end(self) -> int:
        """The number after its last unit's."""
        return self.first + self.count * self.kind.width

    @property
    def outputs(self) -> range:
        """The numbers of the units that weights lead to: of pairs, each second one."""
        return range(self.first + self.kind.width - 1, self.end, self.kind.width)


class TensorKind(StrEnum):
    """WEIGHT: a matrix from `columns` units on to `rows` units; BIAS: from the constant to `rows`
    units."""

    WEIGHT = "weight"
    BIAS = "bias"


@dataclass(frozen=True, slots=True)
class Tensor:
    """The places of a tensor's elements: element (r, c), number `offset` + r `columns` + c of the
    flat vector, stands at (a + c, the r-th output from `b` on in b's run)."""

    kind: TensorKind
    a: int
    b: int
    rows: int
    columns: int
    offset: int

    @property
    def size(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Graph:
    """Runs of units in the order of their numbers, and tensors in that of the flat vector."""

    units: tuple[Units, ...]
    tensors: tuple[Tensor, ...]

    @cached_property
    def count(self) -> int:
        """A, the number of units."""
        return self.units[-1].end if self.units else 0

    @cached_property
    def size(self) -> int:
        """The number of parameters."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def features(self) -> int:
        return sum(run.count for run in self.units if run.kind is Kind.FEATURE)

    @cached_property
    def targets(self) -> int:
        """How many outputs, and targets of an example, there are."""
        return sum(run.count for run in self.outputs)

    @cached_property
    def outputs(self) -> tuple[Units, ...]:
        """The runs of outputs."""
        return tuple(run for run in self.units if run.kind.width == 2)

    @cached_property
    def stride(self) -> int:
        """How many cells of the data an example has: features, then targets."""
        return self.features + self.targets

    def index_of(self, unit: int) -> int:
        """Which of the runs a unit is of. KeyError for a number that none has."""
        index = bisect_right(self._firsts, unit) - 1
        if index < 0 or unit >= self.units[index].end:
            raise KeyError(unit)
        return index

    def run_of(self, unit: int) -> Units:
        """The run of a unit. KeyError for a number that none has."""
        return self.units[self.index_of(unit)]

    @cached_property
    def _firsts(self) -> tuple[int, ...]:
        return tuple(run.first for run in self.units)
