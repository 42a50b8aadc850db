"""`param_groups` that are others than the optimizer was made with: refused in a sentence, nothing
recorded, and the run can be resumed."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from tests.optim.scheduled import gradients, optimizer
from zk_autograd.core.errors import GradientError, UsageError
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.resuming import ResumedLr
from zk_autograd.run.settings import keep

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def stepped(module: torch.nn.Module, o: ZKOptimizer) -> None:
    gradients(module, o.steps)
    o.step()


# ---- their number --------------------------------------------------------------------------------

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
    with pytest.raises(
        UsageError, match=r"there are now \d parameter groups, not 2, .* fixed when the optimizer is made"
    ):
        o.step()
    with pytest.raises(UsageError, match=r"there are now \d parameter groups, not 2"):
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
    with pytest.warns(ResumedLr, match=r"lr is that of step 1 \(0\.01\), .*are not this optimizer's"):
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
            "this state_dict has 2 parameter groups, the optimizer has 1",
        ),
        ({**state, "param_groups": []}, "this state_dict has 0 parameter groups, the optimizer has 1"),
        ({name: value for name, value in state.items() if name != "param_groups"}, 'has no "param_groups"'),
    ):
        with pytest.raises(UsageError, match=message):
            o.load_state_dict(wrong)
        assert (o.integers["W"] == before).all()
        assert o.steps == 2
    o.abandon()


# ---- their tensors -------------------------------------------------------------------------------


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


# ---- their options -------------------------------------------------------------------------------

OPTIONS: dict[str, tuple[str, object, str]] = {
    "decay": ("weight_decay", 0.1, "the rule adam has lr, eps, betas"),
    "maximize": ("maximize", True, "negate the loss instead"),
    "amsgrad": ("amsgrad", True, "no exact rule"),
    "momentum": ("momentum", "0.9", "the rule adam has"),
    "several": ("dampening", torch.ones(2), "the momentum rule here has none"),
}


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_no_step_would_follow_is_refused_where_it_is_set_later(
    option: str, steps: int, tmp_path: Path
) -> None:
    name, value, advice = OPTIONS[option]
    module, o = optimizer(tmp_path / "run")
    o.param_groups[0]["maximize"] = False
    o.param_groups[0]["weight_decay"] = 0
    for _ in range(steps):
        stepped(module, o)
    gradients(module, o.steps)
    before = o.param_groups[0].get(name)
    o.param_groups[0][name] = value
    with pytest.raises(
        UsageError, match=rf"^{name} of parameter group 0 was set to .*, which no step would follow: .*{advice}"
    ):
        o.step()
    assert o.steps == steps
    o.param_groups[0][name] = before
    o.step()
    o.abandon()


@pytest.mark.parametrize("schedule", ["recorded", "constant"])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("name", ["lr", "betas"])
def test_an_option_of_the_rule_that_was_taken_away_is_refused(
    name: str, steps: int, schedule: str, tmp_path: Path
) -> None:
    module, o = optimizer(tmp_path / "run", schedule=schedule)
    for _ in range(steps):
        stepped(module, o)
    gradients(module, o.steps)
    value = o.param_groups[0].pop(name)
    with pytest.raises(UsageError, match=rf"^parameter group 0 no longer has {name}; put it back"):
        o.step()
    o.param_groups[0][name] = value
    o.step()
    o.abandon()


# ---- written where nobody watches ----------------------------------------------------------------


def as_killed(run: Path, o: ZKOptimizer, **options: Any) -> ZKOptimizer:
    """An optimizer that goes on with the run as a kill would leave it now; nothing else is written
    to it."""
    copied = run.with_name("copied")
    while True:  # a kill stops everything at once; a copy takes a moment, in which a proof may be recorded
        before = _written(run)
        with suppress(shutil.Error):  # a temporary file that was renamed meanwhile
            shutil.copytree(run, copied)
        if before == _written(run):
            break
        shutil.rmtree(copied)
    _, resumed = optimizer(copied, groups=len(o.param_groups), resume=True, **options)
    resumed.abandon()
    return resumed


def _written(run: Path) -> dict[Path, tuple[int, int]]:
    """What was written last, and when."""
    found = {}
    for path in run.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def begun(run: Path, **options: Any) -> ZKOptimizer:
    module, o = optimizer(run, **options)
    stepped(module, o)
    return o


@pytest.mark.parametrize("group", [0, 1])
def test_lr_set_by_hand_in_any_of_a_few_groups_is_kept_at_once(group: int, tmp_path: Path) -> None:
    o = begun(tmp_path / "run", groups=2)
    o.param_groups[group]["lr"] = 0.25
    assert as_killed(tmp_path / "run", o).param_groups[group]["lr"] == 0.25
    o.abandon()


def refused_step(o: ZKOptimizer, module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.grad = None
    with pytest.raises(GradientError):
        o.step()


WAYS: dict[str, Callable[[ZKOptimizer, torch.nn.Module], object]] = {
    "zero_grad": lambda o, _: o.zero_grad(),
    "note": lambda o, _: o.note(loss=1.0),
    "state_dict": lambda o, _: o.state_dict(),
    "refused step": refused_step,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whole", [False, True])
def test_lr_in_groups_that_were_replaced_is_kept_by_the_next_call(whole: bool, way: str, tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run", groups=2)
    stepped(module, o)
    if whole:
        o.param_groups = [dict(group) for group in o.param_groups]
    else:
        o.param_groups[0] = dict(o.param_groups[0])
    o.param_groups[0]["lr"] = 0.25
    WAYS[way](o, module)
    assert as_killed(tmp_path / "run", o).param_groups[0]["lr"] == 0.25
    o.abandon()


@pytest.mark.parametrize("way", ["clear", "popitem"])
def test_what_is_taken_out_of_a_group_is_kept_too(way: str, tmp_path: Path) -> None:
    o = begun(tmp_path / "run")
    group = o.param_groups[0]
    group["note"] = "x"
    getattr(group, way)()
    assert "note" not in as_killed(tmp_path / "run", o).param_groups[0]
    o.abandon()


@pytest.mark.parametrize("groups", [1, 2])
def test_lr_that_a_scheduler_leaves_as_it_is_is_known_after_a_kill(groups: int, tmp_path: Path) -> None:
    """Between its stairs, too, StepLR has stepped: to say that it has to step once more would be
    wrong."""
    run = tmp_path / "run"
    module, o = optimizer(run, groups=groups)
    scheduler = StepLR(o, 2, 0.5)
    for step in range(3):  # lr falls after the second
        stepped(module, o)
        with pytest.warns(ResumedLr, match="isn't known") if step != 1 else nullcontext():
            as_killed(run, o)
        shutil.rmtree(run.with_name("copied"))
        scheduler.step()
        resumed = as_killed(run, o)  # a warning would be an error
        assert resumed.param_groups[0]["lr"] == o.param_groups[0]["lr"] == (0.01 if step == 0 else 0.005)
        shutil.rmtree(run.with_name("copied"))
    o.abandon()


def test_half_of_what_a_scheduler_writes_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    """A kill between two groups, after a step at which lr had moved: nobody knows what is due, and
    that is said."""
    run = tmp_path / "run"
    module, o = optimizer(run, groups=2)
    scheduler = StepLR(o, 1, 0.5)
    stepped(module, o)
    scheduler.step()
    stepped(module, o)
    o.param_groups[0]["lr"] = 0.0025  # as the scheduler begins
    with pytest.warns(ResumedLr, match="isn't known"):
        resumed = as_killed(run, o)
    assert [group["lr"] for group in resumed.param_groups] == [0.005, 0.0025]
    shutil.rmtree(run.with_name("copied"))
    o.param_groups[1]["lr"] = 0.00125
    resumed = as_killed(run, o)
    assert [group["lr"] for group in resumed.param_groups] == [0.0025, 0.00125]
    o.abandon()


# ---- what no group is ----------------------------------------------------------------------------

WRONG: dict[str, Callable[[ZKOptimizer], object]] = {
    **COUNTS,
    "no tensors": lambda o: o.param_groups.__setitem__(0, {"lr": 0.1}),
    "None": lambda o: o.param_groups.__setitem__(0, None),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("way", WRONG)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_state_of_groups_that_are_none_is_refused_in_a_sentence(recorded: bool, way: str, tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run" if recorded else None, groups=2)
    stepped(module, o)
    WRONG[way](o)
    o.zero_grad()
    with pytest.raises(UsageError, match="group"):
        o.state_dict()
    with pytest.raises(UsageError, match="group"):
        stepped(module, o)
    o.abandon()


def test_an_lr_of_none_in_a_group_is_the_optimizers() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    o = ZKOptimizer([{"params": [parameter], "lr": None}], "sgd", lr=0.05)
    assert o.param_groups[0]["lr"] == 0.05
