"""What a beacon decides, against a slow statement of it in other words; and that nothing but beacon
and header decide it."""

from dataclasses import replace
from fractions import Fraction
from hashlib import sha256, shake_256
from math import floor, sqrt
from typing import Any

import numpy as np
import pytest

from tests.verify.run_builder import honest
from zk_autograd.core import first_weights as module
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.first_weights import CHUNK, first_blocks, first_weights, order_seed
from zk_autograd.core.formats import WEIGHT_BOUND, IntArray, dequantize_weight
from zk_autograd.core.recomputable import MAX_FROM_BEACON, require_recomputable
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import BEACON, Block, Header, Parameter, header_digest

DIGEST, SEED = sha256(b"header").digest(), sha256(b"beacon").digest()


def header(*tensors: tuple[str, tuple[int, ...]], capacity: int = 2**16) -> Header:
    """One group of tensors, in blocks of `capacity`."""
    parameters, end = [], 0
    for name, shape in tensors:
        size = int(np.prod(shape, dtype=np.int64))
        parameters.append(Parameter(name, shape, end, size, 0))
        end += size
    base = honest("none").header
    blocks = tuple(Block(0, at, min(capacity, end - at)) for at in range(0, end, capacity))
    return replace(
        base, parameters=tuple(parameters), size=end, blocks=blocks, prover=replace(base.prover, block=capacity)
    )


def oracle(h: Header, digest: bytes, beacon: bytes) -> list[int]:
    """Element by element, in whole numbers and bytes alone."""
    found: list[int] = []
    for p in h.parameters:
        if len(p.shape) >= 2:
            inputs = 1
            for length in p.shape[1:]:
                inputs *= length
            found += uniform_oracle(p, inputs, digest, beacon)
        elif len(p.shape) == 1 and p.name.split(".")[-1] == "weight":
            found += [2**32] * p.size
        else:
            found += [0] * p.size
    return found


