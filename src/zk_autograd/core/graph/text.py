"""A graph's canonical text, whose SHA-256 stands in a run's header.

    zk-autograd/graph/v1
    feature 64                a line a run of units: its kind, how many (of pairs, how many pairs)
    constant 1
    relu 64
    class 10
    close 1
    pad 106
    weight 0 65 64 64 0       a line a tensor: its kind, first a, first b, rows, columns, offset
    bias 64 65 64 1 4096
    ...

Numbers are decimal without leading zeros, one space between them, a newline after each line; no
other text is a graph's. A bias has as many rows as units, one column, and the constant's a.
"""

import re
from hashlib import sha256

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind, Units
from zk_autograd.core.text import SHOWN, quoted

FORMAT = "zk-autograd/graph/v1"
MAX_TEXT = 2**20
"""Bytes of a text."""

_UNITS = re.compile(r"([a-z-]+) ([1-9][0-9]{0,11})")
_NUMBER, _COUNT = r" (0|[1-9][0-9]{0,11})", r" ([1-9][0-9]{0,11})"
_TENSOR = re.compile(r"(weight|bias)" + 2 * _NUMBER + 2 * _COUNT + _NUMBER)


def encode(graph: Graph) -> bytes:
    """The text."""
    lines = [FORMAT]
    lines += [f"{run.kind} {run.count}" for run in graph.units]
    lines += [f"{t.kind} {t.a} {t.b} {t.rows} {t.columns} {t.offset}" for t in graph.tensors]
    return "".join(f"{line}\n" for line in lines).encode()


def digest(text: bytes) -> bytes:
    """SHA-256 of the text, as a header has it."""
    return sha256(text).digest()


def parse(text: bytes) -> Graph:
    """The graph of a text, which isn't accepted yet. VerificationError for any other bytes."""
    if len(text) > MAX_TEXT:
        raise VerificationError("the graph is too large", expected=f"at most {MAX_TEXT} bytes", found=str(len(text)))
    lines = text.decode("ascii", errors="replace").split("\n")
    if lines[0] == FORMAT and lines[-1] != "":
        raise VerificationError("the graph doesn't end with a newline", expected="one after each line", found="none")
    if lines[0] != FORMAT:
        raise VerificationError("the graph is not of a known format", expected=FORMAT, found=quoted(lines[0], SHOWN))
    units: list[Units] = []
    tensors: list[Tensor] = []
    first = 0
    for number, line in enumerate(lines[1:-1], start=2):
        if (found := _TENSOR.fullmatch(line)) is not None:
            kind, *numbers = found.groups()
            tensors.append(Tensor(TensorKind(kind), *map(int, numbers)))
        elif (found := _UNITS.fullmatch(line)) is not None and found[1] in {*Kind} and not tensors:
            units.append(Units(Kind(found[1]), first, int(found[2])))
            first = units[-1].end
        else:
            raise VerificationError(
                f"line {number} of the graph is neither units nor a tensor",
                expected="such as relu 64, or weight 0 65 64 64 0",
                found=quoted(line, SHOWN),
            )
    return Graph(tuple(units), tuple(tensors))
