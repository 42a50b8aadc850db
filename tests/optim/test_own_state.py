"""What wrappers do with an optimizer's state: a recorded one takes its own of this very step, and
no other."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.scheduled import (
    SIGNER,
    STEPS,
    exponential,
    gradients,
    model,
    optimizer,
    require_same,
    through_a_file,
    train,
    undisturbed,
    warm_up,
)
from zk_autograd.core.errors import UsageError
from zk_autograd.optim import ZKOptimizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def on_device(value: Any, device: str) -> Any:
    """As accelerate's `send_to_device`, with copies."""
    if isinstance(value, torch.Tensor):
        return value.to(device).clone()
    if isinstance(value, dict):
        return type(value)({k: on_device(v, device) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return type(value)(on_device(v, device) for v in value)
    return value


@pytest.mark.parametrize("way", ["as it is", "deep copy", "file", "device"])
@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_recorded_optimizer_takes_its_own_state_at_any_step(steps: int, way: str, tmp_path: Path) -> None:
    ways: dict[str, Any] = {
        "as it is": lambda state: state,
        "deep copy": copy.deepcopy,
        "file": through_a_file,
        "device": lambda state: on_device(state, "cpu"),
    }
    expected = undisturbed(tmp_path, "warm_up")
    run = tmp_path / "run"
    module, o = optimizer(run)
    scheduler = warm_up(o)
    with o:
        train(module, o, scheduler, range(steps))
        o.load_state_dict(ways[way](o.state_dict()))
        train(module, o, scheduler, range(steps, STEPS))
    require_same(run, o, expected)


@pytest.mark.parametrize("rule", ["sgd", "adamw", "lion", "rmsprop"])
def test_resumed_optimizer_takes_its_own_state(rule: str, tmp_path: Path) -> None:
    module = model()

    def make(**options: Any) -> ZKOptimizer:
        return ZKOptimizer(
            module.named_parameters(),
            rule,
            0.01,
            grad_scale=6,
            run=tmp_path / "run",
            key=SIGNER,
            prover="none",
            **options,
        )

    o = make()
    gradients(module, 0)
    o.step()
    checkpoint = through_a_file(o.state_dict())
    o.abandon()
    o = make(resume=True)
    o.load_state_dict(checkpoint)
    o.load_state_dict(on_device(o.state_dict(), "cpu"))
    gradients(module, 1)
    o.step()
    with pytest.raises(UsageError, match=r"not from the step that the run is at \(its step is 1, the run's 2\)"):
        o.load_state_dict(checkpoint)
    o.abandon()


def changed(state: dict[str, Any], **entries: Any) -> dict[str, Any]:
    return {**state, "zk_autograd": {**state["zk_autograd"], **entries}}


def test_state_that_differs_from_the_runs_is_refused_with_the_reason(tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run")
    gradients(module, 0)
    o.step()
    state = copy.deepcopy(o.state_dict())
    hyper = [{**state["zk_autograd"]["hyper"][0], "eps": "0.25"}]
    moved = copy.deepcopy(state)
    moved["state"][1]["V"][0] += 1
    cases: Sequence[tuple[dict[str, Any], str]] = (
        (changed(state, step=2), "its step is 2, the run's 1"),
        (changed(state, schedule="constant"), "its schedule is 'constant', the run's 'recorded'"),
        (changed(state, grad_scale=5), "its grad_scale is 5, the run's 6"),
        (changed(state, hyper=hyper), "its hyper-parameters is"),
        (moved, "its integers V differ from the run's"),
    )
    before = o.integers
    for other, reason in cases:
        with pytest.raises(UsageError, match="can't begin in the middle of another's") as caught:
            o.load_state_dict(other)
        assert f"({reason}" in str(caught.value)
    with pytest.raises(UsageError, match="has other parameters"):
        o.load_state_dict(changed(state, names=["a", "b", "c", "d"]))
    for name, values in o.integers.items():
        np.testing.assert_array_equal(values, before[name])
    o.abandon()


def test_own_state_sets_what_param_groups_held(tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run")
    scheduler = exponential(o)
    train(module, o, scheduler, range(2))
    state = copy.deepcopy(o.state_dict())
    o.param_groups[0]["lr"] = 0.5
    o.load_state_dict(state)
    assert o.param_groups[0]["lr"] == 0.0025
    o.abandon()
    _, o = optimizer(tmp_path / "run", resume=True)
    assert o.param_groups[0]["lr"] == 0.0025
    o.abandon()


@pytest.mark.parametrize("steps", [0, 1])
def test_own_state_is_refused_where_the_model_holds_other_weights_by_now(steps: int, tmp_path: Path) -> None:
    """A checkpoint that was loaded into the model would be gone without a word."""
    module, o = optimizer(tmp_path / "run")
    for step in range(steps):
        gradients(module, step)
        o.step()
    state = o.state_dict()
    bias = module.get_parameter("0.bias")
    own = bias.detach().clone()
    with torch.no_grad():
        bias.add_(1)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"0\.bias was changed by something else since the last step"):
            o.load_state_dict(state)
        assert torch.equal(bias, own + 1)
    with torch.no_grad():
        bias.copy_(own)
    o.load_state_dict(state)
    gradients(module, steps)
    o.step()
    o.close()
    o.load_state_dict(o.state_dict())  # nothing differs, and nothing is written


def test_lr_as_a_tensor_in_a_schedule_stays_refused(tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run")
    o.param_groups[0]["lr"] = torch.tensor(0.01)
    gradients(module, 0)
    with pytest.raises(UsageError, match="lr of parameter group 0 is a Tensor"):
        o.step()
