"""The first weights, and the order of the data, as a beacon decides them: exact functions of the
beacon and the header.

A beacon is 32 bytes that nobody knew before the header was anchored. The header's digest goes in
too: no two runs of one beacon have the same weights, and a header that is changed once the beacon
is known has others. In the flat vector's order (`Header.parameters`), a tensor is

    of two dimensions or more   uniform in -b .. b, b = isqrt(floor(2^64 / n)): the weight format's
                                1 / sqrt(n), rounded down, where n = shape[1] shape[2] ... is the
                                number of inputs of an output
    of one, called "weight",
    or "<anything>.weight"      1 everywhere, 2^32 in the weight format: a norm's scale
    any other                   0

which for matrices is what torch.nn.Linear and Conv*d begin with. The uniform integers of a tensor
come in chunks of `CHUNK` elements, the last one shorter. Those of chunk j are read from

    SHAKE-256("zk-autograd/first-weights/v1" || 0x0a || header's digest || beacon ||
              bytes of the name in UTF-8, 8 bytes || name || j, 8 bytes)

(numbers big-endian) as little-endian words of 8 bytes, one after the other: with m = 2 b + 1, a
word below floor(2^64 / m) m gives the next element, its remainder by m, minus b; another word is
left out. So a verifier holds one chunk at a time, and no integer is likelier than another.
"""

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import shake_256
from math import isqrt, prod

import numpy as np

from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.core.order import Order
from zk_autograd.core.records import BEACON, Header, Parameter

CHUNK = 2**16
"""Elements for which a stream is begun anew."""

BEACON_BYTES = 32

_WEIGHTS = b"zk-autograd/first-weights/v1\n"
_ORDER = b"zk-autograd/data-order/v1\n"
_WORD_BYTES = 8
_WORDS = 2 ** (8 * _WORD_BYTES)


def first_weights(header: Header, digest: bytes, beacon: bytes) -> IntArray:
    """W_0 of a header with this digest (`records.header_digest`) under a beacon of 32 bytes: int64
    (header.size,), in the weight format."""
    found: IntArray = np.concatenate(list(_FirstWeights(header, digest, beacon).parts(0, header.size)))
    return found


def first_blocks(header: Header, digest: bytes, beacon: bytes) -> Iterator[IntArray]:
    """The same, block by block: int64 (header.prover.block,) each, zero-padded. It holds a block
    and a chunk at a time."""
    weights = _FirstWeights(header, digest, beacon)
    for block in header.blocks:
        padded = np.zeros(header.prover.block, np.int64)
        at = 0
        for part in weights.parts(block.offset, block.offset + block.size):
            padded[at : at + len(part)] = part
            at += len(part)
        yield padded


def order_seed(digest: bytes, beacon: bytes) -> int:
    """The seed of the data's order, 0 .. 2^64 - 1, under a header with this digest and a beacon of
    32 bytes: the first 8 bytes, big-endian, of SHAKE-256("zk-autograd/data-order/v1" || 0x0a ||
    header's digest || beacon)."""
    return int.from_bytes(shake_256(_ORDER + digest + beacon).digest(8), "big")


def order_of(header: Header, digest: bytes, beacon: bytes) -> Order | None:
    """The order of the data of a run with exact gradients, whose header has this digest and whose
    genesis this beacon (b"" for none); None of any other run."""
    if header.exact is None:
        return None
    return header.order(order_seed(digest, beacon) if header.order_by == BEACON else None)


class _FirstWeights:
    """The chunk that was made last is kept: blocks may be smaller than one."""

    def __init__(self, header: Header, digest: bytes, beacon: bytes) -> None:
        if (len(digest), len(beacon)) != (32, BEACON_BYTES):
            raise ValueError(f"a header's digest and a beacon have 32 bytes each, not {len(digest)} and {len(beacon)}")
        self._parameters = header.parameters
        self._prefix = _WEIGHTS + digest + beacon
        self._kept: tuple[int, int, IntArray] | None = None

    def parts(self, first: int, end: int) -> Iterator[IntArray]:
        """The elements `first` .. `end` - 1 of the flat vector, in pieces."""
        index = bisect_right(self._parameters, first, key=lambda p: p.offset) - 1
        while first < end:
            parameter = self._parameters[index]
            chunk, start = divmod(first - parameter.offset, CHUNK)
            part = self._chunk(index, chunk)[start : start + end - first]
            yield part
            first += len(part)
            index += first == parameter.offset + parameter.size

    def _chunk(self, index: int, chunk: int) -> IntArray:
        if self._kept is None or self._kept[:2] != (index, chunk):
            self._kept = index, chunk, self._made(self._parameters[index], chunk)
        return self._kept[2]

    def _made(self, parameter: Parameter, chunk: int) -> IntArray:
        count = min(CHUNK, parameter.size - chunk * CHUNK)
        if len(parameter.shape) < 2:
            scale = len(parameter.shape) == 1 and parameter.name.rpartition(".")[2] == "weight"
            return np.full(count, 2**WEIGHT_BITS if scale else 0, np.int64)
        bound = isqrt(2 ** (2 * WEIGHT_BITS) // prod(parameter.shape[1:]))
        name = parameter.name.encode("utf-8")
        return _uniform(self._prefix + len(name).to_bytes(8, "big") + name + chunk.to_bytes(8, "big"), bound, count)


def _uniform(seed: bytes, bound: int, count: int) -> IntArray:
    """`count` integers of -bound .. bound from the seed's stream."""
    many = 2 * bound + 1
    most = _WORDS // many * many
    stream, words = shake_256(seed), count
    while True:
        found = np.frombuffer(stream.digest(_WORD_BYTES * words), "<u8")
        found = found[found < np.uint64(most)]
        if len(found) >= count:
            return np.subtract((found[:count] % np.uint64(many)).astype(np.int64), bound, dtype=np.int64)
        words += count - len(found)  # the longer stream begins with the shorter one
