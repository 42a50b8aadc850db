"""Kernels that compute where torch's tensors are, against `core`: torch's operations here, Triton's
programs where TRITON_INTERPRET is set (test_triton.py runs this file so)."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.rules.elements import FIRST_MOMENTS, GRADIENTS, SECOND_MOMENTS, WEIGHTS, near
from tests.kernels.agreement import (
    ADAM,
    SGD,
    Case,
    constants_of,
    extremes,
    on_host,
    one_tensor,
    random_case,
    require_agreement,
)
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import State, state_names
from zk_autograd.kernels.choice import kernel_called
from zk_autograd.kernels.protocol import Kernel, Model
from zk_autograd.kernels.reference import REFERENCE

torch = pytest.importorskip("torch", reason="the [train] extra is not installed")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MOMENTA = near(0, low=1 - 2**30, high=2**30 - 1)
COLUMNS = {"W": WEIGHTS, "M": FIRST_MOMENTS, "V": SECOND_MOMENTS, "B": MOMENTA}
BLOCK = 1024
SMALL = (3, 2, 4)

pytestmark = [
    pytest.mark.torch,
    # The interpreter's floats are NumPy's, which says so where a large gradient becomes infinite.
    pytest.mark.filterwarnings("ignore:overflow encountered in multiply:RuntimeWarning"),
]
each_rule = pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.value)


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return kernel_called("triton" if INTERPRETED else "torch")


def tensors(case: Case) -> Model:
    """The case's floats as tensors, its weights not yet written."""
    assert case.gradients is not None
    offsets = np.cumsum(case.sizes)[:-1]
    return Model(
        [torch.from_numpy(part.copy()) for part in np.split(case.gradients, offsets)],
        [torch.zeros(size) for size in case.sizes],
        case.k,
    )


@each_rule
def test_every_combination_of_extremes_gives_the_bits_of_core(kernel: Kernel, rule: Rule) -> None:
    cases = 0
    for case in extremes(rule, 500 if INTERPRETED else 1000):
        assert case.G.size > 50
        assert "error" not in require_agreement(kernel, case)
        cases += 1
    assert cases == 2 * len(constants_of(rule))


