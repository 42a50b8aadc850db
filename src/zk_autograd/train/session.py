"""A training from its plan: data, model, optimizer and loop put together, to be recorded in a run,
or repeated and compared.

The same plan gives the same integer weights each time, on one machine with one version of torch:
one thread, the sampler and the first weights are functions of the seed, and torch's generator is
seeded from it.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self

import torch

from zk_autograd.core.cells import Cells
from zk_autograd.core.errors import RunError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import Data, Header
from zk_autograd.core.register import View
from zk_autograd.core.rules import State
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.claims import batch_digest, loss_text
from zk_autograd.optim.exact import ExactGradient, exact_graph
from zk_autograd.optim.recording import NewLogKey
from zk_autograd.optim.resuming import ResumedModel
from zk_autograd.optim.trajectory import ClampedGradients, CoarseEps
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.events import AnchorsAwaited, BeaconAwaited, Event, Listener
from zk_autograd.train import config, data, models, own_run
from zk_autograd.train.command import Recording
from zk_autograd.train.exact_data import table_of, training_cells
from zk_autograd.train.exact_loop import ExactLoop
from zk_autograd.train.loop import Loop
from zk_autograd.train.plan import Plan
from zk_autograd.train.sampler import Sampler
from zk_autograd.train.selection import parameter_groups


@dataclass(frozen=True, slots=True)
class Made:
    """A step of a repeated training. `header` is what a run of it would have, except that its
    `data` have neither root nor seed; `loss`, `saturated` and `batch` are what would be recorded of
    the step; `state` returns the integers after it."""

    number: int
    header: Header
    loss: str
    saturated: int
    batch: bytes
    state: Callable[[], State]


class Watch(Protocol):
    """What watches a training that is being repeated. What it raises ends the training."""

    def begun(self, weights: IntArray) -> None:
        """Before the first step, with the first W."""
        ...

    def made(self, step: Made) -> None:
        """After each step."""
        ...


def retrain(
    plan: Plan,
    on_step: Callable[[int, int], None],
    watch: Watch | None = None,
    begun: tuple[IntArray | None, int | None] = (None, None),
) -> IntArray:
    """The final integer weights W, int64 (elements,), of `plan.steps` unrecorded steps: those of a
    run of the plan, bit for bit. `on_step(step, steps)` is called after each. For a run that was
    ended early, pass the plan with the steps it took; for one that a beacon began, the first
    weights and the seed of the rows' order that it gives.

    Raises UsageError if data or model are missing or don't fit, GradientError, RangeError.
    """
    with repeatable():
        weights, seed = begun
        loop = loop_of(plan if seed is None or not plan.is_exact else replace(plan, order_seed=seed))
        rows = Data(b"", len(loop.data.train), data.SAMPLER, plan.batch_size, b"")
        optimizer = _optimizer(plan, loop, rows, None)
        if weights is not None:
            optimizer.begin_with(weights)
        if seed is not None and isinstance(loop, Loop):
            loop.sampler = replace(loop.sampler, seed=seed)
        before = 0

        def done(step: int, loss: float) -> bool:
            nonlocal before
            on_step(step, plan.steps)
            if watch is not None and optimizer.header is not None:
                batch = batch_digest(loop.sampler.batch(step)) if isinstance(loop, Loop) else b""
                saturated, before = optimizer.saturated - before, optimizer.saturated
                watch.made(Made(step, optimizer.header, loss_text(loss), saturated, batch, lambda: optimizer.integers))
            return True

        if watch is not None:
            watch.begun(optimizer.integers["W"])
        loop.run(optimizer, 1, plan.steps, done)
        return optimizer.integers["W"]


def data_commitment(plan: Plan) -> Data:
    """What a header of this plan's run says of its data. UsageError if the data are missing."""
    return _committed(plan, data.load(plan.data, plan.seed))


def exact_cells(plan: Plan) -> Cells:
    """The cells of the training rows, int32 (rows, stride), of a plan with exact gradients.
    UsageError if the data are missing."""
    return training_cells(data.load(plan.data, plan.seed))


def loop_of(plan: Plan) -> Loop | ExactLoop:
    """The model with its data. UsageError for too large a batch, or a model that doesn't fit."""
    rows = data.load(plan.data, plan.seed)
    return _loop_on(plan.fitted(len(rows.train)), rows)


def _loop_on(plan: Plan, rows: data.DataSet, cells: Cells | None = None) -> Loop | ExactLoop:
    """`cells` are those of the rows, where the gradients are exact and they were made before."""
    torch.manual_seed(plan.seed)
    if plan.is_exact and cells is None:
        cells = training_cells(rows)
    model = models.build(plan.model, rows.columns, rows.classes, plan.seed)
    if cells is None:
        return Loop(model, rows, Sampler(len(rows.train), plan.batch_size, plan.seed))
    graph = exact_graph(model, "cross-entropy", features=rows.columns)
    gradient = ExactGradient(
        graph, cells, plan.batch_size, plan.order_seed, public=plan.public_data, table=table_of(rows)
    )
    return ExactLoop(model, rows, gradient)


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside, torch computes on one thread; the caller's generator is restored afterwards."""
    with models.one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The report at the end says what eps is in effect, how many elements saturated and what key
        # was made; the loop restores buffers and frozen parameters once there is an optimizer.
        for kind in (CoarseEps, ClampedGradients, NewLogKey, ResumedModel):
            warnings.simplefilter("ignore", kind)
        yield


