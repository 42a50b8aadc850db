"""What the tests of the run directory share: a small model, backends that fail on demand, files
that fail on demand, an audit."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import numpy as np

from zk_autograd.core import canonical
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.errors import ProverError, RunError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Block, Data, Group, Header, Log, Parameter, Prover, Unproved
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import Files
from zk_autograd.run.writer import RunWriter

SIGNER = Ed25519Signer("trainer/log", bytes(range(32)))
SIZE = 11
BLOCK = 4
STEPS = 2
"""Steps of a segment."""

HYPER = {
    Rule.SGD: {"lr": "0.1", "weight_decay": "0.01"},
    Rule.SGD_MOMENTUM: {"lr": "0.1", "momentum": "0.9", "weight_decay": "0"},
    Rule.NESTEROV: {"lr": "0.1", "momentum": "0.9", "weight_decay": "0"},
    Rule.ADAM: {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "1e-08"},
    Rule.ADAMW: {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "1e-08", "weight_decay": "0.01"},
    Rule.LION: {"lr": "0.001", "beta1": "0.9", "beta2": "0.99", "weight_decay": "0.01"},
    Rule.RMSPROP: {"lr": "0.001", "alpha": "0.99", "eps": "1e-08", "weight_decay": "0"},
}


def make_header(backend: Backend, rule: Rule = Rule.ADAM, schedule: str = "constant") -> Header:
    """A run of three tensors in two groups, and three blocks: one group needs two, each block has
    padding or not."""
    hyper = HYPER[rule]
    s = FAMILIES[rule].shifts[0]
    other = hyper | {"lr": "0.002"}
    return Header(
        run=bytes(range(16)),
        package="zk-autograd 0",
        rule=rule,
        grad_scale=0,
        schedule=schedule,
        groups=(Group(tuple(hyper.items()), s), Group(tuple(other.items()), s)),
        parameters=(
            Parameter("a.weight", (2, 3), 0, 6, 0),
            Parameter("a.bias", (1,), 6, 1, 0),
            Parameter("b.weight", (4,), 7, 4, 1),
        ),
        unproved=(Unproved("running_mean", "buffer", (4,), "float32", bytes(32)),),
        size=SIZE,
        blocks=(Block(0, 0, 4), Block(0, 4, 3), Block(1, 7, 4)),
        data=Data(b"", 100, "sequential", 8, b""),
        model_code=b"",
        prover=backend.prover,
        keys=(SIGNER.public_key.encode(),),
    )


def first_weights() -> IntArray:
    return np.arange(-5, SIZE - 5, dtype=np.int64) << 30


def gradients(t: int) -> IntArray:
    return np.random.default_rng(t).integers(-(2**24), 2**24, SIZE)


def train(writer: RunWriter, steps: int) -> None:
    """Goes on to step `steps`. The loop's state is what the next gradient is made from, as a
    generator's would be."""
    while writer.step < steps:
        t = int.from_bytes(writer.loop_state, "big") + 1
        assert t == writer.step + 1
        writer.append(
            gradients(t),
            lr=tuple(f"0.00{t}" for _ in writer.header.groups) if writer.header.schedule == "recorded" else (),
            claims=Claims(f"0.{t}", t, sha256(bytes([t])).digest(), t.to_bytes(4, "big")),
        )


def hashed_backend() -> HashedBackend:
    return HashedBackend(BLOCK, STEPS)


class FaultyProver:
    """A backend with proofs, to inject faults: what a proof says is in it, bound to its statement,
    and nothing is proved.

    `faults` are called one after the other, one a proof; the first ones may raise or wait.
    """

    def __init__(self, faults: Iterable[Callable[["FaultyProver"], None]] = (), different_proofs: int = 8) -> None:
        self._prover = Prover("ezkl", "test", BLOCK, STEPS, "test", bytes(32), bytes(32))
        self._faults = list(faults)
        self._different_proofs = different_proofs
        self.stopped = threading.Event()
        self.proved = 0

    @property
    def prover(self) -> Prover:
        return self._prover

    @property
    def different_proofs(self) -> int:
        return self._different_proofs

    def draw_salt(self) -> bytes:
        return os.urandom(BACKENDS["ezkl"].salt_bytes)

    def commit(self, values: Any, salt: bytes) -> bytes:
        assert len(salt) == BACKENDS["ezkl"].salt_bytes
        return sha512(salt + np.ascontiguousarray(values, "<i8").tobytes()).digest()

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return [self.commit(values, salt) for values, salt in messages]

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        if self._faults:
            self._faults.pop(0)(self)
        self.proved += 1
        salts = witness.salts
        said: dict[str, dict[str, str]] = {
            end: {s: self.commit(v, salts[f"{s}_{end}"]).hex() for s, v in states.items()}
            for end, states in (("in", witness.start), ("out", witness.end))
        }
        gradient = self.commit(witness.gradients, salts["G"])
        content = canonical.encode({**said, "G": gradient.hex(), "nonce": os.urandom(8).hex()})
        return self.check(statement, sha256(statement.context + content).digest() + content)

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        if sha256(statement.context + proof[32:]).digest() != proof[:32]:
            raise VerificationError("the proof is not of this statement")
        said: Any = canonical.decode(proof[32:], max_bytes=10**6)

        def unhex(texts: Mapping[str, str]) -> dict[str, bytes]:
            return {name: bytes.fromhex(text) for name, text in texts.items()}

        return BlockProof(proof, unhex(said["in"]), unhex(said["out"]), bytes.fromhex(said["G"]))

    def stop(self) -> None:
        self.stopped.set()