def uniform_oracle(p: Parameter, inputs: int, digest: bytes, beacon: bytes) -> list[int]:
    bound = int(2**32 / sqrt(inputs)) + 2
    while bound * bound * inputs > 2**64:  # the largest whole number that is at most 2^32/sqrt
        bound -= 1
    count = 2 * bound + 1
    last = floor(Fraction(2**64, count)) * count
    name = p.name.encode()
    values: list[int] = []
    for chunk in range(-(-p.size // 65536)):
        text = b"zk-autograd/first-weights/v1\n" + digest + beacon
        text += len(name).to_bytes(8, "big") + name + chunk.to_bytes(8, "big")
        wanted = min(65536, p.size - 65536 * chunk)
        stream, at = shake_256(text).digest(8 * wanted + 800), 0
        drawn: list[int] = []
        while len(drawn) < wanted:
            word = int.from_bytes(stream[at : at + 8], "little")
            at += 8
            if word < last:
                drawn.append(word % count - bound)
        values += drawn
    return values


MANY = (
    ("conv.weight", (3, 2, 5, 7)),
    ("conv.bias", (3,)),
    ("norm.weight", (3,)),
    ("norm.bias", (3,)),
    ("weight", (2,)),
    ("my_weight", (2,)),
    ("weight.g", (2,)),
    ("linear.weight", (4, 1)),
    ("scale", ()),
    ("logit.weight", ()),
    ("linéaire.weight", (1, 9)),
    ("flat", (1, 1)),
    ("bias", (5, 3)),
)


@pytest.mark.parametrize("capacity", [1, 7, 64, 2**16])
def test_the_first_weights_are_as_written(capacity: int) -> None:
    h = header(*MANY, capacity=capacity)
    expected = oracle(h, DIGEST, SEED)
    found = first_weights(h, DIGEST, SEED)
    assert found.dtype == np.int64
    assert found.tolist() == expected
    blocks = list(first_blocks(h, DIGEST, SEED))
    assert len(blocks) == len(h.blocks)
    for index, block in enumerate(blocks):
        assert block.dtype == np.int64
        assert block.tolist() == h.padded(found, index).tolist()


def test_a_vector_for_other_implementations() -> None:
    """Written down once, so that it can't move unseen."""
    h = header(("a.weight", (2, 3)), ("a.bias", (2,)), ("n.weight", (1,)))
    assert first_weights(h, bytes(32), bytes(range(32))).tolist() == VECTOR
    assert order_seed(bytes(32), bytes(range(32))) == ORDER
    assert oracle(h, bytes(32), bytes(range(32))) == VECTOR
    text = b"zk-autograd/data-order/v1\n" + bytes(32) + bytes(range(32))
    assert ORDER == int.from_bytes(shake_256(text).digest(8), "big") < 2**64


VECTOR = [-896678438, -1692255183, -1191170772, -2261894614, 860281805, -2451134926, 0, 0, 4294967296]
ORDER = 2968572111356225493


@pytest.mark.parametrize(
    ("rows", "capacity"), [(CHUNK - 1, 1000), (CHUNK, 2**15), (CHUNK + 1, CHUNK), (3 * CHUNK + 17, 2**17)]
)
def test_chunks_follow_each_other(rows: int, capacity: int) -> None:
    h = header(("first", (3,)), ("a", (rows, 1)), ("b", (2, 2)), capacity=capacity)
    found = first_weights(h, DIGEST, SEED)
    assert found.tolist() == oracle(h, DIGEST, SEED)
    whole = np.concatenate([b[: w.size] for b, w in zip(first_blocks(h, DIGEST, SEED), h.blocks, strict=True)])
    assert np.array_equal(whole, found)


@pytest.mark.parametrize("bound", [2**62, 2**62 + 2**61, 5 * 2**60 + 1])
def test_words_that_no_integer_is_left_for_are_left_out(bound: int) -> None:
    """No tensor has such a bound: with those of tensors a word in 2^31 is left out, at most."""
    many, at = 2 * bound + 1, 0
    drawn: list[int] = []
    stream = shake_256(b"seed").digest(8 * 4000)
    while len(drawn) < 1000:
        word = int.from_bytes(stream[at : at + 8], "little")
        at += 8
        if word < 2**64 // many * many:
            drawn.append(word % many - bound)
    assert at > 8 * 1050  # some were
    assert module._uniform(b"seed", bound, 1000).tolist() == drawn


@pytest.mark.parametrize("fan", [1, 4, 100, 4096])
def test_they_are_spread_evenly_over_torchs_range(fan: int) -> None:
    h = header(("layer.weight", (2**18 // fan, fan)))
    found = first_weights(h, DIGEST, SEED)
    bound = 2**32 / sqrt(fan)
    assert abs(int(found.max()) - bound) < bound / 10_000 and abs(int(found.min()) + bound) < bound / 10_000
    # chi-squared of 64 equal bins has mean 63 and standard deviation 11.2; of these bytes it is
    # what it is.
    counts, _ = np.histogram(found, bins=64, range=(-bound, bound))
    expected = h.size / 64
    assert 63 - 5 * 11.2 < float(((counts - expected) ** 2 / expected).sum()) < 63 + 5 * 11.2
    floats = found / bound
    assert abs(float(floats.mean())) < 5 * sqrt(1 / 3 / h.size)
    assert abs(float(np.corrcoef(floats[:-1], floats[1:])[0, 1])) < 5 / sqrt(h.size)
    assert abs(float((floats**2).mean()) - 1 / 3) < 5 * sqrt(4 / 45 / h.size)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_the_bound_is_that_of_torchs_layers(kind: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(40, 5000) if kind == "linear" else torch.nn.Conv2d(8, 2000, (3, 5))
    theirs = layer.weight.detach().numpy()
    ours = dequantize_weight(first_weights(header(("layer.weight", theirs.shape)), DIGEST, SEED))
    for of in (np.max, np.min, np.std):
        assert abs(float(of(ours)) / float(of(theirs)) - 1) < 0.02


def correlated(one: IntArray, other: IntArray) -> bool:
    return bool(abs(float(np.corrcoef(one, other)[0, 1])) > 0.1 or np.any(one == other))


def test_another_beacon_header_name_or_place_gives_other_weights() -> None:
    h = header(("a.weight", (100, 100)), ("b.weight", (100, 100)))
    base = first_weights(h, DIGEST, SEED)
    first, second = base[:10_000], base[10_000:]
    assert not correlated(first, second)
    for digest, beacon in ((SEED, SEED), (DIGEST, DIGEST), (SEED, DIGEST)):
        assert not correlated(first_weights(h, digest, beacon), base)
    renamed = header(("c.weight", (100, 100)))
    assert not correlated(first_weights(renamed, DIGEST, SEED), first)
    # The shape isn't in the seed, and needn't be: the digest is of a header that has it.
    changed = replace(h, package="other")
    assert header_digest(to_bytes(changed)) != header_digest(to_bytes(h))
    long = first_weights(header(("a", (3 * CHUNK, 1))), DIGEST, SEED)
    assert not correlated(long[:CHUNK], long[CHUNK : 2 * CHUNK])


def test_a_names_end_is_not_taken_for_a_chunks_number() -> None:
    """Names are preceded by their length: no two tensors have one stream."""
    one, other = header(("a", (20, 1))), header(("a" + "\0" * 8, (20, 1)))
    assert not np.array_equal(first_weights(one, DIGEST, SEED), first_weights(other, DIGEST, SEED))


def test_the_order_is_no_part_of_the_weights_stream() -> None:
    seeds = {order_seed(d, b) for d in (DIGEST, SEED) for b in (DIGEST, SEED)}
    assert len(seeds) == 4 and all(0 <= seed < 2**64 for seed in seeds)


def test_all_fit_the_weights_format() -> None:
    found = first_weights(header(*MANY), DIGEST, SEED)
    assert int(np.abs(found).max()) <= 2**32 < WEIGHT_BOUND


@pytest.mark.parametrize(("digest", "beacon"), [(b"", SEED), (DIGEST, b""), (DIGEST[:31], SEED + b"x")])
def test_a_beacon_and_a_digest_have_32_bytes(digest: bytes, beacon: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes each"):
        first_weights(header(*MANY), digest, beacon)


def test_no_verifier_is_made_to_draw_for_hours() -> None:
    def of(size: int, **changes: Any) -> Header:
        whole = header(("a", (1, 1)))
        return replace(whole, size=size, blocks=whole.blocks, **changes)

    require_recomputable(of(MAX_FROM_BEACON, weights_by=BEACON))
    require_recomputable(of(MAX_FROM_BEACON + 1))
    with pytest.raises(VerificationError, match=r"too many parameters for a beacon.*at most 2147483648"):
        require_recomputable(of(MAX_FROM_BEACON + 1, weights_by=BEACON))
