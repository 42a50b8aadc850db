import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.core.graph import oracle_pass as oracle
from tests.core.graph.texts import text
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph import Graph, Pass, UnitRangeError, Units, require_acceptable
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.acceptance import MAX_UNITS
from zk_autograd.core.graph.text import MAX_TEXT

MLP = text(3, [4, 5], 3)
"""Units: 0-2 features, 3 constant, 4-7 and 8-12 hidden, 13-18 classes, 19 close, 20-31 pads."""


def refused(changed: str, size: int | None = None) -> str:
    """The sentence by which a text is refused."""
    graph = graph_text.parse(changed.encode())
    with pytest.raises(VerificationError) as error:
        require_acceptable(graph, graph.size if size is None else size)
    return str(error.value)


def changed(old: str, new: str, network: str = MLP) -> str:
    assert network.count(old) == 1
    return network.replace(old, new)


@pytest.mark.parametrize("loss", ["cross-entropy", "logistic", "mse"])
@pytest.mark.parametrize("hidden", [[], [1], [4, 5]])
@pytest.mark.parametrize("bias", [True, False])
def test_networks_are_accepted(loss: str, hidden: list[int], bias: bool) -> None:
    graph = graph_text.parse(text(3, hidden, 2, loss, bias=bias, skip=True).encode())
    require_acceptable(graph, graph.size)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("pad 12", "pad 13", "expected a power of two"),
        ("pad 12", "pad 1048577", "too many units"),
        ("pad 12", "pad 999999999999", "too many units"),
        ("close 1\npad 12\n", "close 13\n", "no pad unit"),
        ("close 1\npad 12", "pad 12\nclose 1", "close units come after pad"),
        ("constant 1\nrelu 4", "constant 2\nrelu 3", "more than one constant unit"),
        ("constant 1\n", "relu 1\n", "no constant unit"),
        ("constant 1\nrelu 4", "relu 4\nconstant 1", "constant units come after relu"),
        ("feature 3", "feature 1\nfeature 2", "features are not one run"),
        ("feature 3\nconstant 1", "constant 1\nrelu 3", "no feature unit"),
        ("class 3\nclose 1\npad 12", "pad 19", "no outputs"),
        ("class 3\nclose 1", "class 3\npad 1", "close rows don't go with its outputs"),
        ("close 1\npad 12", "close 2\npad 11", "more than one close unit"),
        ("close 1\npad 12", "close 1\nclose 1\npad 11", "more than one close unit"),
        ("class 3\nclose 1", "value 3\nclose 1", "close rows don't go with its outputs"),
        ("class 3", "value 2\nclass 1", "values are not one run"),
        ("class 3", "value 2\nvalue 1", "values are not one run"),
        ("class 3", "class 2\nzero-class 1", "a zero class .* not the first"),
        ("class 3", "zero-class 1\nclass 1\nclass 1", "a zero class .* not the first"),
        ("class 3", "zero-class 2\nclass 1", "more than one zero-class unit"),
        ("class 3", "zero-class 1\nvalue 2", "values are not one run"),
        ("weight 0 4 4 3 0", "weight 4 4 4 3 0", "leads backwards"),
        ("weight 4 8 5 4 16", "weight 8 4 5 4 16", "leads backwards"),
        ("weight 4 8 5 4 16", "weight 4 5 3 1 16", "to units of the same run"),
        ("weight 4 8 5 4 16", "weight 4 32 5 4 16", "about a unit that there isn't"),
        ("weight 4 8 5 4 16", "weight 4 999999999999 5 4 16", "about a unit that there isn't"),
        ("weight 4 8 5 4 16", "weight 4 19 5 4 16", "leads from relu to close"),
        ("weight 4 8 5 4 16", "weight 4 20 5 4 16", "leads from relu to pad"),
        ("weight 8 14 3 5 41", "weight 8 13 3 5 41", "leads to a target"),
        ("weight 8 14 3 5 41", "weight 13 14 3 5 41", "leads from class to class"),
        ("weight 8 14 3 5 41", "weight 8 16 3 5 41", "goes beyond a run"),
        ("weight 0 4 4 3 0", "weight 1 4 4 3 0", "goes beyond a run"),
        ("weight 0 4 4 3 0", "bias 0 4 4 3 0", "is a bias from feature"),
        ("bias 3 4 4 1 12", "weight 3 4 4 1 12", "is a weight from constant"),
        ("bias 3 8 5 1 36", "bias 3 4 4 1 36\nbias 3 8 1 1 40", "two parameters of the graph stand at one place"),
        ("weight 4 8 5 4 16", "weight 4 8 5 2 16\nweight 5 8 5 2 26", "two parameters of the graph stand at one place"),
        ("weight 4 8 5 4 16", "weight 4 8 3 4 16\nweight 4 10 2 4 28", "two parameters of the graph stand at one place"),
        ("weight 0 4 4 3 0", "weight 0 4 4 3 1", "not the run's parameters in their order"),
        ("weight 0 4 4 3 0", "weight 0 4 4 999999999999 0", "goes beyond a run"),
        ("bias 3 14 3 1 56", "bias 3 14 2 1 56", "other parameters than the run"),
    ],
)  # fmt: skip
def test_a_bad_text_is_refused(old: str, new: str, sentence: str) -> None:
    import re

    assert re.search(sentence, refused(changed(old, new), size=59))


