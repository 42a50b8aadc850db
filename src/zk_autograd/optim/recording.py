"""Where an optimizer's steps go: to a run directory, or nowhere beyond memory. Both look the same to the optimizer."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zk_autograd.core.errors import RunError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.keys import Signer
from zk_autograd.core.records import Header
from zk_autograd.core.rules import State
from zk_autograd.optim import keyfile
from zk_autograd.optim.proving import backend_of_run
from zk_autograd.optim.publication import model_files
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.events import Listener
from zk_autograd.run.step import advance
from zk_autograd.run.writer import RunWriter


class Keeper(Protocol):
    """Who holds the integer state from the first step on, and makes the steps."""

    @property
    def header(self) -> Header: ...
    @property
    def state(self) -> State: ...
    @property
    def step(self) -> int: ...
    @property
    def loop_state(self) -> bytes: ...

    def append(
        self,
        gradients: IntArray,
        *,
        lr: tuple[str, ...] = (),
        loss: str = "",
        saturated: int = 0,
        batch: bytes = b"",
        loop_state: bytes = b"",
    ) -> State:
        """Makes the next step and returns the state after it. Raises RangeError or UsageError; then nothing has changed."""
        ...


class InMemory:
    """The keeper of a run that nothing is recorded of."""

    def __init__(self, header: Header, state: State, step: int) -> None:
        """`state` is the one after `step` steps. VerificationError for hyper-parameters that the header's rule can't use."""
        self.header = header
        self.state = state
        self.step = step
        self.loop_state = b""
        self._sequences = [header.sequence(group) for group in range(len(header.groups))]

    def append(
        self,
        gradients: IntArray,
        *,
        lr: tuple[str, ...] = (),
        loss: str = "",
        saturated: int = 0,
        batch: bytes = b"",
        loop_state: bytes = b"",
    ) -> State:
        self.state = advance(self.header, self._sequences, self.state, self.step + 1, gradients, lr)
        self.step += 1
        self.loop_state = loop_state
        return self.state


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run directory that is still to be made, and by whom it is proved and signed, and who hears of its progress."""

    path: Path
    backend: Backend
    signers: Sequence[Signer]
    listener: Listener

    def begin(self, header: Header, weights: IntArray) -> RunWriter:
        """Makes the directory, with the header and the first state. Raises RunError."""
        return RunWriter.create(self.path, header, self.backend, self.signers, weights, on_event=self.listener)


def resume(
    path: Path, prover: str | Backend, srs: str | Path | None, key: str | Path | Signer | None, listener: Listener
) -> RunWriter:
    """The run at `path`, to go on after its last step. Raises RunError, UsageError, ProverError."""
    return RunWriter.resume(
        path, lambda header: backend_of_run(header.prover, prover, srs, path), signers_of(key), on_event=listener
    )


def finish(writer: RunWriter, artefacts: Mapping[str, bytes], *, publish: bool) -> None:
    """Proves what is left and closes the run, with its weights if they are to be published. If that fails the run stays, to be resumed."""
    try:
        writer.drain()
        files = model_files(writer.header.parameters, writer.state["W"], writer.final_salts("W")) if publish else {}
        writer.close(files, artefacts)
    except BaseException:
        writer.abandon()
        raise


def signers_of(key: str | Path | Signer | None) -> list[Signer]:
    """The signer of a key file (None: the default one), or the one given. Raises UsageError."""
    if key is None or isinstance(key, str | Path):
        return [keyfile.load(keyfile.default_path() if key is None else Path(key))]
    return [key]


def check_place(path: Path) -> None:
    """Raises RunError if no new run can be made at `path`: it exists, or its folder can't be written."""
    if os.path.lexists(path):
        raise RunError(f"{path} exists already; choose another place for the run, or resume the one that is there")
    parent = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(
            f"the run can't be made at {path}: {parent} is no folder that you can write; choose another place"
        )
