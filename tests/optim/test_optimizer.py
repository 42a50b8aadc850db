"""ZKOptimizer as a torch optimizer: groups, closures, schedulers, state, hyper-parameters."""

import io
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.models import RULES, backward, network, train, vector, weights
from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import dequantize_weight, quantize_gradient, quantize_weight
from zk_autograd.core.hyper import Rule
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.trajectory import ClampedGradients, CoarseEps, CoarseLr

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def stepped(optimizer: ZKOptimizer, parameter: torch.nn.Parameter, gradient: float = 0.5) -> None:
    parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()


def test_model_holds_the_rounded_weights_from_the_start_and_after_each_step() -> None:
    given = np.array([0.1, 3e-10, -5.0], np.float32)
    parameter = vector(given)
    optimizer = ZKOptimizer([parameter], "sgd", 0.25, grad_scale=0)
    np.testing.assert_array_equal(optimizer.integers["W"], quantize_weight(given))
    np.testing.assert_array_equal(parameter.detach().numpy(), dequantize_weight(quantize_weight(given)))
    assert parameter[1].item() == 2.0**-32  # 3e-10 lies between 1 and 2 units
    stepped(optimizer, parameter)
    np.testing.assert_array_equal(parameter.detach().numpy(), dequantize_weight(optimizer.integers["W"]))


@pytest.mark.parametrize(
    ("given", "options", "rule"),
    [
        ("sgd", {}, Rule.SGD),
        ("sgd", {"momentum": 0.9}, Rule.SGD_MOMENTUM),
        ("sgd", {"momentum": 0.9, "nesterov": True}, Rule.NESTEROV),
        ("sgd-momentum", {"nesterov": True}, Rule.NESTEROV),
        ("sgd-nesterov", {}, Rule.NESTEROV),
        ("adam", {"momentum": 0, "weight_decay": 0}, Rule.ADAM),
        (Rule.ADAMW, {}, Rule.ADAMW),
    ],
)
def test_rule_is_named_as_in_torch_or_in_full(given: Any, options: dict[str, Any], rule: Rule) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], given, 0.125, **options)
    stepped(optimizer, parameter)
    assert optimizer.header is not None
    assert optimizer.header.rule is rule


@pytest.mark.parametrize(
    ("lr", "text"),
    [
        (1e-3, "0.001"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1, "1"),
        ("0.0012500", "0.00125"),
        ("1e-3", "0.001"),
        (Decimal("0.10"), "0.1"),
        ("0.0100000000000000000001", "0.0100000000000000000001"),
        (np.float64(0.1), "0.1"),
        (np.float32(0.1), "0.10000000149011612"),
    ],
)
def test_lr_is_recorded_as_the_exact_decimal(lr: Any, text: str) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", lr)
    stepped(optimizer, parameter, 0.01)
    assert optimizer.header is not None
    assert dict(optimizer.header.groups[0].hyper)["lr"] == text
    assert optimizer.param_groups[0]["lr"] == float(Fraction(text))


def test_torch_options_that_change_nothing_are_taken() -> None:
    ZKOptimizer([vector([1.0])], "adam", amsgrad=False, maximize=False, foreach=None, fused=True, capturable=False)
    ZKOptimizer([vector([1.0])], "adamw", decoupled_weight_decay=True)