def test_a_tensor_may_not_lead_within_its_run() -> None:
    lines = changed("bias 3 14 3 1 56\n", "bias 3 14 3 1 56\nweight 4 7 1 1 59\n")
    assert "leads from units to units of the same run" in refused(lines)


def test_a_unit_without_weights_is_refused() -> None:
    without = text(3, [4], 2, bias=False).replace("weight 0 4 4 3 0", "weight 0 4 3 3 0").replace(" 12\n", " 9\n")
    assert refused(without) == "a relu unit of the graph has no weights (expected at least one, found none of unit 7)"
    without = text(3, [], 4, bias=False).replace("weight 0 5 4 3 0", "weight 0 7 3 3 0")
    assert refused(without) == "a class unit of the graph has no weights (expected at least one, found none of unit 5)"


def test_a_relu_unit_that_feeds_nothing_is_refused() -> None:
    dead = text(3, [4], 2, bias=False).replace("weight 4 9 2 4 12", "weight 4 9 2 3 12")
    assert refused(dead) == "a relu unit of the graph feeds nothing (expected a later unit, found none for unit 7)"


def test_a_graph_of_no_lines_is_refused() -> None:
    assert refused("zk-autograd/graph/v1\n") == "the graph has no units"


def test_one_class_is_too_few() -> None:
    assert "fewer than two" in refused(text(3, [], 1))


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (lambda n: text(2**18 - 1 + n, [], 2), "too many inputs (expected at most 262144, found 262145)"),
        (
            lambda n: text(1, [1], 2**13 + n, "mse", bias=False),
            "feeds too many units (expected at most 8192 hidden ones",
        ),
        (lambda n: text(1, [1, 2**13 + n], 2, bias=False), "feeds too many units (expected at most 8192 hidden ones"),
    ],
    ids=["inputs", "values", "hidden units"],
)
def test_sums_are_as_long_as_int64_takes(network: Callable[[int], str], sentence: str) -> None:
    graph = graph_text.parse(network(0).encode())
    require_acceptable(graph, graph.size)
    assert sentence in refused(network(1))


def test_hidden_units_and_logits_of_a_unit_count_together() -> None:
    """2^13 - 4 hidden units leave room for 2^10 logits."""

    def both(logits: int) -> str:
        first = text(1, [1, 2**13 - 4], logits, bias=False)
        last = graph_text.parse(first.encode()).tensors[-1]
        return first + f"weight 2 {last.b} {logits} 1 {last.offset + last.size}\n"

    graph = graph_text.parse(both(2**10).encode())
    require_acceptable(graph, graph.size)
    assert "feeds too many units" in refused(both(2**10 + 1))


def test_the_largest_sums_of_int64_are_right() -> None:
    """2^13 outputs that all have the largest weight and derivative: their sum is 2^63 - 2^35."""
    from zk_autograd.core.graph.products import product, rounded

    d = np.full((1, 2**13), 2.0**28 - 1)
    for sign in (1, -1):
        w = np.full((2**13, 1), sign * 2.0**22)
        values, _ = product(d, w, np.matmul, 2.0**28 - 1, 2.0**22)
        assert values.tolist() == [[sign * 2**13 * (2**28 - 1) * 2**22]]
        assert rounded(values, 16).tolist() == [[(sign * 2**13 * (2**28 - 1) * 2**22 + 2**15) >> 16]]


def test_runs_that_do_not_follow_one_another_are_refused() -> None:
    graph = graph_text.parse(MLP.encode())
    for run in (replace(graph.units[2], first=5), replace(graph.units[2], count=0)):
        bad = Graph((*graph.units[:2], run, *graph.units[3:]), graph.tensors)
        with pytest.raises(VerificationError, match="don't follow one another"):
            require_acceptable(bad, bad.size)
    assert graph.units[0] == Units(graph.units[0].kind, 0, 3)


def grid(side: int) -> str:
    """One matrix of side x side places, a tensor each, in diagonals."""
    lines = ["zk-autograd/graph/v1", f"feature {side}", "constant 1", f"value {side}"]
    used = 3 * side + 1
    lines.append(f"pad {(1 << used.bit_length()) - used}")
    places = [((i + j) % side, j) for i in range(side) for j in range(side)]
    lines += [f"weight {a} {side + 2 + 2 * b} 1 1 {q}" for q, (a, b) in enumerate(places)]
    return "".join(f"{line}\n" for line in lines)


