"""Declared schedules drive `param_groups`, as torch's schedulers would, and the run that they make
is judged by its header alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, SequentialLR, StepLR

from tests.optim.models import backward, network, train, vector
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim import ZKOptimizer
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Backend
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

WARMED = "cosine:steps=6,end=0.1,warm_up=2"


def rates(optimizer: ZKOptimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def stepped(optimizer: ZKOptimizer, parameter: torch.nn.Parameter, gradient: float = 0.01) -> None:
    parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()


def log_of(run: Path) -> Log:
    with RunFolder(run) as reader:
        return parse_log(reader.leaves())


# ---- as torch's ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "curve", "last"),
    [
        ("constant", lambda o: LambdaLR(o, lambda epoch: 1.0), 30),
        ("step:every=7,factor=0.3", lambda o: StepLR(o, 7, 0.3), 30),
        ("linear:steps=20,end=0.25", lambda o: LinearLR(o, 1, 0.25, 20), 30),
        ("cosine:steps=20,end=0.25", lambda o: CosineAnnealingLR(o, 20, 0.25 * 0.3), 20),  # then torch's rises again
    ],
)
@pytest.mark.parametrize("warm_up", [0, 1, 5])
def test_lr_is_that_of_torchs_scheduler_stepped_after_each_step(
    text: str, curve: Callable[[torch.optim.Optimizer], LRScheduler], last: int, warm_up: int
) -> None:
    ours, theirs = vector([1.0]), vector([1.0])
    declared = ZKOptimizer([ours], "sgd", 0.3, schedule=text + (f",warm_up={warm_up}" if warm_up else ""))
    recorded = ZKOptimizer([theirs], "sgd", 0.3, schedule="recorded")
    # made beforehand, a scheduler of SequentialLR's sets lr for itself
    schedulers = [LinearLR(recorded, 1 / (warm_up + 1), 1, warm_up), curve(recorded)] if warm_up else [curve(recorded)]
    scheduler = SequentialLR(recorded, schedulers, milestones=[warm_up]) if warm_up else schedulers[0]
    for _ in range(last + warm_up):
        assert rates(declared) == pytest.approx(rates(recorded), rel=1e-12, abs=1e-15)
        stepped(declared, ours, 0.0)
        stepped(recorded, theirs, 0.0)
        scheduler.step()


def test_declared_halving_is_bit_for_bit_the_recorded_one() -> None:
    models = [network(), network()]
    declared = ZKOptimizer(models[0].named_parameters(), "adam", 0.01, schedule="step:every=2,factor=0.5")
    recorded = ZKOptimizer(models[1].named_parameters(), "adam", 0.01)
    scheduler = StepLR(recorded, 2, 0.5)
    for step in range(7):
        assert rates(declared) == rates(recorded)
        train(models[0], declared, range(step, step + 1))
        train(models[1], recorded, range(step, step + 1))
        scheduler.step()
    for name, values in recorded.integers.items():
        np.testing.assert_array_equal(declared.integers[name], values)


# ---- nobody else sets lr -------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "linear:steps=10"])
@pytest.mark.parametrize("steps", [0, 1])
def test_scheduler_beside_a_declared_schedule_is_refused(schedule: str, steps: int) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, schedule=schedule)
    for _ in range(steps):
        stepped(optimizer, parameter)
    before = optimizer.integers["W"]
    theirs = StepLR(optimizer, 1, 0.5)
    if steps or schedule != "constant":  # before the first step of a constant lr it may still be chosen
        optimizer.param_groups[0]["lr"] /= 2
        with pytest.raises(
            UsageError, match=rf"lr of parameter group 0 was changed .* the schedule {schedule}.* sets it"
        ):
            stepped(optimizer, parameter)
        assert optimizer.steps == steps
        np.testing.assert_array_equal(optimizer.integers["W"], before)
        optimizer.param_groups[0]["lr"] *= 2
    stepped(optimizer, parameter)
    theirs.step()
    if schedule == "constant":
        with pytest.raises(UsageError, match=r'the schedule constant sets it: .*schedule="recorded"'):
            stepped(optimizer, parameter)


def test_lr_set_by_hand_before_the_first_step_of_a_schedule_leaves_no_directory(
    tmp_path: Path, signer: Ed25519Signer
) -> None:
    options: dict[str, Any] = {"run": tmp_path / "run", "key": signer, "prover": HashedBackend(20, 3), "grad_scale": 0}
    optimizer = ZKOptimizer([vector([1.0])], "sgd", 0.125, schedule="linear:steps=10", **options)
    optimizer.param_groups[0]["lr"] = 0.5
    with pytest.raises(UsageError, match=r"lr of parameter group 0 was changed from 0\.125 to 0\.5"):
        optimizer.start()
    assert list(tmp_path.iterdir()) == []


def test_canonical_text_stands_in_the_header() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, schedule="linear:end=0.50,steps=4")
    stepped(optimizer, parameter)
    assert optimizer.header is not None
    assert optimizer.header.schedule == "linear:steps=4,end=0.5"
    assert dict(optimizer.header.groups[0].hyper)["lr"] == "0.125"


def test_warm_up_of_sgd_has_the_number_format_of_the_whole_lr() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 8, grad_scale=0, schedule="constant,warm_up=1000")
    for _ in range(3):
        stepped(optimizer, parameter)
    assert optimizer.header is not None
    assert optimizer.header.groups[0].s == 15
    assert rates(optimizer) == [8 * 4 / 1001]


RISING: dict[str, Any] = {"lr": 0.6, "betas": (0, 0.9), "eps": 1e-4}
"""Adam's bias correction rises from 0.32 to 1, and lr times it must stay below 1/4."""


