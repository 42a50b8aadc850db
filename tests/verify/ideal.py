"""Honest runs and what is true of them: what the simulator starts from.

`Ledger` remembers every fact that came about honestly: which texts a key signed over which records,
what each proof shows, what a commitment was made of. Its proof system is an ideal one: a proof is a
token, and it shows what the ledger says it was made for; nobody can guess another one. So a verdict
can be compared with what happened, not with what a second verifier computes.
"""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.verify.ideal_register import Registers, entries_of, written
from tests.verify.run_builder import (
    QUANTUM,
    SECOND,
    SIGNER,
    Run,
    StandInCircuit,
    StandInSystem,
    honest,
    stand_in_commit,
)
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import parse, to_bytes
from zk_autograd.core.records import FORMAT, V0, Header, Prover, Segment, header_digest
from zk_autograd.core.register import origin_of
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.prove.hashed.commitment import commit as hashed_commit
from zk_autograd.prove.protocol import BlockProof

RUNS = Path(__file__).parent.parent / "data" / "runs"
THIEF = Ed25519Signer("thief", bytes(range(64, 96)))
NAMESAKE = Ed25519Signer("trainer", bytes(range(96, 128)))

Files = dict[str, bytes]
Place = tuple[str, int]
"""A state's name and a block."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What one proof shows: a block's way through the steps of a segment, as the records write it.
    `header` is the header's leaf."""

    header: bytes
    index: int
    first: int
    last: int
    block: int
    lr: Any
    state_in: Mapping[str, str]
    state_out: Mapping[str, str]
    gradient: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What a note says, truly: these keys signed this head over these records."""

    keys: frozenset[str]
    leaves: tuple[bytes, ...]
    origin: str


@dataclass
class Ledger:
    """Everything that came about honestly. `notes` and `proofs` by their bytes, `openings` by the
    commitment: the padded integers' bytes and the salt; `heads` by root and size."""

    notes: dict[bytes, Signed] = field(default_factory=dict)
    proofs: dict[bytes, Fact] = field(default_factory=dict)
    openings: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    heads: dict[tuple[bytes, int], tuple[bytes, ...]] = field(default_factory=dict)
    headers: set[bytes] = field(default_factory=set)
    statements: dict[bytes, tuple[Statement, BlockProof]] = field(default_factory=dict)
    registers: Registers = field(default_factory=Registers)

    def copy(self) -> "Ledger":
        """One that grows apart from this one."""
        return Ledger(
            dict(self.notes),
            dict(self.proofs),
            dict(self.openings),
            dict(self.heads),
            set(self.headers),
            dict(self.statements),
            self.registers.copy(),
        )

    def sign(self, leaves: tuple[bytes, ...], signers: tuple[Signer, ...], origin: str) -> bytes:
        """A note that these signers really make over these records."""
        head = root([leaf_hash(leaf) for leaf in leaves])
        note = sign(checkpoint_text(origin, len(leaves), head), signers)
        self.notes[note] = Signed(frozenset(s.public_key.encode() for s in signers), leaves, origin)
        return note

    def publish_head(self, leaves: tuple[bytes, ...]) -> tuple[bytes, int]:
        """A root that an auditor has from elsewhere."""
        head = root([leaf_hash(leaf) for leaf in leaves]), len(leaves)
        self.heads[head] = leaves
        return head

    def prove(self, header_leaf: bytes, segment: Segment) -> list[bytes]:
        """Proofs of a segment whose steps were really taken under this header."""
        header = parse(header_leaf, None)
        assert isinstance(header, Header)
        written = json.loads(to_bytes(segment))
        tokens = []
        for statement in StatementBuilder(header, header_digest(header_leaf)).of_segment(segment):
            b = statement.block
            token = sha256(b"proof %d" % len(self.proofs)).digest() * 3
            shown = BlockProof(
                token,
                {name: blocks[b] for name, blocks in segment.state_in.items()},
                {name: blocks[b] for name, blocks in segment.state_out.items()},
                segment.gradients[b],
            )
            self.statements[token] = (statement, shown)
            self.proofs[token] = fact_of(header_leaf, written, b)
            tokens.append(token)
        return tokens


def fact_of(header_leaf: bytes, segment: Mapping[str, Any], block: int) -> Fact:
    """What a valid proof of this block of a segment's record, as JSON, shows."""
    return Fact(
        header_leaf,
        segment["index"],
        segment["first"],
        segment["last"],
        block,
        segment["lr"],
        {name: blocks[block] for name, blocks in segment["state_in"].items()},
        {name: blocks[block] for name, blocks in segment["state_out"].items()},
        segment["gradients"][block],
    )


