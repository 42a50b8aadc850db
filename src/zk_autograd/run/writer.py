"""The trainer's end of a run: every step durable before the next, proofs made alongside training, a
log that a crash can't harm.

    writer = RunWriter.create(path, header, backend, signers, weights)
    writer.append(gradients)  # once for each step
    writer.close()          # or abandon(), and later RunWriter.resume(path, ...)

The order on disk is always witness, proof, record, checkpoint. `create` writes the first witness
and then does what `resume` does; what a crash left is settled by the same function that settles
everything else (run.write_order).

After a RunError or a ProverError the writer takes no more steps: `abandon` it, fix what the message
says, and resume. A step whose `append` failed may or may not have been recorded; `step` of the
resumed writer says which was the last.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.anchors import BeaconAnchor
from zk_autograd.core.attestation import Document
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.first_weights import first_weights, order_of
from zk_autograd.core.formats import IntArray
from zk_autograd.core.keys import Signer
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import BEACON, Close, Header, header_digest
from zk_autograd.core.register import View
from zk_autograd.core.rules import State
from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.local.interrupts import held, let_through
from zk_autograd.prove.executors.protocol import Workers, require_fit
from zk_autograd.prove.protocol import Backend
from zk_autograd.run import header_signature, private_file
from zk_autograd.run import settings as settings_file
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.arguments import (
    require_claims,
    require_digests,
    require_loop_state,
    require_sync_every,
    signers_in_order,
    signers_of_run,
)
from zk_autograd.run.claims import NOTHING, Claims
from zk_autograd.run.coordinator import QUEUED
from zk_autograd.run.events import Listener, SegmentSealed, StepLogged, Waiting, ignore
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import PRIVATE_FILE, Files, exists
from zk_autograd.run.following import Following
from zk_autograd.run.journal import Journal, Salts, Start, Step
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import RunLock
from zk_autograd.run.log import RunLog
from zk_autograd.run.ownership import Owned, Unique
from zk_autograd.run.proving_thread import ProvingThread
from zk_autograd.run.recovery import ATTESTATION_PART, BEACON_PART, Position, read_header, recover
from zk_autograd.run.registering import Registration
from zk_autograd.run.step import Gradients, constants_of, first_state, take
from zk_autograd.run.unclosed import Unclosed
from zk_autograd.run.write_order import Settlement, Stage, leaf_of

BACKLOG = 2
"""How many sealed segments may wait for the proving thread before training waits; more where
workers can prove more at a time."""


class RunWriter(Owned, Unique):
    """A run that is being written. Call its methods from one thread; proofs are made in another.

    It belongs to the process that made it: in a forked child `append`, `drain`, `close` and
    `abandon` raise RunError, and touch nothing. If it is dropped without `close` or `abandon`, the
    run is abandoned, with a warning (run.unclosed).
    """

    def __init__(
        self,
        settlement: Settlement,
        position: Position,
        lock: RunLock,
        stopping: threading.Event,
        backlog: int | None,
        following: Following,
        workers: Workers | None = None,
    ) -> None:
        """Use `create` or `resume`."""
        super().__init__()
        self._following = following
        self._settlement = settlement
        self._header = settlement.header
        self._backend = settlement.backend
        self._journal = settlement.journal
        self._emit = settlement.emit
        self._lock = lock
        self._sequences = [self._header.sequence(group) for group in range(len(self._header.groups))]
        self._order = order_of(self._header, settlement.digest, settlement.beacon)
        self._ended = ""
        self._process = os.getpid()
        self._position = position
        self._stepper = position.stepper
        _require_fit(workers, self._backend)
        sealed = range(settlement.settled, position.segment)
        if workers is not None:
            settlement.newest = position.segment - 1
            settlement.prove_by(workers)
        self._thread = ProvingThread(settlement.settle, sealed, backlog or _backlog(settlement), stopping)
        try:
            # The crash may have come before its sealing.
            taken = position.step - position.first + 1
            if taken == self._header.prover.steps or (taken and self._ends_shard(position.step)):
                self._seal()
        except BaseException:
            self._thread.stop(settlement.stop_proving)
            raise
        self._unclosed = Unclosed(settlement, self._thread, lock, position.step, following)
        self._unclosed.watch(self)
        following.begin()

    @classmethod
    def create(
        cls,
        path: Path,
        header: Header,
        backend: Backend,
        signers: Sequence[Signer],
        weights: IntArray,
        *,
        loop_state: bytes = b"",
        files: Files | None = None,
        on_event: Listener = ignore,
        backlog: int | None = None,
        stages: Sequence[Stage] = (),
        registration: Registration | None = None,
        workers: Workers | None = None,
        beacon: BeaconAnchor | None = None,
        attest: Callable[[bytes], Document] | None = None,
        kernel: Kernel = REFERENCE,
        sync_every: int = 1,
        exact: ExactFiles | None = None,
    ) -> Self:
        """A new run at `path`, which must not exist. `weights` are W before step 1: int64 of shape
        (header.size,); where the header leaves them to a beacon, those that `beacon` gives take
        their place, once the header is entered and anchored. `attest` gives the attestation of an
        enclave, from the run's `header_digest`, before anything is signed.

        `header.keys` are the texts of the signers' keys, one of which must sign texts (Ed25519);
        `header.prover` is the backend's; `stages` follow each checkpoint (run.write_order), before
        those of `registration`: where the run is registered, if the header names a register;
        `exact` are the files of a run whose gradients are exact, as its header says; `kernel`
        computes the steps, each `sync_every`-th of which the journal syncs (run.journal).
        Raises RunError if the path exists or a write fails (nothing is left then, but perhaps the
        register's entry), UsageError and RangeError for arguments that no run can have.
        """
        files = files or Files()
        _require_fit(workers, backend)
        require_sync_every(sync_every)
        leaf = leaf_of(header, None)
        layout = Layout(path)
        ordered = signers_in_order(signers, header)
        require_loop_state(loop_state)
        following = Following(registration, layout, header, ordered, files, on_event)
        by_beacon = header.weights_by == BEACON
        if by_beacon != (beacon is not None):
            raise UsageError("a run has its first weights from a beacon if, and only if, its header says so")
        if bool(header.proving) != (attest is not None):
            raise UsageError("a run has an attestation if, and only if, its header says that it is an enclave's")
        if (header.exact is None) != (exact is None):
            raise UsageError(
                "a run has a graph and cells if, and only if, its header says that its gradients are exact"
            )
        if exact is not None:
            exact.require_fit(header)
        state = None if by_beacon else first_state(header, weights)
        files.make_dir(path)
        lock: RunLock | None = None
        try:
            for folder in (layout.log, layout.proofs, layout.model):
                files.make_dir(folder)
            files.make_private_dir(layout.private)
            files.write_atomic(layout.ignore, b"*\n", PRIVATE_FILE)
            files.make_private_dir(layout.segments)
            lock = RunLock(layout.lock)
            following.ask(beacon)
            digest = header_digest(leaf)
            if exact is not None:
                exact.write(layout, header, digest, files)
            parts = {"leaf": leaf, header_signature.PART: header_signature.signed(digest, ordered)}
            if attest is not None:
                document = attest(digest).encode()
                files.make_dir(layout.attestation)
                files.write_atomic(layout.document, document)
                parts[ATTESTATION_PART] = sha256(document).digest()
            if beacon is not None:
                log = RunLog(layout, header.origin, ordered, files)
                log.put(leaf)
                found = parts[BEACON_PART] = following.beacon(beacon, log.sign())
                state = first_state(header, first_weights(header, digest, found))
            assert state is not None
            salts = Salts.draw(backend, header)
            Journal(layout.segments, header, digest, files).begin(Start(0, 1, state, salts, loop_state))
            files.write_atomic(layout.header, private_file.encode("header", digest, {}, parts), PRIVATE_FILE)
            stopping = threading.Event()
            taken = (*stages, *following.stages)
            settlement, position = recover(
                layout, header, leaf, lambda _: backend, ordered, files, on_event, stopping, taken, kernel, sync_every
            )
            return cls(settlement, position, lock, stopping, backlog, following, workers)
        except BaseException:
            following.end(f"{path} was not begun")
            shutil.rmtree(path, ignore_errors=True)  # created above, and nobody was told of it
            if lock:
                lock.release()
            raise

    @classmethod
    def resume(
        cls,
        path: Path,
        backend_for: Callable[[Header], Backend],
        signers: Sequence[Signer],
        *,
        files: Files | None = None,
        on_event: Listener = ignore,
        backlog: int | None = None,
        stages: Sequence[Stage] = (),
        registration: Registration | None = None,
        kernel: Kernel = REFERENCE,
        sync_every: int = 1,
        workers: Workers | None = None,
    ) -> Self:
        """The run at `path`, as its last acknowledged step left it, whatever ended it.

        `backend_for` returns the backend that the header names; `registration` says where its
        register lies now, and may have other anchors than before. Raises RunError if there is no
        run, another trainer holds it, it is complete, of another version, or its files or the
        register contradict each other; UsageError if a signer of the header's keys is missing. A
        signer of no key of its is left aside. `kernel` and `sync_every` as for `create`.
        """
        files = files or Files()
        require_sync_every(sync_every)
        layout = Layout(path)
        if not exists(layout.lock):
            read_header(layout)  # raises, and nothing was made, if there is no run at all
        lock = RunLock(layout.lock)
        try:
            files.make_private_dir(layout.private)  # a copy may have opened it to others
            header, leaf = read_header(layout)
            ordered = signers_of_run(signers, header)
            stopping = threading.Event()
            following = Following(registration, layout, header, ordered, files, on_event)
            taken = (*stages, *following.stages)
            try:
                following.ask()
                settlement, position = recover(
                    layout, header, leaf, backend_for, ordered, files, on_event, stopping, taken, kernel, sync_every
                )
                settings_file.forget_later(layout, settlement.digest, position.step, files)
                return cls(settlement, position, lock, stopping, backlog, following, workers)
            except BaseException:
                following.end(f"{path} was not resumed")
                raise
        except BaseException:
            lock.release()
            raise

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self._settlement.layout.root

    @property
    def header(self) -> Header:
        return self._header

    @property
    def header_digest(self) -> bytes:
        """What binds proofs and attestations to this run (core.records.header_digest)."""
        return self._settlement.digest

    @property
    def step(self) -> int:
        """The last step in the journal; 0 before the first."""
        return self._position.step

    @property
    def state(self) -> State:
        """The state after `step`: int64 of shape (header.size,) for each name, copies."""
        return self._stepper.state

    @property
    def weights(self) -> IntArray:
        """W after `step`, int64 (header.size,): a copy."""
        return self._stepper.weights

    def write(self, model: Model) -> None:
        """Writes the weights after `step` to a model."""
        self._stepper.write(model)

    @property
    def gradients(self) -> NDArray[np.int32]:
        """The integers of the last step, or of the one being accepted: int32 (elements,), not
        written to until the next one begins. UsageError before the first."""
        return self._stepper.gradients

    @property
    def loop_state(self) -> bytes:
        """What the caller passed with `step` (before the first: to `create`)."""
        return self._position.loop_state

    @property
    def settings(self) -> bytes:
        """What `append` got with `step`; b"" before the first, or if an earlier version took it."""
        return self._position.settings

    @property
    def last_lr(self) -> tuple[str, ...]:
        """The lr of `step` as passed to `append`; () also if that was in a sealed segment."""
        return self._position.last_lr

    @property
    def beacon(self) -> bytes:
        """The 32 bytes that gave the first weights; b"" if the trainer chose them."""
        return self._settlement.beacon

    @property
    def segments_done(self) -> int:
        """How many segments have proof, record and checkpoint."""
        return self._settlement.settled

    @property
    def pending(self) -> int:
        """How many sealed segments are still to be proved or recorded. RunError in a forked child,
        which can't know."""
        self.require_own_process(self.path)
        return self._thread.pending

    @property
    def head(self) -> Checkpoint:
        """The newest tree head that was signed."""
        head = self._settlement.log.head
        assert head is not None  # the genesis is signed before there is a writer
        return head

    @property
    def view(self) -> View | None:
        """The run's newest entry in its trainer's register; None if it is in none."""
        return self._following.view

    @property
    def anchors(self) -> list[AnchorState]:
        """How the anchors stand that were given, at any time and from any thread."""
        return self._following.anchors

    def final_salts(self, name: str) -> tuple[bytes, ...]:
        """The salts of the newest commitments to the state `name`, in block order, which open them.
        UsageError before `drain`."""
        if self._position.step >= self._position.first:
            raise UsageError(f"the state after step {self.step} has no commitment yet; drain the run first")
        return self._position.salts.state_in[name]

    def append(
        self,
        gradients: Gradients,
        claims: Claims = NOTHING,
        *,
        lr: tuple[str, ...] = (),
        settings: bytes = b"",
        accept: Callable[[int], None] = lambda saturated: None,
    ) -> int:
        """Takes the next step with `gradients`: integers of shape (header.size,), int32 or int64,
        or a model, whose weights it writes. `state` is then the state after it. Returns how many
        elements of a model's gradients saturated; of integers the `claims` say it.

        `lr`: a decimal for each group if the schedule is recorded, else nothing; `settings`: the
        optimizer's, as the step finds them (`keep_settings` keeps what they become). `accept` is
        called with the saturated elements before the step is recorded; if it raises, there was no
        step.

        When it returns, the step is on disk, or with `sync_every` in the system's memory. If a
        segment is full and too many wait to be proved, it waits (event `Waiting`). After a
        UsageError, RangeError, GradientError or WeightsChangedError nothing has changed; after a
        RunError or ProverError the writer must be abandoned. An interrupt (SIGINT and the like)
        waits for the step's end, but not for provers.
        """
        self._check_open()
        with held():  # an interrupt between two of these would part the state from the journal
            return self._append(gradients, claims, lr, settings, accept)

    def _append(
        self, gradients: Gradients, claims: Claims, lr: tuple[str, ...], settings: bytes, accept: Callable[[int], None]
    ) -> int:
        position, model = self._position, gradients if isinstance(gradients, Model) else None
        t = position.step + 1
        require_claims(claims)
        constants = constants_of(self._header, self._sequences, t, lr)
        saturated = take(self._header, self._stepper, gradients, constants)
        try:
            if model is not None:
                claims = replace(claims, saturated=saturated)
            accept(saturated)
            with self._writing():
                step = Step(t, self._stepper.gradients, tuple(lr), claims, settings)
                self._journal.write_step(position.segment, step)
        except BaseException:
            self._stepper.undo(model)
            raise
        with self._writing():
            self._position = replace(
                position, step=t, loop_state=claims.loop_state, settings=settings, last_lr=tuple(lr)
            )
            self._unclosed.step = t
            self._emit(StepLogged(t))
            if t - position.first + 1 == self._header.prover.steps or self._ends_shard(t):
                self._seal()
        return saturated

    def _ends_shard(self, step: int) -> bool:
        """Whether the data's next shard begins after this step: a segment holds steps of one."""
        return self._order is not None and self._order.ends_shard(step)

    def later_settings(self) -> bytes | None:
        """What `keep_settings` kept after `step`, or None. RunError for a torn or altered file."""
        return settings_file.kept(self._settlement.layout, self._settlement.digest, self.step)

    def keep_settings(self, settings: bytes, *, durable: bool) -> None:
        """Keeps what the optimizer's settings became after `step`. `durable`: so that they survive
        a power cut, too, and not only this process.

        Does nothing once the run has ended, or is another process's. Raises RunError if the file
        can't be written; the run can continue.
        """
        if not self._ended and self.in_own_process:
            layout, files = self._settlement.layout, self._settlement.files
            settings_file.keep(layout, self._settlement.digest, self.step, settings, files, durable=durable)

    def drain(self) -> None:
        """Seals the open segment, full or not, and waits until all is proved and recorded."""
        self._check_open()
        if self._position.step >= self._position.first:
            with self._writing():
                self._seal()
        self._thread.drain()

    def close(
        self, model_files: Mapping[str, bytes] | None = None, artefacts: Mapping[str, bytes] | None = None
    ) -> None:
        """Drains, publishes the model's files, and ends the run with the close record and its
        checkpoint. Waits a while for anchors that don't have it yet (run.anchoring.LAST_WAIT);
        `anchors` then says what is missing.

        `model_files` are contents by name, `artefacts` SHA-256 digests by name. UsageError for a
        bad name or digest, before anything is written.
        """
        self.require_own_process(self.path)
        model, others = dict(model_files or {}), dict(artefacts or {})
        require_digests(model, others)
        self.drain()
        with self._writing():
            for name, data in model.items():
                self._settlement.files.write_atomic(self._settlement.layout.model / name, data)
            self._settlement.close(
                Close(
                    last_step=self.step,
                    segments=self.segments_done,
                    state=self._settlement.last,
                    model=tuple((name, sha256(data).digest()) for name, data in model.items()),
                    artefacts=tuple(others.items()),
                )
            )
        self._following.wait()
        self._end(f"{self.path} is complete")

    def abandon(self) -> None:
        """Stops at once, even a proof in progress. Nothing acknowledged is lost; `resume`
        continues. May be called twice. RunError if the last steps can't be synced, with
        `sync_every`."""
        self.require_own_process(self.path)
        failed = self._ended
        try:
            self._journal.sync()
        except RunError:
            if not failed:  # else the caller has an error already
                raise
        finally:
            self._end(f"{self.path} was abandoned; resume it")

    def tell(self, what: str) -> None:
        """Prints to standard error what became of the run (`what`), and how to resume it."""
        self._unclosed.tell(what)

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._unclosed.end()
        stopped = self._thread.stop(self._settlement.stop_proving)
        self._following.end(self._ended)
        if stopped:  # else it may still write: the lock stays until the process ends
            self._settlement.stop_proving()
            self._lock.release()

    def require_open(self) -> None:
        """RunError or ProverError, which say why, if the run takes no more steps."""
        self._check_open()

    def _check_open(self) -> None:
        self.require_own_process(self.path)
        if self._ended:
            raise RunError(self._ended)
        self._thread.check()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A failure inside may leave half of its writes: nothing may follow it before recovery."""
        try:
            yield
        except BaseException as error:
            self._ended = f"{self.path} takes no more steps after a failed write ({error}); abandon it and resume it"
            raise

    def _seal(self) -> None:
        old = self._position
        salts = Salts.draw(self._backend, self._header, old.salts.state_out)
        self._journal.begin(
            Start(old.segment + 1, old.step + 1, self._stepper.state, salts, old.loop_state, old.settings)
        )
        self._position = replace(old, segment=old.segment + 1, first=old.step + 1, salts=salts)
        self._emit(SegmentSealed(old.segment, old.first, old.step))
        self._settlement.newest = old.segment
        with let_through():  # everything is written, and the wait may be long
            self._thread.put(old.segment, lambda pending: self._emit(Waiting(pending)))


def _require_fit(workers: Workers | None, backend: Backend) -> None:
    if workers is not None:
        require_fit(workers.name, workers.own, backend.prover.backend)


def _backlog(settlement: Settlement) -> int:
    """Enough segments that no worker is without a task."""
    coordinator, blocks = settlement.coordinator, len(settlement.header.blocks)
    return BACKLOG if coordinator is None else max(BACKLOG, -(-QUEUED * coordinator.slots // blocks))
