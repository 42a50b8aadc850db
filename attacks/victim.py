"""The run that the attacks start from: real, with EZKL proofs, made by the writer that every trainer uses.

40 parameters in two blocks of the circuit adam-n32-t64, 66 steps in two segments, so four proofs; recorded learning rates, a published
model and a buffer that no proof covers. The weights and gradients come from a fixed seed. Nothing about it is tuned to be attacked.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from attacks.forge import Forgery, model_files
from zk_autograd.core.formats import GRADIENT_BITS, WEIGHT_BITS, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Block, Data, Group, Header, Parameter, Prover, Unproved
from zk_autograd.prove.ezkl import catalogue
from zk_autograd.prove.ezkl.backend import EzklBackend
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.run.writer import RunWriter

CIRCUIT = "adam-n32-t64"
STEPS = 66
TRAINER = Ed25519Signer("trainer", sha256(b"the trainer's key").digest())
HYPER = (("lr", "0.001"), ("beta1", "0.9"), ("beta2", "0.999"), ("eps", "1e-08"))
BUFFER = "norm.running_mean"

Manifest = tuple[tuple[str, tuple[int, ...]], ...]
MANIFEST: Manifest = (("query.weight", (4, 4)), ("key.weight", (4, 4)), ("key.bias", (8,)))


@dataclass(frozen=True, slots=True)
class Victim:
    """A complete run and what its trainer knows: the last weights, int64 (40,), and the salts of their blocks' commitments."""

    path: Path
    signer: Ed25519Signer
    srs: bytes
    weights: IntArray
    salts: tuple[bytes, ...]

    def forgery(self) -> Forgery:
        """The run, taken apart."""
        return Forgery.read(self.path, self.signer)


def header_of(prover: Prover, run: bytes, signer: Ed25519Signer, manifest: Manifest = MANIFEST) -> Header:
    """The header of an Adam run over the tensors of `manifest`, in blocks as large as the circuit's."""
    parameters, offset = [], 0
    for name, shape in manifest:
        size = int(np.prod(shape))
        parameters.append(Parameter(name, shape, offset, size, 0))
        offset += size
    sizes = [min(prover.block, offset - start) for start in range(0, offset, prover.block)]
    return Header(
        run=run,
        package="0.1.0",
        rule=Rule.ADAM,
        grad_scale=0,
        schedule="recorded",
        groups=(Group(HYPER, 0),),
        parameters=tuple(parameters),
        unproved=(Unproved(BUFFER, "buffer", (8,), "float32", sha256(bytes(32)).digest()),),
        size=offset,
        blocks=tuple(Block(0, i * prover.block, size) for i, size in enumerate(sizes)),
        data=Data(b"", 1000, "sequential", 10, b""),
        model_code=b"",
        prover=prover,
        keys=(signer.public_key.encode(),),
    )


def first_weights() -> IntArray:
    """The weights before the first step, int64 (40,)."""
    weights: IntArray = (np.random.default_rng(1).normal(0, 0.1, 40) * 2**WEIGHT_BITS).astype(np.int64)
    return weights


def gradients() -> IntArray:
    """The steps' gradients, int64 (STEPS, 40)."""
    rows: IntArray = (np.random.default_rng(2).normal(0, 2**-6, (STEPS, 40)) * 2**GRADIENT_BITS).astype(np.int64)
    return rows


def build(path: Path, cache: Cache, srs: bytes) -> Victim:
    """Trains, proves and closes the run at `path`, which must not exist: four proofs, some ten seconds each."""
    backend = EzklBackend(catalogue.load(CIRCUIT), srs, cache)
    header = header_of(backend.prover, sha256(b"the victim").digest()[:16], TRAINER)
    writer = RunWriter.create(path, header, backend, [TRAINER], first_weights())
    try:
        for t, row in enumerate(gradients(), 1):
            writer.append(row, lr=("0.001" if t <= 50 else "0.0005",), loss="0.5")
        writer.drain()
        weights, salts = writer.state["W"], writer.final_salts("W")
        writer.close(model_files(header, weights, salts))
    except BaseException:
        writer.abandon()
        raise
    return Victim(path, TRAINER, srs, weights, salts)
