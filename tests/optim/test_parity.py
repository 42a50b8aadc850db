"""The optimizer against core's rule (equal in every bit) and against torch.optim (within the
formats' error).

The bounds are those of tests/core/test_rules_parity.py; the float32 weights that the optimizer
writes err by 2^-24 of their size more.
"""

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.core.test_rules_parity import adam_error, decay_error
from tests.optim.models import RULES, vector
from zk_autograd.core.constants import AdamSequence, SgdConstants
from zk_autograd.core.formats import dequantize_weight, quantize_gradient, quantize_weight
from zk_autograd.core.hyper import AdamHyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.records import Header
from zk_autograd.core.rules import initial_state, step, trace
from zk_autograd.core.rules.adam import AdamTrace
from zk_autograd.core.rules.families import constants_sequence
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.trajectory import ClampedGradients, CoarseEps

pytestmark = pytest.mark.torch

ELEMENTS = 3
FLOAT32 = 2.0**-23


def floats(bound: float) -> st.SearchStrategy[float]:
    """float32 numbers of every size up to `bound`, zero and the ends among them."""
    sizes = st.floats(-30, 0).map(lambda exponent: np.float32(bound * 2.0**exponent).item())
    chosen = st.one_of(st.sampled_from([0.0, bound, 2.0**-28, 2.0**-29]), sizes)
    return st.builds(lambda size, sign: size * sign, chosen, st.sampled_from([1.0, -1.0]))


def vectors(bound: float) -> st.SearchStrategy[list[float]]:
    return st.lists(floats(bound), min_size=ELEMENTS, max_size=ELEMENTS)


WEIGHTS = vectors(100.0)
GRADIENTS = st.lists(vectors(0.9), min_size=1, max_size=8)
"""With k <= 2 none saturates, and with k < 0 no momentum of 8 steps leaves its range."""


def decimals(low: str, high: str) -> st.SearchStrategy[str]:
    return st.decimals(low, high, places=5).map(str)


