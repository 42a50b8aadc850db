"""A data set as integers: what a run with exact gradients commits to.

An example's cells are its features and then its targets (one-hot for classes), in units of 2^-12:
`stride` of them, below 2^22 in size. The cells of all examples, one example after the other, are
cut into shards of 2^13 .. 2^20 cells: as many shards as it takes, the examples spread evenly over
them, the first ones having one more; a shard is padded with zeros.

The file form, that of public data and of what a trainer hands to an auditor:

    "zk-autograd/cells/v1\\n"
    {"examples":N,"features":F,"targets":C}\\n      canonical JSON
    N (F + C) integers of 4 bytes, little-endian

How cells are made from a table's numbers, by elementwise IEEE operations alone: `scaled`,
`quantized`, `cells_of`.
A commitment to them is a backend's (a shard at a time), or, where that commits to states alone, the
root of an RFC 9162 tree whose leaf i is salt_i | cells of example i, 4 bytes each, with salt_i =
HMAC-SHA256(secret, "zk-autograd/cells-salt/v1\\n" | i).
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core import merkle
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.graph.data import require_range
from zk_autograd.core.graph.formats import ACTIVATION_BOUND, ONE
from zk_autograd.core.graph.products import largest

Cells = NDArray[np.int32]

FORMAT = b"zk-autograd/cells/v1\n"
LOG_CELLS = range(13, 21)
"""Permitted log2 of a shard's cells."""
MAX_EXAMPLES = 2**32
MAX_SHARDS = 2**16
_MAX_HEAD = 1000
_SALT = b"zk-autograd/cells-salt/v1\n"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Shards:
    """How `examples` of `stride` cells lie in shards of 2^`log_cells`. VerificationError for
    numbers that none can have."""

    examples: int
    stride: int
    log_cells: int

    def __post_init__(self) -> None:
        if self.log_cells not in LOG_CELLS or self.stride < 1 or not 1 <= self.examples <= MAX_EXAMPLES:
            raise VerificationError(
                "a data set of this form can't be cut into shards",
                expected=f"1 to {MAX_EXAMPLES} examples of at least a cell, in shards of 2^{LOG_CELLS[0]} to 2^{LOG_CELLS[-1]}",
                found=f"{self.examples} examples of {self.stride} cells, in shards of 2^{self.log_cells}",
            )
        if self.stride > 2**self.log_cells:
            raise VerificationError(
                "an example has more cells than a shard",
                expected=f"at most {2**self.log_cells}",
                found=str(self.stride),
            )
        if self._number > MAX_SHARDS:  # before there are as many numbers
            raise VerificationError(
                "the data have too many shards", expected=f"at most {MAX_SHARDS}", found=str(self._number)
            )

    @classmethod
    def of(cls, examples: int, stride: int) -> "Shards":
        """In one shard, the smallest that holds them; in the largest ones, if none does."""
        fitting = [log for log in LOG_CELLS if examples * stride <= 2**log]
        return cls(examples, stride, fitting[0] if fitting else LOG_CELLS[-1])

    @property
    def _number(self) -> int:
        """How many shards there are."""
        in_each: int = 2**self.log_cells // self.stride
        return -(-self.examples // in_each)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many examples each shard has."""
        each, more = divmod(self.examples, self._number)
        return tuple(each + (i < more) for i in range(self._number))

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The number of each shard's first example."""
        return tuple(accumulate(self.counts, initial=0))[:-1]

    def padded(self, cells: Cells, shard: int) -> NDArray[np.int64]:
        """The cells of one shard of `cells` (examples, stride): int64 (2^log_cells,)."""
        own = cells[self.firsts[shard] : self.firsts[shard] + self.counts[shard]]
        found = np.zeros(2**self.log_cells, np.int64)
        found[: own.size] = own.reshape(-1)
        return found


def scaled(values: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float32]:
    """(x - mean) / deviation in float64, rounded to float32; what is beyond its range becomes its
    largest value. `mean` is finite, `deviation` finite and above 0."""
    with np.errstate(over="ignore", under="ignore"):
        return np.clip((values - mean) / deviation, -_LARGEST, _LARGEST).astype(np.float32)


def quantized(values: NDArray[np.float32], name: str = "the features") -> Cells:
    """Features, or targets that are values, as cells: float32 (examples, numbers), multiplied by
    2^12 (exact in float64) and rounded half to even. UsageError for another type and for a value
    that isn't finite, UnitRangeError for one of 2^22 units, 1,024, or more in size."""
    if values.dtype != np.float32 or values.ndim != 2:
        raise UsageError(f"{name} are {values.dtype} {values.shape}, and must be float32 (examples, numbers)")
    if not np.isfinite(values).all():
        example, place = (int(x) for x in np.argwhere(~np.isfinite(values))[0])
        found = values[example, place]
        raise UsageError(f"number {place} of example {example} in {name} is {found}, which no cell holds: leave it out")
    wide = np.rint(values.astype(np.float64) * ONE)
    require_range(name, wide, "the data")
    cells: Cells = wide.astype(np.int32)
    return cells


def cells_of(features: NDArray[np.float32], targets: Cells) -> Cells:
    """int32 (examples, stride), of features in float32 (examples, features), which are quantized,
    and `targets`, cells (examples, targets). Raises as `quantized`."""
    require_range("the targets", targets, "the data")
    return np.concatenate([quantized(features), targets.astype(np.int32)], axis=1)


def one_hot(labels: NDArray[np.int64], classes: int) -> Cells:
    """int32 (examples, classes): 2^12 at the label. UsageError for a label out of range."""
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        bad = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise UsageError(f"the label of example {bad} is {int(labels[bad])}; the model has classes 0 to {classes - 1}")
    found = np.zeros((len(labels), classes), np.int32)
    found[np.arange(len(labels)), labels] = ONE
    return found


def largest_file(examples: int, stride: int) -> int:
    """The most bytes that the file form of such data has."""
    return len(FORMAT) + _MAX_HEAD + 4 * examples * stride


def encoded(cells: Cells, features: int) -> bytes:
    """The file form."""
    said = {"examples": len(cells), "features": features, "targets": cells.shape[1] - features}
    return FORMAT + encode(said) + b"\n" + np.ascontiguousarray(cells, "<i4").tobytes()


def parsed(data: bytes) -> tuple[Cells, int]:
    """Cells, int32 (examples, stride), and how many of the stride are features. VerificationError
    unless `data` is such a file, to the last byte, and each cell below 2^22 in size."""
    examples, features, targets, begin = _head(data)
    body = memoryview(data)[begin:]
    if len(body) != 4 * examples * (features + targets):
        raise _other_length(examples, features + targets, str(len(body)))
    return _cells(body, features + targets), features


def parts(pieces: Iterator[bytes]) -> Iterator[tuple[Cells, int]]:
    """As `parsed`, of a file that comes in pieces: some examples at a time, in order, so that its
    size is no question of memory."""
    held = bytearray()
    while len(held) < len(FORMAT) + _MAX_HEAD and (piece := next(pieces, b"")):
        held += piece
    examples, features, targets, begin = _head(bytes(held[: len(FORMAT) + _MAX_HEAD]))
    del held[:begin]
    row = 4 * (features + targets)
    left = examples * row
    for piece in chain((b"",), pieces):
        held += piece
        whole = len(held) // row * row
        if len(held) > left:
            raise _other_length(examples, features + targets, "more")
        if whole:
            yield _cells(bytes(held[:whole]), features + targets), features
        left -= whole
        del held[:whole]
    if left:
        raise _other_length(examples, features + targets, f"{4 * examples * (features + targets) - left + len(held)}")


def _head(data: bytes) -> tuple[int, int, int, int]:
    """The numbers of examples, features and targets, and where the cells begin."""
    head = data[len(FORMAT) : len(FORMAT) + _MAX_HEAD].split(b"\n", 1)
    if not data.startswith(FORMAT) or len(head) != 2:
        raise VerificationError("this is not a file of cells", expected=repr(FORMAT.decode()))
    fields = Fields(decode(head[0], max_bytes=_MAX_HEAD), "cells")
    examples, features = fields.integer("examples", 1, MAX_EXAMPLES), fields.integer("features", 1, 2**20)
    targets = fields.integer("targets", 1, 2**20)
    fields.end()
    return examples, features, targets, len(FORMAT) + len(head[0]) + 1


def _cells(body: bytes | memoryview, stride: int) -> Cells:
    cells = np.frombuffer(body, "<i4").astype(np.int32).reshape(-1, stride)
    if largest(cells) >= ACTIVATION_BOUND:
        raise VerificationError(
            "the file holds a cell that is out of range",
            expected=f"below {ACTIVATION_BOUND} in size",
            found=f"{largest(cells):.0f}",
        )
    return cells


def _other_length(examples: int, stride: int, found: str) -> VerificationError:
    return VerificationError(
        "the cells are not as many as the file says", expected=f"{4 * examples * stride} bytes", found=found
    )


def tree_root(cells: Cells, secret: bytes) -> bytes:
    """The root over all examples, of a backend that doesn't commit to data; `secret` has 32
    bytes."""
    tree = merkle.Frontier()
    for i, row in enumerate(np.ascontiguousarray(cells, "<i4")):
        salt = hmac.digest(secret, _SALT + i.to_bytes(8, "big"), sha256)
        tree.append(merkle.leaf_hash(salt + row.tobytes()))
    return tree.root()
