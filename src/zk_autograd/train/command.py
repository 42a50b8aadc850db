"""A recorded training as one call, for the command, a service or an enclave: from an order to the
summary of its run.

What computes the gradients is an argument: `session.Session` does it with a torch model. Nothing
here needs torch, nor does anything that this module imports.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from time import monotonic
from typing import Protocol

from zk_autograd.core.errors import GradientError, RangeError, UsageError, ZkError
from zk_autograd.core.keys import Signer
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import Header
from zk_autograd.core.register import View
from zk_autograd.credentials import keyfile
from zk_autograd.optim import recording
from zk_autograd.optim.registering import beacon_of, registration_of
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.events import Listener, ignore
from zk_autograd.train.names import Factory
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import Machine
from zk_autograd.train.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A training to be recorded in `run`.

    `key` is the file of the log key, `key_named` whether the caller named it; `srs` is for the
    prover that needs one. `resume` resumes the run that is there; `allowed` is code that the caller
    lets it run though their key didn't sign it. `backend` proves in place of the plan's prover;
    `start` names the beacon that gives a new run's first weights ("": the seed does). `signers`
    sign a new run in place of the keys in `key`: they are in memory alone, so that nobody resumes
    it.
    """

    plan: Plan
    run: Path
    key: Path
    key_named: bool
    srs: Path | None = None
    resume: bool = False
    allowed: Factory | None = None
    backend: Backend | None = None
    start: str = ""
    signers: tuple[Signer, ...] = ()
    machine: Machine = field(default_factory=Machine)


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a training is recorded, and what proves and signs it. `resume` resumes the run that is
    there.

    `key` is the file of the caller's own key (None for a new run: the default one, which is created
    if missing), unless there are `signers`; `allowed` is the code that the caller named for a run
    that it didn't sign.
    """

    run: Path
    prover: str | Backend
    key: Path | None
    srs: Path | None = None
    resume: bool = False
    listener: Listener = ignore
    allowed: Factory | None = None
    start: str = ""
    signers: tuple[Signer, ...] = ()
    machine: Machine = field(default_factory=Machine)


class Training(AbstractContextManager[object], Protocol):
    """What computes gradients, takes the steps they make, and records them. A context: leaving it
    by an exception stops the run where it is."""

    @property
    def plan(self) -> Plan:
        """The training as it is done: a default batch size may be lowered to fit the data."""
        ...

    @property
    def header(self) -> Header | None:
        """The run's; None before the first step of a new one."""
        ...

    @property
    def head(self) -> Checkpoint | None: ...

    @property
    def view(self) -> View | None:
        """The run's newest entry in its trainer's register; None if it is in none."""
        ...

    @property
    def anchors(self) -> Sequence[AnchorState]:
        """How the anchors stand that the plan names."""
        ...

    @property
    def steps(self) -> int: ...

    @property
    def saturated(self) -> int: ...

    @property
    def test_rows(self) -> int: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def train(self, go_on: Callable[[], bool], begun: Callable[[], None]) -> int:
        """Takes the steps that are left, as long as `go_on` says so, and returns the last one.
        `begun` is called once there is a new run."""
        ...

    def close(self) -> None:
        """Proves what is left, and ends the run."""
        ...

    def accuracy(self) -> float:
        """On rows that no step has seen."""
        ...


class Teller(Protocol):
    """What is told of a training. It is called as a listener of the run's events, too."""

    def __call__(self, event: object) -> None: ...

    def note(self, text: str) -> None:
        """A sentence for people."""
        ...

    def header(self, header: Header | None) -> None:
        """The run's header, once it is known."""
        ...


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A training that was interrupted after `steps` steps. `resumable`: it left a run."""

    run: Path
    steps: int
    resumable: bool


Stop = AbstractContextManager[Callable[[], bool]]
"""A context whose value says whether to finish cleanly before the last step."""


def train(
    order: Order,
    compute: Callable[[Plan, Recording], Training],
    tell: Teller,
    stop: Stop | None = None,
) -> Summary | Interrupted:
    """Trains, records, proves and closes. `compute` is given the plan, and where to record it.

    Raises PlaceTakenError if the run's place was taken before the first step; RunError, UsageError,
    GradientError, RangeError and ProverError as the optimizer does, after a note on what is left of
    the run.
    """
    plan, run, new_key = order.plan, order.run, None
    beacon_of(order.start)
    if not order.resume:
        recording.check_place(run := recording.place_called(run))  # and the key, before torch and keys take seconds
        if not order.signers:
            new_key = recording.key_to_make(order.key if order.key_named else None)
        if new_key is None:
            signers = order.signers or recording.signers_of(order.key)
            registration_of(plan.registering, signers, from_file=not order.signers)
    began = monotonic()
    key = order.key if new_key is None and not order.signers else None
    prover = order.backend or plan.prover
    training = compute(
        plan,
        Recording(
            run, prover, key, order.srs, order.resume, tell, order.allowed, order.start, order.signers, order.machine
        ),
    )
    asked, plan = plan.batch_size, training.plan
    gradients = ", exact gradients" if plan.is_exact else ""
    tell.note(
        f"{run}: {plan.model} on {plan.data}, {plan.rule.value}{gradients}, {plan.steps} steps, prover {plan.prover}"
    )
    if plan.batch_size != asked:
        tell.note(f"each step takes all {plan.batch_size} training rows: there are fewer than {asked}")

    def begun() -> None:
        tell.header(training.header)
        if new_key is not None and training.header is not None:
            tell.note(recording.made_key(new_key))

    tell.header(training.header)
    try:
        with stop or nullcontext(lambda: False) as asked_to_stop, training:
            last = training.train(lambda: not asked_to_stop(), begun)
            trained = monotonic()
            training.close()
    except (KeyboardInterrupt, ZkError) as error:
        _tell_what_is_left(error, training, replace(order, run=run), tell)
        if not isinstance(error, KeyboardInterrupt):
            raise
        return Interrupted(run, training.steps, training.header is not None)
    accuracy, ended = training.accuracy(), monotonic()
    head, header = training.head, training.header
    assert head is not None
    assert header is not None
    return Summary(
        plan=plan,
        run=run,
        header=header,
        head=head,
        steps=last,
        accuracy=accuracy,
        test_rows=training.test_rows,
        saturated=training.saturated,
        seconds=ended - began,
        waited=ended - trained,
        classes=training.classes,
        view=training.view,
        anchors=tuple(training.anchors),
        public=None if order.signers else _public_half(order.key, header),
    )


def _public_half(key: Path, header: Header) -> Path | None:
    return keyfile.public_path(key) if keyfile.is_public_half(key, header.keys) else None


def _tell_what_is_left(error: BaseException, training: Training, order: Order, tell: Teller) -> None:
    """For a run that was interrupted."""
    if training.header is None:
        return
    if isinstance(error, GradientError | RangeError | UsageError):
        tell.note(
            f"{order.run} holds {training.steps} steps and stays unfinished: resuming it would fail at the same step; train again in another folder"
        )
    elif order.signers:
        tell.note(f"stopped after step {training.steps}: the run stays unfinished, as nobody else has its key")
    else:
        named = f" --key-file {quote(str(order.key))}" if order.key_named else ""
        resume = f"zk-train --resume {quote(str(order.run))}{named}"
        tell.note(f"stopped after step {training.steps}; nothing is lost: `{resume}` resumes the run")
