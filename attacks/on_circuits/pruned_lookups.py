"""Attack: nothing at all, once the range checks are gone. EZKL's own optimizer removes them from a
graph that looks the same.

A lookup whose output nobody uses is dropped, so the graph makes one output public. With the
one-dimensional index [0] the optimizer moves that selection up through the lookup and keeps a
single row of it: every other range check is pruned, the number of rows that `gen_settings` reports
hardly shows it, honest proofs verify, and so does anything else. With the index [[0, 0]] it leaves
them.

Gain: every weight, moment and quotient free: the prover writes any state it likes.

Why it fails: the published graphs have the two-dimensional index. Here both are compiled by EZKL
and given the same cheat, a segment that adds a million to a weight.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from attacks.tools.mock import MockProver, failing_lookups
from attacks.tools.outcome import Outcome
from attacks.tools.segment import Segment
from zk_autograd.core.constants import AdamConstants
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.graph import model

GAIN = "any state at all"

ADAM = AdamConstants(c1=3277, c2=33, LR=2**22, E=700, D=0)


def cheat() -> Segment:
    """Two steps on one parameter, and a million more in its weight."""
    honest = Segment.honest("adam", [ADAM] * 2, [{"W": 12345, "M": 987654321, "V": 10**6}], [[4000], [-3000]])
    return honest.with_state("W", 2, 0, honest.states["W"][2][0] + 10**6)


def one_dimensional(graph: bytes) -> bytes:
    """The graph with [0] for [[0, 0]] as the index that keeps the lookups."""
    proto = onnx.load_from_string(graph)
    last = proto.graph.node[-1]
    (index,) = (c for c in proto.graph.initializer if c.name == last.input[1])
    if last.op_type != "Gather" or numpy_helper.to_array(index).tolist() != [[0, 0]]:
        raise AssertionError("the graph's last node is not the selection that it was")
    index.CopyFrom(numpy_helper.from_array(np.array([0], np.int64), index.name))
    del proto.graph.output[-1].type.tensor_type.shape.dim[1:]
    proto.graph.output[-1].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.checker.check_model(proto)
    changed: bytes = proto.SerializeToString(deterministic=True)
    return changed


def published() -> bytes:
    """The graph as it is, for the cheat's size."""
    return model(Layout(CIRCUITS["adam"].relations, 1, 2))


def complaints(graph: bytes) -> str:
    """What EZKL's mock prover says against the cheat in the circuit of a graph."""
    with tempfile.TemporaryDirectory(prefix="zk-mock-") as folder:
        return MockProver(graph, Path(folder)).complaints(cheat().tensors().values())


def run() -> Outcome:
    """Tries it on the published graph; the report says what the other one does."""
    refused = len(failing_lookups(complaints(published())))
    there = "refuses" if complaints(one_dimensional(published())) else "accepts"
    by = f"{refused} lookups of the mock prover (with a one-dimensional index it {there} the cheat)"
    return Outcome("pruned lookups", refused > 0, by, GAIN)


if __name__ == "__main__":
    print(run())
