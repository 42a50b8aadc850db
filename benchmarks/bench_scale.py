"""Proving with workers: how much one worker and two get done, what each proof costs the
coordinator, and how many workers that feeds.

    python -m benchmarks.bench_scale [--json] [--large]

The coordinator's cost is measured in parts, and as a whole by workers that answer at once: they
have the proofs of an earlier run, whose salts were the same. `--large` has the parts alone, of
proofs of 2^20 rows, the prover's largest, in place of 2^16.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.figures import Figure, conditions, emit
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Block, Data, Group, Header, Parameter
from zk_autograd.core.rules import State, step
from zk_autograd.core.statement import Statement
from zk_autograd.prove.executors.processes import ProcessWorkers
from zk_autograd.prove.executors.protocol import Place, Workers
from zk_autograd.prove.executors.task import answer_task, task_of
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import DEFAULT_PRESET
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import BlockWitness
from zk_autograd.run.writer import RunWriter
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.workers.sealing import open_task, seal_task

SMALL = Shape(Rule.ADAM, DEFAULT_PRESET, 13, 3)
LARGE = Shape(Rule.ADAM, DEFAULT_PRESET, 17, 3)
HYPER = (("lr", "0.001"), ("beta1", "0.9"), ("beta2", "0.999"), ("eps", "0.000001"))
SIGNER = Ed25519Signer("trainer/log", bytes(range(32)))
BLOCKS, SEGMENTS, MANY = 4, 3, 64
REPEATS = 3


class SameSalts(NativeBackend):
    """Salts from a counter, so that a second run has the proofs of the first. For this measurement
    alone: they hide nothing."""

    drawn = 0

    def draw_salt(self) -> bytes:
        self.drawn += 1
        return sha256(self.drawn.to_bytes(8, "big")).digest()


class Answers:
    """Workers that answer at once, with what others answered before; or that ask others, once."""

    own = False

    def __init__(self, known: dict[bytes, Any], slots: int) -> None:
        self._known, self._slots = known, slots

    @property
    def name(self) -> str:
        return "known"

    @property
    def slots(self) -> int:
        return self._slots

    def start(self) -> None:
        return

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        digest = sha256(task).digest()
        if digest not in self._known:
            self._known[digest] = answer_task(task)
        found: Future[Any] = Future()
        found.set_result(self._known[digest])
        return found

    def stop(self) -> None:
        return


def header(shape: Shape) -> Header:
    """A run of BLOCKS full blocks."""
    size = BLOCKS * shape.block
    return Header(
        run=bytes(16),
        package="zk-autograd 0",
        rule=shape.rule,
        grad_scale=0,
        schedule="constant",
        groups=(Group(HYPER, 0),),
        parameters=(Parameter("weight", (size,), 0, size, 0),),
        unproved=(),
        size=size,
        blocks=tuple(Block(0, b * shape.block, shape.block) for b in range(BLOCKS)),
        data=Data(b"", 100, "sequential", 8, b""),
        model_code=b"",
        prover=shape.prover,
        keys=(SIGNER.public_key.encode(),),
    )


def run(shape: Shape, workers: Workers | None) -> float:
    """Seconds from the last step to the last record: SEGMENTS segments of BLOCKS proofs."""
    made, rng = header(shape), np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        weights = np.zeros(made.size, np.int64)
        writer = RunWriter.create(
            Path(folder) / "run", made, SameSalts(shape), [SIGNER], weights, workers=workers, backlog=SEGMENTS
        )
        began = perf_counter()
        for _ in range(SEGMENTS * shape.steps):
            writer.append(rng.integers(-(2**20), 2**20, made.size))
        stepped = perf_counter()
        writer.drain()
        ended = perf_counter()
        writer.abandon()
    return ended - (stepped if workers is None or not workers.own else began)


def statement_of(shape: Shape) -> tuple[Statement, BlockWitness]:
    """A block's proof, to be made."""
    sequence = header(shape).sequence(0)
    constants = tuple(sequence.at(t) for t in range(1, shape.steps + 1))
    gradients = np.random.default_rng(1).integers(-(2**20), 2**20, (shape.steps, shape.block)).astype(np.int32)
    start: State = {name: np.zeros(shape.block, np.int64) for name in header(shape).states}
    state = start
    for row, own in zip(gradients, constants, strict=True):
        state = step(shape.rule, state, row.astype(np.int64), own)
    backend = NativeBackend(shape)
    names = [f"{name}_{end}" for name in start for end in ("in", "out")] + ["G"]
    witness = BlockWitness(start, state, gradients, {name: backend.draw_salt() for name in names})
    return Statement(bytes(32), 0, 1, 0, shape.block, constants), witness


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The least seconds of several runs."""
    found = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        found.append(perf_counter() - began)
    return min(found)


def parts(shape: Shape, name: str) -> Iterator[Figure]:
    """What a proof takes, and what it costs whoever has it made elsewhere."""
    backend, key = NativeBackend(shape), RecipientKey.generate()
    statement, witness = statement_of(shape)
    place = Place(statement.header_digest, 0, 0)
    proof = backend.prove(statement, witness).proof
    task = task_of(shape.prover, statement, witness)
    sealed = seal_task(task, place, [key.recipient])
    proving = best(lambda: backend.prove(statement, witness))
    costs = {
        "task": best(lambda: task_of(shape.prover, statement, witness)),
        "seal": best(lambda: seal_task(task, place, [key.recipient])),
        "verify": best(lambda: backend.check(statement, proof)),
        "commit_states": best(
            lambda: backend.commit_all((v, witness.salts[f"{n}_out"]) for n, v in witness.end.items())
        ),
        "commit_gradients": best(lambda: backend.commit_gradients(witness.gradients, witness.salts["G"])),
    }
    yield Figure(f"scale.{name}.proof", proving, "s")
    yield Figure(f"scale.{name}.task_bytes", len(sealed), "bytes sealed, out")
    yield Figure(f"scale.{name}.proof_bytes", len(proof), "bytes, back")
    for what, seconds in costs.items():
        yield Figure(f"scale.{name}.coordinator.{what}", seconds, "s a proof", "proof", seconds / proving)
    total = sum(costs.values())
    own = total - costs["seal"] - costs["commit_gradients"]
    yield Figure(f"scale.{name}.coordinator.cluster", total, "s a proof, of a cluster", "proof", total / proving)
    yield Figure(f"scale.{name}.coordinator.own", own, "s a proof, of own processes", "proof", own / proving)
    yield Figure(f"scale.{name}.worker.open", best(lambda: open_task(sealed, key)), "s a proof, the worker's")
    yield Figure(f"scale.{name}.workers_fed", proving / total, "workers of a cluster, each as fast as this machine")


def throughput(shape: Shape, name: str) -> Iterator[Figure]:
    """Whole runs: real workers, and many that answer at once."""
    proofs = SEGMENTS * BLOCKS
    inline = proofs / run(shape, None)
    yield Figure(f"scale.{name}.inline", inline, "proofs a second")
    for count in (1, 2):
        rate = proofs / run(shape, ProcessWorkers(count))
        yield Figure(f"scale.{name}.processes_{count}", rate, "proofs a second", "inline", rate / inline)
    known: dict[bytes, Any] = {}
    run(shape, Answers(known, 1))
    seconds = run(shape, Answers(known, MANY))
    if len(known) != proofs:
        raise RuntimeError("the second run had other tasks than the first, and nothing was measured")
    rate = proofs / seconds
    yield Figure(f"scale.{name}.simulated_{MANY}", rate, "proofs a second", "inline", rate / inline)
    yield Figure(f"scale.{name}.coordinator.segment", seconds / SEGMENTS, f"s a segment of {BLOCKS} proofs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--large", action="store_true", help="proofs of 2^20 rows")
    arguments = parser.parse_args()
    shape, name = (LARGE, "rows_2_20") if arguments.large else (SMALL, "rows_2_16")

    def figures() -> Iterator[Figure]:
        yield conditions()
        yield from parts(shape, name)
        if not arguments.large:
            yield from throughput(shape, name)

    emit(figures(), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
