"""The integer rules against torch.optim in float64, with the effective hyper-parameters.

Both get the same float32 gradients. A *unit* is 2^-32 for weights and 2^-(28+k) for gradients and
moments; errors are those of the integer side, since float64 errs by some 2^-52 (SLACK). With decay
each step multiplies the error so far by 1 - D/2^30, so errors at most add up, and R itself errs by
D/2^15 + 1/2 units: floor(W/2^15) drops less than 1 of 2^15 units.

SGD. G errs by 1/2. B' = mu*B + G, rounded: its error e obeys e' <= mu*e + 1/2 + 1/2, so e <= 1/(1 -
mu); plain SGD has B' = G and e = 1/2. Nesterov's mu*B' + G, rounded, has mu*e + 1 <= e again. LR is
the effective lr exactly. So a step adds to W at most lr*e*2^-(28+k) + (1/2)*2^-32.

Adam. M is a mean of G's, rounded to 2^-15 units: its error is at most 1/2 + 2^-16 * 2^15/c1; Mh's
at most that and another 1/2. V is a mean of G*G's: abs(G*G - g*g) <= g_max + 1/4 with g_max the
largest gradient, rounding adds (1/2) * 2^15/c2, so eV = g_max + 1/4 + 2^14/c2, and sqrt(V') is off
by at most eV / (sqrt(V') + sqrt(v)), S by 1 more, D = S + E by 1/2 more: eD. With d = sqrt(v) +
eps*sqrt(1 - beta2^t), and LR off by 1/2,

    abs(LR*Mh/D - lr*m/d) <= abs(Mh)/(2*D) + lr * (eM/D + abs(m)*eD/(D*d))

and U's rounding adds 1/2. The terms are evaluated along the run: where v is small against G's unit
the bound is loose, and has to be.

RMSprop has Adam's quotient with G, which errs by 1/2, for Mh.

Lion. M errs by at most 1/2 + 2^-16 * 2^15/c2, as Adam's, and C / 2^15 by no more. Where the float
side's mean is larger than that the signs are the same; where it isn't, a step may differ by 2*LR.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zk_autograd.core.constants import AdamSequence, LionSequence, RmspropSequence, SgdSequence, choose_s
from zk_autograd.core.formats import IntArray, quantize_gradient, quantize_weight
from zk_autograd.core.hyper import AdamHyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.rules import initial_state, state_names, trace
from zk_autograd.core.rules.adam import AdamTrace
from zk_autograd.core.rules.families import constants_sequence
from zk_autograd.core.rules.lion import LionTrace
from zk_autograd.core.rules.rmsprop import RmspropTrace

torch = pytest.importorskip("torch", reason="the comparison with torch.optim needs the [train] extra")

pytestmark = pytest.mark.torch

STEPS = 200
WEIGHT_UNIT = 2.0**-32
SLACK = 2.0**-40
Floats = NDArray[np.float64]


def training_data() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """First weights of 40 elements and the gradients of STEPS steps: of two sizes, with a drift,
    some mostly zero."""
    random = np.random.default_rng(11)
    weights = random.normal(0, 0.5, 40).astype(np.float32)
    sizes = np.where(np.arange(40) % 2, 1e-3, 1e-5)
    gradients = random.normal(0.3, 1, (STEPS, 40)) * sizes
    gradients[1:, ::5] = 0
    return weights, gradients.astype(np.float32)


def torch_parameter(W: IntArray) -> Any:
    return torch.nn.Parameter(torch.tensor(W.astype(np.float64) * WEIGHT_UNIT, dtype=torch.float64))


def torch_step(optimizer: Any, parameter: Any, gradient: NDArray[np.float32], decay: float) -> None:
    """Decoupled decay, then a step, as AdamW does; torch's SGD has no decoupled decay of its
    own."""
    parameter.grad = torch.tensor(gradient.astype(np.float64))
    with torch.no_grad():
        parameter.mul_(1 - decay)
    optimizer.step()


def decay_error(D: int) -> float:
    """Weight units that R errs by in one step."""
    return D / 2**15 + 0.5 if D else 0.0


@pytest.mark.parametrize(
    ("rule", "momentum", "weight_decay"),
    [
        (Rule.SGD, "0", "0"),
        (Rule.SGD, "0", "0.01"),
        (Rule.SGD_MOMENTUM, "0.9", "0"),
        (Rule.SGD_MOMENTUM, "0.99", "0.01"),
        (Rule.NESTEROV, "0.9", "0"),
        (Rule.NESTEROV, "0.9", "0.01"),
    ],
)
@pytest.mark.parametrize(("lr", "k"), [("0.1", 0), ("0.05", 6), ("3", 4)])
def test_sgd_follows_torch(rule: Rule, momentum: str, weight_decay: str, lr: str, k: int) -> None:
    s = choose_s(Fraction(lr), k)
    hyper = SgdHyper(Fraction(lr), Fraction(momentum), Fraction(weight_decay))
    sequence = constants_sequence(rule, hyper, k, s)
    assert isinstance(sequence, SgdSequence)
    constants = sequence.at(1)
    mu, effective_lr = constants.mu / 2**15, constants.LR / 2.0 ** (32 - 28 - k + s)
    weights, gradients = training_data()
    state = initial_state(rule, quantize_weight(weights))
    parameter = torch_parameter(state["W"])
    optimizer = torch.optim.SGD([parameter], lr=effective_lr, momentum=mu, nesterov=rule is Rule.NESTEROV)
    momentum_error = 0.5 if rule is Rule.SGD else 1 / (1 - mu)
    per_step = effective_lr * momentum_error * 2.0 ** -(28 + k) + (0.5 + decay_error(constants.D)) * WEIGHT_UNIT
    for gradient in gradients:
        G, saturated = quantize_gradient(gradient, k)
        assert not saturated
        result = trace(rule, state, G, constants)
        state = {name: getattr(result, name) for name in state_names(rule)}
        torch_step(optimizer, parameter, gradient, constants.D / 2**30)
    wanted = parameter.detach().numpy()
    found = state["W"] * WEIGHT_UNIT
    assert np.abs(found - wanted).max() <= STEPS * per_step + SLACK
    assert np.abs(wanted - weights).max() > 1000 * STEPS * per_step  # or the bound would say nothing


def adam_error(t: AdamTrace, c1: int, c2: int, m: Floats, v: Floats, eps: float, lr: float, g_max: Floats) -> Floats:
    """The docstring's bound on U's error in one step, in weight units; m, v and eps in units, lr
    times 2^32."""
    return quotient_error(t.Mh, 1 + 1 / (2 * c1), t, c2, m, v, eps, lr, g_max)


def quotient_error(
    N: IntArray,
    eN: float,
    t: AdamTrace | RmspropTrace,
    c2: int,
    n: Floats,
    v: Floats,
    eps: float,
    lr: float,
    g_max: Floats,
) -> Floats:
    """Of a numerator N that errs by eN from n."""
    eV = g_max + 0.25 + 2**14 / c2
    roots = np.sqrt(t.V.astype(np.float64)) + np.sqrt(v)
    eD = eV / np.maximum(roots, np.sqrt(eV)) + 1.5  # where both roots are small: they differ by sqrt(eV) at most
    d = np.sqrt(v) + eps
    error: Floats = 0.5 + np.abs(N) / (2 * t.D) + lr * (eN / t.D + np.abs(n) * eD / (t.D * d))
    return error


@pytest.mark.parametrize(
    ("rule", "beta1", "beta2", "weight_decay"),
    [
        (Rule.ADAM, "0.9", "0.999", "0"),
        (Rule.ADAM, "0.5", "0.9", "0"),
        (Rule.ADAM, "0", "0.99", "0"),
        (Rule.ADAMW, "0.9", "0.999", "0.1"),
        (Rule.ADAMW, "0.99", "0.95", "1"),
    ],
)
@pytest.mark.parametrize("k", [6, 9])
def test_adam_follows_torch(rule: Rule, beta1: str, beta2: str, weight_decay: str, k: int) -> None:
    lr, eps = 1e-3, 1e-5
    hyper = AdamHyper(Fraction("1e-3"), Fraction(beta1), Fraction(beta2), Fraction("1e-5"), Fraction(weight_decay))
    sequence = constants_sequence(rule, hyper, k)
    assert isinstance(sequence, AdamSequence)
    betas = tuple(float(sequence.effective()[name]) for name in ("beta1", "beta2"))
    weights, gradients = training_data()
    state = initial_state(rule, quantize_weight(weights))
    parameter = torch_parameter(state["W"])
    optimizer = torch.optim.AdamW([parameter], lr=lr, betas=betas, eps=eps, weight_decay=0.0)
    scale = 2.0 ** (28 + k)
    g_max = np.abs(gradients.astype(np.float64)).max(axis=0) * scale
    bound = np.zeros(weights.size)
    for t, gradient in enumerate(gradients, start=1):
        c = sequence.at(t)
        G, saturated = quantize_gradient(gradient, k)
        assert not saturated
        result = trace(rule, state, G, c)
        assert isinstance(result, AdamTrace)
        state = {name: getattr(result, name) for name in state_names(rule)}
        torch_step(optimizer, parameter, gradient, c.D / 2**30)
        moments = optimizer.state[parameter]
        m, v = moments["exp_avg"].numpy() * scale, moments["exp_avg_sq"].numpy() * scale**2
        root = (1 - betas[1] ** t) ** 0.5
        rate = lr * root / (1 - betas[0] ** t) * 2**32
        bound += adam_error(result, c.c1, c.c2, m, v, eps * root * scale, rate, g_max) + decay_error(c.D)
    wanted = parameter.detach().numpy()
    error = np.abs(state["W"] * WEIGHT_UNIT - wanted)
    assert (error <= bound * WEIGHT_UNIT + SLACK).all()
    moved = np.abs(wanted - weights)
    assert np.median(bound * WEIGHT_UNIT / moved) < 0.0005  # or the bound would say nothing


def test_adam_of_torch_is_adamw_without_decay() -> None:
    """The comparison above uses AdamW for both; without decay they are one rule."""
    weights, gradients = training_data()
    results = []
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        parameter = torch_parameter(quantize_weight(weights))
        optimizer = kind([parameter], lr=1e-3, weight_decay=0.0)
        for gradient in gradients[:20]:
            torch_step(optimizer, parameter, gradient, 0.0)
        results.append(parameter.detach().numpy())
    assert np.array_equal(*results)


@pytest.mark.parametrize(("alpha", "weight_decay"), [("0.99", "0"), ("0.9", "0"), ("0", "0.1"), ("0.999", "1")])
@pytest.mark.parametrize("k", [6, 9])
def test_rmsprop_follows_torch(alpha: str, weight_decay: str, k: int) -> None:
    lr, eps, scale = 1e-3, 1e-5, 2.0 ** (28 + k)
    hyper = RmspropHyper(Fraction("1e-3"), Fraction(alpha), Fraction("1e-5"), Fraction(weight_decay))
    sequence = constants_sequence(Rule.RMSPROP, hyper, k)
    assert isinstance(sequence, RmspropSequence)
    c = sequence.at(1)
    weights, gradients = training_data()
    state = initial_state(Rule.RMSPROP, quantize_weight(weights))
    parameter = torch_parameter(state["W"])
    effective = float(sequence.effective()["alpha"])
    optimizer = torch.optim.RMSprop([parameter], lr=lr, alpha=effective, eps=eps)
    g_max = np.abs(gradients.astype(np.float64)).max(axis=0) * scale
    bound = np.zeros(weights.size)
    for gradient in gradients:
        G, saturated = quantize_gradient(gradient, k)
        assert not saturated
        result = trace(Rule.RMSPROP, state, G, c)
        assert isinstance(result, RmspropTrace)
        state = {"W": result.W, "V": result.V}
        torch_step(optimizer, parameter, gradient, c.D / 2**30)
        v = optimizer.state[parameter]["square_avg"].numpy() * scale**2
        exact = gradient.astype(np.float64) * scale
        error = quotient_error(G, 0.5, result, c.c2, exact, v, eps * scale, lr * 2**32, g_max)
        bound += error + decay_error(c.D)
    wanted = parameter.detach().numpy()
    error = np.abs(state["W"] * WEIGHT_UNIT - wanted)
    assert (error <= bound * WEIGHT_UNIT + SLACK).all()
    assert np.median(bound * WEIGHT_UNIT / np.abs(wanted - weights)) < 0.001  # or the bound would say nothing


@pytest.mark.parametrize(
    ("beta1", "beta2", "weight_decay"),
    [("0.9", "0.99", "0"), ("0.95", "0.98", "1"), ("0", "0.5", "0"), ("0.99", "0.9", "0")],
)
@pytest.mark.parametrize("k", [0, 6])
def test_lion_follows_its_authors(beta1: str, beta2: str, weight_decay: str, k: int) -> None:
    """Algorithm 2 of the paper, in float64."""
    hyper = LionHyper(Fraction("1e-4"), Fraction(beta1), Fraction(beta2), Fraction(weight_decay))
    sequence = constants_sequence(Rule.LION, hyper, k)
    assert isinstance(sequence, LionSequence)
    c, found = sequence.at(1), sequence.effective()
    first, second, lr = float(found["beta1"]), float(found["beta2"]), c.LR * WEIGHT_UNIT
    weights, gradients = training_data()
    state = initial_state(Rule.LION, quantize_weight(weights))
    theta, m = state["W"] * WEIGHT_UNIT, np.zeros(weights.size)
    uncertain = np.zeros(weights.size)
    for gradient in gradients:
        G, saturated = quantize_gradient(gradient, k)
        assert not saturated
        result = trace(Rule.LION, state, G, c)
        assert isinstance(result, LionTrace)
        state = {"W": result.W, "M": result.M}
        g = gradient.astype(np.float64)
        mixed = first * m + (1 - first) * g
        theta = theta - lr * np.sign(mixed) - c.D / 2**30 * theta
        m = second * m + (1 - second) * g
        clear = np.abs(mixed) * 2.0 ** (28 + k) > 0.5 + 1 / (2 * c.c2) + 2.0**-20
        assert np.array_equal(np.sign(mixed)[clear], result.S[clear])
        uncertain += ~clear
        assert np.abs(result.M * 2.0 ** -(43 + k) - m).max() <= (0.5 + 1 / (2 * c.c2)) * 2.0 ** -(28 + k) + SLACK
    fading = np.arange(weights.size) % 5 == 0  # without gradients a moment gets as small as its error
    assert uncertain[~fading].mean() < 0.01 * STEPS
    bound = 2 * lr * uncertain + STEPS * decay_error(c.D) * WEIGHT_UNIT + SLACK
    assert (np.abs(state["W"] * WEIGHT_UNIT - theta) <= bound).all()
    assert np.abs(theta - weights).max() > 50 * lr
