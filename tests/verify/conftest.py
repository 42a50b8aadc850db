"""Runs written by the trainer's own code, for the verifier to judge."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.shared import Shared
from tests.verify.kinds import KINDS
from tests.verify.run_builder import SIGNER, honest
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Header
from zk_autograd.evidence.model_files import model_files
from zk_autograd.prove.ezkl.backend import EzklBackend
from zk_autograd.prove.ezkl.circuit.catalogue import load
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.claims import Claims
from zk_autograd.run.writer import RunWriter
from zk_autograd.verify.report import Report


def train(path: Path, header: Header, backend: Backend, lengths: tuple[int, ...]) -> Path:
    """A run of random gradients with segments of these lengths, closed, its model published."""
    generator = np.random.default_rng(2)
    writer = RunWriter.create(path, header, backend, [SIGNER], generator.integers(-(2**33), 2**33, header.size))
    for length in lengths:
        for _ in range(length):
            writer.append(generator.integers(-(2**20), 2**20, header.size), Claims("0.5"))
        writer.drain()
    writer.close(model_files(header.parameters, writer.state["W"], writer.final_salts("W")))
    return path


@pytest.fixture(scope="session")
def hashed_run(shared: Shared) -> Path:
    """A run of the backend `none`: 6 parameters, steps 1..3, 4..6, 7..8."""
    backend = HashedBackend(block=4, steps=3)
    header = replace(honest("none").header, prover=backend.prover, keys=(SIGNER.public_key.encode(),))
    return shared.made("hashed-run", lambda folder: train(folder / "run", header, backend, (3, 3, 2))) / "run"


@pytest.fixture(scope="session")
def native_run(shared: Shared, native_prover: None) -> Path:
    """A run of real native proofs, with weight decay and two groups of different s: 6 parameters in
    two blocks, steps 1..8, 9..11."""
    shape = Shape(Rule.SGD_MOMENTUM, Preset.STANDARD, 13, 3)
    base = honest("none", rule=Rule.SGD_MOMENTUM, groups=2).header
    groups = (base.groups[0], replace(base.groups[1], s=15))
    header = replace(base, prover=shape.prover, groups=groups, keys=(SIGNER.public_key.encode(),))
    return shared.made("native-run", lambda folder: train(folder / "run", header, NativeBackend(shape), (8, 3))) / "run"


@pytest.fixture(scope="session")
def ezkl_run(shared: Shared, ezkl_cache: Cache, srs_digest: bytes) -> Path:
    """A run of real proofs: 6 parameters in one block, steps 1..3, 4..5."""
    backend = EzklBackend(load("adam-n480-t4"), srs_digest, ezkl_cache)
    base = honest().header
    header = replace(
        base, prover=backend.prover, keys=(SIGNER.public_key.encode(),), blocks=(replace(base.blocks[0], size=6),)
    )
    return shared.made("ezkl-run", lambda folder: train(folder / "run", header, backend, (3, 2))) / "run"


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Report]:
    """The report of a kind (kinds.KINDS)."""
    return cache(lambda kind: KINDS[kind](tmp_path_factory.mktemp("kind") / "run"))
