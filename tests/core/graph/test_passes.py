import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.graph import make_graph_vectors
from tests.core.graph import oracle_pass as oracle
from tests.core.graph.texts import text
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Pass, UnitRangeError, require_acceptable
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.errors import TargetsError
from zk_autograd.core.graph.passes import Cells

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "graph_vectors.json").read_text(encoding="utf-8")
)
ONE, UNIT = 2**12, 2**32
LAYERS = ("layers.0", "layers.0", "layers.2", "layers.2")


def pass_of(network: str, at_once: int = 2**24, names: tuple[str, ...] = ()) -> Pass:
    graph = graph_text.parse(network.encode())
    require_acceptable(graph, graph.size)
    return Pass(graph, names, at_once=at_once)


def arrays(W: list[int], cells: list[list[int]]) -> tuple[IntArray, Cells]:
    return np.array(W, np.int64), np.array(cells, np.int32)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_a_step_is_the_vectors(vector: dict[str, Any]) -> None:
    weights, cells = arrays(vector["weights"], [row for count, row in vector["cells"] for _ in range(count)])
    how = (vector["live"], vector["log_batch"], vector["k"])
    if "refused" in vector:
        with pytest.raises(RangeError):
            pass_of(vector["text"]).step(weights, cells, *how)
        return
    for at_once in (2**24, 2**14, 1):
        if len(cells) > 100 and at_once == 1:
            continue
        G, loss = pass_of(vector["text"], at_once).step(weights, cells, *how)
        assert G.dtype == np.int32
        assert G.tolist() == vector["G"]
        assert loss == float(Fraction(*vector["loss"]))


def test_the_vectors_are_the_oracles() -> None:
    assert list(make_graph_vectors.vectors()) == [
        {**vector, "cells": [(count, row) for count, row in vector["cells"]]} for vector in VECTORS
    ]


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, list[int], list[list[int]], int, int, int]:
    loss = draw(st.sampled_from(["cross-entropy", "logistic", "mse"]))
    hidden = draw(st.lists(st.integers(1, 3), max_size=3))
    outputs = 1 if loss == "logistic" else draw(st.integers(2, 3))
    network = text(draw(st.integers(1, 3)), hidden, outputs, loss, bias=draw(st.booleans()), skip=draw(st.booleans()))
    kinds = oracle.read(network).kinds
    features, targets = kinds.count("feature"), kinds.count("target")
    size = 2 ** draw(st.sampled_from([24, 31, 32, 33, 35, 38]))
    W = draw(st.lists(st.integers(-size, size), min_size=(n := len(oracle.read(network).places)), max_size=n))
    live = draw(st.integers(1, 5))
    log_batch = (live - 1).bit_length()
    cell = 2 ** draw(st.sampled_from([1, 8, 12, 13, 18, 22])) - 1
    cells = []
    for _ in range(live + (live < 2**log_batch)):
        row = draw(st.lists(st.integers(-cell, cell), min_size=features, max_size=features))
        if loss == "mse":
            row += draw(st.lists(st.integers(-(2**20), 2**20), min_size=targets, max_size=targets))
        else:
            own = draw(st.integers(0, targets - 1))
            row += [ONE * (i == own) for i in range(targets)]
        cells.append(row)
    return network, W, cells, live, log_batch, draw(st.integers(log_batch - 12, log_batch + 4))


@settings(max_examples=400)
@given(steps(), st.sampled_from([1, 64, 2**24]))
def test_a_step_is_the_oracles(step: tuple[str, list[int], list[list[int]], int, int, int], at_once: int) -> None:
    network, W, cells, live, log_batch, k = step
    try:
        wanted, loss = oracle.step(network, W, cells, live, log_batch, k)
    except oracle.OutOfRange:
        with pytest.raises(UnitRangeError):
            pass_of(network, at_once).step(*arrays(W, cells), live, log_batch, k)
        return
    found = pass_of(network, at_once).step(*arrays(W, cells), live, log_batch, k)
    assert found.G.tolist() == wanted
    assert found.loss == float(loss)


def test_a_forward_sum_beyond_float64_is_exact() -> None:
    """2,000 inputs of 2^44 each, in an order that reaches 2^54 and comes back."""
    network = text(2000, [], 1, "mse", bias=False)
    W = [2**38] * 1000 + [-(2**38) + 2**16] * 1000
    row = [2**22 - 1 - i % 7 for i in range(2000)] + [64_000]
    wanted, _ = oracle.step(network, W, [row], 1, 0, -12)
    assert pass_of(network).step(*arrays(W, [row]), 1, 0, -12).G.tolist() == wanted


def test_the_largest_sum_chooses_the_scale() -> None:
    vector = VECTORS[0]
    exact = pass_of(vector["text"])
    weights, cells = arrays(vector["weights"], [row for _, row in vector["cells"]])
    largest = exact.largest_sum(weights, cells, vector["live"])
    s = 4 + vector["log_batch"] - vector["k"]
    assert max(map(abs, vector["G"])) == (int(largest) + 2 ** (s - 1)) // 2**s


