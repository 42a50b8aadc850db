"""What a crash costs: the time from a run's resumption until it takes the next step, or until the
lost proof is in the log.

    python -m benchmarks.bench_recovery [--json] [--parameters N]

(a) 100 steps were logged and none was proved: the steps of the open segment are read and
    recomputed. Its peer: taking them the first time.
(b) A segment was sealed, and the crash came before its record: it is proved again (native), or its
    proof is found and checked.

Each figure is a median of resumptions of a copy of the same run; torch is not involved. The trainer
is killed with signal 9.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, conditions, emit
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Block, Data, Group, Header, Parameter
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native import shape
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.layout import Layout
from zk_autograd.run.writer import RunWriter

SIGNER = Ed25519Signer("benchmark", bytes(range(32)))
STEPS = 100
REPEATS = 5


def begin(path: Path, backend: Backend, size: int) -> RunWriter:
    """A new run of one tensor with Adam."""
    capacity = backend.prover.block
    hyper = (("lr", "0.001"), ("beta1", "0.9"), ("beta2", "0.999"), ("eps", "1e-08"))
    blocks = tuple(Block(0, start, min(capacity, size - start)) for start in range(0, size, capacity))
    header = Header(
        run=bytes(16),
        package="zk-autograd benchmark",
        rule=Rule.ADAM,
        grad_scale=0,
        schedule="constant",
        groups=(Group(hyper, 0),),
        parameters=(Parameter("weight", (size,), 0, size, 0),),
        unproved=(),
        size=size,
        blocks=blocks,
        data=Data(b"", 1, "sequential", 1, b""),
        model_code=b"",
        prover=backend.prover,
        keys=(SIGNER.public_key.encode(),),
    )
    return RunWriter.create(path, header, backend, [SIGNER], np.arange(size, dtype=np.int64) << 12)


def gradients(t: int, size: int) -> IntArray:
    """Those of step `t`."""
    return np.random.default_rng(t).integers(-(2**24), 2**24, size)


def resumed(run: Path, backend: Callable[[], Backend], until_settled: bool) -> float:
    """Seconds until a copy of the run takes steps, and has settled if `until_settled`."""
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    made = backend()
    start = time.perf_counter()
    writer = RunWriter.resume(copy, lambda _: made, [SIGNER])
    if until_settled:
        while writer.pending:
            time.sleep(0.002)
    seconds = time.perf_counter() - start
    writer.abandon()
    shutil.rmtree(copy)
    return seconds


def figures(parameters: int) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def hashed() -> Backend:
            return HashedBackend(parameters, STEPS + 1)

        writer = begin(folder / "run", hashed(), parameters)
        taken = 0.0
        for t in range(1, STEPS + 1):
            G = gradients(t, parameters)
            start = time.perf_counter()
            writer.append(G)
            taken += time.perf_counter() - start
        writer.abandon()
        ready = statistics.median(resumed(folder / "run", hashed, until_settled=False) for _ in range(REPEATS))
        what = f"s after {STEPS} steps of {parameters:,} parameters that were not proved"
        yield Figure("recovery.logged_steps_s", round(ready, 3), what, "taking these steps", ready / taken)
        shutil.rmtree(folder / "run")
        yield from sealed_figures(folder / "sealed", parameters)


def sealed_figures(run: Path, parameters: int) -> Iterator[Figure]:
    """Of a crash between a segment's end and its record, with native proofs."""
    chosen = shape.choose(Rule.ADAM, [parameters], 1)

    def native() -> Backend:
        return NativeBackend(chosen)

    writer = begin(run, native(), parameters)
    writer.append(gradients(1, parameters))
    start = time.perf_counter()
    writer.drain()
    proved = time.perf_counter() - start
    writer.abandon()
    layout = Layout(run)
    records = (layout.log / "records.jsonl").read_bytes().split(b"\n")
    (layout.log / "records.jsonl").write_bytes(b"\n".join([*records[:2], b""]))
    (layout.log / "checkpoint").unlink()
    found = statistics.median(resumed(run, native, until_settled=True) for _ in range(REPEATS))
    for path in layout.proofs.iterdir():
        path.unlink()
    again = statistics.median(resumed(run, native, until_settled=True) for _ in range(REPEATS))
    proofs = f"{len(writer.header.blocks)} proof{'s' if len(writer.header.blocks) > 1 else ''}"
    what = f"s until the record of 1 step of {parameters:,} parameters is there, {proofs}"
    peer = "proving and recording it undisturbed"
    yield Figure("recovery.proof_found_s", round(found, 3), what + " found and checked", peer, found / proved)
    yield Figure("recovery.proof_lost_s", round(again, 3), what + " made again", peer, again / proved)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--parameters", type=int, default=100_000, help="of the model (default 100000)")
    arguments = parser.parse_args()
    emit(figures(arguments.parameters), as_json=arguments.json)


if __name__ == "__main__":
    main()
