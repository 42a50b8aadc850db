"""A recorded training as one call: what computes the gradients is an argument, and torch is not
needed for anything else."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from tests.run.trainer import hashed_backend, make_header
from tests.train.test_plan import PLAN
from zk_autograd import verify_run
from zk_autograd.core.errors import GradientError, RunError
from zk_autograd.core.keys import Ed25519Signer, Signer
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import Header
from zk_autograd.credentials import keyfile
from zk_autograd.optim.registering import Registering
from zk_autograd.register.place import begin_for_new_key
from zk_autograd.run.writer import RunWriter
from zk_autograd.train.command import Interrupted, Order, Recording, train
from zk_autograd.train.plan import Plan
from zk_autograd.train.summary import Summary


class OwnGradients:
    """A training whose gradients are integers of the test's own: no torch in it."""

    test_rows = 7
    classes = ()
    saturated = 0
    view = None
    anchors = ()

    def __init__(self, plan: Plan, recording: Recording, fails: BaseException | None = None) -> None:
        self.plan = replace(plan, batch_size=1)
        self._recording = recording
        self._signers: Sequence[Signer] = recording.signers
        if not self._signers:
            assert recording.key is not None
            self._signers = keyfile.load(recording.key)
        self._writer: RunWriter | None = None
        self._fails = fails

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None and self._writer is not None:
            self._writer.abandon()

    @property
    def header(self) -> Header | None:
        return None if self._writer is None else self._writer.header

    @property
    def head(self) -> Checkpoint | None:
        return None if self._writer is None else self._writer.head

    @property
    def steps(self) -> int:
        return 0 if self._writer is None else self._writer.step

    def train(self, go_on: Callable[[], bool], begun: Callable[[], None]) -> int:
        backend = hashed_backend()
        header = replace(
            make_header(backend),
            keys=tuple(signer.public_key.encode() for signer in self._signers),
            schedule="constant",
        )
        weights = np.zeros(header.size, np.int64)
        self._writer = RunWriter.create(self._recording.run, header, backend, self._signers, weights)
        begun()
        for step in range(self.plan.steps):
            if self._fails is not None and step == 2:
                raise self._fails
            self._writer.append(np.full(header.size, step))
            if not go_on():
                break
        return self._writer.step

    def close(self) -> None:
        assert self._writer is not None
        self._writer.close()

    def accuracy(self) -> float:
        return 0.5


class Told:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.headers: list[Header | None] = []

    def __call__(self, event: object) -> None:
        return

    def note(self, text: str) -> None:
        self.notes.append(text)

    def header(self, header: Header | None) -> None:
        self.headers.append(header)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    key = tmp_path / "log.key"
    begin_for_new_key(keyfile.load_or_make(key))
    return Order(plan=replace(PLAN, steps=5), run=tmp_path / "run", key=key, key_named=True)


def test_gradients_of_ones_own_are_trained_recorded_and_summed_up(order: Order) -> None:
    told = Told()
    found = train(order, OwnGradients, told)
    assert isinstance(found, Summary)
    assert (found.steps, found.accuracy, found.test_rows) == (5, 0.5, 7)
    assert [header is None for header in told.headers] == [True, False]
    assert told.notes[1] == f"each step takes all 1 training rows: there are fewer than {PLAN.batch_size}"
    public = keyfile.public_path(order.key)
    assert found.public == public
    assert verify_run(order.run, [public], require=["L0"]).exit_status == 0
    with pytest.raises(RunError, match="already exists"):
        train(order, OwnGradients, told)


def test_an_interrupt_is_told_and_what_is_left_can_be_resumed(order: Order) -> None:
    told = Told()
    found = train(order, lambda plan, recording: OwnGradients(plan, recording, KeyboardInterrupt()), told)
    assert found == Interrupted(order.run, 2, True)
    assert f"zk-train --resume {order.run} --key-file {order.key}" in told.notes[-1]


def test_what_ends_a_training_for_good_is_told_and_raised(order: Order) -> None:
    told = Told()
    with pytest.raises(GradientError, match="NaN"):
        train(order, lambda plan, recording: OwnGradients(plan, recording, GradientError("NaN")), told)
    assert f"{order.run} holds 2 steps and stays unfinished" in told.notes[-1]


def test_nothing_but_what_computes_gradients_loads_torch() -> None:
    script = "import sys, zk_autograd.train.command; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_signers_in_memory_need_no_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an enclave does: no key is read, made or looked for, and nobody is told how to
    resume."""
    monkeypatch.setattr(keyfile, "default_path", lambda: pytest.fail("a key was looked for"))
    signer = Ed25519Signer("memory", bytes(range(32)))
    plan = replace(PLAN, steps=5, registering=Registering(False))
    order = Order(plan=plan, run=tmp_path / "run", key=Path("no key"), key_named=False, signers=(signer,))
    found = train(order, OwnGradients, Told())
    assert isinstance(found, Summary)
    assert found.header.keys == (signer.public_key.encode(),)
    assert found.public is None
    told, order = Told(), replace(order, run=tmp_path / "another")
    stopped = train(order, lambda plan, recording: OwnGradients(plan, recording, KeyboardInterrupt()), told)
    assert stopped == Interrupted(order.run, 2, True)
    assert told.notes[-1] == "stopped after step 2: the run stays unfinished, as nobody else has its key"
