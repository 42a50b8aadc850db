"""A segment that is proved once for all tests: what it says, its witness and its proof."""

import pickle
from pathlib import Path

from tests.shared import Shared
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.backend import EzklBackend, draw_salt
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.sample import sample
from zk_autograd.prove.protocol import BlockProof, BlockWitness

Proved = tuple[EzklBackend, Statement, BlockWitness, BlockProof]


def prove_sample(name: str, no_ops: int, shared: Shared, cache: Cache, srs_digest: bytes) -> Proved:
    """A proof of the circuit of this name, `no_ops` of whose steps do nothing."""
    circuit = catalogue.load(name)
    backend = EzklBackend(circuit, srs_digest, cache)

    def make(folder: Path) -> None:
        statement, witness = sample(circuit.variant, circuit.block, circuit.steps, draw_salt, no_ops=no_ops)
        (folder / "proved").write_bytes(pickle.dumps((statement, witness, backend.prove(statement, witness))))

    return backend, *pickle.loads((shared.made(name, make) / "proved").read_bytes())
