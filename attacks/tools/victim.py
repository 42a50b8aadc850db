"""The runs that the attacks start from: real, with EZKL's proofs or native ones, made by the writer
that every trainer uses.

Either has two blocks, a full one and a rest of 8 parameters, and two segments, a full one and one
of two steps, so four proofs; recorded learning rates, a published model and a buffer that no proof
covers. EZKL's has blocks of 32 parameters and segments of 64 steps, the native one 2^13 and 8. The
weights and gradients come from a fixed seed. Nothing about them is tuned to be attacked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from attacks.tools.forge import Forgery, model_files
from zk_autograd.core.formats import GRADIENT_BITS, WEIGHT_BITS, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, PublicKey, Signer
from zk_autograd.core.records import Block, Data, Group, Header, Parameter, Prover, Unproved, hyper_names
from zk_autograd.prove.ezkl.backend import EzklBackend
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.claims import Claims
from zk_autograd.run.writer import RunWriter

CIRCUIT = "adam-n32-t64"
SHAPE = Shape(Rule.ADAM, Preset.STANDARD, 13, 3)
TRAINER: tuple[Signer, ...] = (
    Ed25519Signer("trainer", sha256(b"the trainer's key").digest()),
    MlDsa44Signer("trainer", sha256(b"the trainer's other key").digest()),
)
HYPER = {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "1e-08"}
BUFFER = "norm.running_mean"

Manifest = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Victim:
    """A complete run and what its trainer knows: the last weights, int64 (header.size,), and the
    salts of their blocks' commitments. `signers` are both their keys. `backend` makes a prover like
    the one that proved it, which was stopped when the run was closed."""

    path: Path
    signers: tuple[Signer, ...]
    prover: Prover
    backend: Callable[[], Backend]
    weights: IntArray
    salts: tuple[bytes, ...]

    @property
    def srs(self) -> frozenset[bytes]:
        """The digest of the SRS under which it was proved, where there is one."""
        return frozenset({self.prover.srs_digest} - {b""})

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """What an auditor pins."""
        return tuple(signer.public_key for signer in self.signers)

    def forgery(self) -> Forgery:
        """The run, taken apart."""
        return Forgery.read(self.path, *self.signers)


def manifest_of(prover: Prover) -> Manifest:
    """Two tensors that fill a block of the prover's, and one of 8 parameters more."""
    rows = 1 << (prover.block.bit_length() - 1) // 2
    half = (rows, prover.block // 2 // rows)
    return (("query.weight", half), ("key.weight", half), ("key.bias", (8,)))


def header_of(
    prover: Prover, run: bytes, signers: Sequence[Signer], manifest: Manifest, rule: Rule = Rule.ADAM, **hyper: str
) -> Header:
    """The header of a run over the tensors of `manifest`, in blocks as large as the circuit's;
    `hyper` beside HYPER."""
    parameters, offset = [], 0
    for name, shape in manifest:
        size = int(np.prod(shape))
        parameters.append(Parameter(name, shape, offset, size, 0))
        offset += size
    sizes = [min(prover.block, offset - start) for start in range(0, offset, prover.block)]
    return Header(
        run=run,
        package="0.1.0",
        rule=rule,
        grad_scale=0,
        schedule="recorded",
        groups=(Group(tuple((name, {**HYPER, **hyper}[name]) for name in hyper_names(rule)), 0),),
        parameters=tuple(parameters),
        unproved=(Unproved(BUFFER, "buffer", (8,), "float32", sha256(bytes(32)).digest()),),
        size=offset,
        blocks=tuple(Block(0, i * prover.block, size) for i, size in enumerate(sizes)),
        data=Data(b"", 1000, "sequential", 10, b""),
        model_code=b"",
        prover=prover,
        keys=tuple(signer.public_key.encode() for signer in signers),
    )


def first_weights(size: int) -> IntArray:
    """The weights before the first step, int64 (size,)."""
    weights: IntArray = (np.random.default_rng(1).normal(0, 0.1, size) * 2**WEIGHT_BITS).astype(np.int64)
    return weights


def gradients(steps: int, size: int) -> IntArray:
    """The steps' gradients, int64 (steps, size)."""
    rows: IntArray = (np.random.default_rng(2).normal(0, 2**-6, (steps, size)) * 2**GRADIENT_BITS).astype(np.int64)
    return rows


def ezkl(cache: Cache, srs: bytes) -> Backend:
    """EZKL's prover: some ten seconds a proof."""
    return EzklBackend(catalogue.load(CIRCUIT), srs, cache)


def native() -> Backend:
    """The native prover: about a second a proof."""
    return NativeBackend(SHAPE)


def build(path: Path, backend: Callable[[], Backend]) -> Victim:
    """Trains, proves and closes a new run at `path`, with a prover that `backend` makes."""
    proving = backend()
    prover = proving.prover
    header = header_of(prover, sha256(b"the victim").digest()[:16], TRAINER, manifest_of(prover))
    writer = RunWriter.create(path, header, proving, TRAINER, first_weights(header.size))
    try:
        for t, row in enumerate(gradients(prover.steps + 2, header.size), 1):
            writer.append(row, Claims("0.5"), lr=("0.001" if 4 * t <= 3 * prover.steps else "0.0005",))
        writer.drain()
        weights, salts = writer.state["W"], writer.final_salts("W")
        writer.close(model_files(header, weights, salts))
    except BaseException:
        writer.abandon()
        raise
    return Victim(path, TRAINER, prover, backend, weights, salts)
