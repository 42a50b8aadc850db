"""A circuit that looks like one of the catalogue from outside and proves nothing: the same
commitments and public values, no relation.

It takes the same states and gradients, commits to them in the same order, and makes the same public
values public; but nothing ties one to the other. So any next state has a proof. Who verifies sees
the difference in the digest and in the verifying key, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zk_autograd.core.constants import AdamConstants
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.backend import draw_salt, prove_tensors
from zk_autograd.prove.ezkl.build import RUN_ARGUMENTS
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.circuit.catalogue import Circuit
from zk_autograd.prove.ezkl.circuit.field import MODULUS
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.public import public_values
from zk_autograd.prove.ezkl.circuit.relations import SALTS
from zk_autograd.prove.ezkl.keys import Cache, Keys, make_srs
from zk_autograd.prove.ezkl.verify import EzklSystem, EzklVerifier, installed_ezkl, salt_elements

LOGROWS = 12
SECONDS = 600.0


@dataclass(frozen=True)
class HollowLayout(Layout):
    """The layout of the circuit that is imitated, but for `aux`: the public values, the two ones at
    the end of them, and salts."""

    @property
    def lengths(self) -> dict[str, int]:
        whole = Layout(self.relations, self.block, self.steps).lengths
        return {**whole, "aux": self.public_length + 2 + SALTS}


@dataclass(frozen=True)
class HollowCircuit(Circuit):
    """A hollow circuit with its own graph, settings and digest."""

    @property
    def layout(self) -> HollowLayout:
        return HollowLayout(self.code.relations, self.block, self.steps)


class HollowVerifier(EzklVerifier):
    """Verifies with the attacker's verifying key and SRS."""

    def __init__(self, circuit: HollowCircuit, keys: Keys) -> None:
        self.circuit = circuit
        self._keys = keys
        self._child = Child()


class HollowSystem(EzklSystem):
    """An auditor's who took the verifying key from the run, and `circuit` for their own."""

    def __init__(self, cache: Cache, circuit: Circuit, verifier: HollowVerifier) -> None:
        super().__init__(cache, installed_ezkl())
        self._circuit = circuit
        self._verifier = verifier

    def circuit(self, prover: Prover) -> Circuit:
        return self._circuit

    def checker(self, prover: Prover) -> EzklVerifier:
        return self._verifier


@dataclass(frozen=True)
class HollowProver:
    """Proves any segment of the circuit that it imitates."""

    circuit: HollowCircuit
    keys: Keys

    @classmethod
    def imitate(cls, name: str, folder: Path) -> "HollowProver":
        """One for the published Adam circuit `name`; graph, SRS and keys, all of them the
        attacker's, go to the new folder `folder`."""
        own, child = catalogue.load(name), Child()
        folder.mkdir(parents=True)
        keys = Keys(folder, folder / "srs")
        make_srs(keys.srs, child, LOGROWS)
        layout = HollowLayout(own.layout.relations, own.block, own.steps)
        graph = folder / "network.onnx"
        graph.write_bytes(_graph(layout, own.name))
        arguments = {**RUN_ARGUMENTS, "logrows": LOGROWS}
        for request in (
            {"do": "settings", "onnx": str(graph), "settings": str(keys.settings), "arguments": arguments},
            {
                "do": "setup",
                "folder": str(folder),
                "onnx": str(graph),
                "settings": str(keys.settings),
                "srs": str(keys.srs),
            },
        ):
            child.run(request, seconds=SECONDS)
        hollow = HollowCircuit(own.variant, own.block, own.steps, graph.read_bytes(), keys.settings.read_bytes(), 0)
        prover = cls(hollow, keys)
        zeros = {state: np.zeros(own.block, np.int64) for state in layout.relations.states}
        salts = {tensor: draw_salt() for tensor in layout.commitments}
        constants = (AdamConstants.no_op(),) * own.steps
        length = len(prover.prove(Statement(bytes(32), 0, 1, 0, own.block, constants), zeros, zeros, salts))
        return cls(HollowCircuit(own.variant, own.block, own.steps, hollow.onnx, hollow.settings, length), keys)

    @property
    def verifier(self) -> HollowVerifier:
        return HollowVerifier(self.circuit, self.keys)

    def prove(
        self, statement: Statement, before: Mapping[str, Any], after: Mapping[str, Any], salts: Mapping[str, bytes]
    ) -> bytes:
        """A proof that leads from any state to any other, each int64 of shape (block,); the
        gradients are zero."""
        layout = self.circuit.layout
        values: dict[str, list[int]] = {}
        public = public_values(layout, self.circuit.code, statement.constants, statement.context_elements)
        for state in layout.relations.states:
            values[f"{state}_in"] = [int(v) for v in before[state]]
            values[f"{state}_out"] = [int(v) for v in after[state]]
        values["G"] = [0] * (layout.block * layout.steps)
        values["aux"] = [*public, 1, 1]
        tensors = {name: [v % MODULUS for v in (*values[name], *salt_elements(salts[name]))] for name in layout.lengths}
        return prove_tensors(self.circuit, self.keys, Child(), tensors, seconds=SECONDS)


def _graph(layout: Layout, name: str) -> bytes:
    """The public values and the two ones are gathered from `aux`, and that is all."""
    from onnx import TensorProto, helper, numpy_helper

    start = sum(length for tensor, length in layout.lengths.items() if tensor != "aux")
    end = start + layout.public_length
    nodes = [
        helper.make_node("Concat", list(layout.lengths), ["pool"], axis=0),
        helper.make_node("Gather", ["pool", "where public"], ["public"], axis=0),
        helper.make_node("Gather", ["pool", "where ones"], ["ones"], axis=0),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(tensor, floats, [length]) for tensor, length in layout.lengths.items()],
        [
            helper.make_tensor_value_info("public", floats, [layout.public_length]),
            helper.make_tensor_value_info("ones", floats, [1, 2]),
        ],
        [
            numpy_helper.from_array(np.arange(start, end), "where public"),
            numpy_helper.from_array(np.array([[end, end + 1]]), "where ones"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="zk-autograd")
    model.ir_version = 8
    return bytes(model.SerializeToString(deterministic=True))
