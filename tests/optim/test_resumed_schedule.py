"""A run that is left and resumed under a scheduler of torch makes the steps of one that was never
left."""

import copy
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.scheduled import (
    BY_NUMBER,
    KEEPING_LR,
    SCHEDULERS,
    SIGNER,
    STEPS,
    exponential,
    gradients,
    model,
    one_cycle,
    optimizer,
    require_same,
    sequence,
    stairs,
    through_a_file,
    train,
    undisturbed,
    warm_up,
)
from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.resuming import ResumedLr
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.run.files import Files
from zk_autograd.run.forgetting import forget
from zk_autograd.run.inventory import look_at

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

STOPS = (2, 3, 7)  # in a segment, at its end, in a later one


def left(run: Path, name: str, stop: int, **options: Any) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Leaves a run after some steps; the states of scheduler and optimizer, as a checkpoint holds
    them, and the lr that was due."""
    module, o = optimizer(run, **options)
    scheduler = SCHEDULERS[name](o)
    train(module, o, scheduler, range(stop))
    kept, due, own = through_a_file(scheduler.state_dict()), o.param_groups[0]["lr"], through_a_file(o.state_dict())
    o.abandon()
    return kept, due, own


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("name", KEEPING_LR)
def test_scheduler_that_loads_its_state_goes_on_with_the_lr_that_was_due(
    name: str, stop: int, groups: int, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path, name, groups=groups)
    run = tmp_path / "run"
    kept, due, _ = left(run, name, stop, groups=groups)
    module, o = optimizer(run, groups=groups, resume=True)
    with o:
        scheduler = SCHEDULERS[name](o)
        scheduler.load_state_dict(kept)
        assert o.param_groups[0]["lr"] == due
        train(module, o, scheduler, range(stop, STEPS))
    require_same(run, o, expected)


@pytest.mark.parametrize(("name", "stop"), [(n, s) for n in BY_NUMBER for s in STOPS if (n, s) != ("stairs", 2)])
def test_scheduler_made_from_the_number_of_its_steps_goes_on_with_the_lr_that_was_due(
    name: str, stop: int, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path, name)
    run = tmp_path / "run"
    left(run, name, stop)
    module, o = optimizer(run, resume=True)
    with o:
        train(module, o, SCHEDULERS[name](o, last_epoch=o.steps - 1), range(stop, STEPS))
    require_same(run, o, expected)


def test_factor_that_torch_takes_twice_is_named_and_the_optimizers_state_takes_it_back(tmp_path: Path) -> None:
    """StepLR that is made where lr has just fallen multiplies once more: with torch's own
    optimizers, too."""
    expected = undisturbed(tmp_path, "stairs")
    run = tmp_path / "run"
    left(run, "stairs", 2)
    module, o = optimizer(run, resume=True)
    state = o.state_dict()
    scheduler = stairs(o, last_epoch=1)
    gradients(module, 2)
    with pytest.raises(ResumedLr, match=r"is 0\.0009 at step 3, .* but 0\.003 was due"):
        o.step()
    with o:
        o.load_state_dict(state)
        train(module, o, scheduler, range(2, STEPS))
    require_same(run, o, expected)


@pytest.mark.parametrize("source", ["checkpoint", "resumed optimizer"])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_optimizer_that_loads_its_own_state_after_a_scheduler_was_made_has_the_lr_that_was_due(
    name: str, stop: int, source: str, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path, name)
    run = tmp_path / "run"
    kept, due, own = left(run, name, stop)
    module, o = optimizer(run, resume=True)
    with o:
        state = own if source == "checkpoint" else o.state_dict()
        scheduler = SCHEDULERS[name](o)
        o.load_state_dict(state)
        scheduler.load_state_dict(kept)
        assert o.param_groups[0]["lr"] == due
        train(module, o, scheduler, range(stop, STEPS))
    require_same(run, o, expected)


@pytest.mark.parametrize("make", [warm_up, one_cycle, sequence])
def test_lr_that_a_scheduler_overwrote_is_named_at_the_first_step(make: Any, tmp_path: Path) -> None:
    """torch overwrites the lr of its own optimizers, too."""
    run = tmp_path / "run"
    kept, due, _ = left(run, make.__name__, 2)
    module, o = optimizer(run, resume=True)
    scheduler = make(o)
    scheduler.load_state_dict(kept)
    overwritten = o.param_groups[0]["lr"]
    assert overwritten != due
    gradients(module, 2)
    with pytest.warns(ResumedLr) as caught:
        o.step()
    (warning,) = caught
    text = str(warning.message)
    assert "at step 3, the first one after the resumption" in text
    assert f"{due!r} was due" in text
    assert float(text.split("lr of parameter group 0 is ")[1].split(maxsplit=1)[0]) == overwritten
    gradients(module, 3)
    o.step()  # once
    o.abandon()


def test_warning_taken_for_an_error_leaves_the_step_unmade(tmp_path: Path) -> None:
    run = tmp_path / "run"
    _, due, _ = left(run, "exponential", 2)
    module, o = optimizer(run, resume=True)
    o.param_groups[0]["lr"] = 0.5
    gradients(module, 2)
    with pytest.raises(ResumedLr):
        o.step()
    assert o.steps == 2
    o.param_groups[0]["lr"] = due
    o.step()
    o.abandon()


def test_lr_given_to_a_resumed_optimizer_gives_way_to_the_one_that_was_due_and_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    _, due, own = left(run, "exponential", 2)
    with pytest.warns(ResumedLr) as caught:
        _, o = optimizer(run, resume=True, lr=0.3)
    (warning,) = caught
    assert str(warning.message) == (
        f"lr of parameter group 0 is {due}, where the run was left, and lr=0.3 among the optimizer's arguments is ignored: to change it, set "
        '`optimizer.param_groups[0]["lr"]` after the resumption; if your loop sets it before each step, all is well'
    )
    assert (o.param_groups[0]["lr"], o.param_groups[0]["initial_lr"]) == (due, 0.01)
    o.load_state_dict(own)
    o.abandon()


@pytest.mark.parametrize("lr", [None, "0.01", "due"])
def test_lr_of_the_runs_beginning_or_the_one_that_is_due_or_none_is_taken_without_a_word(
    lr: str | None, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    _, due, _ = left(run, "exponential", 2)
    options: dict[str, Any] = {} if lr is None else {"lr": due if lr == "due" else lr}
    named = model().named_parameters()
    o = ZKOptimizer(
        named, "adam", eps=1e-5, grad_scale=6, run=run, key=SIGNER, prover=HashedBackend(16, 3), resume=True, **options
    )
    assert o.param_groups[0]["lr"] == due
    o.abandon()


@pytest.mark.parametrize("at", ["resumption", "step"])
def test_many_groups_with_another_lr_are_one_warning(at: str, tmp_path: Path) -> None:
    def made(lr: float | None, **options: Any) -> tuple[list[torch.nn.Parameter], ZKOptimizer]:
        parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(20)]
        for p in parameters:
            p.grad = torch.full((1,), 0.001)
        groups = [{"params": [p]} for p in parameters]
        return parameters, ZKOptimizer(groups, lr=lr, run=tmp_path / "run", key=SIGNER, prover="none", **options)

    _, o = made(0.01)
    o.step()
    o.abandon()
    with pytest.warns(ResumedLr) as caught:
        _, o = made(0.5 if at == "resumption" else None, resume=True)
        for group in o.param_groups:
            group["lr"] = 0.01 if at == "resumption" else 0.25
        o.step()
    (warning,) = caught
    assert "19 more groups likewise" in str(warning.message)
    assert ("if you set it yourself, all is well" in str(warning.message)) == (at == "step")
    o.abandon()


def test_whatever_a_group_can_keep_is_restored(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    gradients(module, 0)
    o.step()
    kept: dict[str, Any] = {
        "none": None,
        "flag": True,
        "count": 10**30,
        "text": "a\n\u2028\ud800",
        "rates": (0.1, [1, -2.5e-300, "x", (True, None)]),
        "largest": math.inf,
        "empty": (),
    }
    o.param_groups[0].update(kept, tensor=torch.tensor([0.25]), scalar=np.float32(0.5), made=len, table={"a": 1})
    o.param_groups[0]["lr"] = np.float64(0.125)
    o.abandon()
    _, o = optimizer(run, resume=True)
    group = o.param_groups[0]
    assert {name: group[name] for name in kept} == kept
    assert (group["tensor"], group["scalar"], group["lr"]) == (0.25, 0.5, 0.125)
    assert type(group["rates"]) is tuple
    assert not {"made", "table"} & group.keys()
    o.abandon()


def test_restored_lr_passes_the_checks_of_one_set_by_hand(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    gradients(module, 0)
    o.step()
    o.param_groups[0]["lr"] = -1.0
    o.abandon()
    module, o = optimizer(run, resume=True)
    gradients(module, 1)
    with pytest.raises(UsageError, match=r"lr of parameter group 0 is -1\.0; it must be a finite number"):
        o.step()
    o.abandon()


def test_hyper_parameter_that_a_run_fixes_is_not_restored_from_where_somebody_changed_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    gradients(module, 0)
    o.step()
    o.param_groups[0]["betas"] = (0.5, 0.5)
    gradients(module, 1)
    with pytest.raises(UsageError, match="betas of parameter group 0 was changed"):
        o.step()
    o.abandon()
    module, o = optimizer(run, resume=True)
    gradients(module, 1)
    o.step()
    o.abandon()
    with pytest.raises(UsageError, match="not a run of this optimizer: hyper-parameters: "):
        optimizer(run, resume=True, betas=(0.5, 0.5))


def test_declared_schedule_is_resumed_with_its_own_lr(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options: dict[str, Any] = {"schedule": "linear:steps=9,end=0"}
    module, o = optimizer(run, **options)
    for step in range(4):
        gradients(module, step)
        o.step()
    due = o.param_groups[0]["lr"]
    assert not (run / "private" / "settings").exists()  # lr follows from the step
    o.param_groups[0]["note"] = "x"
    o.abandon()
    module, o = optimizer(run, resume=True, **options)
    assert (o.param_groups[0]["lr"], o.param_groups[0]["note"]) == (due, "x")
    o.load_state_dict(o.state_dict())
    gradients(module, 4)
    o.step()
    o.abandon()


def test_run_that_is_left_before_its_first_step_is_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    gradients(module, 0)
    o.start()
    exponential(o)
    o.param_groups[0]["lr"] = 0.005
    o.abandon()
    module, o = optimizer(run, resume=True)
    assert (o.steps, o.param_groups[0]["lr"], o.param_groups[0]["initial_lr"]) == (0, 0.005, 0.01)
    o.load_state_dict(o.state_dict())
    gradients(module, 0)
    o.step()
    o.abandon()


def child(*arguments: str) -> int:
    """The status of a trainer in a process of its own."""
    command = [sys.executable, "-m", "tests.optim.killed_scheduled", *arguments]
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": path}, check=False, timeout=600
    ).returncode


@pytest.mark.slow  # a process of its own loads torch
@pytest.mark.parametrize("moment", ["after", "end"])
@pytest.mark.parametrize("name", ["exponential", "by_hand"])
def test_process_that_ends_between_two_steps_loses_no_lr(name: str, moment: str, tmp_path: Path) -> None:
    expected = undisturbed(tmp_path, name)
    run, stop = tmp_path / "run", 4
    status = child(str(run), str(tmp_path / "kept"), name, moment, str(stop))
    assert status == (0 if moment == "end" else -signal.SIGKILL)
    kept = torch.load(tmp_path / "kept", weights_only=True)
    module, o = optimizer(run, resume=True)
    with o:
        scheduler = SCHEDULERS[name](o)
        scheduler.load_state_dict(kept["after"])
        assert o.param_groups[0]["lr"] == kept["lr"]
        train(module, o, scheduler, range(stop, STEPS))
    require_same(run, o, expected)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 4])
def test_process_killed_between_a_step_and_the_schedulers_is_resumed_with_the_steps_own_lr_and_a_warning(
    stop: int, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path, "exponential")
    run = tmp_path / "run"
    assert child(str(run), str(tmp_path / "kept"), "exponential", "between", str(stop)) == -signal.SIGKILL
    kept = torch.load(tmp_path / "kept", weights_only=True)
    for again in (True, False):  # whoever looks and leaves again takes the doubt away from nobody
        with pytest.warns(
            ResumedLr, match=rf"lr is that of step {stop} \({kept['lr']}\), and which one is due isn't known"
        ):
            module, o = optimizer(run, resume=True)
        assert o.param_groups[0]["lr"] == kept["lr"]
        if again:
            o.abandon()
    with o:
        scheduler = exponential(o)
        scheduler.load_state_dict(kept["before"])
        scheduler.step()  # the one that is missing
        train(module, o, scheduler, range(stop, STEPS))
    require_same(run, o, expected)


def test_run_without_a_scheduler_keeps_no_file_and_is_resumed_without_a_warning(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    for step in range(2):
        gradients(module, step)
        o.step()
    o.abandon()
    assert not (run / "private" / "settings").exists()
    module, o = optimizer(run, resume=True)
    gradients(module, 2)
    o.step()
    o.abandon()


def test_interrupted_block_keeps_what_replaced_groups_hold(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    with pytest.raises(KeyboardInterrupt), o:
        train(module, o, exponential(o), range(2))
        o.param_groups[0] = dict(o.param_groups[0])  # nobody hears of what is written there
        o.param_groups[0]["lr"] = 0.0625
        raise KeyboardInterrupt
    _, o = optimizer(run, resume=True)
    assert o.param_groups[0]["lr"] == 0.0625
    o.abandon()


def test_of_many_groups_those_beside_the_last_are_kept_by_the_next_zero_grad(tmp_path: Path) -> None:
    run = tmp_path / "run"
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(17)]
    o = ZKOptimizer([{"params": [p]} for p in parameters], run=run, key=SIGNER, prover="none")
    for p in parameters:
        p.grad = torch.ones(1)
    o.step()
    o.param_groups[0]["lr"] = 0.0625
    assert not (run / "private" / "settings").exists()
    o.zero_grad()
    assert (run / "private" / "settings").exists()
    o.abandon()


def test_kept_settings_are_the_owners_alone_and_go_with_the_rest(tmp_path: Path) -> None:
    run = tmp_path / "run"
    left(run, "exponential", 2)
    file = run / "private" / "settings"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    private = sum(f.stat().st_size for f in (run / "private").rglob("*") if f.is_file())
    assert look_at(run).private_bytes == private
    forget(run, Files(), now="2026-01-01T00:00:00Z", unfinished=True, advance=lambda *_: None)
    assert {f.name for f in (run / "private").iterdir()} == {".gitignore", "lock", "forgotten"}


@pytest.mark.parametrize("damage", ["torn", "altered", "empty", "of another run", "a folder"])
def test_damaged_settings_are_one_sentence_and_the_run_goes_on(damage: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _, due, _ = left(run, "exponential", 3)
    left(tmp_path / "other", "exponential", 3)
    file = run / "private" / "settings"
    data = file.read_bytes()
    file.unlink()
    if damage == "a folder":
        file.mkdir()
    else:
        other = (tmp_path / "other" / "private" / "settings").read_bytes()
        altered = data[:-1] + bytes([data[-1] ^ 1])
        file.write_bytes({"torn": data[:90], "altered": altered, "empty": b"", "of another run": other}[damage])
    with pytest.warns(ResumedLr) as caught:
        _, o = optimizer(run, resume=True)
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(
        f"lr is that of step 3 ({2 * due}), and which one is due isn't known: {file} is torn, altered"
    )
    assert o.param_groups[0]["lr"] == 2 * due
    o.abandon()


def test_lost_settings_are_one_sentence_and_the_run_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    left(run, "exponential", 3)
    (run / "private" / "settings").unlink()
    with pytest.warns(
        ResumedLr, match=r"lr is that of step 3 \(0\.0025\), and which one is due isn't known: .* or that was lost"
    ):
        _, o = optimizer(run, resume=True)
    o.abandon()


def test_settings_of_an_earlier_step_are_not_taken_for_the_newest(tmp_path: Path) -> None:
    run = tmp_path / "run"
    left(run, "exponential", 2)
    old = (run / "private" / "settings").read_bytes()
    module, o = optimizer(run, resume=True)
    gradients(module, 2)
    o.step()
    o.abandon()
    (run / "private" / "settings").write_bytes(old)
    with pytest.warns(ResumedLr, match="isn't known"):
        _, o = optimizer(run, resume=True)
    assert o.param_groups[0]["lr"] == 0.0025
    o.abandon()


class FullDisk(Files):
    """No file of settings can be written."""

    def write_atomic(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        self.refuse(path)
        super().write_atomic(path, data, mode)

    def overwrite(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        self.refuse(path)
        super().overwrite(path, data, mode)

    def refuse(self, path: Path) -> None:
        if path.name == "settings":
            raise StorageError(f"{path} could not be written: no space")


def test_settings_that_can_not_be_written_stop_no_scheduler_and_abandon_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr("zk_autograd.run.writer.Files", FullDisk)
    module, o = optimizer(run)
    train(module, o, exponential(o), range(2))
    with pytest.warns(ResumedLr, match="after step 2 can't be kept for a resumption: .*settings could not be written"):
        o.abandon()
    monkeypatch.undo()
    with pytest.warns(ResumedLr, match="isn't known"):
        optimizer(run, resume=True)[1].abandon()  # the lock was given back


def test_forked_child_writes_nothing_into_its_parents_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    module, o = optimizer(run)
    train(module, o, exponential(o), range(2))
    file = run / "private" / "settings"
    before = file.read_bytes()
    pid = os.fork()
    if pid == 0:
        o.param_groups[0]["lr"] = 0.5
        os._exit(0)
    os.waitpid(pid, 0)
    assert file.read_bytes() == before
    o.abandon()


def test_watched_groups_are_copied_and_pickled_as_dictionaries(tmp_path: Path) -> None:
    module, o = optimizer(tmp_path / "run")
    train(module, o, exponential(o), range(1))
    copied = copy.deepcopy(o.param_groups)
    assert [type(group) for group in copied] == [dict]
    copied[0]["lr"] = 7.0
    assert "7.0" not in (tmp_path / "run" / "private" / "settings").read_bytes().decode("latin-1")
    group = o.param_groups[0]
    group |= {"lr": 0.0625}
    assert group.setdefault("lr", 3.0) == 0.0625
    assert group.setdefault("note", "there") == "there"
    assert group.pop("note") == "there"
    group["gone"] = 1
    del group["gone"]
    assert group is o.param_groups[0]
    assert '["lr",["float","0.0625"]]' in (tmp_path / "run" / "private" / "settings").read_bytes().decode("latin-1")
    o.abandon()
