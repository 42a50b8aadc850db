"""Building a circuit of the catalogue from its relations: the graph, the settings, and a sample
proof.

Needs onnx (the `[dev]` extra); proving and verifying use the published files. The settings are
EZKL's own for the graph, with two changes: the rows of the committed tensors are subtracted (EZKL
counts them as circuit rows), and the timestamp is 0.
"""

import json
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

from zk_autograd.core.canonical import Json, encode
from zk_autograd.core.errors import ProverError
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.ezkl.backend import PROVE_SECONDS, draw_salt, prove_tensors, tensors_of
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import EZKL_VERSION, Circuit, circuit_name
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import table_rows
from zk_autograd.prove.ezkl.circuit.relations import LOGROWS, TABLE_MAX
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.graph import model
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.sample import sample

COLUMNS = 2
SETTINGS_SECONDS = 300.0

RUN_ARGUMENTS: dict[str, Any] = {
    "input_visibility": "polycommit",
    "output_visibility": "public",
    "param_visibility": "fixed",
    "input_scale": 0,
    "param_scale": 0,
    "scale_rebase_multiplier": 1,
    "lookup_range": [0, TABLE_MAX - 1],
    "logrows": LOGROWS,
    "num_inner_cols": COLUMNS,
    "disable_freivalds": True,
    "ignore_range_check_inputs_outputs": True,
}


def build(variant: str, block: int, steps: int, child: Child, proof_bytes: int = 0) -> Circuit:
    """The circuit of a variant for `steps` steps on `block` parameters. ProverError if it doesn't
    fit or EZKL refuses it."""
    layout = Layout(CIRCUITS[variant].relations, block, steps)
    rows = table_rows(layout)
    if rows > TABLE_MAX:
        raise ProverError(
            f"{circuit_name(variant, block, steps)} takes {rows} rows of {TABLE_MAX}: fewer parameters or steps"
        )
    onnx = model(layout)
    with temporary_folder("zk-circuit-") as folder:
        (folder / "network.onnx").write_bytes(onnx)
        child.run(
            {
                "do": "settings",
                "onnx": str(folder / "network.onnx"),
                "settings": str(folder / "settings.json"),
                "arguments": RUN_ARGUMENTS,
            },
            seconds=SETTINGS_SECONDS,
        )
        settings = json.loads((folder / "settings.json").read_bytes())
    return Circuit(variant, block, steps, onnx, canonical_settings(settings), proof_bytes)


def canonical_settings(settings: dict[str, Any]) -> bytes:
    """EZKL's settings with the committed tensors' rows subtracted and the timestamp 0; keys are
    sorted, floats are as EZKL prints them."""
    settings = dict(settings)
    settings["timestamp"] = 0
    settings["num_rows"] -= sum(settings["module_sizes"]["polycommit"])
    settings["total_assignments"] = settings["num_rows"] * COLUMNS
    settings["required_lookups"] = sorted(settings["required_lookups"], key=lambda v: json.dumps(v, sort_keys=True))
    return json.dumps(settings, sort_keys=True, indent=1).encode() + b"\n"


def write(circuit: Circuit, folder: Path) -> None:
    """Writes a circuit's files as the package publishes them: compressed graph, settings, card."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = lzma.compress(circuit.onnx, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, preset=9)
    (folder / "network.onnx.xz").write_bytes(packed)
    (folder / "settings.json").write_bytes(circuit.settings)
    card: Json = {
        "name": circuit.name,
        "ezkl": EZKL_VERSION,
        "digest": circuit.digest.hex(),
        "proof_bytes": circuit.proof_bytes,
    }
    (folder / "circuit.json").write_bytes(encode(card))


def measured(circuit: Circuit, srs_digest: bytes, cache: Cache, child: Child) -> Circuit:
    """The circuit with the length of its proofs, from a sample's proof under an SRS of the
    cache."""
    keys = cache.keys(circuit, srs_digest, child, proving=True)
    statement, witness = sample(circuit.variant, circuit.block, circuit.steps, draw_salt)
    values = tensors_of(circuit, statement, witness, draw_salt())
    proof = prove_tensors(circuit, keys, child, values, seconds=PROVE_SECONDS)
    return replace(circuit, proof_bytes=len(proof))
