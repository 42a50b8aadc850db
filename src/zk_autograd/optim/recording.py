"""Where an optimizer's steps go: to a run directory, or nowhere beyond memory. Both look the same
to the optimizer."""

import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.anchors import BeaconAnchor
from zk_autograd.core.attestation import Document
from zk_autograd.core.errors import PlaceTakenError, RunError, StorageError, UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.keys import Signer
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import BEACON, TRAINER, Header
from zk_autograd.core.register import View
from zk_autograd.core.rules import State
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.model_files import model_files
from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.local.own_folders import expanded
from zk_autograd.optim.registering import DEFAULT, NO_REGISTER, Registering, register_of, registration_of, terms_of
from zk_autograd.prove.choice import backend_of_run
from zk_autograd.prove.protocol import Backend
from zk_autograd.register.place import begin_for_new_key
from zk_autograd.run import train_log
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.arguments import signers_of_run
from zk_autograd.run.artefacts import Artefacts
from zk_autograd.run.claims import NOTHING, Claims
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import exists
from zk_autograd.run.layout import Layout
from zk_autograd.run.ownership import Unique
from zk_autograd.run.recovery import read_header, require_own
from zk_autograd.run.registering import Registration
from zk_autograd.run.step import Gradients, constants_of, take
from zk_autograd.run.writer import RunWriter
from zk_autograd.workers.choice import Proving

INLINE = Proving()
"""In the training's own process."""

Key = str | Path | Signer | Sequence[Signer] | None
"""How a caller names the log keys: by their file (None: the default one), or as signers."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class NewLogKey(UserWarning):
    """A log key was made: back up its file, and give its public half to the auditor."""


class Keeper(Protocol):
    """What holds the integer state from the first step on, and takes the steps."""

    @property
    def header(self) -> Header: ...
    @property
    def state(self) -> State: ...
    @property
    def weights(self) -> IntArray:
        """A copy of W."""
        ...

    @property
    def step(self) -> int: ...
    @property
    def loop_state(self) -> bytes: ...
    @property
    def gradients(self) -> NDArray[np.int32]:
        """As `Stepper.gradients`: of the last step, or of the one being accepted."""
        ...

    def append(
        self,
        gradients: Gradients,
        claims: Claims = NOTHING,
        *,
        lr: tuple[str, ...] = (),
        settings: bytes = b"",
        accept: Callable[[int], None] = lambda saturated: None,
    ) -> int:
        """As `RunWriter.append`."""
        ...

    def write(self, model: Model) -> None:
        """Writes the weights now to a model."""
        ...


class InMemory:
    """The keeper of a training that isn't recorded."""

    def __init__(self, header: Header, state: State, step: int, kernel: Kernel = REFERENCE) -> None:
        """`state` is the one after `step` steps, which `kernel` computes. VerificationError for
        hyper-parameters that the header's rule can't use."""
        self.header = header
        self.step = step
        self.loop_state = b""
        self._stepper = kernel.stepper(header.rule, header.parameters, state)
        self._sequences = [header.sequence(group) for group in range(len(header.groups))]

    @property
    def state(self) -> State:
        return self._stepper.state

    @property
    def weights(self) -> IntArray:
        return self._stepper.weights

    def write(self, model: Model) -> None:
        self._stepper.write(model)

    @property
    def gradients(self) -> NDArray[np.int32]:
        return self._stepper.gradients

    def append(
        self,
        gradients: Gradients,
        claims: Claims = NOTHING,
        *,
        lr: tuple[str, ...] = (),
        settings: bytes = b"",
        accept: Callable[[int], None] = lambda saturated: None,
    ) -> int:
        constants = constants_of(self.header, self._sequences, self.step + 1, lr)
        saturated = take(self.header, self._stepper, gradients, constants)
        try:
            accept(saturated)
        except BaseException:
            self._stepper.undo(gradients if isinstance(gradients, Model) else None)
            raise
        self.step += 1
        self.loop_state = claims.loop_state
        return saturated

    def undo(self, model: Model) -> None:
        """Takes the last step back, and the weights that it wrote to `model`."""
        self._stepper.undo(model)
        self.step -= 1


