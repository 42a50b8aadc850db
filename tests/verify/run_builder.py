"""Evidence that a test can bend at will: an honest run in memory, changed field by field, signed,
and written to disk.

The bytes are made with `core` alone. `STAND_IN` takes the place of EZKL where only order, coverage
and the comparison with the records are at stake: its proofs are valid for exactly the statement
they were made for, and hide nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.canonical import encode
from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.first_weights import first_weights
from zk_autograd.core.formats import IntArray, dequantize_weight
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import (
    BEACON,
    Block,
    Close,
    Data,
    Genesis,
    Group,
    Header,
    Parameter,
    Prover,
    Record,
    Segment,
    StateCommitments,
    Unproved,
    header_digest,
    hyper_names,
)
from zk_autograd.core.register import origin_of
from zk_autograd.core.rules import State, initial_state, step
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.core.trust import Missing, Trust
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.verify import trusted_setup
from zk_autograd.prove.hashed.commitment import commit as hashed_commit
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.prove.protocol import BlockProof
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.proof_system import ProofChecker, ProofSystem
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

SIGNER = Ed25519Signer("trainer", bytes(range(32)))
SECOND = Ed25519Signer("enclave", bytes(range(32, 64)))
QUANTUM = MlDsa44Signer("trainer", bytes(range(64, 96)))
"""The other key of the trainer's file; a run whose header names it is made with `edit_header`."""
KEY = SIGNER.public_key
TERMS = (("chain", "31337"), ("kind", "evm"))
"""Of the beacon of `honest(beacon=...)`."""
SRS = sha256(b"an SRS of the auditor's").digest()

_HYPER = {
    "alpha": "0.99",
    "lr": "0.01",
    "beta1": "0.9",
    "beta2": "0.999",
    "eps": "1e-08",
    "weight_decay": "0.01",
    "momentum": "0.9",
}
_CIRCUIT_DIGEST = sha256(b"stand-in circuit").digest()


@dataclass(frozen=True, slots=True)
class StandInCircuit:
    rule: str = "adam"
    block: int = 4
    steps: int = 3
    digest: bytes = _CIRCUIT_DIGEST


def stand_in_commit(values: Any, salt: bytes) -> bytes:
    if len(salt) != BACKENDS["ezkl"].salt_bytes:
        raise VerificationError("a salt has the wrong length")
    return sha512(salt + np.ascontiguousarray(values, dtype="<i8").tobytes()).digest()


def stand_in_proof(statement: Statement, names: Iterable[str], shown: BlockProof) -> bytes:
    place = sha256(statement.context + repr((statement.constants, statement.block_size)).encode()).digest()
    states = [shown.state_in[n] for n in names] + [shown.state_out[n] for n in names]
    return place + b"".join(states) + shown.gradient


class StandInChecker:
    """Accepts a proof made by `stand_in_proof` for the same statement."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.looked_at: list[tuple[int, int]] = []

    def verify(self, statement: Statement, proof: bytes) -> BlockProof:
        self.looked_at.append((statement.segment, statement.block))
        count = len(self._names)
        points = [proof[32 + 64 * i : 96 + 64 * i] for i in range(2 * count + 1)]
        shown = BlockProof(
            proof,
            dict(zip(self._names, points[:count], strict=True)),
            dict(zip(self._names, points[count : 2 * count], strict=True)),
            points[-1],
        )
        if proof != stand_in_proof(statement, self._names, shown) or len(points[-1]) != 64:
            raise VerificationError("the proof does not verify")
        return shown

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        return (stand_in_commit(values, salt) for values, salt in messages)

    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes:
        return stand_in_commit(gradients, salt)


@dataclass(slots=True)
class StandInSystem:
    """A backend of one circuit, "own"; `missing` makes it one that can't be used here, `unseen` is
    an LR that it doesn't prove."""

    own: StandInCircuit = field(default_factory=StandInCircuit)
    missing: str = ""
    version: str = "stand-in"
    unseen: int | None = None
    proofless: str = ""
    last: StandInChecker | None = None

    def circuit(self, prover: Prover) -> StandInCircuit:
        if prover.circuit != "own":
            raise VerificationError("the circuit is not in the catalogue", expected="own", found=repr(prover.circuit))
        return self.own

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        if self.unseen is not None and self.unseen == constants.LR:
            raise VerificationError("the circuit does not see this")

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        return trusted_setup(prover.srs_digest, allowed)

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        if self.missing:
            return Missing(self.missing)
        self.last = StandInChecker(("W", "M", "V"))
        return self.last


