"""How fast this machine trains and proves: a short training as it would be recorded, and a few
small proofs, in a folder that is removed afterwards.

The training is the plan's own, with its data, model and steps, recorded by a key that is thrown
away, in no register and with nothing proved; its steps are those that the run would begin with.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Header
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.registering import Registering
from zk_autograd.prove.protocol import Sample
from zk_autograd.run import events
from zk_autograd.run.layout import Layout
from zk_autograd.train.command import Order, train
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import Session
from zk_autograd.train.settings import Machine
from zk_autograd.train.summary import Summary

SECONDS = 0.5
"""How long steps are taken, once there are `LEAST`."""
LEAST = 4
_SEGMENTS = 3
_GRADIENT = 1e-3


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`steps` steps of a run: `step` seconds for each, `once` for all that a training
    does besides. `step_bytes` and `start_bytes` are what the journal holds of a step and of a
    segment's beginning, `public_bytes` what there would be to publish; `there`: it was recorded on
    the disk where the run would be. `header` is its header, which proves nothing; `data_bytes` is
    the size of the private file of data with exact gradients."""

    steps: int
    step: float
    once: float
    step_bytes: float
    start_bytes: float
    public_bytes: int
    there: bool
    header: Header
    data_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ProofTimes:
    """Seconds: `each` of a sample's proof, `first` what the first one takes more; `size` is one's
    bytes."""

    each: float
    first: float
    size: int


@contextmanager
def place_near(run: Path) -> Iterator[tuple[Path, bool]]:
    """A folder that is removed at the end, on the disk where `run` would be, and whether it lies
    there: where that can't be written to, it lies among temporary files."""
    parent = next(p for p in run.absolute().parents if p.is_dir())
    there = os.access(parent, os.W_OK | os.X_OK)
    prefix = ".zk-train-dry-run-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent if there else None, ignore_cleanup_errors=True) as made:
        yield Path(made), there


def rehearse(plan: Plan, machine: Machine, folder: Path, *, there: bool) -> Rehearsal:
    """Trains in `folder`. Raises as the training would at its first steps."""
    watch = _Watch(Layout(folder / "rehearsal"))
    order = Order(
        plan=replace(plan, prover="none", preset="", registering=Registering(wanted=False)),
        run=watch.layout.root,
        key=Path(),
        key_named=False,
        signers=(_signer(),),
        machine=machine,
    )
    with _quiet():
        found = train(order, Session, watch, watch.stop())
    assert isinstance(found, Summary)  # nobody interrupts it
    times = watch.times
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else found.seconds
    return Rehearsal(
        steps=len(times),
        step=step,
        once=max(found.seconds - len(times) * step, 0),
        step_bytes=watch.step_bytes,
        start_bytes=watch.start_bytes,
        public_bytes=_size(watch.layout.root) - _size(watch.layout.private),
        there=there,
        header=found.header,
        data_bytes=watch.layout.data.stat().st_size if plan.is_exact else 0,
    )


def time_proofs(plan: Plan, sample: Sample, folder: Path) -> ProofTimes:
    """Makes a few proofs of random steps in `folder`. ProverError if they can't be made."""
    ends: list[float] = []
    begun: list[float] = []
    sizes: list[int] = []

    def listen(event: object) -> None:
        match event:
            case events.SegmentSealed():
                begun.append(time.monotonic())
            case events.ProofDone():
                sizes.append(event.size)
            case events.RecordWritten():
                ends.append(time.monotonic())

    prover = sample.backend.prover
    generator = torch.Generator().manual_seed(0)
    tensor = torch.nn.Parameter(torch.randn(prover.block, generator=generator) * 0.1)
    with (
        _quiet(),
        ZKOptimizer(
            [("sample", tensor)],
            plan.rule,
            **plan.shared_options(),
            run=folder / "proofs",
            prover=sample.backend,
            key=_signer(),
            register=False,
            on_event=listen,
        ) as optimizer,
    ):
        for _ in range(_SEGMENTS * prover.steps):
            tensor.grad = torch.randn(prover.block, generator=generator) * _GRADIENT
            optimizer.step()
    each = (ends[-1] - ends[0]) / (_SEGMENTS - 1)
    return ProofTimes(each, max(ends[0] - begun[0] - each, 0), max(sizes))


@dataclass(slots=True)
class _Watch:
    """A `train.command.Teller` that says nothing, and notes when steps are in the journal."""

    layout: Layout
    times: list[float] = field(default_factory=list)
    step_bytes: float = 0
    start_bytes: float = 0
    _first: int = 0
    _steps: int = 0

    def note(self, text: str) -> None:
        """Nobody is told."""

    def header(self, header: Header | None) -> None:
        self._steps = 0 if header is None else header.prover.steps

    def __call__(self, event: object) -> None:
        if not isinstance(event, events.StepLogged):
            return
        self.times.append(time.monotonic())
        if event.step == 1:
            self._first = self.start_bytes = _size(self.layout.segments)
        elif event.step <= self._steps:
            self.step_bytes = (_size(self.layout.segments) - self._first) / (event.step - 1)
            self.start_bytes = max(self._first - self.step_bytes, 0)

    @contextmanager
    def stop(self) -> Iterator[Callable[[], bool]]:
        began = time.monotonic()
        yield lambda: len(self.times) >= LEAST and time.monotonic() - began > SECONDS


@contextmanager
def _quiet() -> Iterator[None]:
    """What the training itself will warn of is not said twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _signer() -> Ed25519Signer:
    return Ed25519Signer("dry-run", os.urandom(32))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
