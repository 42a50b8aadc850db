"""A model's own tensors under a kernel: what is written where, and what a refused step leaves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zk_autograd.core.errors import GradientError, RangeError, RunError, UsageError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.run.journal import Journal

pytestmark = pytest.mark.torch

SIGNER = Ed25519Signer("trainer", bytes(range(32)))


def tensors() -> list[torch.nn.Parameter]:
    """One contiguous, one transposed, one of channels last, one with gaps, one scalar."""
    values = torch.arange(240, dtype=torch.float32) / 64 - 1
    wide = torch.zeros(8, 6)
    wide[:, ::2] = values[:24].view(8, 3)
    return [
        torch.nn.Parameter(values[:12].clone()),
        torch.nn.Parameter(values[12:36].clone().view(4, 6).t()),
        torch.nn.Parameter(values[36:96].clone().view(1, 5, 3, 4).to(memory_format=torch.channels_last)),
        torch.nn.Parameter(wide[:, ::2]),
        torch.nn.Parameter(torch.tensor(0.5)),
    ]


def made(parameters: list[torch.nn.Parameter], **options: Any) -> ZKOptimizer:
    return ZKOptimizer(parameters, eps="0.000001", **options)


def with_gradients(parameters: list[torch.nn.Parameter], t: int) -> None:
    generator = torch.Generator().manual_seed(t)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator) * 0.01


def values_of(parameters: list[torch.nn.Parameter]) -> list[np.ndarray[Any, Any]]:
    return [p.detach().numpy().copy() for p in parameters]


def same(left: list[np.ndarray[Any, Any]], right: list[np.ndarray[Any, Any]]) -> bool:
    return all(np.array_equal(a.view(np.int32), b.view(np.int32)) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("kernel", ["native", "torch"])
def test_tensors_however_they_lie_get_the_weights_of_the_integers(kernel: str) -> None:
    parameters, plain = tensors(), [torch.nn.Parameter(p.detach().clone().contiguous()) for p in tensors()]
    optimizer, other = made(parameters, kernel=kernel), made(plain, kernel=kernel)
    addresses = [p.data_ptr() for p in parameters]
    for t in range(3):
        with_gradients(parameters, t)
        with_gradients(plain, t)
        optimizer.step()
        other.step()
    W = optimizer.integers["W"]
    flat = np.concatenate([values.reshape(-1) for values in values_of(parameters)])
    np.testing.assert_array_equal(flat.view(np.int32), dequantize_weight(W).view(np.int32))
    np.testing.assert_array_equal(W, other.integers["W"])
    assert [p.data_ptr() for p in parameters] == addresses
    assert [p.stride() for p in parameters] == [p.stride() for p in tensors()]


@pytest.mark.parametrize("kernel", ["native", "torch"])
def test_autograd_is_told_that_a_step_changed_the_weights(kernel: str) -> None:
    for p in tensors():
        optimizer = made([p], kernel=kernel)
        square = (p * p).sum()
        p.grad = torch.ones_like(p)
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            square.backward()


@pytest.mark.parametrize("kernel", ["native", "torch"])
@pytest.mark.parametrize("bad", ["gradient", "weight", "range", "missing"])
def test_a_refused_step_changes_neither_integers_nor_weights(kernel: str, bad: str) -> None:
    parameters = tensors()
    rate = 100 if bad == "range" else "0.001"
    optimizer = ZKOptimizer(parameters, "sgd", rate, kernel=kernel)
    for p in parameters:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    with_gradients(parameters, 1)
    before = optimizer.integers
    wanted: type[Exception] = GradientError
    if bad == "gradient":
        parameters[3].grad.view(-1)[7] = float("nan")  # type: ignore[union-attr]
    elif bad == "missing":
        parameters[4].grad = None
    elif bad == "range":
        wanted = RangeError
        parameters[4].grad.fill_(3.9)  # type: ignore[union-attr]
    else:
        wanted = UsageError
        with torch.no_grad():
            parameters[2][0, 4, 2, 3] += 2.0**-20
    values = values_of(parameters)
    with pytest.raises(wanted):
        optimizer.step()
    assert same(values, values_of(parameters))
    for name, integers in optimizer.integers.items():
        np.testing.assert_array_equal(integers, before[name])
    assert optimizer.steps == 1


@pytest.mark.parametrize("kernel", ["native", "torch"])
def test_a_changed_weight_is_told_of_before_a_missing_gradient(kernel: str) -> None:
    parameters = tensors()
    optimizer = made(parameters, kernel=kernel)
    with_gradients(parameters, 0)
    optimizer.step()
    parameters[0].grad = None
    with torch.no_grad():
        parameters[1].add_(1)
    with pytest.raises(UsageError, match=r"param\.1 was changed by something else"):
        optimizer.step()


def test_a_step_that_cannot_be_recorded_leaves_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = tensors()
    optimizer = made(parameters, run=tmp_path / "run", prover="none", key=SIGNER)
    with_gradients(parameters, 0)
    optimizer.step()
    values, before = values_of(parameters), optimizer.integers

    def fail(*_: object) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr(Journal, "write_step", fail)
    with_gradients(parameters, 1)
    with pytest.raises(RunError, match="the disk is full"):
        optimizer.step()
    assert same(values, values_of(parameters))
    for name, integers in optimizer.integers.items():
        np.testing.assert_array_equal(integers, before[name])
    optimizer.abandon()


def test_kernels_may_change_from_one_resumption_to_the_next(tmp_path: Path) -> None:
    recorded, plain = tensors(), tensors()
    expected = made(plain, kernel="torch")
    for t, kernel in enumerate(("native", "torch", "auto")):
        if t:
            recorded = tensors()
        optimizer = made(recorded, run=tmp_path / "run", resume=bool(t), prover="none", key=SIGNER, kernel=kernel)
        for step in range(2):
            with_gradients(recorded, 2 * t + step)
            with_gradients(plain, 2 * t + step)
            optimizer.step()
            expected.step()
        optimizer.abandon()
    for name, integers in expected.integers.items():
        np.testing.assert_array_equal(optimizer.integers[name], integers)


def test_a_tensor_of_more_than_two_to_the_31_elements_is_refused() -> None:
    huge = torch.nn.Parameter(torch.empty(1).expand(2**31 + 1))
    with pytest.raises(UsageError, match="split it into several parameters"):
        ZKOptimizer([huge])