@dataclass
class Run:
    """A run's evidence. Change what you like; `leaves` and `write` use what is there then.

    `signed` is how many records the checkpoint covers (None: all), `head_root` its root (None: the
    true one), `tail` bytes at the end of the records' file.
    """

    header: Header
    genesis: Genesis | None
    segments: list[Segment]
    close: Close | None
    proofs: dict[tuple[int, int], bytes]
    model: dict[str, bytes]
    weights: IntArray
    salts: list[bytes]
    signers: tuple[Signer, ...] = (SIGNER,)
    signed: int | None = None
    head_root: bytes | None = None
    origin: str | None = None
    tail: bytes = b""

    def leaves(self) -> list[bytes]:
        records: list[Record | None] = [self.header, self.genesis, *self.segments, self.close]
        return [to_bytes(record) for record in records if record is not None]

    def root(self, size: int | None = None) -> bytes:
        return root([leaf_hash(leaf) for leaf in self.leaves()[:size]])

    def note(self) -> bytes:
        size = len(self.leaves()) if self.signed is None else self.signed
        head = self.root(size) if self.head_root is None else self.head_root
        return sign(checkpoint_text(self.origin or self.header.origin, size, head), self.signers)

    def write(self, folder: Path) -> Path:
        for part in ("log", "proofs", *(["model"] if self.model else [])):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "log/records.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in self.leaves()) + self.tail)
        (folder / "log/checkpoint").write_bytes(self.note())
        for (segment, block), proof in self.proofs.items():
            (folder / f"proofs/{segment}-{block}").write_bytes(proof)
        for name, data in self.model.items():
            (folder / "model" / name).write_bytes(data)
        return folder

    def reprove(self) -> None:
        """Proofs for the records as they stand: what a trainer with an SRS of its own could do."""
        builder = StatementBuilder(self.header, header_digest(to_bytes(self.header)))
        names = self.header.states
        for i, segment in enumerate(self.segments):
            for statement in builder.of_segment(segment):
                b = statement.block
                shown = BlockProof(
                    b"",
                    {n: segment.state_in[n][b] for n in names},
                    {n: segment.state_out[n][b] for n in names},
                    segment.gradients[b],
                )
                self.proofs[segment.index, b] = stand_in_proof(statement, names, shown)
            hashes = tuple(sha256(self.proofs[segment.index, b]).digest() for b in range(len(self.header.blocks)))
            self.segments[i] = replace(segment, proofs=hashes)

    def name_model(self) -> None:
        """The close record names the model's files as they are now."""
        assert self.close is not None
        model = tuple((name, sha256(data).digest()) for name, data in sorted(self.model.items()))
        self.close = replace(self.close, model=model)

    def edit_header(self, **changes: Any) -> None:
        self.header = replace(self.header, **changes)

    def edit_prover(self, **changes: Any) -> None:
        self.header = replace(self.header, prover=replace(self.header.prover, **changes))


def files_of(header: Header, weights: IntArray, salts: list[bytes]) -> dict[str, bytes]:
    """The published model's files, by the library's writer."""

    def tensors(flat: Any) -> dict[str, Any]:
        return {p.name: flat[p.offset : p.offset + p.size].reshape(p.shape) for p in header.parameters}

    return {
        "weights.i64.safetensors": save(tensors(weights)),
        "weights.f32.safetensors": save(tensors(dequantize_weight(weights))),
        "opening.json": encode({"format": "zk-autograd/opening/v0", "W": [salt.hex() for salt in salts]}),
    }


