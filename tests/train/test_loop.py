from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.train.data import DataSet, Rows
from zk_autograd.train.loop import Loop, accuracy
from zk_autograd.train.models import build
from zk_autograd.train.names import DataName, ModelName
from zk_autograd.train.sampler import Sampler

pytestmark = pytest.mark.torch


class Recorder:
    """Plain gradient descent that writes down what it is told."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self.losses: list[object] = []
        self.batches: list[list[int]] = []
        self.states: list[bytes | None] = []

    def zero_grad(self) -> None:
        for p in self._model.parameters():
            p.grad = None

    def note(
        self, *, loss: object = None, batch: NDArray[np.int64] | None = None, loop_state: bytes | None = None
    ) -> None:
        assert batch is not None
        self.losses.append(loss)
        self.batches.append(batch.tolist())
        self.states.append(loop_state)

    def step(self, closure: None = None) -> None:
        with torch.no_grad():
            for p in self._model.parameters():
                assert p.grad is not None
                p.sub_(0.5 * p.grad)


def two_clouds() -> Loop:
    """Two classes that a line tells apart."""
    random = np.random.default_rng(0)
    labels = np.arange(40, dtype=np.int64) % 2
    features = (random.normal(0, 0.3, (40, 2)) + labels[:, None]).astype(np.float32)
    rows = Rows(features, labels)
    data = DataSet(DataName.DIGITS, rows, rows, 2)
    return Loop(build(ModelName.LOGISTIC, 2, 2, 0), data, Sampler(40, 16, 0))


def test_training_learns_and_notes_loss_and_rows() -> None:
    loop = two_clouds()
    optimizer = Recorder(loop.model)
    assert loop.run(optimizer, 1, 200, lambda step, loss: True) == 200
    assert loop.accuracy() > 0.95
    assert optimizer.batches[:3] == [loop.sampler.batch(step).tolist() for step in (1, 2, 3)]
    assert all(isinstance(loss, float) for loss in optimizer.losses)
    assert optimizer.losses[0] > 2 * optimizer.losses[-1]  # type: ignore[operator]


def test_gradients_are_of_the_step_alone() -> None:
    loop, fresh = two_clouds(), two_clouds()
    for step in (1, 2):
        loop.gradients(step, Recorder(loop.model))
    fresh.gradients(2, Recorder(fresh.model))
    for one, other in zip(loop.model.parameters(), fresh.model.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_training_in_two_parts_is_training_in_one() -> None:
    whole, parts = two_clouds(), two_clouds()
    whole.run(Recorder(whole.model), 1, 7, lambda step, loss: True)
    parts.run(Recorder(parts.model), 1, 3, lambda step, loss: True)
    parts.run(Recorder(parts.model), 4, 7, lambda step, loss: True)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_stops_after_the_step_at_which_it_is_told_to() -> None:
    loop = two_clouds()
    optimizer = Recorder(loop.model)
    assert loop.run(optimizer, 1, 10, lambda step, loss: step < 4) == 4
    assert len(optimizer.losses) == 4


def test_nothing_left_to_do_is_done_at_once() -> None:
    loop = two_clouds()
    assert loop.run(Recorder(loop.model), 11, 10, lambda step, loss: True) == 10


def test_accuracy_is_the_part_that_is_right() -> None:
    model = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    rows = Rows(np.array([[1, 0], [0, 1], [0, 1], [3, 1]], np.float32), np.array([0, 1, 0, 0], np.int64))
    assert accuracy(model, rows) == 0.75


def test_model_is_in_train_for_steps_and_in_eval_for_accuracy() -> None:
    loop = two_clouds()
    seen: list[bool] = []
    loop.model.register_forward_pre_hook(lambda module, args: seen.append(module.training))
    loop.accuracy()
    loop.gradients(1, Recorder(loop.model))
    loop.accuracy()
    assert seen == [False, True, False]


def test_who_waits_for_the_first_gradients_is_called_once_with_them() -> None:
    loop = two_clouds()
    optimizer = Recorder(loop.model)
    called: list[tuple[int, bool]] = []

    def first() -> None:
        called.append((len(optimizer.losses), all(p.grad is not None for p in loop.model.parameters())))

    loop.run(optimizer, 1, 3, lambda step, loss: True, first)
    assert called == [(1, True)]
    assert len(optimizer.losses) == 3  # the first gradients are those of the first step, not drawn twice


def test_model_that_fails_is_told_with_step_and_rows() -> None:
    loop = replace(two_clouds(), model=torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(3)))
    with pytest.raises(UsageError, match=r"the model failed at step 3, on 8 rows: .*Error: "):
        loop.gradients(3, Recorder(loop.model))


def test_frozen_parameter_that_moved_before_a_resumption_is_kept_after_it() -> None:
    """What it is compared with is what it was when the model was made, not when the loop went
    on."""

    def made() -> Loop:
        torch.manual_seed(0)
        loop = replace(two_clouds(), model=torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)))
        loop.model[1].requires_grad_(False)  # type: ignore[index]
        return loop

    first, second, third = made(), made(), made()
    first.restore(b"")
    first.model[1].bias.data.add_(1)  # type: ignore[index]
    for step, (loop, resumed) in enumerate(((first, second), (second, third)), 1):
        optimizer = Recorder(loop.model)
        loop.gradients(step, optimizer)
        resumed.restore(optimizer.states[0] or b"")
    assert torch.equal(third.model[1].bias, first.model[1].bias)  # type: ignore[index]
    assert not torch.equal(third.model[1].bias, made().model[1].bias)  # type: ignore[index]