def test_outputs_are_what_the_model_answers() -> None:
    network = text(2, [], 2)
    weights, cells = arrays([UNIT, 0, 0, -UNIT, UNIT // 2, 0], [[ONE, 3 * ONE, 7, 7], [0, -ONE, 7, 7]])
    for at_once in (1, 2**24):
        found = pass_of(network, at_once).outputs(weights, cells)
        assert found.dtype == np.int64
        assert found.tolist() == [[ONE + ONE // 2, -3 * ONE], [ONE // 2, ONE]]


MLP = text(2, [3], 2)


@pytest.mark.parametrize(
    ("changed", "row", "sentence"),
    [
        (
            {4: 2**38 + 2**16},
            [ONE, ONE, ONE, 0],
            "a weight of layers.0, unit 2, is 64.0000152587891 and must stay below 64 in size at L3: lower lr, or use weight decay",
        ),
        (
            {},
            [ONE, -(2**22), ONE, 0],
            "the value of the features, unit 1, example 1 of the batch, is -1,024 and must stay below 1,024 in size at L3: "
            "scale the data down",
        ),
        (
            {0: 60 * UNIT, 7: -10 * UNIT},
            [20 * ONE, 0, ONE, 0],
            "Z of layers.0, unit 0, example 1 of the batch, is 1,200 and must stay below 1,024 in size at L3: lower lr, or normalise its inputs",
        ),
        (
            {0: UNIT, 9: 60 * UNIT, 12: -60 * UNIT},
            [18 * ONE, 0, 0, ONE],
            "Z of layers.2, unit 0, example 1 of the batch, is 1,080 and must stay below 1,024 in size at L3: lower lr, or normalise its inputs",
        ),
    ],
)  # fmt: skip
def test_a_range_error_says_where_and_what_to_do(changed: dict[int, int], row: list[int], sentence: str) -> None:
    W = [changed.get(i, 0) for i in range(17)]
    quiet = [0, 0, ONE, 0]
    for at_once in (1, 2**24):
        with pytest.raises(UnitRangeError) as error:
            pass_of(MLP, at_once, LAYERS).step(*arrays(W, [quiet, row]), 2, 1, 0)
        assert str(error.value) == sentence


def test_a_gradient_out_of_range_names_its_layer() -> None:
    exact = pass_of(text(1, [], 2), names=("head", "head"))
    with pytest.raises(UnitRangeError) as error:
        exact.step(*arrays([0] * 4, [[1000 * ONE, ONE, 0]]), 1, 0, 0)
    assert (
        str(error.value)
        == "the gradient of head, unit 0, is -500.106 and must stay below 4 in size at L3: lower grad_scale"
    )


def test_a_derivative_out_of_range_names_its_layer() -> None:
    values = text(1, [1], 2, "mse", bias=False)
    exact = pass_of(values, names=("layers.0", "head"))
    with pytest.raises(
        UnitRangeError,
        match=r"^the derivative of head, unit 1, example 0 of the batch, is -256 and must stay below 256 ",
    ):
        exact.step(*arrays([0] * 3, [[ONE, 0, 2**20]]), 1, 0, -12)  # fmt: skip
    with pytest.raises(
        UnitRangeError, match=r"^the derivative of layers\.0, unit 0, example 0 of the batch, is -2,399 "
    ):
        exact.step(*arrays([UNIT, 60 * UNIT, UNIT], [[ONE, 100 * ONE, 0]]), 1, 0, -12)


def test_a_dead_example_counts_for_nothing_but_must_be_in_range() -> None:
    network = text(2, [2], 2)
    weights = [UNIT // 3 * (i % 3 - 1) for i in range(12)]
    rows = [[ONE, ONE, ONE, 0], [0, ONE, 0, ONE], [-ONE, 5, 0, ONE]]
    other, bad = [ONE, -ONE, 3, 9], [2**22, 0, ONE, 0]
    exact = pass_of(network)
    found = [exact.step(*arrays(weights, [*rows, dead]), 3, 2, 0) for dead in (rows[0], other)]
    assert found[0].G.tolist() == found[1].G.tolist()
    assert found[0].loss == found[1].loss
    for at_once in (1, 2**24):
        with pytest.raises(UnitRangeError, match="example 3 of the batch"):
            pass_of(network, at_once).step(*arrays(weights, [*rows, bad]), 3, 2, 0)


@pytest.mark.parametrize("targets", [[0, 0], [ONE, ONE], [ONE // 2, ONE // 2], [2 * ONE, -ONE], [-(2**31), ONE]])
def test_targets_of_classes_are_one_hot(targets: list[int]) -> None:
    network = text(1, [], 2)
    rows = [[1, ONE, 0], [1, *targets]]
    for at_once in (1, 2**24):
        with pytest.raises(TargetsError, match="the targets of example 1 of the batch are not those of one class"):
            pass_of(network, at_once).step(*arrays([0] * 4, rows), 2, 1, 0)


@pytest.mark.parametrize("k", [-11, 7])
def test_a_scale_beyond_the_shifts_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match=rf"grad_scale is {k}; .* needs one of -10 to 6"):
        pass_of(text(1, [], 2)).step(*arrays([0] * 4, [[0, ONE, 0]] * 4), 4, 2, k)
