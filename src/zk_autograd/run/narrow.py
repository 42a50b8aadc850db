"""Integers in as few bytes as they take, readable in part.

A vector is cut into chunks of CHUNK integers. Each chunk has a width of its own, the fewest bytes
that its extremes take in two's complement (none if all are 0), and a digest of its own. So a few of
a million integers are read, and still checked, without the rest.

    table   a byte for each chunk, its width | a digest for each chunk
    data    the chunks: of each integer the lowest bytes, the lowest first
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import VerificationError
from zk_autograd.run import digests
from zk_autograd.run.frames import Span

CHUNK = 2**14

Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Packed:
    """A vector as it is written, and its extremes (0 if it has no elements)."""

    table: bytes
    data: bytes
    low: int
    high: int


def pack(values: Integers, digest: str) -> Packed:
    """`values`, int32 or int64 (elements,), with digests of this name. StorageError for one that
    this installation can't compute."""
    if digest == digests.BLAKE3 and (module := digests.compiled()) is not None:
        native = values.dtype.newbyteorder("=")
        low, high, table, data = module.pack_integers(np.ascontiguousarray(values, native))
        return Packed(table, data, low, high)
    chunks = [values[i : i + CHUNK] for i in range(0, len(values), CHUNK)]
    extremes = [(int(chunk.min()), int(chunk.max())) for chunk in chunks]
    widths = [_width(low, high) for low, high in extremes]
    data = [_narrowed(chunk, width) for chunk, width in zip(chunks, widths, strict=True)]
    found = [digests.digest(digest, chunk) for chunk in data]
    low, high = min((low for low, _ in extremes), default=0), max((high for _, high in extremes), default=0)
    return Packed(bytes(widths) + b"".join(found), b"".join(data), low, high)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was read: where the chunks of a vector of `count` integers lie in its data."""

    count: int
    widths: bytes
    offsets: NDArray[np.int64]
    """Of each chunk in the data, and of the end."""
    digests: bytes
    digest: str

    @classmethod
    def of(cls, table: bytes, count: int, digest: str, most: int) -> "Table":
        """VerificationError for what isn't the table of `count` integers of at most `most`
        bytes."""
        chunks = chunks_of(count)
        widths = table[:chunks]
        if len(table) != table_bytes(count) or max(widths, default=0) > most:
            raise VerificationError("a table of its integers is not what the writer writes")
        sizes = np.frombuffer(b"\0" + widths, np.uint8).astype(np.int64) * CHUNK
        if chunks:
            sizes[-1] = widths[-1] * (count - (chunks - 1) * CHUNK)
        return cls(count, widths, np.cumsum(sizes), table[chunks:], digest)

    @property
    def data_bytes(self) -> int:
        return int(self.offsets[-1])

    def spans(self, begin: int) -> Iterator[Span]:
        """Where each chunk lies, with its digest, in data that begin at `begin`."""
        for chunk, (first, end) in enumerate(pairwise(self.offsets.tolist())):
            digest = self.digests[chunk * digests.BYTES : (chunk + 1) * digests.BYTES]
            yield Span(begin + first, end - first, digest)

    def read(self, first: int, count: int, read: Callable[[int, int], bytes]) -> NDArray[np.int64]:
        """The `count` integers from `first` on, within the vector: int64. `read` gives bytes of the
        data, by offset and length. VerificationError if they were altered."""
        if not count:
            return np.zeros(0, np.int64)
        begin, end = first // CHUNK, chunks_of(first + count)
        start = int(self.offsets[begin])
        data = memoryview(read(start, int(self.offsets[end]) - start))
        found = np.empty(min(end * CHUNK, self.count) - begin * CHUNK, np.int64)
        for chunk in range(begin, end):
            piece = data[self.offsets[chunk] - start : self.offsets[chunk + 1] - start]
            expected = self.digests[chunk * digests.BYTES : (chunk + 1) * digests.BYTES]
            if digests.digest(self.digest, piece) != expected:
                raise VerificationError("the digest of some of its integers doesn't match")
            at = (chunk - begin) * CHUNK
            found[at : at + CHUNK] = _widened(piece, self.widths[chunk], min(CHUNK, self.count - chunk * CHUNK))
        return found[first - begin * CHUNK :][:count]


def chunks_of(count: int) -> int:
    """How many chunks hold `count` integers."""
    return -(-count // CHUNK)


def table_bytes(count: int) -> int:
    """Bytes of the table of `count` integers."""
    return chunks_of(count) * (1 + digests.BYTES)


def _width(low: int, high: int) -> int:
    bits = max(high, ~low).bit_length()
    return (bits + 8) // 8 if low or high else 0


def _narrowed(chunk: Integers, width: int) -> bytes:
    size = chunk.dtype.itemsize
    return chunk.astype(f"<i{size}").view(np.uint8).reshape(-1, size)[:, :width].tobytes()


def _widened(data: memoryview, width: int, count: int) -> NDArray[np.int64]:
    if not width:
        return np.zeros(count, np.int64)
    wide = np.zeros((count, 8), np.uint8)
    wide[:, 8 - width :] = np.frombuffer(data, np.uint8).reshape(count, width)
    return wide.view("<i8").reshape(count).astype(np.int64, copy=False) >> (8 * (8 - width))
