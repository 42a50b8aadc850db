"""The ONNX graph of a circuit, built node by node.

There is no exporter, and no constant but indices and the lookup's exponent: EZKL passes constants
through float32, and whatever an optimizer can fold it may fold wrongly. The lookups' outputs are
tied to a public output by a two-dimensional index: with a one-dimensional one the optimizer in EZKL
moves the selection up through the lookup and prunes every range check but one, which the row count
does not show (attacks/pruned_lookups.py).
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zk_autograd.prove.ezkl.circuit.layout import Indices, Layout
from zk_autograd.prove.ezkl.circuit.operations import DotRows, LookupRows, PairRows, rows_of
from zk_autograd.prove.ezkl.circuit.relations import lookup_exponent

OPSET = 13
IR_VERSION = 8


class GraphBuilder:
    """Collects the nodes of a graph over one pool of values; a concatenation costs no rows."""

    def __init__(self, inputs: dict[str, int]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = inputs
        self._pool = self.node("Concat", list(inputs), axis=0)
        self._length = sum(inputs.values())
        self._pending: list[str] = []
        self._end = self._length

    def node(self, operation: str, inputs: list[str], **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def gather(self, indices: Indices) -> str:
        """The pool's values at `indices`, in its shape; pending results join the pool first."""
        if int(indices.max()) >= self._length:
            self._pool = self.node("Concat", [self._pool, *self._pending], axis=0)
            self._length, self._pending = self._end, []
        return self.node("Gather", [self._pool, self.constant(indices.astype(np.int64))], axis=0)

    def append(self, value: str, length: int) -> None:
        self._pending.append(value)
        self._end += length


def model(layout: Layout) -> bytes:
    """The serialized ONNX graph for `layout`: the same bytes for the same version of onnx."""
    builder = GraphBuilder(layout.lengths)
    last = ""
    for rows in rows_of(layout):
        if isinstance(rows, DotRows):
            left, right = builder.gather(rows.coefficients), builder.gather(rows.variables)
            value = builder.node("Einsum", [left, right], equation="nk,nk->n")
            builder.append(value, len(rows.variables))
        elif isinstance(rows, PairRows):
            left, right = builder.gather(rows.left), builder.gather(rows.right)
            builder.append(builder.node(rows.operation.value, [left, right]), len(rows.left))
        else:
            assert isinstance(rows, LookupRows)
            exponent = builder.constant(np.array(lookup_exponent(), np.float32))
            last = builder.node("Pow", [builder.gather(rows.inputs), exponent])
            builder.append(last, len(rows.inputs))
    public = builder.gather(layout.public())
    keep = builder.node("Gather", [last, builder.constant(np.array([[0, 0]], np.int64))], axis=0)
    graph = helper.make_graph(
        builder.nodes,
        f"{layout.relations.rule}-n{layout.block}-t{layout.steps}",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name, size in layout.lengths.items()],
        [
            helper.make_tensor_value_info(public, TensorProto.FLOAT, [layout.public_length]),
            helper.make_tensor_value_info(keep, TensorProto.FLOAT, [1, 2]),
        ],
        builder.constants,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="zk-autograd")
    proto.ir_version = IR_VERSION
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))
