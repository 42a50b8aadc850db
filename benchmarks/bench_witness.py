"""What a witness costs beside its proof, for both provers, and a first proof beside the next ones.

    python -m benchmarks.bench_witness [--json] [--segments N] [--without-ezkl] [--srs FILE]

Native: a run of Adam with 2^16 parameters and 16 steps a segment, each segment proved in the
process itself. The witness's time is all that the proving thread does between two proofs (reading
the journal, the two ends, the steps computed once more, the record and its checkpoint, too), and
the prover's phases in which the states between are computed, checked and hashed. EZKL: what
happens before EZKL's process is given its input; the witness that this makes of it by itself, a
part of its proof's time, is printed beside.

The first proof is measured in processes of their own, with memory made ready for it and without.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Goal, conditions, emit
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Block, Data, Group, Header, Parameter
from zk_autograd.core.statement import Statement
from zk_autograd.kernels.choice import kernel_called
from zk_autograd.prove.following import states_of
from zk_autograd.prove.native.backend import WITNESS_PHASES, NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import BlockProof, BlockWitness
from zk_autograd.run.claims import Claims
from zk_autograd.run.writer import RunWriter

HYPER = (("lr", "0.001"), ("beta1", "0.9"), ("beta2", "0.999"), ("eps", "1e-08"))
LARGE = (16, 4)
"""log2 of parameters and steps: 2^20 rows."""
SMALL = (13, 3)
EZKL_CIRCUIT = "adam-n64-t32"
NEXT = 3
GOALS = {
    "witness.native.share_of_proving": Goal(0.05, 0.03, at_most=True),
    "witness.ezkl.share_of_proving": Goal(0.05, 0.01, at_most=True),
    "witness.native.first_to_next": Goal(1.1, 1.02, at_most=True),
}


def shape_of(size: tuple[int, int]) -> Shape:
    """Adam's of so many parameters and steps, as log2."""
    return Shape(Rule.ADAM, Preset.STANDARD, *size)


class Timed(NativeBackend):
    """Seconds of the proving thread by itself before each proof, of each proof, and its phases."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.before: list[float] = []
        self.proofs: list[float] = []
        self.own: list[float] = []
        self.bytes = 0
        self._ended: float | None = None

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        now = time.thread_time()
        if self._ended is not None:
            self.before.append(now - self._ended)
        ends = (*witness.start.values(), *witness.end.values())
        self.bytes = witness.gradients.nbytes + sum(values.nbytes for values in ends)
        began = time.perf_counter()
        proof = super().prove(statement, witness)
        if self._ended is not None:
            self.proofs.append(time.perf_counter() - began)
            self.own.append(sum(self.phases[name] for name in WITNESS_PHASES))
        self._ended = time.thread_time()
        return proof


def header_of(shape: Shape) -> Header:
    """A run of one tensor, which fills a block."""
    size = shape.block
    return Header(
        run=bytes(16),
        package="zk-autograd 0",
        rule=Rule.ADAM,
        grad_scale=0,
        schedule="constant",
        groups=(Group(HYPER, 0),),
        parameters=(Parameter("weight", (size,), 0, size, 0),),
        unproved=(),
        size=size,
        blocks=(Block(0, 0, size),),
        data=Data(b"", 1, "sequential", 1, b""),
        model_code=b"",
        prover=shape.prover,
        keys=(Ed25519Signer("trainer", bytes(32)).public_key.encode(),),
    )


def gradients(shape: Shape, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Random integers, of about 2^-8."""
    return np.random.default_rng(seed).integers(-(2**16), 2**16, shape.block)