def columns(count: int) -> str:
    """A tensor a feature, each over all outputs."""
    lines = ["zk-autograd/graph/v1", f"feature {count}", "constant 1", "value 8"]
    lines.append(f"pad {(1 << (count + 17).bit_length()) - count - 17}")
    lines += [f"weight {i} {count + 2} 8 1 {8 * i}" for i in range(count)]
    return "".join(f"{line}\n" for line in lines)


def chain(count: int) -> str:
    """As many runs of one unit as tensors."""
    lines = ["zk-autograd/graph/v1", "feature 1", "constant 1", *["relu 1"] * count, "value 1"]
    lines.append(f"pad {(1 << (count + 4).bit_length()) - count - 4}")
    lines += [f"weight {0 if i == 0 else i + 1} {i + 2} 1 1 {i}" for i in range(count)]
    lines.append(f"weight {count + 1} {count + 3} 1 1 {count}")
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("network", [grid(207), columns(35_700), chain(30_000)], ids=["grid", "columns", "chain"])
def test_the_longest_texts_are_judged_in_seconds(network: str) -> None:
    assert MAX_TEXT * 0.85 < len(network) <= MAX_TEXT
    began = time.process_time()
    graph = graph_text.parse(network.encode())
    require_acceptable(graph, graph.size)
    Pass(graph)
    assert time.process_time() - began < 10  # of work that is quadratic: minutes


SMALL = [text(2, [2], 2), text(1, [], 1, "logistic"), text(2, [2, 1], 1, "mse", skip=True), text(2, [3], 2, bias=False)]


@pytest.mark.slow
@settings(max_examples=600, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.sampled_from(SMALL), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5), st.integers(-1, 7)), max_size=3),
       st.integers(0, 2**32))  # fmt: skip
def test_what_is_accepted_can_be_computed(network: str, edits: list[tuple[int, int, int]], seed: int) -> None:
    """Texts with numbers changed, lines doubled or dropped; offsets mended, so that some pass."""
    lines = [line.split(" ") for line in network.splitlines()[1:]]
    for at, field, value in edits:
        line = lines[at % len(lines)]
        if field == 0:
            lines.insert(at % len(lines), list(line))
        elif field == 5 and len(lines) > 1:
            lines.remove(line)
        elif field < len(line):
            line[field] = str(max(0, value))
    offset = 0
    for line in lines:
        if len(line) == 6:
            line[5] = str(offset)
            offset += int(line[3]) * int(line[4])
    units = sum(int(line[1]) * (2 if line[0] in oracle.PAIRS else 1) for line in lines if len(line) == 2)
    if len(lines[-1]) and any(line[0] == "pad" for line in lines):
        pads = next(line for line in lines if line[0] == "pad")
        rest = units - int(pads[1])
        pads[1] = str((1 << rest.bit_length()) - rest)
    mended = "zk-autograd/graph/v1\n" + "".join(" ".join(line) + "\n" for line in lines)
    try:
        graph = graph_text.parse(mended.encode())
        require_acceptable(graph, offset)
    except VerificationError:
        assume(False)
    assert graph_text.encode(graph).decode() == mended
    rng = np.random.default_rng(seed)
    weights = rng.integers(-(2**33), 2**33, graph.size)
    cells = rng.integers(-(2**13), 2**13, (3, graph.stride)).astype(np.int32)
    if any(run.kind == "class" for run in graph.outputs):
        cells[:, graph.features :] = 2**12 * np.eye(graph.targets, dtype=np.int32)[rng.integers(0, graph.targets, 3)]
    try:
        wanted = oracle.step(mended, weights.tolist(), cells.tolist(), 3, 2, -10)
    except oracle.OutOfRange:
        with pytest.raises(UnitRangeError):
            Pass(graph).step(weights, cells, 3, 2, -10)
        return
    assert Pass(graph).step(weights, cells, 3, 2, -10).G.tolist() == wanted[0]


def test_as_many_units_as_may_be() -> None:
    """2^20, and text of 2^20 bytes."""
    assert (MAX_UNITS, MAX_TEXT) == (1_048_576, 1_048_576)
    used = 3 + 1 + 2 * 2 + 1
    most = text(3, [], 2).replace("pad 7\n", f"pad {2**20 - used}\n")
    graph = graph_text.parse(most.encode())
    assert graph.count == 2**20
    require_acceptable(graph, graph.size)
    assert "too many units" in refused(most.replace(f"pad {2**20 - used}", f"pad {2**21 - used}"))


def test_tensors_may_lie_side_by_side_and_on_top_of_one_another() -> None:
    """One matrix cut into four: its parameters are only in another order."""
    cut = changed("weight 4 8 5 4 16", "weight 4 8 3 1 16\nweight 5 8 3 3 19\nweight 4 11 2 3 28\nweight 7 11 2 1 34")
    graph = graph_text.parse(cut.encode())
    require_acceptable(graph, 59)