class Recorder(Unique):
    """The keeper of a recorded run: its writer, and the trainer's own files, which are told of each
    step.

    Like the writer's, its methods raise RunError in a forked child, before they touch anything.
    """

    def __init__(self, writer: RunWriter, artefacts: Artefacts, *, begun: bool) -> None:
        """`begun`: the artefacts know the run; else they are mended before the first write."""
        self._writer = writer
        self._artefacts = artefacts
        self._begun = begun

    @property
    def header(self) -> Header:
        return self._writer.header

    @property
    def state(self) -> State:
        return self._writer.state

    @property
    def weights(self) -> IntArray:
        return self._writer.weights

    def write(self, model: Model) -> None:
        self._writer.write(model)

    @property
    def step(self) -> int:
        return self._writer.step

    @property
    def loop_state(self) -> bytes:
        return self._writer.loop_state

    @property
    def gradients(self) -> NDArray[np.int32]:
        return self._writer.gradients

    @property
    def settings(self) -> bytes:
        """The optimizer's, as the last step found them; b"" if not given."""
        return self._writer.settings

    @property
    def last_lr(self) -> tuple[str, ...]:
        """The lr of the last step where it is at hand (`RunWriter.last_lr`)."""
        return self._writer.last_lr

    def later_settings(self) -> bytes | None:
        """What `keep_settings` kept after the last step, or None. RunError if unreadable."""
        return self._writer.later_settings()

    def keep_settings(self, settings: bytes, *, durable: bool) -> None:
        """Keeps what the optimizer's settings became after the last step. RunError on failure."""
        self._writer.keep_settings(settings, durable=durable)

    @property
    def head(self) -> Checkpoint:
        """The newest tree head that was signed."""
        return self._writer.head

    def append(
        self,
        gradients: Gradients,
        claims: Claims = NOTHING,
        *,
        lr: tuple[str, ...] = (),
        settings: bytes = b"",
        accept: Callable[[int], None] = lambda saturated: None,
    ) -> int:
        self._writer.require_own_process(self._writer.path)
        self._begin()
        saturated = self._writer.append(gradients, claims, lr=lr, settings=settings, accept=accept)
        count = saturated if isinstance(gradients, Model) else claims.saturated
        try:
            self._artefacts.step(self.step, claims.loss, train_log.rates(self.header, self.step, lr), count)
        except BaseException:
            self._writer.abandon()  # the step is on disk, but the optimizer doesn't have it: only a resumption brings them together
            raise
        return saturated

    @property
    def beacon(self) -> bytes:
        """What gave the first weights; b"" if the trainer chose them."""
        return self._writer.beacon

    @property
    def header_digest(self) -> bytes:
        return self._writer.header_digest

    @property
    def view(self) -> View | None:
        """The run's newest entry in its trainer's register; None if it is in none."""
        return self._writer.view

    @property
    def anchors(self) -> list[AnchorState]:
        """How the anchors stand that were given."""
        return self._writer.anchors

    def require_open(self) -> None:
        """RunError, which says why, if the run takes no more steps."""
        self._writer.require_open()

    def drain(self) -> None:
        """Seals the open segment, and waits until all is proved and recorded. If that fails the run
        stays, to be resumed."""
        self._writer.drain()

    def final_salts(self, name: str) -> tuple[bytes, ...]:
        """As `RunWriter.final_salts`; after `drain`."""
        return self._writer.final_salts(name)

    def finish(self, artefacts: Mapping[str, bytes], *, publish: bool) -> None:
        """Proves what is left and closes the run, with its weights if they are to be published; the
        record also lists the caller's `artefacts`. If that fails the run stays, to be resumed."""
        writer = self._writer
        writer.require_own_process(writer.path)
        try:
            self._begin()
            writer.drain()
            published = writer.state["W"] if publish else None
            files = (
                {} if published is None else model_files(writer.header.parameters, published, writer.final_salts("W"))
            )
            writer.close(files, {**artefacts, **self._artefacts.finish(writer, published)})
        except BaseException:
            writer.abandon()
            raise

    def abandon(self) -> None:
        """Stops at once; the run can be resumed."""
        self._writer.abandon()

    def tell(self, what: str) -> None:
        """Prints to standard error what became of the run (`what`), and how to resume it."""
        self._writer.tell(what)

    def _begin(self) -> None:
        if not self._begun:
            self._artefacts.resume(self._writer)
            self._begun = True


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run directory still to be created, with its prover, signers and listener, and how it is
    registered (None: it isn't). `attest`, `kernel` and `sync_every` are as in
    `RunWriter.create`, and so is `exact`; `proving` says who makes its proofs."""

    path: Path
    backend: Backend
    signers: Sequence[Signer]
    artefacts: Artefacts
    new_key: Path | None = None
    registration: Registration | None = None
    registering: Registering = DEFAULT
    beacon: BeaconAnchor | None = None
    order_by: str = TRAINER
    attest: Callable[[bytes], Document] | None = None
    kernel: Kernel = REFERENCE
    sync_every: int = 1
    proving: Proving = INLINE
    exact: ExactFiles | None = None

    def begin(self, header: Header, weights: IntArray) -> Recorder:
        """Makes the directory, with the header, the first state and the trainer's own files. Raises
        RunError; then nothing is left.

        A log key still to be made, `new_key`, is made now, when there is nothing else to refuse the
        run for, and is kept.
        """
        signers, registration = self.signers, self.registration
        if self.new_key is not None:
            check_place(self.path)
            signers, registration = self._make_key(self.new_key)
            keys = tuple(signer.public_key.encode() for signer in signers)
            header = replace(header, keys=keys, register=register_of(signers, registration))
        if self.beacon is not None:
            if registration is None:
                raise UsageError(NO_REGISTER)
            header = replace(header, weights_by=BEACON, order_by=self.order_by, beacon=terms_of(self.beacon))
            if header.exact is not None and self.order_by == BEACON:
                header = replace(header, exact=replace(header.exact, seed=None))
        writer = RunWriter.create(
            self.path,
            header,
            self.backend,
            signers,
            weights,
            on_event=self.artefacts,
            registration=registration,
            beacon=self.beacon,
            attest=self.attest,
            kernel=self.kernel,
            sync_every=self.sync_every,
            workers=self.proving.workers(Layout(self.path).private),
            exact=self.exact,
        )
        try:
            self.artefacts.begin(writer)
        except BaseException:
            writer.abandon()
            shutil.rmtree(self.path, ignore_errors=True)  # created above, and nobody was told of it
            raise
        return Recorder(writer, self.artefacts, begun=True)

    def _make_key(self, path: Path) -> tuple[Sequence[Signer], Registration | None]:
        """The new key, and its register, which is begun with it."""
        there = os.path.lexists(path)  # by another run's first step, or by this one's, whose warning became an error
        signers = keyfile.load_or_make(path)
        asked = self.registering
        if not there and asked.wanted is not False:
            begin_for_new_key(signers, asked.folder)
        registration = registration_of(asked, signers, from_file=True)
        if not there:
            warnings.warn(made_key(path), NewLogKey, stacklevel=7)
        return signers, registration


def resume(
    path: Path,
    prover: str | Backend,
    srs: str | Path | None,
    key: Key,
    artefacts: Artefacts,
    registering: Registering = DEFAULT,
    kernel: Kernel = REFERENCE,
    sync_every: int = 1,
    proving: Proving = INLINE,
) -> Recorder:
    """The run at `path`, after its last step. Raises RunError, UsageError, ProverError."""
    signers, layout = signers_of(key), Layout(path)
    registration = None
    header, leaf = read_header(layout) if exists(layout.header) else (None, b"")
    if header is not None and header.register:
        # Before anything is opened that the run may name.
        require_own(layout, leaf, [signer.public_key for signer in signers_of_run(signers, header)])
        registration = registration_of(registering, signers, from_file=is_file(key))
    writer = RunWriter.resume(
        path,
        lambda header: backend_of_run(header.prover, prover, srs, layout.private),
        signers,
        on_event=artefacts,
        registration=registration,
        kernel=kernel,
        sync_every=sync_every,
        workers=proving.workers(layout.private),
    )
    return Recorder(writer, artefacts, begun=False)


def is_file(key: Key) -> bool:
    """Whether the keys are named by their file."""
    return key is None or isinstance(key, str | Path)


def signers_of(key: Key) -> list[Signer]:
    """The signers of a key file, or those given. Raises UsageError."""
    if key is None or isinstance(key, str | Path):
        return [*keyfile.load(keyfile.default_path() if key is None else Path(key))]
    return [*key] if isinstance(key, Sequence) else [key]


def key_to_make(key: Key) -> Path | None:
    """Where a log key is made for a new run: at the default place, if no key was named and none is
    there. Raises UsageError, also if others can write to that place."""
    if key is not None or os.path.lexists(path := keyfile.default_path()):
        return None
    keyfile.require_place(path)
    return path


def made_key(path: Path) -> str:
    """What the trainer is told of a key that was made at `path`."""
    return (
        f"a log key was made in {path}: keep it secret, and back up this file, since another key is another trainer; "
        f"your auditor pins its public half, {keyfile.public_path(path)}"
    )


def place_called(run: str | Path) -> Path:
    """The folder that `run` names; "~/" is the user's home. UsageError for what is not a path here,
    such as s3://bucket/run."""
    text = str(run)
    if _ADDRESS.match(text):
        raise UsageError(
            f"{text[:100]!r} is an address, but a run is a folder on this machine: record it here, and copy what `zk-run bundle` makes"
        )
    return Path(expanded(text))


def check_place(path: Path) -> None:
    """Raises RunError if no new run can be made at `path`: it exists, or its parent is not a
    folder. StorageError if that can't be written."""
    if os.path.lexists(path):
        text = f"{path} already exists; choose another place for the run, or resume the one that is there"
        raise PlaceTakenError(text)
    parent = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not parent.is_dir():
        raise RunError(
            f"the run can't be made at {path}: {parent} is not a folder that you can write to; choose another place"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise StorageError(
            f"the run can't be made at {path}: {parent} is not a folder that you can write to; choose another place"
        )
