"""Ctrl-C in the middle of a step: it is taken whole, recorded and counted, and then interrupted."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.kernels.native import NativeStepper
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.floats import Floats
from zk_autograd.run.journal import Journal

pytestmark = pytest.mark.torch
SIGNER = Ed25519Signer("trainer", bytes(range(32)))


def interrupting(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, before: bool) -> None:
    """The method is interrupted at its next call, just before it does its work or just after."""
    method: Callable[..., Any] = getattr(owner, name)
    left = [1]

    def call(*arguments: Any, **named: Any) -> Any:
        interrupt = bool(left) and bool(left.pop())
        if interrupt and before:
            os.kill(os.getpid(), signal.SIGINT)
        found = method(*arguments, **named)
        if interrupt and not before:
            os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("owner", "name", "recorded"),
    [
        (NativeStepper, "step_model", True),
        (NativeStepper, "step_model", False),
        (Journal, "write_step", True),
        (Floats, "written", True),
        (Floats, "written", False),
    ],
)
def test_state_weights_count_and_journal_stay_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, before: bool, recorded: bool
) -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, 50))
    where: dict[str, Any] = {"run": tmp_path / "run", "prover": "none", "key": SIGNER} if recorded else {}
    optimizer = ZKOptimizer([parameter], "sgd-momentum", "0.1", kernel="native", **where)

    def step() -> None:
        parameter.grad = torch.full_like(parameter, 0.01)
        optimizer.step()

    step()
    interrupting(monkeypatch, owner, name, before=before)
    with pytest.raises(KeyboardInterrupt):
        step()
    assert optimizer.steps == 2  # held until the step was whole
    weights = dequantize_weight(optimizer.integers["W"])
    np.testing.assert_array_equal(parameter.detach().numpy().view(np.int32), weights.view(np.int32))
    step()
    assert optimizer.steps == 3
    optimizer.close()
    expected = ZKOptimizer([other := torch.nn.Parameter(torch.linspace(-1, 1, 50))], "sgd-momentum", "0.1")
    for _ in range(3):
        other.grad = torch.full_like(other, 0.01)
        expected.step()
    for state, values in expected.integers.items():
        np.testing.assert_array_equal(optimizer.integers[state], values)