@each_rule
def test_random_states_give_the_bits_of_core(kernel: Kernel, rule: Rule) -> None:
    sizes = (1, BLOCK - 1, BLOCK, BLOCK + 1)
    assert "error" not in require_agreement(kernel, case := random_case(rule, sizes, seed=1))
    assert "error" not in require_agreement(kernel, replace(case, gradients=None))
    for k in () if INTERPRETED else (-32, -7, 5, 32):
        assert "error" not in require_agreement(kernel, random_case(rule, sizes, seed=k + 40, k=k))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any state in its ranges, with any gradients: a step may leave them."""
    rule = draw(st.sampled_from(list(Rule)))
    size = draw(st.integers(1, 12))
    column = {name: draw(st.lists(COLUMNS[name], min_size=size, max_size=size)) for name in state_names(rule)}
    state: State = {name: np.array(values, dtype=np.int64) for name, values in column.items()}
    G: IntArray = np.array(draw(st.lists(GRADIENTS, min_size=size, max_size=size)), dtype=np.int64)
    case = one_tensor(rule, state, G, draw(st.sampled_from(list(constants_of(rule)))))
    if draw(st.booleans()):
        return case
    floats = draw(st.lists(st.floats(width=32, allow_nan=True), min_size=size, max_size=size))
    changed = draw(st.sampled_from([None, None, None, 0, size - 1]))
    return replace(case, gradients=np.array(floats, np.float32), k=draw(st.integers(-32, 32)), changed=changed)


@given(case=cases())
@settings(max_examples=20 if INTERPRETED else 200)
def test_any_step_is_taken_or_refused_as_core_does(kernel: Kernel, case: Case) -> None:
    require_agreement(kernel, case)


@pytest.mark.parametrize("rule", [Rule.ADAM] if INTERPRETED else [Rule.SGD, Rule.ADAM], ids=lambda rule: rule.value)
@pytest.mark.parametrize(
    "odd", [{1: np.nan}, {4: np.inf}, {8: -np.inf, 2: np.nan}, {0: 3e38}], ids=["nan", "inf", "two", "large"]
)
@pytest.mark.parametrize("changed", [None, 4] if INTERPRETED else [None, 0, 4, 8])
def test_of_several_reasons_the_one_that_core_finds_is_given(
    kernel: Kernel, rule: Rule, odd: dict[int, float], changed: int | None
) -> None:
    case = random_case(rule, SMALL, seed=7)
    assert case.gradients is not None
    for place, value in odd.items():
        case.gradients[place] = value
    found = require_agreement(kernel, replace(case, changed=changed))
    assert ("error" in found) == (changed is not None or 0 not in odd)
    case.state["W"][5] = 2**45 - 1
    slow = tuple(replace(c, LR=2**30 - 1) for c in case.constants)
    require_agreement(kernel, replace(case, changed=changed, constants=slow))


_SLOW = AdamConstants(c1=1, c2=1, LR=1, E=1, D=0)
_MOMENTUM = SgdConstants(mu=2**15 - 1, cg=2**15, LR=0, s=15, D=0)
ALONE_OUT_OF_RANGE: dict[str, tuple[Rule, dict[str, int], int, StepConstants]] = {
    "gradient": (Rule.ADAM, {"W": 0, "M": 0, "V": 0}, 2**30, _SLOW),
    "rounded first moment": (Rule.ADAM, {"W": 0, "M": 2**45 - 1, "V": 2**60}, 2**30 - 1, _SLOW),
    "update": (Rule.ADAM, {"W": 0, "M": 2**37, "V": 0}, 0, replace(_SLOW, LR=2**10)),
    "weight": (Rule.ADAM, {"W": 2**45 - 1, "M": -(2**15) - 1, "V": 0}, 0, replace(_SLOW, LR=4)),
    "momentum": (Rule.SGD_MOMENTUM, {"W": 0, "B": 2**30 - 1}, 2**30 - 1, _MOMENTUM),
    "update of SGD": (Rule.SGD, {"W": 0}, 2**28, replace(_MOMENTUM, mu=0, LR=2**20)),
    "weight of SGD": (Rule.SGD, {"W": 1 - 2**45}, 2**28, replace(_MOMENTUM, mu=0, LR=2**10)),
}


@pytest.mark.parametrize("what", ALONE_OUT_OF_RANGE)
def test_a_single_value_out_of_range_refuses_the_step(kernel: Kernel, what: str) -> None:
    rule, element, gradient, constants = ALONE_OUT_OF_RANGE[what]
    state = {name: np.array([0, value, 0]) for name, value in element.items()}
    case = one_tensor(rule, state, np.array([0, gradient, 0]), constants)
    for one in (case, replace(case, gradients=np.ldexp(case.G.astype(np.float32), -28))):
        found = require_agreement(kernel, one)
        if what != "gradient" or one.gradients is None:  # from floats it saturates
            assert f"{what.removesuffix(' of SGD')} of [1] is" in str(found["error"])


def test_a_weight_out_of_range_never_looks_like_one_that_was_left_alone(kernel: Kernel) -> None:
    """W' is about -2^47: its bits 32 to 47 are those that Triton's pass leaves where somebody
    changed a weight. Were they stored, the float of W' would stay in the model."""
    G = np.array([2**30 - 1, 0])
    state = {"W": np.array([0, 5]), "B": np.array([0, 0])}
    constants = SgdConstants(mu=2**15 - 1, cg=2**15, LR=2**31 - 1, s=15, D=0)
    A = 2 * int(G[0]) - 2**15  # mu*B' / 2^15 + G, with B' = G
    assert -(2**47) <= -((constants.LR * A) >> 15) < -(2**47) + 2**32
    gradients = np.array([4.0, 0.0], np.float32)  # saturates to G
    found = require_agreement(kernel, Case(Rule.NESTEROV, (2,), (0,), state, G, (constants,), gradients))
    assert "update of [0] is 1407" in str(found["error"])


@each_rule
def test_steps_follow_one_another_and_undone_ones_are_as_if_never_taken(kernel: Kernel, rule: Rule) -> None:
    case = random_case(rule, SMALL, seed=3)
    model, plain = tensors(case), tensors(case)
    arrays = Model([g.numpy() for g in plain.gradients], [w.numpy() for w in plain.weights], 0)
    ours = kernel.stepper(rule, case.parameters, case.state)
    reference = REFERENCE.stepper(rule, case.parameters, case.state)
    with pytest.raises(UsageError, match="no step was taken yet"):
        _ = ours.gradients
    with pytest.raises(UsageError, match="no step that could be taken back"):
        ours.undo()
    ours.write(model)
    reference.write(arrays)
    for number in range(4):
        ours.step_model(model, case.constants)
        if number == 2:
            ours.undo(model)
            with pytest.raises(UsageError, match="no step that could be taken back"):
                ours.undo(model)
            with pytest.raises(UsageError, match="no step was taken yet"):
                _ = ours.gradients
            ours.step_model(model, case.constants)
        reference.step_model(arrays, case.constants)
        np.testing.assert_array_equal(ours.gradients, reference.gradients)
        assert ours.gradients.dtype == np.int32
    for name, values in reference.state.items():
        np.testing.assert_array_equal(ours.state[name], values)
    for tensor, array in zip(model.weights, arrays.weights, strict=True):
        np.testing.assert_array_equal(on_host(tensor), array)