def test_groups_have_hyper_parameters_of_their_own() -> None:
    model = network()
    groups = [
        {"params": list(model[0].named_parameters("0")), "lr": 0.25, "weight_decay": 0.5},
        {"params": [("1.weight", model[1].weight), ("1.bias", model[1].bias)]},
        {"params": list(model[2].named_parameters("2")), "momentum": 0},
    ]
    optimizer = ZKOptimizer(groups, "sgd", lr=0.0625, momentum=0.5, grad_scale=0)
    backward(model, 0)
    before, gradients = optimizer.integers["W"], [p.grad for p in model.parameters() if p.grad is not None]
    optimizer.step()
    header = optimizer.header
    assert header is not None
    assert [dict(g.hyper) for g in header.groups] == [
        {"lr": "0.25", "momentum": "0.5", "weight_decay": "0.5"},
        {"lr": "0.0625", "momentum": "0.5", "weight_decay": "0"},
        {"lr": "0.0625", "momentum": "0", "weight_decay": "0"},
    ]
    assert [(p.name, p.group) for p in header.parameters] == [
        ("0.weight", 0), ("0.bias", 0), ("1.weight", 1), ("1.bias", 1), ("2.weight", 2), ("2.bias", 2)
    ]  # fmt: skip
    assert [(b.group, b.size) for b in header.blocks] == [(0, 30), (1, 12), (2, 21)]
    G = np.concatenate([quantize_gradient(g.numpy(), 0)[0].reshape(-1) for g in gradients])
    step = before - optimizer.integers["W"]
    decay = ((before[:30] >> 15) * 2**27 + 2**14) >> 15  # D = 2^30 / 8
    np.testing.assert_array_equal(step[:30], 4 * G[:30] + decay)
    np.testing.assert_array_equal(step[30:], G[30:])


def test_order_is_that_of_groups_then_names_and_unnamed_tensors_are_numbered() -> None:
    a, b, c = vector([1.0]), vector([2.0, 3.0]), vector([4.0])
    optimizer = ZKOptimizer([{"params": [b, c]}, {"params": a, "lr": 1e-4}], "adam")
    np.testing.assert_array_equal(optimizer.integers["W"] >> 32, [2, 3, 4, 1])
    assert [g["param_names"] for g in optimizer.param_groups] == [["param.0", "param.1"], ["param.2"]]


def test_closure_is_called_once_with_gradients_enabled_and_gives_the_loss() -> None:
    model = network()
    optimizer = ZKOptimizer(model.named_parameters(), "adam", 0.01)
    losses = []

    def closure() -> float:
        assert torch.is_grad_enabled()
        losses.append(backward(model, 1))
        return losses[-1]

    with torch.no_grad():
        found = optimizer.step(closure)
    assert losses == [found]
    assert optimizer.steps == 1


def test_zero_grad_takes_gradients_away_or_fills_them() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125)
    parameter.grad = torch.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad.item() == 0.0
    optimizer.zero_grad()
    assert parameter.grad is None


@pytest.mark.parametrize("schedule", ["recorded", "constant"])
def test_scheduler_changes_lr_only_where_it_is_recorded(schedule: str) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, schedule=schedule, grad_scale=0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    stepped(optimizer, parameter)
    scheduler.step()
    if schedule == "constant":
        with pytest.raises(UsageError, match=r'lr of parameter group 0 was changed from 0\.125 to 0\.0625.*"recorded"'):
            stepped(optimizer, parameter)
        return
    stepped(optimizer, parameter)
    assert optimizer.header is not None
    assert optimizer.header.schedule == "recorded"
    assert parameter.item() == 1 - 0.5 * 0.125 - 0.5 * 0.0625


def test_scheduler_that_warms_up_gets_the_number_format_of_its_largest_lr() -> None:
    """At 2^-10 of the lr alone, SGD would choose s = 30, under which the lr that comes later
    doesn't fit."""
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 8, grad_scale=0)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=2**-10, total_iters=1)
    stepped(optimizer, parameter, 0.01)
    scheduler.step()
    stepped(optimizer, parameter, 0.01)
    assert optimizer.header is not None
    assert optimizer.header.groups[0].s == 15
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.001, grad_scale=0, max_lr=8)
    stepped(optimizer, parameter, 0.01)
    assert optimizer.header is not None
    assert optimizer.header.groups[0].s == 15


def test_lr_that_outgrows_the_number_format_is_refused_and_nothing_has_changed() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.001, grad_scale=0)
    stepped(optimizer, parameter)
    before = optimizer.integers["W"]
    optimizer.param_groups[0]["lr"] = 8.0
    with pytest.raises(
        UsageError, match=r"lr of .* 0 is 8 at step 2, .* holds an lr below 0\.125: .* max_lr=8 or more"
    ):
        stepped(optimizer, parameter)
    np.testing.assert_array_equal(optimizer.integers["W"], before)
    assert optimizer.steps == 1
    optimizer.param_groups[0]["lr"] = 1e6  # which no format holds
    with pytest.raises(UsageError, match=r"lr = 1000000 gives LR out of range; lower lr or raise grad_scale"):
        stepped(optimizer, parameter)
    optimizer.param_groups[0]["lr"] = 0.1249
    stepped(optimizer, parameter, 0.01)
    assert optimizer.steps == 2


