"""Tensors that are another thing than they were when the optimizer was made: trained exactly, or
refused by name, and nothing recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.optim.models import network, train
from zk_autograd.core.errors import GradientError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::zk_autograd.optim.trajectory.CoarseEps")]


def layers() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def backward(model: torch.nn.Module) -> None:
    model(torch.ones(4, 2)).pow(2).sum().backward()


def step(model: torch.nn.Module, optimizer: ZKOptimizer) -> None:
    optimizer.zero_grad()
    backward(model)
    optimizer.step()


def made(model: torch.nn.Module, **options: Any) -> ZKOptimizer:
    return ZKOptimizer(model.named_parameters(), lr=0.01, **options)


# ---- frozen and thawed ---------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_tensor_that_was_given_frozen_and_is_thawed_is_refused_by_name(
    before: int, recorded: bool, tmp_path: Path, signer: Ed25519Signer
) -> None:
    model = layers()
    model[0].requires_grad_(False)
    options: dict[str, Any] = {"run": tmp_path / "run", "prover": "none", "key": signer} if recorded else {}
    with made(model, **options) as optimizer:
        for _ in range(before):
            step(model, optimizer)
        model[0].requires_grad_(True)
        optimizer.zero_grad()
        backward(model)
        integers = optimizer.integers["W"]
        acts: list[Callable[[], object]] = [optimizer.step] if before else [optimizer.step, optimizer.start]
        for act in acts:
            with pytest.raises(
                UsageError, match=r"^0\.weight was frozen when the optimizer was made, .* or unfreeze it before"
            ):
                act()
        assert optimizer.steps == before
        np.testing.assert_array_equal(optimizer.integers["W"], integers)
        assert (tmp_path / "run").exists() == (recorded and before > 0)
        model[0].requires_grad_(False)
        step(model, optimizer)
        assert optimizer.steps == before + 1


@pytest.mark.parametrize("recorded", [False, True])
def test_a_tensor_that_was_thawed_for_the_backward_alone_is_refused_by_name(
    recorded: bool, tmp_path: Path, signer: Ed25519Signer
) -> None:
    """As trainings of two networks in turn do: it would never be trained, and torch's optimizers
    would train it."""
    model = layers()
    model[0].requires_grad_(False)
    options: dict[str, Any] = {"run": tmp_path / "run", "prover": "none", "key": signer} if recorded else {}
    with made(model, **options) as optimizer:
        step(model, optimizer)
        optimizer.zero_grad()
        model[0].requires_grad_(True)
        backward(model)
        model[0].requires_grad_(False)
        with pytest.raises(UsageError, match=r"^0\.weight was frozen when the optimizer was made, .*zero_grad\(\)"):
            optimizer.step()
        assert optimizer.steps == 1
        step(model, optimizer)
        assert optimizer.steps == 2


def test_gradients_of_frozen_tensors_from_before_are_no_reason() -> None:
    """Of a first training of all of them. What is added to those is."""
    model = layers()
    backward(model)
    model[0].requires_grad_(False)
    optimizer = made(model)
    for _ in range(2):
        model[1].zero_grad()
        backward(model)
        optimizer.step()
    model[0].requires_grad_(True)
    model[1].zero_grad()
    backward(model)
    model[0].requires_grad_(False)
    with pytest.raises(UsageError, match=r"^0\.weight was frozen when the optimizer was made"):
        optimizer.step()
    step(model, optimizer)
    assert optimizer.steps == 3


def test_old_gradients_of_thawed_tensors_are_no_reason_where_a_closure_makes_new_ones() -> None:
    model = layers()
    model[0].requires_grad_(False)
    optimizer = made(model)
    model[0].requires_grad_(True)
    backward(model)
    model[0].requires_grad_(False)

    def closure() -> float:
        optimizer.zero_grad()
        backward(model)
        return 0.0

    optimizer.step(closure)
    assert optimizer.steps == 1


def test_a_thawed_tensor_without_a_gradient_is_skipped_as_torch_does() -> None:
    model = layers()
    model[0].requires_grad_(False)
    optimizer = made(model)
    model[0].requires_grad_(True)
    optimizer.zero_grad()
    model[1](torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert optimizer.steps == 1


def test_gradients_of_frozen_tensors_are_taken_away_with_the_others() -> None:
    model = layers()
    model[0].requires_grad_(False)
    optimizer = made(model)
    for to_none in (True, False):
        model[0].requires_grad_(True)
        backward(model)
        optimizer.zero_grad(set_to_none=to_none)
        gradients = [p.grad for p in model.parameters()]
        assert all(g is None if to_none else not g.any() for g in gradients)  # type: ignore[union-attr]
        model[0].requires_grad_(False)
        for p in model.parameters():
            p.grad = None


def test_parameters_beside_the_optimizer_are_nobodys_as_with_torch() -> None:
    model = layers()
    optimizer = ZKOptimizer(model[1].named_parameters("1"), unproved=model)
    step(model, optimizer)
    assert optimizer.steps == 1


def test_a_tensor_that_is_frozen_later_is_refused_when_it_has_no_gradient() -> None:
    model = layers()
    optimizer = made(model)
    step(model, optimizer)
    model[1].requires_grad_(False)
    optimizer.zero_grad()
    backward(model)
    with pytest.raises(GradientError, match=r"^1\.weight was frozen after the optimizer was made, .* unfreeze it"):
        optimizer.step()
    model[1].requires_grad_(True)
    step(model, optimizer)
    assert optimizer.steps == 2


def test_a_tensor_whose_place_another_took_is_refused() -> None:
    model = layers()
    optimizer = made(model)
    model[1].register_parameter("weight", torch.nn.Parameter(model.get_parameter("1.weight").detach().clone()))
    optimizer.zero_grad()
    backward(model)
    with pytest.raises(
        GradientError, match=r"^1\.weight has no gradient: .* another tensor in its place, .* another opt"
    ):
        optimizer.step()


# ---- of another type, shape or memory ------------------------------------------------------------


def swapped_to_meta(model: torch.nn.Sequential) -> None:
    torch.utils.swap_tensors(
        model.get_parameter("0.weight"), torch.nn.Parameter(model.get_parameter("0.weight").detach().to("meta"))
    )


def reshaped(model: torch.nn.Sequential) -> None:
    model.get_parameter("0.weight").data = torch.zeros(2, 2)


def emptied(model: torch.nn.Sequential) -> None:
    model.get_parameter("0.weight").data = torch.zeros(3, 2)
    model.get_parameter("0.weight").data.untyped_storage().resize_(0)


def shared(model: torch.nn.Sequential) -> None:
    """Two biases of one size in one memory, with the values that they had."""
    model.get_parameter("1.weight").data = model.get_parameter("0.bias").data.view(1, 3)


CHANGES: dict[str, tuple[Callable[[torch.nn.Sequential], object], str]] = {
    "bfloat16": (torch.nn.Module.bfloat16, r"^0\.weight is now torch\.bfloat16, but a run trains the same float32"),
    "half": (torch.nn.Module.half, r"^0\.weight is now torch\.float16"),
    "double": (torch.nn.Module.double, r"^0\.weight is now torch\.float64"),
    "meta": (swapped_to_meta, r"^0\.weight no longer holds dense values \(layout torch.strided, device meta\)"),
    "shape": (reshaped, r"^0\.weight now has the shape \(2, 2\), not \(3, 2\)"),
    "no memory": (emptied, r"^0\.weight no longer holds dense values"),
    "shared": (shared, r"^(0\.bias and 1\.weight|1\.weight and 0\.bias) share memory"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tensor_of_another_kind_is_refused_by_name_before_anything_is_read(
    change: str, tmp_path: Path, signer: Ed25519Signer
) -> None:
    model = layers()
    with torch.no_grad():
        model.get_parameter("1.weight").copy_(model.get_parameter("0.bias").view(1, 3))
    act, message = CHANGES[change]
    optimizer = made(model, run=tmp_path / "run", prover="none", key=signer)
    optimizer.zero_grad()
    backward(model)
    act(model)
    for method in (optimizer.start, optimizer.step):
        with pytest.raises(UsageError, match=message):
            method()
    assert optimizer.steps == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["bfloat16", "half", "double"])
def test_a_state_is_not_loaded_into_tensors_of_another_type(change: str) -> None:
    model = layers()
    optimizer = made(model)
    step(model, optimizer)
    saved = optimizer.state_dict()
    CHANGES[change][0](model)
    with pytest.raises(UsageError, match=CHANGES[change][1]):
        optimizer.load_state_dict(saved)


def test_what_keeps_values_and_type_is_no_change() -> None:
    model = layers()
    optimizer = made(model)
    step(model, optimizer)
    model.double().float()  # exact, in another memory
    model.get_parameter("1.weight").data = model.get_parameter("1.weight").data.clone()
    step(model, optimizer)
    assert optimizer.steps == 2
    model.half().float()
    with pytest.raises(UsageError, match=r"^0\.weight was changed by something else"):
        step(model, optimizer)


def test_frozen_tensors_and_buffers_may_have_any_type() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = ZKOptimizer(model.named_parameters(), unproved=model)
    train(model, optimizer, range(1))
    frozen, buffer = model.get_parameter("0.weight"), model.get_buffer("1.running_mean")
    for tensor in (frozen, buffer):
        tensor.data = tensor.data.half()  # no forward pass takes it, and none is made
    optimizer.step()
    assert optimizer.steps == 2


def test_a_gradient_of_another_shape_is_refused() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = ZKOptimizer([("a", parameter)], "sgd")
    parameter.grad = torch.ones(3)
    parameter.grad.data = torch.ones(2)
    with pytest.raises(
        GradientError, match=r"^the gradient of a has the shape \(2,\) on cpu, but the tensor has \(3,\)"
    ):
        optimizer.step()
    assert optimizer.steps == 0