def test_lr_that_is_too_large_in_the_middle_is_refused_where_the_steps_are_known() -> None:
    with pytest.raises(UsageError, match=r"lr = 0\.585 gives LR of step 2 out of range"):
        ZKOptimizer([vector([1.0])], "adam", expected_steps=40, schedule="linear:steps=40", **RISING)
    warmed = {**RISING, "schedule": "cosine:steps=40,warm_up=20"}
    ZKOptimizer([vector([1.0])], "adam", expected_steps=10, **warmed)
    with pytest.raises(UsageError, match=r"lr = about 0\.314286 gives LR of step 11 out of range"):
        ZKOptimizer([vector([1.0])], "adam", expected_steps=40, **warmed)
    # ten million steps are not walked through: the last one is looked at, and the others when they
    # come
    ZKOptimizer(
        [vector([1.0])], "adam", expected_steps=10**7, **{**RISING, "schedule": "linear:steps=9000000,warm_up=900000"}
    )


def test_lr_that_is_too_large_in_the_middle_is_refused_at_its_step(tmp_path: Path, signer: Ed25519Signer) -> None:
    parameter = vector([1.0])
    options: dict[str, Any] = {"schedule": "linear:steps=40,warm_up=20", "run": tmp_path / "run", "key": signer}
    with ZKOptimizer([parameter], "adam", prover=HashedBackend(20, 3), **RISING, **options) as optimizer:
        for _ in range(10):
            stepped(optimizer, parameter)
        before, shown = optimizer.integers["W"], rates(optimizer)
        with pytest.raises(UsageError, match=r"step 11 can't be taken: .* gives LR of step 11 out of range"):
            stepped(optimizer, parameter)
        np.testing.assert_array_equal(optimizer.integers["W"], before)
        assert rates(optimizer) == shown
    close = log_of(tmp_path / "run").close
    assert close is not None
    assert close.last_step == 10


# ---- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_resumed_run_goes_on_in_its_schedule(stop: int, tmp_path: Path, signer: Ed25519Signer) -> None:
    whole, options = network(), {"rule": "adam", "lr": 0.01, "schedule": WARMED, "grad_scale": "auto"}
    uninterrupted = ZKOptimizer(whole.named_parameters(), **options)  # type: ignore[arg-type]
    train(whole, uninterrupted, range(7))
    recorded: dict[str, Any] = {**options, "run": tmp_path / "run", "key": signer, "prover": HashedBackend(20, 3)}
    model = network()
    optimizer = ZKOptimizer(model.named_parameters(), **recorded)
    train(model, optimizer, range(stop))
    shown, header = rates(optimizer), optimizer.header
    optimizer.abandon()
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    with pytest.raises(UsageError, match=r"schedule: the run has 'cosine:\S+', the optimizer has 'constant'"):
        ZKOptimizer(network().named_parameters(), resume=True, **{**recorded, "schedule": "constant"})
    model = network()
    model.load_state_dict(buffers, strict=False)
    with ZKOptimizer(model.named_parameters(), resume=True, **recorded) as resumed:
        assert rates(resumed) == shown
        train(model, resumed, range(stop, 7))
        assert resumed.header == header
    assert header is not None and uninterrupted.header is not None
    assert header.grad_scale == uninterrupted.header.grad_scale != 0
    for name, values in uninterrupted.integers.items():
        np.testing.assert_array_equal(resumed.integers[name], values)
    assert all(s.lr == () for s in log_of(tmp_path / "run").segments)