def test_lr_beyond_the_coarser_format_gets_no_advice_that_does_not_help() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.001, max_lr=8, grad_scale=0)
    stepped(optimizer, parameter, 0.01)
    optimizer.param_groups[0]["lr"] = 5000.0
    with pytest.raises(UsageError, match="lower lr, or raise grad_scale") as caught:
        stepped(optimizer, parameter)
    assert "use s" not in str(caught.value) and "max_lr" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("momentum", 0.8), ("weight_decay", 0.1), ("nesterov", True)])
def test_other_hyper_parameters_are_fixed_by_the_first_step(name: str, value: object) -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, momentum=0.9)
    optimizer.param_groups[0]["momentum"] = 0.5  # as OneCycleLR does when it is made
    stepped(optimizer, parameter)
    assert optimizer.header is not None
    assert dict(optimizer.header.groups[0].hyper)["momentum"] == "0.5"
    optimizer.param_groups[0][name] = value
    with pytest.raises(UsageError, match=rf"{name} of parameter group 0 was changed from \S+ to {value}"):
        stepped(optimizer, parameter)


def test_automatic_grad_scale_is_chosen_at_the_first_step_and_kept() -> None:
    parameter = vector([1.0, 1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, grad_scale="auto")
    stepped(optimizer, parameter, 2.0**-20)
    with pytest.warns(ClampedGradients, match="2 of 2 elements") as told:
        stepped(optimizer, parameter, 2.0**-3)
    assert '"auto"' not in str(told[0].message)
    assert optimizer.header is not None
    assert optimizer.header.grad_scale == 8  # 2^-20 * 2^(28 + 8) = 2^16


def test_eps_that_the_formats_make_coarse_is_warned_of_and_told() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "adam", eps=1e-8, grad_scale=0)
    with pytest.warns(CoarseEps, match=r"eps of parameter group 0 is 0\.000000119\d* in effect, not 0\.00000001"):
        stepped(optimizer, parameter)
    assert optimizer.effective()[0]["eps"].startswith("0.000000119")
    assert optimizer.effective()[0]["beta2"] == "0.998992919921875"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameter = vector([1.0])
        stepped(ZKOptimizer([parameter], "adam", eps=1e-5, grad_scale=0), parameter)


def test_eps_of_the_first_step_is_told_where_its_floor_weighs_more() -> None:
    for eps, first in ((1e-8, "0.00000376"), (1e-5, None)):
        parameter = vector([1.0])
        optimizer = ZKOptimizer([parameter], "adam", eps=eps, grad_scale=0)
        stepped(optimizer, parameter)
        assert optimizer.effective()[0].get("eps_at_step_1") == first


def test_lr_that_the_gradients_scale_leaves_no_precision_is_warned_of_with_the_scale_that_mends_it() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.001, grad_scale=20)
    with pytest.warns(
        CoarseLr, match=r"lr of parameter group 0 is 0\.0009765625 in effect, not 0\.001: .* too large .*; 16 or less"
    ):
        stepped(optimizer, parameter, 2.0**-32)
    assert optimizer.effective()[0]["lr"] == "0.0009765625"
    parameter = vector([1.0])
    with pytest.warns(CoarseLr, match=r"is 0 in effect, not .*; raise lr$"):
        stepped(ZKOptimizer([parameter], "sgd", 1e-30, grad_scale=0), parameter)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameter = vector([1.0])
        stepped(ZKOptimizer([parameter], "sgd", 0.001, grad_scale=16), parameter, 2.0**-20)
        parameter = vector([1.0])
        stepped(ZKOptimizer([parameter], "sgd", 0, grad_scale=0), parameter)


