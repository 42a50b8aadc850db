"""Real circuits under EZKL's mock prover, which checks every gate, copy and lookup of a witness
without making a proof.

EZKL is called in this process: a bad witness makes its mock refuse, while its prover would hang.
Needs the extras [ezkl] and [dev].
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zk_autograd.prove.ezkl.circuit.field import from_hex, to_hex

_OUTPUT = re.compile(
    r"^Equality constraint not satisfied by cell \(Column\('Instance', 0 - \), outside any region, on row (\d+)\)$",
    re.MULTILINE,
)
_LOOKUP = re.compile(
    r"^Lookup \(index: (\d+)\) is not satisfied in Region \d+ \('model'\) at offset (\d+)$", re.MULTILINE
)


class MockProver:
    """A graph compiled with EZKL's settings as the package keeps them, in a folder of its own."""

    def __init__(self, graph: bytes, folder: Path) -> None:
        self._folder = folder
        self._path("network.onnx").write_bytes(graph)
        self.settings = compiled(
            self._path("network.onnx"), self._path("settings.json"), self._path("network.compiled")
        )

    def complaints(self, values: Iterable[Sequence[int]]) -> str:
        """What the mock prover says against a witness, the values of each committed tensor in
        order; empty if it accepts it."""
        import ezkl

        rows = [[to_hex(v) for v in tensor] for tensor in values]
        self._path("input.json").write_text(json.dumps({"input_data": rows}))
        ezkl.gen_witness(*(str(self._path(name)) for name in ("input.json", "network.compiled", "witness.json")))
        return self._mocked()

    def outputs(self) -> list[int]:
        """The public values of the last witness."""
        witness = json.loads(self._path("witness.json").read_text())
        return [from_hex(value) for output in witness["outputs"] for value in output]

    def complaints_about_outputs(self, outputs: Sequence[int]) -> str:
        """What it says against the last witness with these public values instead of its own."""
        witness = json.loads(self._path("witness.json").read_text())
        rest = iter(outputs)
        witness["outputs"] = [[to_hex(next(rest)) for _ in output] for output in witness["outputs"]]
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
        return self._folder / name


def compiled(onnx: Path, settings: Path, target: Path) -> dict[str, Any]:
    """Writes the settings and the compiled circuit of a graph, and returns the settings."""
    import ezkl

    from zk_autograd.prove.ezkl.build import RUN_ARGUMENTS, canonical_settings

    arguments = ezkl.PyRunArgs()
    for name, value in RUN_ARGUMENTS.items():
        setattr(arguments, name, tuple(value) if isinstance(value, list) else value)
    ezkl.gen_settings(str(onnx), str(settings), py_run_args=arguments)
    settings.write_bytes(canonical_settings(json.loads(settings.read_bytes())))
    ezkl.compile_circuit(str(onnx), str(target), str(settings))
    kept: dict[str, Any] = json.loads(settings.read_bytes())
    return kept


def failing_lookups(complaints: str) -> list[int]:
    """The places of the lookups in the mock prover's complaints, in the order in which the circuit
    lays them out, two to a row."""
    return sorted(2 * int(offset) + int(column) for column, offset in _LOOKUP.findall(complaints))


def failing_outputs(complaints: str) -> list[int]:
    """The positions of the public values in the complaints."""
    return sorted(int(row) for row in _OUTPUT.findall(complaints))
