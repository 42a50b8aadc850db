"""What ZKOptimizer refuses: one sentence with what, where, and what to do, and nothing has
changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.models import backward, network, vector
from zk_autograd.core.errors import GradientError, RangeError, UsageError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.optim import ZKOptimizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]

SHARED = torch.zeros(6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "no parameters to train"),
        (iter(()), "no parameters to train"),
        (torch.nn.Parameter(torch.zeros(1)), "one tensor; give model.named_parameters"),
        (5, "was given a int"),
        ([torch.zeros(3)], "no parameters to train .of 1 given, all are frozen"),
        ([{"params": []}], "parameter group 0 has no parameters to train"),
        ([{"lr": 0.1}], 'parameter group 0 has no "params"'),
        ([{"params": {vector([1.0])}}], "parameters are a set"),
        ([{"params": [vector([1.0])]}, vector([1.0])], "mix tensors and groups"),
        ([("a", 1.0)], "a is a float, not a tensor"),
        ([("a", vector([]))], "a has no elements; leave it out"),
        ([("a", torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)))], r"a is torch.float64.*model.float\(\)"),
        ([("a", torch.nn.Parameter(torch.zeros(2, dtype=torch.bfloat16)))], "a is torch.bfloat16"),
        ([("a", torch.nn.Parameter(torch.zeros(2, dtype=torch.float16)))], "a is torch.float16"),
        ([("a", torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64)))], "a is complex"),
        ([("a", torch.nn.Parameter(torch.zeros(2, device="meta")))], "a holds no dense values"),
        (list(torch.nn.LazyLinear(2).named_parameters()), "weight has no shape yet.*run the model once"),
        ([("a", vector([1.0]) * 2)], "a is computed from other tensors"),
        ([("a", vector([1.0])), ("a", vector([1.0]))], "two parameters are called 'a'"),
        ([("", vector([1.0]))], "called ''; a name has 1 to 1000"),
        ([("\ud800", vector([1.0]))], "Unicode"),
        ([("a", p := vector([1.0])), ("b", p)], "a and b share memory; give a shared parameter once"),
        ([{"params": [("a", p)]}, {"params": [("b", p)]}], "a and b share memory"),
        (
            [("a", torch.nn.Parameter(SHARED[:4])), ("b", torch.nn.Parameter(SHARED[3:]))],
            "a and b share memory",
        ),
        ([("a", torch.nn.Parameter(torch.zeros(1).expand(3)))], "elements of a share memory.*clone it"),
        ([("a", vector([1.0, float("nan")]))], r"a\[1\] is nan; initial weights must be finite"),
    ],
)
def test_parameters_that_have_no_exact_step_are_refused(params: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ZKOptimizer(params, "adam")


def test_weight_that_is_too_large_is_named() -> None:
    with pytest.raises(RangeError, match=r"weight of a\[1\] is 35184372088832, .* below 35184372088832; "):
        ZKOptimizer([("a", vector([1.0, 8192.0]))], "adam")


def test_tied_tensors_of_a_model_are_one_parameter() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    optimizer = ZKOptimizer(model.named_parameters(), "sgd")
    assert optimizer.param_groups[0]["param_names"] == ["0.weight", "0.bias", "1.bias"]


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("adagrad", {}, "no rule 'adagrad'; choose one of sgd, .*, adam, adamw, lion, rmsprop"),
        ("rmsprop", {"momentum": 0.9}, "the rule rmsprop has no momentum .*; it has lr, alpha, eps, weight_decay"),
        ("rmsprop", {"centered": True}, "centered=True of .* isn't supported: .* doesn't subtract the gradients' mean"),
        ("rmsprop", {"nesterov": True}, "nesterov needs"),
        ("rmsprop", {"decoupled_weight_decay": False, "weight_decay": 0.1}, "coupled into the gradient"),
        ("rmsprop", {"alpha": -1}, "alpha of .* isn't negative"),
        ("rmsprop", {"betas": (0, 0.9)}, "rule rmsprop has no betas"),  # Adam's with beta1 = 0 is its alpha
        ("sgd", {"betas": (0, 0.9)}, "rule sgd has no betas"),
        ("lion", {"eps": 1e-8}, "the rule lion has no eps"),
        ("lion", {"alpha": 0.9}, "the rule lion has no alpha"),
        ("adam", {"alpha": 0.9}, "the rule adam has no alpha"),
        ("lion", {"betas": (0.9,)}, "give a pair"),
        ("adam", {"weight_decay": 0.1}, 'weight_decay of parameter group 0 .*coupled.*use rule="adamw"'),
        ("adamw", {"decoupled_weight_decay": False}, "coupled"),
        ("sgd", {"weight_decay": 0.1, "decoupled_weight_decay": False}, "coupled"),
        ("adam", {"amsgrad": True}, "amsgrad=True of parameter group 0 isn't supported"),
        ("sgd", {"maximize": True}, "maximize.*negate the loss"),
        ("sgd", {"momentum": 0.9, "dampening": 0.1}, "dampening"),
        ("adam", {"momentum": 0.9}, "rule adam has no momentum .*it has lr, beta1, beta2, eps"),
        ("sgd", {"betas": (0.9, 0.99)}, "rule sgd has no betas"),
        ("sgd", {"eps": 1e-8}, "rule sgd has no eps"),
        ("sgd", {"nesterov": True}, "nesterov needs .* momentum above 0"),
        ("adam", {"nesterov": True}, "nesterov needs"),
        ("adam", {"betas": 0.9}, "betas is 0.9; give a pair"),
        ("adam", {"betas": (0.9, 0.99999)}, "beta2 = 0.99999 gives c2 out of range"),
        ("adam", {"betas": (1.5, 0.9)}, "beta1 = 1.5 gives c1 out of range"),
        ("sgd", {"momentum": 1}, "momentum = 1 gives mu out of range"),
        ("adam", {"eps": 3}, "eps = 3 gives E out of range"),
        ("adam", {"lr": 1}, r"lr = 1 gives LR of step 1 out of range"),
        ("sgd", {"lr": 5000, "grad_scale": 0}, "lr = 5000 gives LR out of range"),
        ("adam", {"lr": -0.1}, "lr of parameter group 0 is -0.1; it must be a finite number"),
        ("adam", {"lr": float("nan")}, "lr of parameter group 0 is nan"),
        ("adam", {"lr": float("inf")}, "lr of parameter group 0 is inf"),
        ("adam", {"lr": "fast"}, "lr of parameter group 0 is fast"),
        ("adam", {"lr": True}, "lr of parameter group 0 is a bool"),
        ("adam", {"lr": torch.tensor(0.1)}, "lr of parameter group 0 is a Tensor; give an int, a float"),
        ("adamw", {"lr": 0.1, "weight_decay": 10}, "weight_decay = 10 gives D out of range"),
        ("adam", {"grad_scale": 40}, r"grad_scale is 40; .*-32\.\.32"),
        ("adam", {"grad_scale": 1.5}, "grad_scale is 1.5"),
        ("adam", {"grad_scale": "big"}, "grad_scale is 'big'"),
        ("adam", {"schedule": "cosine"}, "a schedule needs steps="),
        ("adam", {"schedule": "triangle:steps=3"}, "there is no such schedule .*found 'triangle:steps=3'"),
        ("adam", {"schedule": None}, "the schedule is a NoneType; give a text"),
        ("adam", {"learning_rate": 0.1}, "no option 'learning_rate'"),
        ("adam", {"resume": True}, "resume=True needs run="),
    ],
)
def test_hyper_parameters_that_no_step_can_have_are_refused(rule: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ZKOptimizer([vector([1.0])], rule, **options)


def test_nesterov_for_some_groups_only_is_refused() -> None:
    groups = [{"params": [vector([1.0])], "nesterov": True}, {"params": [vector([1.0])]}]
    with pytest.raises(UsageError, match="nesterov is set for some parameter groups only"):
        ZKOptimizer(groups, "sgd", momentum=0.9)


def test_a_number_in_the_place_of_the_rule_is_taken_for_the_lr_that_it_is() -> None:
    with pytest.raises(UsageError, match=r"the second argument is the rule, and 0\.001 is a number: .* as lr=0\.001"):
        ZKOptimizer([vector([1.0])], 1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["sgd-momentum", "adam"])
def test_a_scheduler_that_would_cycle_the_momentum_is_refused_before_the_first_step(rule: str) -> None:
    for cycle in (True, False):
        parameter = vector([1.0])
        optimizer = ZKOptimizer([parameter], rule)
        torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=9, cycle_momentum=cycle)
        parameter.grad = torch.full_like(parameter, 0.01)
        if cycle:
            with pytest.raises(UsageError, match=r"the momentum of parameter group 0, .* with cycle_momentum=False"):
                optimizer.step()
        else:
            optimizer.step()
        assert optimizer.steps == (0 if cycle else 1)


def test_parameter_groups_are_fixed_when_the_optimizer_is_made() -> None:
    optimizer = ZKOptimizer([vector([1.0])], "sgd")
    with pytest.raises(UsageError, match="pass all of them then"):
        optimizer.add_param_group({"params": [vector([1.0])]})
    assert len(optimizer.param_groups) == 1


def sparse() -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.tensor([[0]]), torch.tensor([1.0]), (2,), check_invariants=True)


@pytest.mark.parametrize("grad_scale", [0, "auto"])
@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (None, r"^b has no gradient: call backward\(\).*requires_grad_\(False\)"),
        (torch.tensor([0.0, float("nan")]), r"^the gradient of b\[1\] is nan, .* lower lr"),
        (torch.tensor([float("-inf"), 0.0]), r"^the gradient of b\[0\] is -inf"),
        (sparse(), "^the gradient of b is sparse.*sparse=False"),
    ],
)
def test_gradient_without_an_exact_step_is_refused_and_nothing_has_changed(
    gradient: torch.Tensor | None, message: str, grad_scale: Any
) -> None:
    a, b = vector([1.0]), vector([2.0, 3.0])
    optimizer = ZKOptimizer([("a", a), ("b", b)], "adam", grad_scale=grad_scale)
    before = optimizer.integers
    for steps in range(2):
        a.grad, b.grad = torch.ones(1), gradient
        with pytest.raises(GradientError, match=message):
            optimizer.step()
        assert optimizer.steps == steps
        np.testing.assert_array_equal(optimizer.integers["W"], before["W"])
        np.testing.assert_array_equal(b.detach().numpy(), dequantize_weight(before["W"][1:]))
        a.grad, b.grad = torch.ones(1), torch.ones(2)
        optimizer.step()
        before = optimizer.integers


def test_gradient_of_another_type_is_refused() -> None:
    parameter = vector([1.0])
    optimizer = ZKOptimizer([("a", parameter)], "sgd")
    gradient = torch.ones(1)
    parameter.grad = gradient
    gradient.data = gradient.double()
    with pytest.raises(GradientError, match=r"the gradient of a is torch\.float64; only float32"):
        optimizer.step()


@pytest.mark.parametrize("first", [True, False])
def test_update_that_leaves_its_range_is_named_and_nothing_has_changed(first: bool) -> None:
    parameter = vector([1.0, 1.0])
    optimizer = ZKOptimizer([("a", parameter)], "sgd", 8, grad_scale=0)
    if not first:
        parameter.grad = torch.full((2,), 0.01)
        optimizer.step()
    before, steps = optimizer.integers, optimizer.steps
    parameter.grad = torch.tensor([0.0, 1.0])
    with pytest.raises(RangeError, match=r"update of a\[1\] is 34359738368, .*; lower lr"):
        optimizer.step()
    assert optimizer.steps == steps
    np.testing.assert_array_equal(optimizer.integers["W"], before["W"])
    np.testing.assert_array_equal(parameter.detach().numpy(), dequantize_weight(before["W"]))
    parameter.grad = torch.tensor([0.0, 0.01])
    optimizer.step()
    assert optimizer.steps == steps + 1


@pytest.mark.parametrize("stepped", [False, True])
def test_weight_changed_by_someone_else_is_refused(stepped: bool) -> None:
    model = network()
    optimizer = ZKOptimizer(model.named_parameters(), "sgd")
    backward(model, 0)
    if stepped:
        optimizer.step()
        backward(model, 1)
    with torch.no_grad():
        model.get_parameter("2.weight")[1, 1] += 2.0**-20
    with pytest.raises(UsageError, match=r"^2\.weight was changed by something else"):
        optimizer.step()
    assert optimizer.steps == stepped


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"loss": "low"}, "the loss is a str; give a number"),
        ({"loss": torch.zeros(2)}, "the loss is a Tensor; give a number, or a tensor of one element"),
        ({"batch": 5}, "the batch is a int; give bytes, or the indices"),
        ({"batch": [0.5]}, "the batch is a list; give bytes, or the indices"),
        ({"batch": [2**70]}, "the batch is a list"),
    ],
)
def test_note_that_can_not_be_recorded_is_refused(what: dict[str, Any], message: str) -> None:
    optimizer = ZKOptimizer([vector([1.0])], "sgd")
    with pytest.raises(UsageError, match=message):
        optimizer.note(**what)


def test_step_after_close_is_refused() -> None:
    parameter = vector([1.0])
    with ZKOptimizer([parameter], "sgd", 0.125) as optimizer:
        parameter.grad = torch.ones(1)
        optimizer.step()
    with pytest.raises(UsageError, match="the run is closed"):
        optimizer.step()


def test_a_first_step_without_any_gradient_leaves_neither_run_nor_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = ZKOptimizer([("w", weight)], "sgd", 0.1, run=tmp_path / "run", prover="none")
    with pytest.raises(GradientError, match=r"^w has no gradient"):
        optimizer.step()
    assert list(tmp_path.iterdir()) == []