@dataclass
class IdealSystem(StandInSystem):
    """The stand-in's proof system over a ledger: a circuit for each rule, by its name."""

    ledger: Ledger = field(default_factory=Ledger)

    def circuit(self, prover: Prover) -> StandInCircuit:
        rules = {f"own-{rule.value}": rule.value for rule in Rule}
        if prover.circuit not in rules:
            raise VerificationError("the circuit is not in the catalogue", found=repr(prover.circuit))
        return replace(self.own, rule=rules[prover.circuit])

    def checker(self, prover: Prover) -> "IdealChecker | Missing":
        return IdealChecker(self.ledger)


@dataclass(frozen=True, slots=True)
class IdealChecker:
    """Accepts the proofs of the ledger, for the statements they were made for."""

    ledger: Ledger

    def verify(self, statement: Statement, proof: bytes) -> BlockProof:
        made, shown = self.ledger.statements.get(proof, (None, None))
        if made is None or shown is None or _public(made) != _public(statement):
            raise VerificationError("the proof does not verify")
        return shown

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        return (stand_in_commit(values, salt) for values, salt in messages)

    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes:
        return stand_in_commit(gradients, salt)


def _public(statement: Statement) -> tuple[Any, ...]:
    """What a proof's public inputs hold of a statement."""
    return statement.context, statement.constants, statement.block_size


@dataclass(frozen=True, slots=True)
class Original:
    """A run as its trainer left it: its public files, the notes of each of its sizes, in order, and
    the keys that signed them."""

    files: Files
    notes: tuple[bytes, ...]
    signers: tuple[Signer, ...]

    @property
    def leaves(self) -> tuple[bytes, ...]:
        return tuple(self.files["log/records.jsonl"].split(b"\n")[:-1])


@dataclass(frozen=True, slots=True)
class World:
    """A run under attack, its siblings (runs of the same trainer whose parts an attacker may use),
    and the ledger of all of them. `backend` is the name in their headers."""

    name: str
    backend: str
    run: Original
    siblings: tuple[Original, ...]
    ledger: Ledger


def _finished(ledger: Ledger, run: Run, artefacts: bool, closed: bool) -> Original:
    """The run with its proofs, its own files, and a note over each size."""
    if run.header.prover.backend != "none":
        run.edit_prover(circuit=f"own-{run.header.rule.value}")
        leaf = to_bytes(run.header)
        for i, segment in enumerate(run.segments):
            tokens = ledger.prove(leaf, segment)
            run.segments[i] = replace(segment, proofs=tuple(sha256(token).digest() for token in tokens))
            run.proofs |= {(i, b): token for b, token in enumerate(tokens)}
    _remember_openings(ledger, run)
    files: Files = {f"proofs/{i}-{b}": proof for (i, b), proof in run.proofs.items()}
    assert run.close is not None
    if artefacts:
        environment, config, log = b'{"cpu":"a"}', b"seed = 1\n", b'{"loss":"0.5"}\n'
        hashes = Hashes.of(config, run.header.data, environment, weights_hash(run.weights) if run.model else None)
        own = {
            "environment.json": environment,
            "config.toml": config,
            "train_log.jsonl": log,
            "hashes.json": hashes.encode(),
        }
        files |= own
        run.close = replace(run.close, artefacts=tuple((n, sha256(data).digest()) for n, data in sorted(own.items())))
    if closed:
        files |= {f"model/{name}": data for name, data in run.model.items()}
    else:
        run.close = None
    leaves = tuple(run.leaves())
    ledger.headers.add(leaves[0])
    files["log/records.jsonl"] = b"".join(leaf + b"\n" for leaf in leaves)
    notes = tuple(ledger.sign(leaves[:n], run.signers, run.header.origin) for n in range(1, len(leaves) + 1))
    for n in range(2, len(leaves) + 1):
        ledger.publish_head(leaves[:n])
    files["log/checkpoint"] = notes[-1]
    return Original(files, notes, run.signers)


def _remember_openings(ledger: Ledger, run: Run) -> None:
    """The commitments of zeros and of the last weights, which everybody may open."""
    none = run.header.prover.backend == "none"
    commit = hashed_commit if none else stand_in_commit
    assert run.genesis is not None
    zeros = np.zeros(run.header.prover.block, np.int64)
    pairs = [(zeros, salt) for salts in run.genesis.zero_salts.values() for salt in salts]
    pairs += [(run.header.padded(run.weights, b), salt) for b, salt in enumerate(run.salts)]
    for values, salt in pairs:
        ledger.openings[commit(values, salt)] = (values.astype("<i8").tobytes(), salt)


