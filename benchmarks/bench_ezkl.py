"""The EZKL backend: param-steps a second, proof size, verification, memory; against an ONNX Adam
with Div and Sqrt.

    python -m benchmarks.bench_ezkl [--json] [--repeat N] [--srs FILE]

A param-step is one parameter going through one step. The wall time of proving is that of EZKL's
process from start to end: it reads key and witness input, generates the witness and proves. The
circuits are full. The naive Adam is what an export gives (scales 2^7, `Div`, `Sqrt`, floating-point
constants), as many parameters as its table holds; it proves no exact step (EZKL's division accepts
two quotients), has no context, and its range is EZKL's default, so the ratio flatters it.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.figures import Figure, conditions, emit
from zk_autograd.prove.ezkl.backend import PROVE_SECONDS, EzklBackend, draw_salt, prove_tensors
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import SETUP_SECONDS, Cache, make_srs
from zk_autograd.prove.ezkl.sample import sample
from zk_autograd.prove.ezkl.verify import VERIFY_SECONDS, EzklVerifier

ADAM = "adam-n64-t32"
OTHERS = ("adamw-n64-t26", "sgd-momentum-n128-t32", "sgd-nesterov-n128-t23", "sgd-nesterov-decay-n128-t17")

NAIVE_LOGROWS = 16
NAIVE_ROWS = 2**NAIVE_LOGROWS - 9


def measure_circuit(name: str, srs: bytes, cache: Cache, repeat: int) -> tuple[list[Figure], float]:
    """Figures of a full circuit, and its param-steps a second (the median of `repeat` proofs)."""
    circuit = catalogue.load(name)
    backend = EzklBackend(circuit, srs, cache)
    keys = cache.keys(circuit, srs, Child(), proving=True)
    verifier = EzklVerifier(circuit, srs, cache)
    statement, witness = sample(circuit.variant, circuit.block, circuit.steps, draw_salt)
    values = backend.witness(statement, witness)
    seconds, checks, proof = [], [], b""
    for _ in range(repeat):
        start = time.perf_counter()
        proof = prove_tensors(circuit, keys, Child(), values, seconds=PROVE_SECONDS)
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        verifier.verify(statement, proof)
        checks.append(time.perf_counter() - start)
    speed = circuit.block * circuit.steps / statistics.median(seconds)
    rule = circuit.variant.replace("-", "_")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        Figure(f"ezkl.{rule}.param_steps_per_s", round(speed, 1), "param-steps/s"),
        Figure(
            f"ezkl.{rule}.prove_s", round(statistics.median(seconds), 2), f"s for {circuit.block} x {circuit.steps}"
        ),
        Figure(f"ezkl.{rule}.proof_bytes", len(proof), "bytes"),
        Figure(f"ezkl.{rule}.verify_ms", round(1000 * statistics.median(checks), 1), "ms, a process each"),
        Figure(f"ezkl.{rule}.peak_mib", round(peak), "MiB, largest child so far"),
    ], speed


def naive_graph(parameters: int) -> bytes:
    """Adam as an exporter writes it: W, M, V, G in, W', M', V' out, floating-point constants."""
    constants = {"b1": 0.9, "n1": 0.1, "b2": 0.999, "n2": 0.001, "c1": 10.0, "c2": 1000.0, "lr": 0.001, "eps": 1e-8}
    nodes = [
        helper.make_node("Mul", ["M", "b1"], ["m1"]),
        helper.make_node("Mul", ["G", "n1"], ["m2"]),
        helper.make_node("Add", ["m1", "m2"], ["M2"]),
        helper.make_node("Mul", ["G", "G"], ["gg"]),
        helper.make_node("Mul", ["V", "b2"], ["v1"]),
        helper.make_node("Mul", ["gg", "n2"], ["v2"]),
        helper.make_node("Add", ["v1", "v2"], ["V2"]),
        helper.make_node("Mul", ["M2", "c1"], ["mh"]),
        helper.make_node("Mul", ["V2", "c2"], ["vh"]),
        helper.make_node("Sqrt", ["vh"], ["s"]),
        helper.make_node("Add", ["s", "eps"], ["d"]),
        helper.make_node("Div", ["mh", "d"], ["q"]),
        helper.make_node("Mul", ["q", "lr"], ["u"]),
        helper.make_node("Sub", ["W", "u"], ["W2"]),
    ]
    shape = [1, parameters]
    tensors = [numpy_helper.from_array(np.array([v], np.float32), k) for k, v in constants.items()]
    inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, shape) for k in "WMVG"]
    outputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, shape) for k in ("W2", "M2", "V2")]
    graph = helper.make_graph(nodes, "naive-adam", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def naive_settings(folder: Path, parameters: int, child: Child) -> dict[str, Any]:
    """EZKL's settings for the naive graph of so many parameters, written beside it."""
    (folder / "network.onnx").write_bytes(naive_graph(parameters))
    arguments = {"input_visibility": "private", "output_visibility": "public", "logrows": NAIVE_LOGROWS}
    child.run(
        {
            "do": "settings",
            "onnx": str(folder / "network.onnx"),
            "settings": str(folder / "settings.json"),
            "arguments": arguments | {"lookup_range": [-32768, 32768 - 16]},
        },
        seconds=SETUP_SECONDS,
    )
    return dict(json.loads((folder / "settings.json").read_bytes()))


def measure_naive(srs: Path, repeat: int) -> tuple[int, float, int]:
    """Parameters the naive circuit holds, its param-steps a second, its proof's bytes."""
    child = Child()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        low, high = 1, 4096
        while low < high:  # the largest that fits
            middle = (low + high + 1) // 2
            fits = naive_settings(folder, middle, child)["num_rows"] <= NAIVE_ROWS
            low, high = (middle, high) if fits else (low, middle - 1)
        naive_settings(folder, low, child)
        paths = {k: str(folder / v) for k, v in (("onnx", "network.onnx"), ("settings", "settings.json"))}
        child.run({"do": "setup", "folder": name, "srs": str(srs), **paths}, seconds=SETUP_SECONDS)
        rng = np.random.default_rng(0)
        rows = [rng.normal(0, 0.1, low), rng.normal(0, 0.1, low), rng.uniform(0.1, 1, low), rng.normal(0, 0.1, low)]
        (folder / "input.json").write_text(json.dumps({"input_data": [list(map(float, r)) for r in rows]}))
        request = {
            "do": "prove",
            "data": str(folder / "input.json"),
            "witness": str(folder / "witness.json"),
            "proof": str(folder / "proof.json"),
            "compiled": str(folder / "network.compiled"),
            "vk": str(folder / "vk.key"),
            "pk": str(folder / "pk.key"),
            "srs": str(srs),
        }
        seconds, proof = [], ""
        for _ in range(repeat):
            start = time.perf_counter()
            proof = child.run(request, seconds=PROVE_SECONDS)
            seconds.append(time.perf_counter() - start)
        verify = {"do": "verify", "proof": request["proof"], "settings": paths["settings"], "vk": request["vk"]}
        if not child.run({**verify, "srs": str(srs)}, seconds=VERIFY_SECONDS):
            raise SystemExit("the naive proof does not verify")
    return low, low / statistics.median(seconds), len(proof) // 2 - 1


def figures(repeat: int, srs_file: Path | None) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    cache = Cache()
    if srs_file is not None:
        srs = cache.add_srs(srs_file)
    elif cache.srs_digests():
        srs = cache.srs_digests()[0]
    else:
        with tempfile.TemporaryDirectory() as name:
            make_srs(Path(name) / "srs", Child())
            srs = cache.add_srs(Path(name) / "srs")
    adam, speed = measure_circuit(ADAM, srs, cache, repeat)
    yield from adam
    for name in OTHERS:
        yield from measure_circuit(name, srs, cache, repeat)[0]
    parameters, naive, proof_bytes = measure_naive(cache.require_srs(srs), repeat)
    yield Figure("naive.adam.param_steps_per_s", round(naive, 2), f"param-steps/s, {parameters} parameters, one step")
    yield Figure("naive.adam.proof_bytes", proof_bytes, "bytes")
    yield Figure(
        "ezkl.adam.ratio_to_naive", round(speed / naive, 2), "times", "naive.adam.param_steps_per_s", speed / naive
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--repeat", type=int, default=3, help="proofs of each circuit; the median counts (default 3)")
    parser.add_argument("--srs", type=Path, help="SRS file (default: the newest of the cache, or a new one)")
    arguments = parser.parse_args()
    emit(figures(arguments.repeat, arguments.srs), as_json=arguments.json)


if __name__ == "__main__":
    main()