def test_state_dict_carries_the_schedule_and_its_step() -> None:
    whole, half, other = network(), network(), network()
    optimizer = ZKOptimizer(whole.named_parameters(), "adam", 0.01, schedule=WARMED)
    train(whole, optimizer, range(7))
    first = ZKOptimizer(half.named_parameters(), "adam", 0.01, schedule=WARMED)
    train(half, first, range(4))
    second = ZKOptimizer(other.named_parameters(), "adam", 0.5)
    second.load_state_dict(first.state_dict())
    assert rates(second) == rates(first)
    assert second.header is not None
    assert second.header.schedule == WARMED
    other.load_state_dict({name: value.clone() for name, value in half.named_buffers()}, strict=False)
    train(other, second, range(4, 7))
    for name, values in optimizer.integers.items():
        np.testing.assert_array_equal(second.integers[name], values)


def test_state_dict_before_the_first_step_keeps_the_base_lr() -> None:
    first = ZKOptimizer([vector([1.0])], "adam", 0.01, schedule=WARMED)
    parameter = vector([1.0])
    second = ZKOptimizer([parameter], "adam", 0.5)
    second.load_state_dict(first.state_dict())
    stepped(second, parameter)
    assert second.header is not None
    assert dict(second.header.groups[0].hyper)["lr"] == "0.01"
    assert rates(second) == pytest.approx([0.01 * 2 / 3])


# ---- groups, proved ------------------------------------------------------------------------------


def groups_of(model: torch.nn.Sequential) -> list[dict[str, Any]]:
    return [
        {"params": list(model[0].named_parameters("0")), "lr": "0.02", "betas": (0.8, 0.95), "weight_decay": 0.3},
        {"params": list(model[1].named_parameters("1"))},
        {"params": list(model[2].named_parameters("2")), "lr": 0.004, "eps": 1e-4, "weight_decay": 0},
    ]


def sgd_groups_of(model: torch.nn.Sequential) -> list[dict[str, Any]]:
    return [
        {"params": list(model[0].named_parameters("0")), "lr": "0.5", "momentum": 0.8, "weight_decay": 0.1},
        {"params": list(model[1].named_parameters("1")), "momentum": 0},
        {"params": list(model[2].named_parameters("2")), "lr": 0.004},
    ]


def judged(run: Path, signer: Ed25519Signer, level: Level) -> Report:
    policy = Policy(keys=(signer.public_key,), srs=frozenset(), require=frozenset({level}))
    with RunFolder(run) as files:
        return Verifier(policy, Systems()).verify(files)


def trained(
    run: Path, signer: Ed25519Signer, prover: str | Backend, rule: str, schedule: str, steps: int
) -> ZKOptimizer:
    """A closed run of three groups that differ in everything that they may differ in."""
    model = network()
    groups = groups_of(model) if rule == "adamw" else sgd_groups_of(model)
    options: dict[str, Any] = {"lr": 0.01, "grad_scale": "auto" if rule == "adamw" else 0, "schedule": schedule}
    if rule != "adamw":
        options["momentum"] = 0.9
    made = ZKOptimizer(groups, rule, run=run, key=signer, prover=prover, expected_steps=steps, publish=True, **options)
    with made as optimizer:
        for step in range(steps):
            optimizer.note(loss=backward(model, step))
            optimizer.step()
    return optimizer


@pytest.mark.parametrize("rule", ["adamw", "sgd-momentum", "sgd-nesterov"])
@pytest.mark.parametrize("schedule", ["constant", WARMED])
def test_groups_of_a_logged_run_each_have_their_own_constants(
    rule: str, schedule: str, tmp_path: Path, signer: Ed25519Signer
) -> None:
    optimizer = trained(tmp_path / "run", signer, "none", rule, schedule, 4)
    report = judged(tmp_path / "run", signer, Level.L0)
    assert report.exit_status == 0, report.text(100)
    header = optimizer.header
    assert header is not None
    assert len({header.sequence(g).at(3) for g in range(3)}) == 3
    assert rates(optimizer) == [
        float(header.sequence(g).schedule.rate(header.sequence(g).hyper.lr, 5)) for g in range(3)
    ]
    if rule != "adamw":
        assert [g.s for g in header.groups] == [15, 30, 30]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "schedule", "steps"),
    [
        ("sgd-nesterov", WARMED, 8),
        (
            "adamw",
            "linear:steps=5,end=0",
            10,
        ),  # in the second segment lr is 0, and so is the decay, of which its proofs then say nothing
    ],
)
def test_groups_under_a_schedule_are_proved(
    rule: str, schedule: str, steps: int, tmp_path: Path, signer: Ed25519Signer, native_prover: None
) -> None:
    backend = NativeBackend(Shape(Rule(rule), Preset.STANDARD, 13, 3))
    optimizer = trained(tmp_path / "run", signer, backend, rule, schedule, steps)
    report = judged(tmp_path / "run", signer, Level.L1)
    assert report.exit_status == 0, report.text(100)
    assert Level.L1 in report.levels
    header = optimizer.header
    assert header is not None
    assert len(header.blocks) == 3
    assert (header.sequence(0).at(steps).D == 0) == (rule == "adamw")