def native_figures(segments: int) -> Iterator[Figure]:
    """A witness's share of a native proof's time; the first segment warms up."""
    shape = shape_of(LARGE)
    backend = Timed(shape)
    with tempfile.TemporaryDirectory() as folder:
        signer = Ed25519Signer("trainer", bytes(32))
        weights = np.zeros(shape.block, np.int64)
        kernel = kernel_called("auto")
        writer = RunWriter.create(Path(folder) / "run", header_of(shape), backend, [signer], weights, kernel=kernel)
        for segment in range(segments + 1):
            for step in range(shape.steps):
                claims = Claims("", 0, b"", b"")
                writer.append(gradients(shape, segment * shape.steps + step), lr=(), claims=claims)
            writer.drain()
        writer.abandon()
    before, own, proof = (statistics.median(values) for values in (backend.before, backend.own, backend.proofs))
    share = (before + own) / (before + proof)
    name = "witness.native.share_of_proving"
    yield Figure(name, round(share, 4), f"of {before + proof:.2f} s a segment of 2^20 rows", goal=GOALS[name])
    yield Figure("witness.native.python_s", round(before, 4), f"s between two proofs, steps by kernel {kernel.name}")
    yield Figure("witness.native.trace_s", round(own, 4), "s of the proof: states computed, checked, hashed")
    yield Figure("witness.native.bytes_per_row", round(backend.bytes / (shape.block * shape.steps), 2), "bytes")
    yield Figure("witness.native.peak_gib", round(peak_mib() / 1024, 2), "GiB, training, proofs and all")


def peak_mib(who: int = resource.RUSAGE_SELF) -> float:
    """The most memory that was in use."""
    return resource.getrusage(who).ru_maxrss / 1024


def first_proofs(size: tuple[int, int], *, warm: bool) -> dict[str, float]:
    """Seconds of a process's first proof and of the next ones (median), of the time before it, and
    MiB in use at its peak, with the memory kept, and after it was given back. In this process."""
    from zk_autograd import _native

    shape = shape_of(size)
    backend = NativeBackend(shape)
    header = header_of(shape)
    constants = tuple(header.sequence(0).at(t + 1) for t in range(shape.steps))
    statement = Statement(bytes(32), 0, 1, 0, shape.block, constants)
    zeros = {name: np.zeros(shape.block, np.int64) for name in header.states}
    rows = np.stack([gradients(shape, step) for step in range(shape.steps)]).astype(np.int32)
    witness = BlockWitness(zeros, zeros, rows, {name: backend.draw_salt() for name in shape.commitment_names})
    *_, end = states_of(Rule.ADAM, constants, witness)
    witness = replace(witness, end=end)
    began = time.perf_counter()
    if warm:
        backend.warm()
    warmed = time.perf_counter() - began
    seconds, spent = [], []
    for _ in range(1 + NEXT):
        began, cpu = time.perf_counter(), time.process_time()
        backend.prove(statement, witness)
        seconds.append(time.perf_counter() - began)
        spent.append(time.process_time() - cpu)
    kept = now_mib()
    _native.release()
    return {
        "warm_s": warmed,
        "first_s": seconds[0],
        "next_s": statistics.median(seconds[1:]),
        "first_cpu_s": spent[0],
        "next_cpu_s": statistics.median(spent[1:]),
        "peak_mib": peak_mib(),
        "kept_mib": kept,
        "released_mib": now_mib(),
    }


