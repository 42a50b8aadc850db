"""Runs that are settled, interrupted and taken to their end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.run.trainer import (
    SIGNER,
    FailingFiles,
    FaultyProver,
    TracedFiles,
    audit,
    first_weights,
    make_header,
    train,
)
from zk_autograd.core.errors import RunError, ZkError
from zk_autograd.run.events import Event
from zk_autograd.run.writer import RunWriter


def create(path: Path, backend: FaultyProver, **options: Any) -> RunWriter:
    options = {"files": TracedFiles(path)} | options
    return RunWriter.create(path, make_header(backend), backend, [SIGNER], first_weights(), **options)


def resume(path: Path, backend: FaultyProver, **options: Any) -> RunWriter:
    options = {"files": TracedFiles(path)} | options
    return RunWriter.resume(path, lambda _: backend, [SIGNER], **options)


def finish(path: Path, backend: FaultyProver, steps: int = 3) -> list[Event]:
    """Resumes the run, takes it to its end, and looks at it as a stranger would. The events."""
    events: list[Event] = []
    writer = resume(path, backend, on_event=events.append)
    train(writer, steps)
    writer.close()
    assert audit(path, backend).close
    return events


def failure_of(action: Callable[[], object]) -> ZkError:
    with pytest.raises(ZkError) as caught:
        action()
    return caught.value


def interrupted(path: Path, write: str, way: str = "lost") -> FaultyProver:
    """A run of three steps whose write of this name failed; its prover, whose proofs of two
    segments are six."""
    backend = FaultyProver()
    files = FailingFiles(path, write, way)
    writer = create(path, backend, files=files)
    with pytest.raises(RunError, match="failed and was"):
        train(writer, 3)
        writer.close()
    writer.abandon()
    return backend
