"""Real circuits under EZKL's mock prover, which checks every gate, copy and lookup of a witness without making a proof.

EZKL is called in this process: a bad witness makes its mock refuse, while its prover would hang. Needs the extras [ezkl] and [dev].
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from zk_autograd.prove.ezkl.build import RUN_ARGUMENTS, canonical_settings
from zk_autograd.prove.ezkl.field import to_hex
from zk_autograd.prove.ezkl.graph import model
from zk_autograd.prove.ezkl.layout import Layout
from zk_autograd.prove.ezkl.rules import CIRCUITS, RuleCircuit
from zk_autograd.prove.ezkl.witness import Tensors

_LOOKUP = re.compile(r"^Lookup \(index: (\d+)\) is not satisfied in Region \d+ \('model'\) at offset (\d+)$", re.MULTILINE)


class MockProver:
    """A compiled circuit. `graph` replaces the one that belongs to its relations; `settings` are EZKL's, as the package keeps them."""

    def __init__(self, circuit: RuleCircuit, block: int, steps: int, graph: bytes | None = None) -> None:
        self.layout = Layout(circuit.relations, block, steps)
        self._folder = tempfile.TemporaryDirectory(prefix="zk-mock-")
        (self._path("network.onnx")).write_bytes(graph or model(self.layout))
        self.settings = compiled(self._path("network.onnx"), self._path("settings.json"), self._path("network.compiled"))

    @classmethod
    def of_rule(cls, rule: str, block: int, steps: int) -> "MockProver":
        """With the published relations of a rule."""
        return cls(CIRCUITS[rule], block, steps)

    def complaints(self, values: Tensors) -> str:
        """What the mock prover says against a witness; empty if it accepts it."""
        import ezkl

        rows = [[to_hex(v) for v in values[name]] for name in self.layout.lengths]
        self._path("input.json").write_text(json.dumps({"input_data": rows}))
        compiled_path, witness = str(self._path("network.compiled")), str(self._path("witness.json"))
        ezkl.gen_witness(str(self._path("input.json")), compiled_path, witness)
        return self._mocked()

    def complaints_about_outputs(self, changed: dict[int, int]) -> str:
        """The same for the last witness with some public values replaced: {position: value}."""
        witness = json.loads(self._path("witness.json").read_text())
        flat = [value for output in witness["outputs"] for value in output]
        for position, value in changed.items():
            flat[position] = to_hex(value)
        lengths = [len(output) for output in witness["outputs"]]
        witness["outputs"] = [flat[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(lengths))]
        self._path("witness.json").write_text(json.dumps(witness))
        return self._mocked()

    def _mocked(self) -> str:
        import ezkl

        try:
            ezkl.mock(str(self._path("witness.json")), str(self._path("network.compiled")))
        except RuntimeError as error:
            return str(error)
        return ""

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name


def compiled(onnx: Path, settings: Path, target: Path) -> dict[str, Any]:
    """Writes the settings and the compiled circuit of a graph, and returns the settings."""
    import ezkl

    arguments = ezkl.PyRunArgs()
    for name, value in RUN_ARGUMENTS.items():
        setattr(arguments, name, tuple(value) if isinstance(value, list) else value)
    ezkl.gen_settings(str(onnx), str(settings), py_run_args=arguments)
    settings.write_bytes(canonical_settings(json.loads(settings.read_bytes())))
    ezkl.compile_circuit(str(onnx), str(target), str(settings))
    kept: dict[str, Any] = json.loads(settings.read_bytes())
    return kept


def failing_lookups(complaints: str) -> list[int]:
    """The places of the lookups in the mock prover's complaints, in the order in which the circuit lays them out, two to a row."""
    return sorted(2 * int(offset) + int(column) for column, offset in _LOOKUP.findall(complaints))