def now_mib() -> float:
    """Memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def first_figures(size: tuple[int, int]) -> Iterator[Figure]:
    """The first proof beside the next ones, by processor time too: a busy machine lengthens any."""
    suffix = "" if size == LARGE else "_small"
    rows = f"2^{sum(size)} rows"
    for warm in (False, True):
        command = [sys.executable, "-m", "benchmarks.bench_witness", "--first", *map(str, size)]
        output = subprocess.run(
            [*command, *(["--warm"] if warm else [])], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        found: dict[str, float] = json.loads(output)
        name = "witness.native.first_to_next" + ("" if warm else "_cold") + suffix
        seconds = f"{found['first_s']:.2f} s, then {found['next_s']:.2f} s"
        ratio = round(found["first_s"] / found["next_s"], 3)
        yield Figure(name, ratio, f"times, {rows}: {seconds}", goal=GOALS.get(name))
        cpu = round(found["first_cpu_s"] / found["next_cpu_s"], 3)
        yield Figure(name + "_cpu", cpu, f"times the processor time, {rows}")
        if warm:
            yield Figure("witness.native.warm_s" + suffix, round(found["warm_s"], 2), "s of one core before it")
        else:
            memory = (found[key] for key in ("peak_mib", "kept_mib", "released_mib"))
            peak, kept, released = memory
            yield Figure(
                "witness.native.peak_mib" + suffix, round(peak), f"MiB; kept {kept:.0f}, given back to {released:.0f}"
            )


def ezkl_figures(srs_file: Path | None, repeat: int) -> Iterator[Figure]:
    """A witness's share of an EZKL proof's time."""
    from zk_autograd.prove.ezkl.backend import PROVE_SECONDS, EzklBackend, draw_salt, input_of, prove_tensors
    from zk_autograd.prove.ezkl.child import Child
    from zk_autograd.prove.ezkl.circuit import catalogue
    from zk_autograd.prove.ezkl.keys import Cache
    from zk_autograd.prove.ezkl.sample import sample

    cache = Cache()
    if srs_file is None and not cache.srs_digests():
        raise SystemExit("there is no SRS in the cache: pass --srs FILE, or run benchmarks.bench_ezkl once")
    srs = cache.add_srs(srs_file) if srs_file is not None else cache.srs_digests()[0]
    circuit = catalogue.load(EZKL_CIRCUIT)
    backend = EzklBackend(circuit, srs, cache)
    keys = cache.keys(circuit, srs, Child(), proving=True)
    statement, witness = sample(circuit.variant, circuit.block, circuit.steps, draw_salt)
    ours, proofs = [], []
    for _ in range(repeat):
        began = time.perf_counter()
        values = backend.witness(statement, witness)
        text = input_of(circuit, values)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        prove_tensors(circuit, keys, Child(), values, seconds=PROVE_SECONDS)
        proofs.append(time.perf_counter() - began)
    own, proof = statistics.median(ours), statistics.median(proofs)
    name = "witness.ezkl.share_of_proving"
    rows = f"{circuit.block} x {circuit.steps}"
    yield Figure(name, round(own / (own + proof), 4), f"of {own + proof:.2f} s for {rows}", goal=GOALS[name])
    yield Figure("witness.ezkl.own_s", round(own, 4), "s: tensors, the check of every line, EZKL's input")
    inside = ezkl_witness_seconds(text, str(keys.compiled))
    yield Figure("witness.ezkl.inside_s", round(inside, 3), "s of the proof: EZKL's own witness of that input")
    yield Figure("witness.ezkl.peak_mib", round(peak_mib(resource.RUSAGE_CHILDREN)), "MiB, EZKL's process")


_EZKL = (
    "import sys, time, ezkl; began = time.perf_counter(); ezkl.gen_witness(*sys.argv[1:]); "
    "print(time.perf_counter() - began)"
)


def ezkl_witness_seconds(text: str, compiled: str) -> float:
    """Of EZKL's forward pass, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "input.json"
        given.write_text(text)
        command = [sys.executable, "-P", "-c", _EZKL, str(given), compiled, str(Path(folder) / "witness.json")]
        environment = os.environ | {"HOME": folder}
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return float(output.split()[-1])


def figures(segments: int, *, with_ezkl: bool, srs_file: Path | None) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    yield from first_figures(SMALL)
    yield from first_figures(LARGE)
    yield from native_figures(segments)
    if with_ezkl:
        yield from ezkl_figures(srs_file, segments)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--segments", type=int, default=3, help="proofs of each; the median counts (default 3)")
    parser.add_argument("--without-ezkl", action="store_true", help="the native prover alone")
    parser.add_argument("--srs", type=Path, help="EZKL's SRS file (default: the newest of the cache)")
    parser.add_argument("--first", type=int, nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if sys.platform != "linux":
        parser.error("this benchmark reads memory from /proc: it runs on Linux")
    if arguments.first:
        log_params, log_steps = arguments.first
        print(json.dumps(first_proofs((log_params, log_steps), warm=arguments.warm)))
        return
    measured = figures(arguments.segments, with_ezkl=not arguments.without_ezkl, srs_file=arguments.srs)
    emit(measured, as_json=arguments.json)


if __name__ == "__main__":
    main()