class Session:
    """A recorded `command.Training` of a torch model. Use it in a `with`, inside `repeatable`."""

    def __init__(self, plan: Plan, recording: Recording) -> None:
        """Loads data and model and, with `resume`, the run. RunError if the run was begun with
        other data or code, before any of the user's code is imported."""
        self._run = recording.run
        self._by_beacon = bool(recording.start)
        self._go_on: Callable[[], bool] = lambda: True
        self._asked_before: bool | None = None  # for an end, when the run was closed
        recording = replace(recording, listener=self._listening(recording.listener))
        rows = data.load(plan.data, plan.seed)
        self.plan = plan = plan.fitted(len(rows.train))
        cells = training_cells(rows) if plan.is_exact else None
        committed = None if plan.is_exact else _committed(plan, rows)
        if recording.resume:
            found = own_run.require_plan(plan, self._run, committed if cells is None else cells, _advice(plan))
            own_run.require_code(plan, self._run, found, recording.key, recording.allowed)
        self.loop = _loop_on(plan, rows, cells)
        self.optimizer = _optimizer(plan, self.loop, committed, recording)
        header = self.optimizer.header
        try:
            if header is not None and not models.is_code(plan.model, header.model_code):
                raise RunError(
                    f"the code of the model {plan.model} is not the one that {self._run} was begun with: restore that, or begin a new run"
                )
            self._take_order()
            self.loop.restore(self.optimizer.loop_state)
        except BaseException:
            self.optimizer.abandon()
            raise

    def __enter__(self) -> Self:
        self.optimizer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.optimizer.__exit__(kind, error, trace)

    @property
    def header(self) -> Header | None:
        return self.optimizer.header

    @property
    def head(self) -> Checkpoint | None:
        return self.optimizer.head

    @property
    def view(self) -> View | None:
        return self.optimizer.view

    @property
    def anchors(self) -> Sequence[AnchorState]:
        return self.optimizer.anchors

    @property
    def steps(self) -> int:
        return self.optimizer.steps

    @property
    def saturated(self) -> int:
        return self.optimizer.saturated

    @property
    def test_rows(self) -> int:
        return len(self.loop.data.test)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.loop.data.names

    def close(self) -> None:
        self.optimizer.close()

    def accuracy(self) -> float:
        return self.loop.accuracy()

    def train(self, go_on: Callable[[], bool], begun: Callable[[], None] = lambda: None) -> int:
        """Takes the steps that are left, as long as `go_on` says so, and returns the last one.
        `begun` is called once there is a run."""
        begun = begun if self.optimizer.header is None else lambda: None

        def begin() -> None:
            if self.optimizer.header is None:
                self.optimizer.start()
                if self.loop.data.scaling is not None:
                    self.loop.data.scaling.write(self._run)
                self.plan.write(self._run)
                begun()

        self._go_on = go_on
        if self._by_beacon:  # there are no gradients before there are first weights
            begin()
            self._take_order()
        first = self.optimizer.steps + 1
        return self.loop.run(self.optimizer, first, self.plan.steps, lambda step, loss: go_on(), begin)

    def _take_order(self) -> None:
        """The order of the rows that the beacon gives, if the header leaves it to one."""
        seed = self.optimizer.order_seed
        if seed is not None and isinstance(self.loop, Loop):  # an exact gradient is told by its optimizer
            self.loop.sampler = replace(self.loop.sampler, seed=seed)

    def _listening(self, listener: Listener) -> Listener:
        """The listener; the first Ctrl-C ends the waiting for a beacon, when there is no run that
        could be finished, and the next one that for anchors, when it is finished."""

        def listening(event: Event) -> None:
            asked = not self._go_on()
            if isinstance(event, BeaconAwaited) and asked:
                raise KeyboardInterrupt
            if isinstance(event, AnchorsAwaited):
                self._asked_before = asked if self._asked_before is None else self._asked_before
                if asked and not self._asked_before:
                    raise KeyboardInterrupt
            listener(event)

        return listening


def _committed(plan: Plan, rows: data.DataSet) -> Data:
    return data.commitment(rows.train, plan.secret, seed=plan.seed, batch_size=plan.batch_size)


def _advice(plan: Plan) -> str:
    if isinstance(plan.data, CsvFile):
        return f"{plan.data.path} has changed since; restore what it held"
    return "install the scikit-learn that it was begun with"


def _optimizer(plan: Plan, loop: Loop | ExactLoop, committed: Data | None, recording: Recording | None) -> ZKOptimizer:
    """`committed` is what a header says of the data, of a loop that isn't exact."""
    where: dict[str, Any] = {"gradient": loop.gradient} if isinstance(loop, ExactLoop) else {"data": committed}
    if recording is not None:
        where |= {
            "run": recording.run,
            "resume": recording.resume,
            "prover": recording.prover,
            "srs": recording.srs,
            "preset": plan.preset or None,
            "key": recording.signers or recording.key,
            "publish": plan.publish,
            "config": config.to_toml(plan),
            "on_event": recording.listener,
            "register": plan.registering.wanted,
            "anchors": plan.registering.anchors,
            "anchor_every": plan.registering.every,
            "start": recording.start,
            "kernel": recording.machine.kernel,
            "sync_every": recording.machine.sync_every,
            "workers": recording.machine.workers,
            "worker_keys": recording.machine.worker_key,
            "order_by_beacon": bool(recording.start),
        }
    return ZKOptimizer(
        parameter_groups(plan, loop.model),
        plan.rule,
        **plan.shared_options(),
        grad_scale=plan.grad_scale,
        schedule=plan.schedule,
        expected_steps=plan.steps,
        unproved=loop.model,
        model_code=models.code_digest(plan.model),
        **where,
    )