def die(_: FaultyProver) -> None:
    raise ProverError("the prover's child died of signal 9")


def hang(prover: FaultyProver) -> None:
    """Until somebody stops it."""
    prover.stopped.wait()
    raise ProverError("the prover was stopped")


def panic(_: FaultyProver) -> None:
    class PanicException(BaseException):  # as pyo3's
        pass

    raise PanicException("index out of bounds")


class TracedFiles(Files):
    """Calls `act` around each write, by name: method, path within the run, and how often it was
    written before."""

    def __init__(self, root: Path) -> None:
        super().__init__(fsync=lambda _: None)  # these tests stop the process, not the machine
        self._root = root
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.done: list[str] = []

    def act(self, name: str, path: Path, data: bytes, write: Callable[[], None]) -> None:
        write()

    def make_dir(self, path: Path) -> None:
        self._act("make_dir", path, b"", lambda: Files.make_dir(self, path))

    def make_private_dir(self, path: Path) -> None:
        self._act("make_private_dir", path, b"", lambda: Files.make_private_dir(self, path))

    def write_atomic(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        self._act("write", path, data, lambda: Files.write_atomic(self, path, data, mode))

    def overwrite(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        self._act("overwrite", path, data, lambda: Files.overwrite(self, path, data, mode))

    def write_stream(self, path: Path, chunks: Iterable[bytes], mode: int = 0o644) -> None:
        self._act("write_stream", path, b"", lambda: Files.write_stream(self, path, chunks, mode))

    def append(self, path: Path, data: bytes | Sequence[bytes], *, sync: bool = True) -> None:
        whole = data if isinstance(data, bytes) else b"".join(data)
        self._act("append", path, whole, lambda: Files.append(self, path, data, sync=sync))

    def sync(self, path: Path) -> None:
        self._act("sync", path, b"", lambda: Files.sync(self, path))

    def truncate(self, path: Path, size: int) -> None:
        self._act("truncate", path, b"", lambda: Files.truncate(self, path, size))

    def remove(self, path: Path, parent: int | None = None) -> None:
        self._act("remove", path, b"", lambda: Files.remove(self, path, parent))

    def remove_folder(self, path: Path, parent: int | None = None) -> None:
        self._act("remove_folder", path, b"", lambda: Files.remove_folder(self, path, parent))

    def _act(self, method: str, path: Path, data: bytes, write: Callable[[], None]) -> None:
        key = f"{method} {path.relative_to(self._root)}"
        with self._lock:
            name = f"{key} #{self._counts[key]}"
            self._counts[key] += 1
            self.done.append(name)
        self.act(name, path, data, write)


class FailingFiles(TracedFiles):
    """The write `name` fails: "lost", it did nothing; "kept", it did all; "torn", it did half (an
    append)."""

    def __init__(self, root: Path, name: str, way: str) -> None:
        super().__init__(root)
        self._name = name
        self._way = way

    def act(self, name: str, path: Path, data: bytes, write: Callable[[], None]) -> None:
        if name != self._name:
            write()
            return
        if self._way == "kept":
            write()
        if self._way == "torn":
            Files.append(self, path, data[: len(data) // 2])
        raise RunError(f"{name} failed and was {self._way}")


def audit(run: Path, backend: Backend) -> Log:
    """Reads a complete run as a stranger would, and checks the log whole, the chain, and every
    proof."""
    with RunFolder(run) as reader:
        leaves = reader.leaves()
        head = parse_checkpoint(open_note(reader.checkpoint(), [SIGNER.public_key]).text)
        assert (head.size, head.root) == (len(leaves), root([leaf_hash(leaf) for leaf in leaves]))
        log = parse_log(leaves)
        assert head.origin == log.header.origin
        assert log.genesis is not None
        assert log.close is not None
        state, step = log.genesis.state, 0
        statements = StatementBuilder(log.header, log.header_digest)
        for index, segment in enumerate(log.segments):
            assert (segment.index, segment.first, segment.state_in) == (index, step + 1, state)
            state, step = segment.state_out, segment.last
            for block, statement in enumerate(statements.of_segment(segment)):
                if not segment.proofs:
                    continue
                proof = reader.proof(index, block)
                assert sha256(proof).digest() == segment.proofs[block]
                checked = backend.check(statement, proof)
                for name in log.header.states:
                    assert checked.state_in[name] == segment.state_in[name][block]
                    assert checked.state_out[name] == segment.state_out[name][block]
                assert checked.gradient == segment.gradients[block]
        assert (log.close.last_step, log.close.segments, log.close.state) == (step, len(log.segments), state)
        for name, digest in log.close.model:
            assert sha256(reader.model_file(name)).digest() == digest
        files = {f"{s.index}-{b}" for s in log.segments for b in range(len(s.proofs))}
        assert {path.name for path in (run / "proofs").iterdir()} == files
    return log


def told(log: Log) -> list[object]:
    """What the records say, commitments and proofs aside: they depend on the salts."""
    assert log.close is not None
    rest = [replace(s, state_in={}, state_out={}, gradients=(), batches=b"", proofs=()) for s in log.segments]
    return [log.header, *rest, replace(log.close, state={})]