@cache
def world(name: str) -> World:
    """A world by its name, of `WORLDS`. Its ledger is to be copied before it grows."""
    if name == "golden":
        return _golden()
    ledger = Ledger()
    options: dict[str, Any] = dict(_OPTIONS[name])
    closed, artefacts = options.pop("closed", True), options.pop("artefacts", False)
    signers, version = options.pop("signers", (SIGNER,)), options.pop("format", FORMAT)
    published, registered = options.pop("published", True), options.pop("registered", False)

    named = tuple(dict.fromkeys(s.public_key.encode() for s in (*signers, *(() if registered else (SIGNER, SECOND)))))
    origin = origin_of([s.public_key for s in signers]) if registered else ""

    def made(**changes: Any) -> Original:
        run = honest(**{**options, **changes})
        run.edit_header(keys=named, format=version, register=origin)
        run.signers = signers
        if not published:
            run.model = {}
            run.name_model()
        return _finished(ledger, run, artefacts, closed)

    lengths = options["lengths"]
    longer, other = made(lengths=(*lengths, 1)), made(seed=2)
    run = honest(**{**options, "seed": 3})
    run.edit_header(run=bytes(range(1, 17)), keys=named, format=version, register=origin)
    run.signers = signers
    runs = (made(), longer, other, _finished(ledger, run, False, True))
    for original in runs if registered else ():
        entries, places = entries_of(original.leaves)
        original.files.update(written(ledger.registers, entries, places, signers, origin))
    return World(name, options["backend"], runs[0], runs[1:], ledger)


def _golden() -> World:
    """A run of the native prover's, kept since version 0.1.0; it has no siblings but itself."""
    ledger, folder = Ledger(), RUNS / "native-finished"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    leaves = tuple(files["log/records.jsonl"].split(b"\n")[:-1])
    signer = golden_signer()
    origin = f"zk-autograd/{json.loads(leaves[0])['run']}"
    notes = tuple(ledger.sign(leaves[:n], (signer,), origin) for n in range(1, len(leaves) + 1))
    for n in range(2, len(leaves) + 1):
        ledger.publish_head(leaves[:n])
    assert notes[-1] == files["log/checkpoint"]  # Ed25519 is deterministic, so that this is the trainer's own key
    ledger.headers.add(leaves[0])
    ledger.proofs[files["proofs/0-0"]] = fact_of(leaves[0], json.loads(leaves[2]), 0)
    genesis, close = json.loads(leaves[1]), json.loads(leaves[3])
    block = json.loads(leaves[0])["prover"]["block"]
    for state, salts in genesis["zero_salts"].items():
        for commitment, salt in zip(genesis["state"][state], salts, strict=True):
            ledger.openings[bytes.fromhex(commitment)] = (bytes(8 * block), bytes.fromhex(salt))
    weights = files["model/weights.i64.safetensors"]
    length = int.from_bytes(weights[:8], "little")
    header, data = json.loads(weights[8 : 8 + length]), weights[8 + length :]
    flat = b"".join(data[slice(*header[p["name"]]["data_offsets"])] for p in json.loads(leaves[0])["parameters"])
    salt = json.loads(files["model/opening.json"])["W"][0]
    ledger.openings[bytes.fromhex(close["state"]["W"][0])] = (flat.ljust(8 * block, b"\0"), bytes.fromhex(salt))
    original = Original(files, notes, (signer,))
    return World("golden", "native", original, (original,), ledger)


def golden_signer() -> Ed25519Signer:
    """The key of tests/data/runs/, which is good for tests alone."""
    _, name, seed = (RUNS / "test.key").read_text().split("\n")[:3]
    return Ed25519Signer(name.removeprefix("name: "), b64decode(seed.removeprefix("ed25519: ")))


_OPTIONS: dict[str, dict[str, Any]] = {
    "none": {"backend": "none", "lengths": (3, 3, 2), "artefacts": True, "format": V0},
    "none, open": {"backend": "none", "lengths": (3, 2), "closed": False, "groups": 2},
    "none, sgd, recorded": {
        "backend": "none",
        "rule": Rule.SGD_MOMENTUM,
        "lengths": (2, 3),
        "schedule": "recorded",
        "signers": (SIGNER, SECOND),
        "format": V0,
    },
    "proved": {"backend": "ezkl", "lengths": (3, 3, 2), "artefacts": True},
    "proved, two groups": {
        "backend": "ezkl",
        "lengths": (3, 1),
        "groups": 2,
        "schedule": "recorded",
        "signers": (SIGNER, QUANTUM),
    },
    "proved, open": {"backend": "ezkl", "lengths": (3, 3), "closed": False},
    "none, registered": {"backend": "none", "lengths": (3, 3, 2), "signers": (SIGNER,), "registered": True},
    "proved, registered": {
        "backend": "ezkl",
        "lengths": (3, 2),
        "artefacts": True,
        "signers": (SIGNER, QUANTUM),
        "registered": True,
    },
    "proved, not published": {"backend": "ezkl", "rule": Rule.ADAMW, "lengths": (2,), "published": False},
}
WORLDS = (*_OPTIONS, "golden")
