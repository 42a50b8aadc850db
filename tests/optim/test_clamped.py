"""Who is told that gradients are clamped, when, and what to do about it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.optim.models import vector
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.optimizer import ClampedGradients
from zk_autograd.train.session import repeatable

pytestmark = pytest.mark.torch

SIZE = 2000


def stepped(optimizer: ZKOptimizer, parameter: torch.nn.Parameter, clamped: int, size: float = 100.0) -> list[str]:
    """What a step says, `clamped` of whose gradient's elements are of this size, the others 0."""
    gradient = torch.zeros_like(parameter)
    gradient[:clamped] = size
    parameter.grad = gradient
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        optimizer.step()
    assert all(warning.category is ClampedGradients for warning in told)
    assert all(warning.filename == __file__ for warning in told)  # it points at the loop's own line
    return [str(warning.message) for warning in told]


def made(**options: object) -> tuple[ZKOptimizer, torch.nn.Parameter]:
    parameter = vector(np.zeros(SIZE))
    return ZKOptimizer([parameter], "sgd", 2.0**-20, **options), parameter  # type: ignore[arg-type]


def test_the_first_step_that_clamps_is_told_of_with_what_mends_it_and_the_next_one_is_not() -> None:
    optimizer, parameter = made()
    assert stepped(optimizer, parameter, 0) == []
    assert stepped(optimizer, parameter, 60) == [
        "step 2: 60 of 2000 elements of the gradients are beyond +-4, all that grad_scale=0 can hold, and are clamped, so the step differs "
        'from torch\'s: grad_scale=-5 from the first step on holds those of this step, grad_scale="auto" chooses one from the first '
        "gradients; or scale the loss or the targets down"
    ]
    assert stepped(optimizer, parameter, 60) == []
    assert optimizer.saturated == 120
    optimizer, parameter = made(grad_scale=-5)
    assert stepped(optimizer, parameter, 60) == []
    assert optimizer.saturated == 0


def test_a_gradient_that_no_scale_holds_is_to_be_scaled_down() -> None:
    optimizer, parameter = made()
    (text,) = stepped(optimizer, parameter, 2, 1e30)
    assert text.endswith("so the step differs from torch's: scale the loss or the targets down")


def test_single_elements_are_told_of_when_they_come_again_and_again() -> None:
    optimizer, parameter = made()
    said = {t: text for t in range(1, 120) if (text := stepped(optimizer, parameter, 1))}
    assert list(said) == [10, 100]
    assert said[10][0].startswith("step 10: 1 of 2000 elements")


def test_many_elements_are_told_of_again_in_the_tenth_step_that_clamps() -> None:
    optimizer, parameter = made()
    assert [t for t in range(1, 30) if stepped(optimizer, parameter, 2)] == [1, 10]


def test_a_warning_that_is_an_error_refuses_the_step() -> None:
    optimizer, parameter = made()
    before = optimizer.integers["W"]
    parameter.grad = torch.full_like(parameter, 100)
    for _ in range(2):
        with warnings.catch_warnings(), pytest.raises(ClampedGradients):
            warnings.simplefilter("error")
            optimizer.step()
    assert (optimizer.steps, optimizer.saturated) == (0, 0)
    np.testing.assert_array_equal(optimizer.integers["W"], before)


def test_a_training_of_zk_train_which_reports_the_count_at_its_end_is_not_interrupted() -> None:
    optimizer, parameter = made()
    parameter.grad = torch.full_like(parameter, 100)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with repeatable():
            optimizer.step()
    assert told == []
    assert optimizer.saturated == SIZE


def test_a_warning_taken_for_an_error_refuses_the_first_step_before_there_is_a_run(tmp_path: Path) -> None:
    parameter = vector(np.zeros(SIZE))
    key = Ed25519Signer("trainer", bytes(range(32)))
    optimizer = ZKOptimizer([parameter], "sgd", 2.0**-20, run=tmp_path / "run", key=key, prover="none")
    for _ in range(2):
        parameter.grad = torch.full_like(parameter, 100.0)
        with pytest.raises(ClampedGradients):
            optimizer.step()
        assert not (tmp_path / "run").exists()
    (text,) = stepped(optimizer, parameter, 60)
    assert text.startswith("step 1: 60 of 2000 elements")
    assert stepped(optimizer, parameter, 60) == []
    optimizer.abandon()
