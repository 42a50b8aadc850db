"""A run of the small model that is begun and gone on with as its test says; and what its states
must be."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.run.trainer import (
    BLOCK,
    SIGNER,
    SIZE,
    TracedFiles,
    first_weights,
    gradients,
    hashed_backend,
    make_header,
)
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import State, step
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.writer import RunWriter


def create(path: Path, backend: Backend | None = None, **options: Any) -> RunWriter:
    """A new run; without proofs unless there is a backend. `options` are RunWriter.create's, and
    `header`, `signers`."""
    backend = backend or hashed_backend()
    header = options.pop("header", None) or make_header(backend)
    options = {"files": TracedFiles(path)} | options
    return RunWriter.create(path, header, backend, options.pop("signers", [SIGNER]), first_weights(), **options)


def resume(path: Path, backend: Backend | None = None, **options: Any) -> RunWriter:
    """The run, gone on with by the backend that began it."""
    options = {"files": TracedFiles(path)} | options
    return RunWriter.resume(path, lambda _: backend or hashed_backend(), options.pop("signers", [SIGNER]), **options)


def expected_states(rule: Rule, steps: int) -> list[State]:
    """The states of a run, by the rule itself on each group."""
    header = make_header(hashed_backend(), rule)
    states: list[State] = [{name: np.zeros(SIZE, np.int64) for name in header.states} | {"W": first_weights()}]
    for t in range(1, steps + 1):
        parts = []
        for group, part in enumerate((slice(0, 7), slice(7, SIZE))):
            old = {name: values[part] for name, values in states[-1].items()}
            parts.append(step(rule, old, gradients(t)[part], header.sequence(group).at(t)))
        states.append({name: np.concatenate([part[name] for part in parts]) for name in header.states})
    return states


def block_of(values: IntArray, block: int) -> IntArray:
    """A block with its padding."""
    start, end = ((0, 4), (4, 7), (7, 11))[block]
    return np.pad(values[start:end], (0, BLOCK - (end - start)))