def honest(
    backend: str = "ezkl",
    rule: Rule = Rule.ADAM,
    lengths: tuple[int, ...] = (3, 3, 2),
    schedule: str = "constant",
    groups: int = 1,
    seed: int = 1,
    beacon: bytes | None = None,
    weights: IntArray | None = None,
    order_by: str = BEACON,
    terms: tuple[tuple[str, str], ...] = TERMS,
) -> Run:
    """A run of 6 parameters in blocks of at most 4, with segments of these lengths; one group or
    two. One with more segments, all else the same, goes on where this one ends; another seed gives
    other weights, gradients and salts. With a `beacon` the first weights are its, under
    `terms`, and the header names one key and its register. `weights` are others to begin with."""
    prover = (
        Prover("ezkl", "stand-in", 4, 3, "own", _CIRCUIT_DIGEST, SRS)
        if backend == "ezkl"
        else Prover("none", "1", 4, 3)
    )
    commit = stand_in_commit if backend == "ezkl" else hashed_commit
    momentum = rule in (Rule.SGD, Rule.SGD_MOMENTUM, Rule.NESTEROV)
    group = Group(tuple((name, _HYPER[name]) for name in hyper_names(rule)), 30 if momentum else 0)
    two = groups == 2
    header = Header(
        run=bytes(range(16)),
        package="0.1.0",
        rule=rule,
        grad_scale=0,
        schedule=schedule,
        groups=(group,) * groups,
        parameters=(Parameter("layer.weight", (2, 2), 0, 4, 0), Parameter("layer.bias", (2,), 4, 2, 1 if two else 0)),
        unproved=(Unproved("norm.running_mean", "buffer", (2,), "float32", bytes(32)),),
        size=6,
        blocks=(Block(0, 0, 4), Block(1 if two else 0, 4, 2)),
        data=Data(b"", 100, "sequential", 10, b""),
        model_code=b"",
        prover=prover,
        keys=(KEY.encode(), SECOND.public_key.encode()),
    )
    if beacon is not None:
        header = replace(
            header, keys=(KEY.encode(),), register=origin_of([KEY]), weights_by=BEACON, order_by=order_by, beacon=terms
        )
    counter = iter(range((seed - 1) * 10**6, seed * 10**6))

    def salt() -> bytes:
        return b"".join(
            sha256(next(counter).to_bytes(8, "big")).digest() for _ in range(BACKENDS[backend].salt_bytes // 32)
        )

    def committed(state: State) -> tuple[StateCommitments, dict[str, list[bytes]]]:
        salts = {name: [salt() for _ in header.blocks] for name in header.states}
        return {
            name: tuple(
                commit(padded(state[name][b.offset : b.offset + b.size]), s)
                for b, s in zip(header.blocks, salts[name], strict=True)
            )
            for name in header.states
        }, salts

    def padded(values: IntArray) -> IntArray:
        return np.concatenate([values, np.zeros(4 - len(values), np.int64)])

    generator = np.random.default_rng(seed)
    drawn = generator.integers(-(2**33), 2**33, 6)
    if weights is None:
        weights = drawn if beacon is None else first_weights(header, header_digest(to_bytes(header)), beacon)
    state = initial_state(rule, weights)
    chained, salts = committed(state)
    genesis = Genesis(chained, {name: tuple(salts[name]) for name in header.states[1:]})
    if beacon is not None:
        genesis = replace(genesis, beacon=beacon, weight_salts=tuple(salts["W"]))
    segments, t = [], 0
    sequences = [header.sequence(g) for g in range(groups)]
    for index, length in enumerate(lengths):
        gradients, lr, first, before = np.zeros((3, 6), np.int64), [], t + 1, chained
        for row in range(length):
            t += 1
            gradients[row] = generator.integers(-(2**20), 2**20, 6)
            lr.append(tuple("0.01" for _ in range(groups)))
            parts = []
            for b in header.blocks:
                part = slice(b.offset, b.offset + b.size)
                old = {name: values[part] for name, values in state.items()}
                parts.append(step(rule, old, gradients[row, part], sequences[b.group].at(t)))
            state = {name: np.concatenate([part[name] for part in parts]) for name in state}
        chained, salts = committed(state)
        segments.append(
            Segment(
                index=index,
                first=first,
                last=t,
                state_in=before,
                state_out=chained,
                gradients=tuple(
                    commit(np.array([padded(g[b.offset : b.offset + b.size]) for g in gradients]), salt())
                    for b in header.blocks
                ),
                batches=b"",
                lr=tuple(lr) if schedule == "recorded" else (),
                proofs=(),
                loss=("0.5",) * length,
                saturated=(0,) * length,
            )
        )
    close = Close(t, len(segments), chained)
    run = Run(header, genesis, segments, close, {}, {}, state["W"], salts["W"])
    if backend == "ezkl":
        run.reprove()
    run.model = files_of(header, run.weights, run.salts)
    run.name_model()
    return run


POLICY = Policy(keys=(KEY,), srs=frozenset({SRS}))
LOG_POLICY = Policy(keys=(KEY,), require=frozenset({Level.L0}))


def stand_ins(system: StandInSystem | None = None) -> dict[str, ProofSystem]:
    """The verifier's backends, with a stand-in for EZKL."""
    return {"none": HashedSystem(), "ezkl": system or StandInSystem()}


def judge(run: Run, folder: Path, policy: Policy = POLICY, system: StandInSystem | None = None) -> Report:
    """The report on the run, written to `folder` and read by the real reader."""
    with RunFolder(run.write(folder)) as files:
        return Verifier(policy, stand_ins(system)).verify(files)


def refused(report: Report, number: int, message: str, record: int | None = None) -> None:
    """Asserts that the report failed in the step of this number, with this message, and that no
    later step was reached."""
    failure = report.failure
    assert failure is not None, report.text()
    assert (failure.step, failure.record) == (number, record), str(failure)
    assert message in failure.message, str(failure)
    assert report.verdict == "FAILED"
    assert report.exit_status == 1
    assert report.levels == frozenset()
    assert report.findings[Step(number)].status is Status.FAILED
    for later in range(number + 1, 11):
        assert report.findings[Step(later)].status is Status.NOT_REACHED


def commitment(backend: str = "ezkl") -> bytes:
    """A commitment to something else."""
    return bytes([7]) * BACKENDS[backend].commitment_bytes
