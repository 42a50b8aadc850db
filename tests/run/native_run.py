"""A small run whose proofs are native ones, so that workers of all kinds can make them: three
blocks in two groups, segments of eight steps."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.run.trainer import SIGNER
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Block, Data, Group, Header, Parameter
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import DEFAULT_PRESET
from zk_autograd.prove.native.shape import Shape
from zk_autograd.run.files import Files
from zk_autograd.run.writer import RunWriter

STEPS = 8
BLOCK = 2**13
SHAPE = Shape(Rule.SGD, DEFAULT_PRESET, 13, 3)


def make_header(blocks: int = 2, run: bytes = bytes(16)) -> Header:
    """`blocks` blocks; the last one has padding."""
    size = blocks * BLOCK - 100
    return Header(
        run=run,
        package="zk-autograd 0",
        rule=Rule.SGD,
        grad_scale=0,
        schedule="constant",
        groups=(Group((("lr", "0.1"), ("weight_decay", "0")), 30),),
        parameters=(Parameter("weight", (size,), 0, size, 0),),
        unproved=(),
        size=size,
        blocks=tuple(Block(0, b * BLOCK, min(BLOCK, size - b * BLOCK)) for b in range(blocks)),
        data=Data(b"", 100, "sequential", 8, b""),
        model_code=b"",
        prover=SHAPE.prover,
        keys=(SIGNER.public_key.encode(),),
    )


def first_weights(header: Header) -> IntArray:
    return np.arange(header.size, dtype=np.int64) << 20


def gradients(header: Header, t: int) -> IntArray:
    return np.random.default_rng(t).integers(-(2**24), 2**24, header.size)


def create(path: Path, blocks: int = 2, run: bytes = bytes(16), **options: Any) -> RunWriter:
    """A new run. `options` are RunWriter.create's."""
    header = make_header(blocks, run)
    options = {"files": Files(fsync=lambda _: None)} | options
    return RunWriter.create(path, header, NativeBackend(SHAPE), [SIGNER], first_weights(header), **options)


def resume(path: Path, **options: Any) -> RunWriter:
    """The run, gone on with."""
    options = {"files": Files(fsync=lambda _: None)} | options
    return RunWriter.resume(path, lambda _: NativeBackend(SHAPE), [SIGNER], **options)


def train(writer: RunWriter, steps: int) -> None:
    """Goes on to step `steps`."""
    while writer.step < steps:
        writer.append(gradients(writer.header, writer.step + 1))
