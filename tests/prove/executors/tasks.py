"""A task of the small native run, and what it asks for."""

from functools import cache

import numpy as np

from tests.run.native_run import BLOCK, SHAPE, STEPS, make_header
from zk_autograd.core.records import Segment
from zk_autograd.core.rules import State, step
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.prove.executors.task import task_of
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.protocol import BlockWitness

DIGEST = bytes(range(32))


def statement(digest: bytes = DIGEST, index: int = 0) -> Statement:
    """That of block 0 of a segment."""
    draft = Segment(index, 1 + STEPS * index, STEPS * (index + 1), {}, {}, (), b"", (), (), ("",) * STEPS, (0,) * STEPS)
    return StatementBuilder(make_header(1), digest).of_segment(draft)[0]


@cache
def witness(seed: int = 0) -> BlockWitness:
    """Eight steps with random gradients."""
    gradients = np.random.default_rng(seed).integers(-(2**20), 2**20, (STEPS, BLOCK)).astype(np.int32)
    start: State = {"W": np.arange(BLOCK, dtype=np.int64) << 20}
    state = start
    for row, constants in zip(gradients, statement().constants, strict=True):
        state = step(SHAPE.rule, state, row.astype(np.int64), constants)
    backend = NativeBackend(SHAPE)
    salts = {name: backend.draw_salt() for name in ("W_in", "W_out", "G")}
    return BlockWitness(start, state, gradients, salts)


def task(package: str | None = None) -> bytes:
    """The task of block 0 of segment 0."""
    more = {} if package is None else {"package": package}
    return task_of(SHAPE.prover, statement(), witness(), **more)