def run(optimizer: ZKOptimizer, parameter: torch.nn.Parameter, gradients: list[list[float]]) -> Header:
    """Makes a step with each of the gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoarseEps)
        for gradient in gradients:
            parameter.grad = torch.tensor(np.array(gradient, np.float32))
            optimizer.step()
    assert optimizer.header is not None
    return optimizer.header


@pytest.mark.parametrize("rule", RULES)
@given(
    weights=WEIGHTS,
    gradients=GRADIENTS,
    k=st.integers(-4, -1),
    lr=decimals("0", "0.05"),
    decay=decimals("0", "1"),
    first=decimals("0", "0.99"),
    second=decimals("0.5", "0.999"),
)
@settings(max_examples=40)
def test_steps_are_those_of_the_integer_rule(
    rule: str,
    weights: list[float],
    gradients: list[list[float]],
    k: int,
    lr: str,
    decay: str,
    first: str,
    second: str,
) -> None:
    if rule.startswith("adam"):  # the first step's LR, with its bias corrections, stays below 1/4
        assume(float(lr) * (1 - float(second)) ** 0.5 < 0.24 * (1 - float(first)))
    parameter = vector(weights)
    decay = "0" if rule == "adam" else decay
    hyper: Any
    options: dict[str, Any]
    if rule.startswith("adam"):
        options = {"betas": (first, second), "eps": "1e-6"}
        hyper = AdamHyper(Fraction(lr), Fraction(first), Fraction(second), Fraction("1e-6"), Fraction(decay))
    elif rule == "lion":
        options = {"betas": (first, second)}
        hyper = LionHyper(Fraction(lr), Fraction(first), Fraction(second), Fraction(decay))
    elif rule == "rmsprop":
        first = min(first, "0.9")  # else a first step is too large for the largest lr
        options = {"alpha": first, "eps": "1e-6"}
        hyper = RmspropHyper(Fraction(lr), Fraction(first), Fraction("1e-6"), Fraction(decay))
    else:
        first = "0" if rule == "sgd" else first
        options = {"momentum": first}
        hyper = SgdHyper(Fraction(lr), Fraction(first), Fraction(decay))
    optimizer = ZKOptimizer([parameter], rule, lr, weight_decay=decay, grad_scale=k, **options)
    header = run(optimizer, parameter, gradients)
    if rule != "sgd":  # with a momentum above 0 the rule sgd would become another
        assert header.rule is Rule(rule)
    sequence = constants_sequence(header.rule, hyper, k, header.groups[0].s)
    state = initial_state(header.rule, quantize_weight(np.array(weights, np.float32)))
    for t, gradient in enumerate(gradients, start=1):
        G, _ = quantize_gradient(np.array(gradient, np.float32), k)
        state = step(header.rule, state, G, sequence.at(t))
    assert optimizer.integers.keys() == state.keys()
    for name, values in state.items():
        np.testing.assert_array_equal(optimizer.integers[name], values)
    np.testing.assert_array_equal(parameter.detach().numpy(), dequantize_weight(state["W"]))


def torch_run(
    optimizer: Any, parameter: torch.nn.Parameter, gradients: list[list[float]], decay: float
) -> list[NDArray[np.float64]]:
    """float64 weights after each step, with decoupled decay before it as AdamW has it."""
    found = []
    for gradient in gradients:
        parameter.grad = torch.tensor(np.array(gradient, np.float32).astype(np.float64))
        with torch.no_grad():
            parameter.mul_(1 - decay)
        optimizer.step()
        found.append(parameter.detach().numpy().copy())
    return found


def double(weights: list[float]) -> torch.nn.Parameter:
    """The integer weights of these floats as float64."""
    return torch.nn.Parameter(torch.tensor(quantize_weight(np.array(weights, np.float32)) * 2.0**-32))


@pytest.mark.parametrize(("rule", "momentum"), [("sgd", "0"), ("sgd-momentum", "0.9"), ("sgd-nesterov", "0.75")])
@given(
    weights=WEIGHTS,
    gradients=GRADIENTS,
    k=st.integers(-4, -1),
    lr=decimals("0.001", "0.05"),
    decay=decimals("0", "0.5"),
)
@example([0.0] * 3, [[2.0**-28, -(2.0**-29), 0.0]] * 8, 0, "0.05", "0")
@example([8188.0, -8188.0, 8000.0], [[-0.9, 0.9, 0.9]] * 8, -1, "0.05", "0")
@settings(max_examples=40)
def test_sgd_stays_within_its_formats_error_of_torch(
    rule: str, momentum: str, weights: list[float], gradients: list[list[float]], k: int, lr: str, decay: str
) -> None:
    parameter = vector(weights)
    optimizer = ZKOptimizer([parameter], rule, lr, momentum=momentum, weight_decay=decay, grad_scale=k)
    header = run(optimizer, parameter, gradients)
    c = header.sequence(0).at(1)
    assert isinstance(c, SgdConstants)
    mu, rate = c.mu / 2**15, c.LR / 2.0 ** (4 - k + c.s)
    reference = double(weights)
    peer = torch.optim.SGD([reference], lr=rate, momentum=mu, nesterov=rule == "sgd-nesterov")
    wanted = torch_run(peer, reference, gradients, c.D / 2**30)[-1]
    error = 0.5 if rule == "sgd" else 1 / (1 - mu)
    per_step = rate * error * 2.0 ** -(28 + k) + (0.5 + decay_error(c.D)) * 2.0**-32
    assert np.abs(optimizer.integers["W"] * 2.0**-32 - wanted).max() <= len(gradients) * per_step + 2.0**-36
    bound = len(gradients) * per_step + FLOAT32 * np.abs(wanted)
    assert (np.abs(parameter.detach().numpy() - wanted) <= bound + 2.0**-36).all()


@pytest.mark.parametrize(("rule", "peer"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
@given(
    weights=WEIGHTS, gradients=GRADIENTS, k=st.integers(0, 2), lr=decimals("0.001", "0.05"), decay=decimals("0", "0.5")
)
@example([0.0] * 3, [[2.0**-28, -(2.0**-29), 0.0]] * 8, 0, "0.001", "0")
@example([8191.0, -8191.0, 8000.0], [[0.9, -0.9, 0.9]] * 8, 2, "0.05", "0")
@settings(max_examples=40)
def test_adam_stays_within_its_formats_error_of_torch(
    rule: str, peer: Any, weights: list[float], gradients: list[list[float]], k: int, lr: str, decay: str
) -> None:
    parameter, eps, scale = (
        vector(weights),
        1e-5,
        2.0 ** (28 + k),
    )  # from k = 0 on, E is eps * root and not its least value
    decay = "0" if rule == "adam" else decay
    optimizer = ZKOptimizer([parameter], rule, lr, betas=(0.9, 0.999), eps=eps, weight_decay=decay, grad_scale=k)
    header = run(optimizer, parameter, gradients)
    sequence = header.sequence(0)
    assert isinstance(sequence, AdamSequence)
    betas = tuple(float(sequence.effective()[name]) for name in ("beta1", "beta2"))
    reference = double(weights)
    other = peer([reference], lr=float(lr), betas=betas, eps=eps, weight_decay=0.0)
    state, bound = initial_state(header.rule, quantize_weight(np.array(weights, np.float32))), np.zeros(ELEMENTS)
    largest = np.abs(np.array(gradients, np.float32)).max(axis=0) * scale
    for t, gradient in enumerate(gradients, start=1):
        c = sequence.at(t)
        result = trace(header.rule, state, quantize_gradient(np.array(gradient, np.float32), k)[0], c)
        assert isinstance(result, AdamTrace)
        state = {"W": result.W, "M": result.M, "V": result.V}
        torch_run(other, reference, [gradient], c.D / 2**30)
        moments = other.state[reference]
        m, v = moments["exp_avg"].numpy() * scale, moments["exp_avg_sq"].numpy() * scale**2
        root = (1 - betas[1] ** t) ** 0.5
        rate = float(lr) * root / (1 - betas[0] ** t) * 2**32
        bound += adam_error(result, c.c1, c.c2, m, v, eps * root * scale, rate, largest) + decay_error(c.D)
    wanted = reference.detach().numpy()
    assert (np.abs(optimizer.integers["W"] * 2.0**-32 - wanted) <= bound * 2.0**-32 + 2.0**-36).all()
    assert (np.abs(parameter.detach().numpy() - wanted) <= bound * 2.0**-32 + FLOAT32 * np.abs(wanted) + 2.0**-36).all()


@pytest.mark.parametrize(("k", "wanted"), [(0, -0.0001), (8, -0.00456)])
def test_a_gradient_that_goes_away_leaves_no_moment_that_pushes(k: int, wanted: float) -> None:
    """22 units once, then zeros: float Adam moves by -0.0046. With 28 fraction bits alone M stood
    still, and W moved by -0.73."""
    parameter = vector([0.0])
    optimizer = ZKOptimizer([parameter], "adam", 1e-3, grad_scale=k)
    run(optimizer, parameter, [[22 * 2.0**-28]] + [[0.0]] * 999)
    assert parameter.item() == pytest.approx(wanted, abs=1e-4)


def test_momentum_that_goes_away_stands_still_within_its_dead_band() -> None:
    parameter = vector([0.0])
    optimizer = ZKOptimizer([parameter], "sgd-momentum", 0.1, momentum=0.9, grad_scale=0)
    run(optimizer, parameter, [[1000 * 2.0**-28]] + [[0.0]] * 200)
    assert abs(optimizer.integers["B"]) <= 5  # 1 / (2 * (1 - mu)) units
    moved = parameter.item()
    run(optimizer, parameter, [[0.0]] * 50)
    assert abs(parameter.item() - moved) <= 50 * 0.1 * 5 * 2.0**-28


def test_saturated_gradients_are_counted_and_count_as_the_bound() -> None:
    parameter = vector([0.0, 0.0, 0.0])
    optimizer = ZKOptimizer([parameter], "sgd", "0.0625", grad_scale=0)
    with pytest.warns(ClampedGradients):
        run(optimizer, parameter, [[100.0, -100.0, 3.0]])
    assert optimizer.saturated == 2
    np.testing.assert_array_equal(optimizer.integers["W"], np.array([1 - 2**30, 2**30 - 1, -3 * 2**28]))
