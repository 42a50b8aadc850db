"""Makes tests/data/graph_vectors.json from the oracle. From the repository's root:

python -m tests.core.graph.make_graph_vectors > tests/data/graph_vectors.json
"""

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.core.graph import oracle_pass as oracle
from tests.core.graph.texts import text

ONE = 2**12
"""1 as an activation."""
UNIT = 2**32
"""1 as a weight."""
MOST = 2**22 - 1
"""The largest cell."""

Rows = list[tuple[int, list[int]]]
"""Rows of cells, each with how many times it comes."""


def vectors() -> Iterator[dict[str, Any]]:
    """One entry for each step."""
    numbers = random.Random(45)
    for name, network, batch, dead in (
        ("cross-entropy", text(5, [4], 3), 4, 0),
        ("cross-entropy, a batch of 5 in 8, two hidden layers", text(4, [5, 3], 3), 5, 1),
        ("cross-entropy, no bias, three hidden layers, features feed the outputs", text(3, [3, 2, 3], 4, bias=False, skip=True), 3, 1),
        ("logistic", text(6, [], 1, "logistic"), 8, 0),
        ("logistic, a hidden layer, a batch of 1", text(3, [4], 1, "logistic"), 1, 0),
        ("squared error", text(3, [4, 4], 2, "mse"), 4, 0),
        ("squared error, a batch of 3 in 4", text(2, [], 1, "mse"), 3, 1),
    ):  # fmt: skip
        yield vector(name, network, weights(numbers, network), rows(numbers, network, batch + dead), batch)

    one = text(1, [1], 2, bias=False)
    yield vector("all ties: every weight is 0", one, [0] * 3, [(4, [ONE, ONE, 0])], 4)
    # Z of the hidden unit is 0, 0 after rounding, and 1: the slope at 0 is 0.
    for z, own in ((0, 0), (2**15 - 1, 0), (2**15, 1)):
        yield vector(
            f"a hidden unit whose sum is {z}, so its Z {own}", one, [z * 2**16, UNIT, -UNIT], [(1, [1, 0, ONE])], 1
        )
    wide = text(1, [], 2, bias=False)
    yield vector("saturated softmax, right", wide, [60 * UNIT, -60 * UNIT], [(2, [17 * ONE, ONE, 0])], 2)
    yield vector("saturated softmax, wrong", wide, [60 * UNIT, -60 * UNIT], [(2, [17 * ONE, 0, ONE])], 2)
    many = text(1, [], 40, bias=False)
    yield vector(
        "a tie of 40 classes at their top", many, [63 * UNIT] * 40, [(1, [16 * ONE, *[0] * 39, ONE])], 1, k=-12
    )
    for k in (-10, 6):  # s = 16 and 0
        network = text(2, [3], 2, bias=False)
        values = weights(numbers, network)
        yield vector(f"s at an end: k = {k}", network, values, rows(numbers, network, 4, 64), 4, k=k)

    line = text(1, [], 1, "mse", bias=False)
    for w in (-(2**38), 2**38 + 2**16 - 1, 2**38 + 2**16, -(2**38) - 1):
        yield vector(f"a weight of {w} / 2^32", line, [w], [(1, [ONE, 2**18])], 1, k=-12)
    for cell in (MOST, -MOST, MOST + 1):
        yield vector(f"a feature of {cell}", line, [0], [(1, [cell, 5])], 1, k=-12)
    for target in (-MOST, 2**20 - 1, 2**20, MOST + 1):
        yield vector(f"a target of {target}, dZ up to 2^28", line, [0], [(1, [1, target])], 1, k=-12)
    for target in (2**22 - 1, 2**22):  # dZ is small: Z is near
        yield vector(f"a target of {target}, next to its Z", line, [2**38], [(1, [2**16 - 1, target])], 1, k=-12)
    # I = 2^8 A (Z - t) with Z = 0: the ends of G at s = 16.
    for off, sign in ((16, 1), (16, -1), (11, 1), (11, -1)):  # 2^30 - 1, and 2^30
        end = "2^30 - 1" if off == 16 else "2^30"
        yield vector(
            f"a gradient of {'-' * (sign > 0)}({end})", line, [0], [(1, [2**19 + off, sign * (2**19 - off)])], 1, k=-12
        )
    # Sums that pass 2^53 on the way, so that float64 alone can't hold them.
    half = 2**20 - 1
    yield vector(
        "a gradient's sum through 2^61", line, [0], [(4096, [MOST, half]), (4096, [MOST, -half + 1])], 8192, k=1
    )
    fan = text(1, [1], 64, "mse", bias=False)
    signs = [-1 if i % 64 < 32 else 1 for i in range(64)]
    values = [UNIT, *(s * 2**38 + i * 2**16 * (s < 0) for i, s in enumerate(signs))]
    # A = 1, Z = +-64 in 64 outputs: targets on the other side, 255 off and a little.
    targets = [(s * 64 * ONE + i) - (2**20 - 1 - i) for i, s in enumerate(signs)]
    yield vector("a derivative's sum through 2^54", fan, values, [(1, [ONE, *targets])], 1, k=-12)


def weights(numbers: random.Random, network: str) -> list[int]:
    """Of -1 to 1, with zeros."""
    return [numbers.choice((0, 1, 1, 1)) * numbers.randint(-UNIT, UNIT) for _ in oracle.read(network).places]


def rows(numbers: random.Random, network: str, count: int, scale: int = 1) -> Rows:
    """Features and values of -2 to 2 over `scale`, with zeros; a class each."""
    kinds = oracle.read(network).kinds
    features, targets = kinds.count("feature"), kinds.count("target")

    def some(n: int) -> list[int]:
        return [numbers.choice((0, 1, 1)) * numbers.randint(-2 * ONE // scale, 2 * ONE // scale) for _ in range(n)]

    found = []
    for _ in range(count):
        own = numbers.randrange(targets)
        hot = [ONE * (i == own) for i in range(targets)]
        found.append((1, some(features) + (some(targets) if "value" in kinds else hot)))
    return found


def vector(name: str, network: str, W: list[int], cells: Rows, live: int, k: int | None = None) -> dict[str, Any]:
    """One step, or that it is refused."""
    log_batch = (live - 1).bit_length()
    k = log_batch - 4 if k is None else k
    entry: dict[str, Any] = {"name": name, "text": network, "weights": W, "cells": cells, "live": live}
    entry |= {"log_batch": log_batch, "k": k}
    try:
        G, loss = oracle.step(network, W, [row for count, row in cells for _ in range(count)], live, log_batch, k)
    except oracle.OutOfRange:
        return entry | {"refused": True}
    return entry | {"G": G, "loss": [loss.numerator, loss.denominator]}


if __name__ == "__main__":
    print("[\n" + ",\n".join(json.dumps(v) for v in vectors()) + "\n]")