def test_a_step_is_not_undone_once_another_was_begun(kernel: Kernel) -> None:
    """The refused step was computed where the state before the first one lay."""
    case = random_case(Rule.ADAM, SMALL, seed=3)
    stepper = kernel.stepper(case.rule, case.parameters, case.state)
    stepper.step(case.G, case.constants)
    taken = stepper.state
    with pytest.raises(RangeError):
        stepper.step(np.full_like(case.G, 2**30), case.constants)
    with pytest.raises(UsageError, match="no step that could be taken back"):
        stepper.undo()
    for name, values in taken.items():
        np.testing.assert_array_equal(stepper.state[name], values)


def test_the_state_given_and_the_one_got_are_the_callers(kernel: Kernel) -> None:
    case = random_case(Rule.ADAM, SMALL, seed=3)
    kept = {name: values.copy() for name, values in case.state.items()}
    stepper = kernel.stepper(case.rule, case.parameters, case.state)
    for values in (*case.state.values(), *stepper.state.values()):
        values.fill(1)
    for name, values in kept.items():
        np.testing.assert_array_equal(stepper.state[name], values)


@pytest.mark.parametrize(
    ("name", "value"), [("W", 2**45), ("W", -(2**45)), ("M", 2**45), ("V", -1), ("V", 2**60 + 1), ("B", -(2**30))]
)
def test_a_state_that_no_step_could_begin_with_is_refused_at_once(kernel: Kernel, name: str, value: int) -> None:
    case = random_case(Rule.NESTEROV if name == "B" else Rule.ADAMW, SMALL, seed=3)
    case.state[name][4] = value
    with pytest.raises(RangeError) as refusal:
        kernel.stepper(case.rule, case.parameters, case.state)
    assert (refusal.value.index, refusal.value.value) == (4, value)


def test_integers_and_constants_that_do_not_fit_are_refused_as_core_does(kernel: Kernel) -> None:
    case = replace(random_case(Rule.ADAM, SMALL, seed=3), gradients=None)
    for other in (
        replace(case, G=case.G + 2**40),
        replace(case, G=case.G[:-1]),
        replace(case, G=np.full_like(case.G, 2**30)),
        replace(case, constants=ADAM[:1]),
        replace(case, constants=(SGD[0], SGD[0])),
        replace(random_case(Rule.ADAM, SMALL, seed=3), k=33),
    ):
        assert "error" in require_agreement(kernel, other)


def test_models_that_no_step_can_take_are_refused_in_a_sentence(kernel: Kernel) -> None:
    case = random_case(Rule.SGD, (3, 3), seed=3)
    stepper = kernel.stepper(case.rule, case.parameters, case.state)
    good = tensors(case)
    stepper.write(good)
    wide = torch.zeros(6)[::2]
    for what, gradients, weights in (
        ("p1 is torch.float64", [good.gradients[0], good.gradients[1].double()], good.weights),
        ("the gradient of p0 is not contiguous", [wide, good.gradients[1]], good.weights),
        ("the weight of p0 is torch.float32 of shape .1, 3.", good.gradients, [torch.zeros(1, 3), good.weights[1]]),
        (
            "the weight of p1 is a ndarray; this kernel takes torch tensors",
            good.gradients,
            [good.weights[0], np.zeros(3)],
        ),
        ("the weight of p1 has no values", good.gradients, [good.weights[0], torch.zeros(3, device="meta")]),
        ("the gradient of p0 has no values", [torch.zeros(3).to_sparse(), good.gradients[1]], good.weights),
        ("1 gradient tensors for 2 parameters", good.gradients[:1], good.weights),
    ):
        with pytest.raises(UsageError, match=what):
            stepper.step_model(Model(gradients, weights, 0), case.constants)
    assert stepper.step_model(good, case.constants) == 0
