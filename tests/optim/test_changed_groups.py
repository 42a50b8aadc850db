"""`param_groups` that are others than the optimizer was made with: refused in a sentence, nothing recorded, and the run can be resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.optim.scheduled import gradients, optimizer
from zk_autograd.core.errors import UsageError
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.resuming import ResumedLr
from zk_autograd.run.settings import keep

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def stepped(module: torch.nn.Module, o: ZKOptimizer) -> None:
    gradients(module, o.steps)
    o.step()


# ---- their number --------------------------------------------------------------------------------------------------

COUNTS: dict[str, Callable[[ZKOptimizer], object]] = {
    "appended": lambda o: o.param_groups.append({"params": [], "lr": 0.5}),
    "popped": lambda o: o.param_groups.pop(),
    "cleared": lambda o: o.param_groups.clear(),
}


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("way", COUNTS)
def test_another_number_of_groups_is_refused_and_the_run_is_resumed_with_those_it_had(
    way: str, steps: int, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run, groups=2)
    for _ in range(steps):
        stepped(module, o)
    state = o.state_dict()
    COUNTS[way](o)
    o.zero_grad()
    gradients(module, o.steps)
    with pytest.raises(UsageError, match=r"\d parameter groups by now, not 2, .* fixed when the optimizer is made"):
        o.step()
    with pytest.raises(UsageError, match=r"\d parameter groups by now, not 2"):
        o.load_state_dict(state)
    o.abandon()
    if steps:
        module, o = optimizer(run, groups=2, resume=True)
        assert (o.steps, [group["lr"] for group in o.param_groups]) == (steps, [0.01, 0.005])
        stepped(module, o)
        o.abandon()
    else:
        assert not run.exists()


def test_kept_settings_of_other_groups_are_told_of_and_the_steps_own_taken(tmp_path: Path) -> None:
    """An earlier version kept whatever `param_groups` had become."""
    run = tmp_path / "run"
    module, o = optimizer(run)
    stepped(module, o)
    assert o.header is not None
    writer: Any = o._trajectory._writer
    settings = b'{"groups":[[],[]],"moved":false,"unproved":""}'
    inner = writer._writer
    keep(inner._settlement.layout, inner.header_digest, 1, settings, inner._settlement.files, durable=True)
    writer.abandon()
    with pytest.warns(ResumedLr, match=r"lr is that of step 1 \(0\.01\), .*are none of this optimizer's"):
        module, o = optimizer(run, resume=True)
    stepped(module, o)
    assert o.steps == 2
    o.abandon()


@pytest.mark.parametrize("recorded", [False, True])
def test_state_with_a_group_too_many_or_none_is_refused_and_nothing_has_changed(recorded: bool, tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run" if recorded else None)
    stepped(module, o)
    state = o.state_dict()
    stepped(module, o)
    if recorded:
        state = o.state_dict()
    before = o.integers["W"].copy()
    groups = state["param_groups"]
    for wrong, message in (
        (
            {**state, "param_groups": [*groups, dict(groups[0])]},
            "this state_dict has 2 parameter groups, the optimizer 1",
        ),
        ({**state, "param_groups": []}, "this state_dict has 0 parameter groups, the optimizer 1"),
        ({name: value for name, value in state.items() if name != "param_groups"}, 'has no "param_groups"'),
    ):
        with pytest.raises(UsageError, match=message):
            o.load_state_dict(wrong)
        assert (o.integers["W"] == before).all()
        assert o.steps == 2
    o.abandon()


# ---- their tensors -------------------------------------------------------------------------------------------------


def replaced(o: ZKOptimizer) -> None:
    o.param_groups[0]["params"] = [torch.nn.Parameter(p.detach().clone()) for p in o.param_groups[0]["params"]]


TENSORS: dict[str, Callable[[ZKOptimizer], object]] = {
    "extended": lambda o: o.param_groups[0]["params"].append(torch.nn.Parameter(torch.ones(2))),
    "removed": lambda o: o.param_groups[1]["params"].pop(),
    "replaced": replaced,
    "reversed": lambda o: o.param_groups.reverse(),
    "deleted": lambda o: o.param_groups[0].pop("params"),
    "nothing": lambda o: o.param_groups[0].update(params=None),
}


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("way", TENSORS)
def test_groups_with_other_tensors_are_refused_and_nothing_is_recorded(way: str, steps: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run, groups=2)
    for _ in range(steps):
        stepped(module, o)
    order = list(o.param_groups)
    kept = [list(group["params"]) for group in order]
    gradients(module, o.steps)
    TENSORS[way](o)
    with pytest.raises(UsageError, match=r'"params" of parameter group [01] was changed after the optimizer was made'):
        o.step()
    assert o.steps == steps
    assert run.exists() == (steps > 0)
    o.param_groups[:] = order
    for group, tensors in zip(order, kept, strict=True):
        group["params"] = tensors
    o.step()
    assert o.steps == steps + 1
    o.abandon()