# ---- state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_state_dict_goes_on_bit_for_bit_after_a_file(rule: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"rule": rule, "lr": "0.0100000000000000000001"}
    whole, half = network(), network()
    optimizer = ZKOptimizer(whole.named_parameters(), **options)
    train(whole, optimizer, range(8))
    first = ZKOptimizer(half.named_parameters(), **options)
    train(half, first, range(4))
    torch.save(first.state_dict(), tmp_path / "optimizer.pt")

    other = network()  # of other weights: the state brings its own
    with torch.no_grad():
        other.get_parameter("0.weight").zero_()
        other.get_buffer("1.running_mean").copy_(half.get_buffer("1.running_mean"))
        other.get_buffer("1.running_var").copy_(half.get_buffer("1.running_var"))
    second = ZKOptimizer(other.named_parameters(), rule, 0.2)
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    np.testing.assert_array_equal(weights(other), weights(half))
    train(other, second, range(4, 8))
    assert second.steps == 8
    assert second.header is not None
    assert optimizer.header is not None
    assert second.header.groups == optimizer.header.groups
    assert second.header.grad_scale == optimizer.header.grad_scale
    for name, values in optimizer.integers.items():
        np.testing.assert_array_equal(second.integers[name], values)


def test_state_dict_holds_integers_under_torchs_numbers_and_nothing_is_kept_twice() -> None:
    model = network()
    optimizer = ZKOptimizer(model.named_parameters(), "adam")
    train(model, optimizer, range(2))
    state = optimizer.state_dict()
    assert set(state["state"]) == set(range(6))
    assert state["state"][0]["M"].dtype == torch.int64
    assert state["state"][0]["W"].shape == model[0].weight.shape
    assert state["param_groups"][0]["params"] == list(range(6))
    assert not optimizer.state
    before = optimizer.integers["W"]
    state["state"][0]["W"].zero_()
    np.testing.assert_array_equal(optimizer.integers["W"], before)


def test_state_before_the_first_step_leaves_the_scale_open() -> None:
    parameter = vector([1.0])
    state = ZKOptimizer([vector([2.0])], "adam", grad_scale="auto").state_dict()
    optimizer = ZKOptimizer([parameter], "adam", grad_scale="auto")
    optimizer.load_state_dict(state)
    assert parameter.item() == 2.0
    assert optimizer.effective() == []
    stepped(optimizer, parameter, 2.0**-20)
    assert optimizer.header is not None
    assert optimizer.header.grad_scale == 8


def test_state_carries_the_lr_of_a_scheduler() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([parameter], "sgd", 0.125, grad_scale=0)
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    stepped(optimizer, parameter)
    optimizer.param_groups[0]["lr"] = 0.0625
    other = vector([1.0])
    second = ZKOptimizer([other], "sgd", 0.125, grad_scale=0)
    second.load_state_dict(optimizer.state_dict())
    before = other.item()
    stepped(second, other)
    assert before - other.item() == 0.5 * 0.0625


def broken(**changes: object) -> dict[str, Any]:
    state = ZKOptimizer([("a", vector([1.0]))], "adam").state_dict()
    state["zk_autograd"].update(changes)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.optim.Adam([vector([1.0])]).state_dict(), "not ZKOptimizer's"),
        (broken(format="zk-autograd/state/v9"), "another version"),
        (broken(rule="adamw"), "of the rule adamw, but the optimizer's is adam"),
        (broken(names=["b"]), "other parameters.*differ in a"),
        (broken(names=["a", "b"]), "differ in their number"),
        (broken(hyper=[]), "0 parameter groups, the optimizer has 1"),
        (ZKOptimizer([("a", vector([1.0, 2.0]))], "adam").state_dict(), r"no W of int64 and shape \(1,\) for a"),
    ],
)
def test_state_of_something_else_is_refused_and_nothing_has_changed(state: dict[str, Any], message: str) -> None:
    parameter = vector([7.0])
    optimizer = ZKOptimizer([("a", parameter)], "adam")
    with pytest.raises(UsageError, match=message):
        optimizer.load_state_dict(state)
    assert parameter.item() == 7.0
    assert optimizer.integers["W"][0] == 7 * 2**32


def test_state_survives_pickle_by_torch() -> None:
    optimizer = ZKOptimizer([("a", vector([1.0]))], "adamw")
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["zk_autograd"] == optimizer.state_dict()["zk_autograd"]
