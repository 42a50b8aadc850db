from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.graph.texts import text
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph import Graph, Kind, Tensor, TensorKind, Units
from zk_autograd.core.graph.text import MAX_TEXT, digest, encode, parse

DIGITS = text(64, [64], 10)
"""The network of the module's documentation."""


def test_a_text_is_its_graphs() -> None:
    graph = parse(DIGITS.encode())
    assert encode(graph) == DIGITS.encode()
    assert (graph.count, graph.size, graph.features, graph.targets, graph.stride) == (256, 4810, 64, 10, 74)
    assert graph.units[2] == Units(Kind.RELU, 65, 64)
    assert graph.units[3].outputs == range(130, 150, 2)
    assert graph.tensors[3] == Tensor(TensorKind.BIAS, 64, 130, 10, 1, 4800)
    assert digest(DIGITS.encode()) == sha256(DIGITS.encode()).digest()


def test_the_documented_text_is_one() -> None:
    lines = (parse.__globals__["__doc__"] or "").split("\n")
    shown = [line.strip().split("  ")[0] for line in lines if line.startswith("    ") and "..." not in line]
    assert DIGITS.startswith("\n".join(shown) + "\n")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"zk-autograd/graph/v1",
        b"zk-autograd/graph/v2\nfeature 1\n",
        b"zk-autograd/graph/v1\r\nfeature 1\r\n",
        b"zk-autograd/graph/v1\nfeature 1",
        b"zk-autograd/graph/v1\nfeature 01\n",
        b"zk-autograd/graph/v1\nfeature 0\n",
        b"zk-autograd/graph/v1\nfeature -1\n",
        b"zk-autograd/graph/v1\nfeature +1\n",
        b"zk-autograd/graph/v1\nfeature  1\n",
        b"zk-autograd/graph/v1\nfeature 1 \n",
        b"zk-autograd/graph/v1\nfeature 1\n\n",
        b"zk-autograd/graph/v1\nfeature 1_0\n",
        b"zk-autograd/graph/v1\nfeature 1000000000000\n",
        "zk-autograd/graph/v1\nfeature \N{ARABIC-INDIC DIGIT ONE}\n".encode(),
        b"zk-autograd/graph/v1\nneuron 1\n",
        b"zk-autograd/graph/v1\nFeature 1\n",
        b"zk-autograd/graph/v1\nweight 0 1 1 1 00\n",
        b"zk-autograd/graph/v1\nweight 0 1 0 1 0\n",
        b"zk-autograd/graph/v1\nweight 0 1 1 1\n",
        b"zk-autograd/graph/v1\nweight 0 1 1 1 0 0\n",
        b"zk-autograd/graph/v1\nweight 0 1 1 1 0\nfeature 1\n",
        b"zk-autograd/graph/v1\nfeature 1\n" + b"9" * 10_000 + b"\n",
    ],
    ids=range(23),
)
def test_other_bytes_are_no_graph(bad: bytes) -> None:
    with pytest.raises(VerificationError) as error:
        parse(bad)
    assert len(str(error.value)) < 300


def test_a_text_is_bounded() -> None:
    start = b"zk-autograd/graph/v1\n"
    assert parse(start + b"pad 1\n" * ((MAX_TEXT - len(start)) // 6)).count == 174_759
    with pytest.raises(VerificationError, match="too large"):
        parse(b"zk-autograd/graph/v1\n" + b"pad 1\n" * (MAX_TEXT // 6))


@given(st.binary(max_size=200), st.integers(0, 300))
def test_a_text_has_no_second_form(noise: bytes, at: int) -> None:
    """Whatever is read, is written the same."""
    for data in (noise, DIGITS.encode()[:at] + noise + DIGITS.encode()[at:]):
        try:
            graph = parse(data)
        except VerificationError:
            continue
        assert encode(graph) == data


def test_the_run_of_a_unit() -> None:
    graph = parse(DIGITS.encode())
    owners = [run for run in graph.units for _ in range(run.first, run.end)]
    assert [graph.run_of(unit) for unit in range(graph.count)] == owners
    for unit in (-1, graph.count, 10**12):
        with pytest.raises(KeyError):
            graph.run_of(unit)
    assert Graph((), ()).count == 0
    with pytest.raises(KeyError):
        Graph((), ()).run_of(0)
