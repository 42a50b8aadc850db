"""The compiled kernel against the definition: the same bits, the same errors, nothing changed by a
step that raised."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.forks import forking, in_child
from tests.kernels.steps import ADAM, Case, case, compare, compare_until_taken, floats, outcome, parameters, seen
from zk_autograd import _native
from zk_autograd.core.constants import AdamConstants, SgdConstants
from zk_autograd.core.errors import GradientError, RangeError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import step
from zk_autograd.core.rules.arithmetic import isqrt
from zk_autograd.kernels import native
from zk_autograd.kernels.native import NATIVE, Native, set_threads, threads
from zk_autograd.kernels.protocol import Model, WeightsChangedError
from zk_autograd.kernels.reference import REFERENCE

BLOCK = 128  # crates/kernel/src/block.rs
KERNELS = {vectors: Native(vectors) for vectors in ("auto", "v3", "scalar")}
RULES = pytest.mark.parametrize("rule", Rule, ids=str)
VECTORS = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
SEEDS = st.integers(0, 2**32)
SIZES = ([0], [1], [BLOCK - 1], [BLOCK], [BLOCK + 1], [3 * BLOCK + 17], [1, 0, 5, BLOCK, 2, 0], [1] * 40)


@RULES
@VECTORS
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_step_of_a_model_of_any_shape_is_the_definitions(kernel: Native, rule: Rule, sizes: list[int]) -> None:
    assert isinstance(compare(kernel, case(rule, len(sizes), sizes)), int)


@RULES
@VECTORS
@settings(max_examples=15)
@given(seed=SEEDS, k=st.sampled_from([-32, -3, 0, 5, 32]))
def test_states_at_the_ends_of_their_ranges(kernel: Native, rule: Rule, seed: int, k: int) -> None:
    compare_until_taken(kernel, case(rule, seed, [31, 1, 8], [0, 0, 1], wild=True, k=k))


@RULES
@settings(max_examples=10)
@given(seed=SEEDS)
def test_many_elements_of_every_size(rule: Rule, seed: int) -> None:
    tame = case(rule, seed, [1500, 500], [0, 1])
    assert isinstance(compare(NATIVE, tame), int)


@RULES
def test_a_trajectory_with_integers_and_with_floats_is_one(rule: Rule) -> None:
    start = case(rule, 5, [700, 100])
    model = start.model()
    by_model, by_integers = (NATIVE.stepper(rule, start.parameters, start.state) for _ in range(2))
    definition = REFERENCE.stepper(rule, start.parameters, start.state)
    for seed in range(5):
        for gradient in model.gradients:
            gradient[:] = np.clip(floats(np.random.default_rng(seed), gradient.size, 0), -0.01, 0.01)
        by_model.step_model(model, start.constants)
        G = by_model.gradients
        by_integers.step(G if seed % 2 else G.astype(np.int64), start.constants)
        definition.step(G, start.constants)
        assert seen(by_model, model) == seen(by_integers, model) == seen(definition, model)


def test_quotients_that_a_float_takes_for_a_half_are_rounded_down() -> None:
    # LR*Mh / D is 1/(2*D) below a half, closer than the seed is to the quotient. With c1 = 2^15, Mh
    # is G, which is made for its D; V for its root S. With c2 = 1, V' is V + (G*G - V) / 2^15.
    rng, LR, E = np.random.default_rng(1), 2**29 + 11, 2**20
    found: list[tuple[int, int]] = []
    while len(found) < 600:
        S = int(rng.integers(2**27, 2**29))
        D = S + E
        if D % 2 and gcd(LR, D) == 1:
            G = pow(LR, -1, D) * (D - 1) // 2 % D
            found.append((G, max(0, ((S * S + S) * 2**15 - G * G) // (2**15 - 1))))
    G, V = np.array(found).T
    state = {"W": np.zeros(600, np.int64), "M": np.zeros(600, np.int64), "V": V}
    own = AdamConstants(c1=2**15, c2=1, LR=LR, E=E, D=0)
    after = step(Rule.ADAM, state, G, own)
    divisors = isqrt(after["V"]) + E
    assert np.count_nonzero((2 * LR * G + divisors) % (2 * divisors) == 2 * divisors - 1) > 500, "as meant"
    for sign in (1, -1):
        stepper = NATIVE.stepper(Rule.ADAM, parameters([600]), state)
        stepper.step(sign * G, [own])
        definition = step(Rule.ADAM, state, sign * G, own)
        assert all(np.array_equal(values, definition[name]) for name, values in stepper.state.items())


def test_each_group_has_its_own_constants() -> None:
    two = case(Rule.ADAMW, 3, [300, 20, 300], [0, 2, 2])
    two.constants[2] = AdamConstants(c1=1, c2=2**15, LR=0, E=1, D=2**20)
    assert isinstance(compare(NATIVE, two), int)


@pytest.mark.parametrize("k", [-32, 0, 32])
def test_ties_go_to_the_even_integer_and_what_rounds_beyond_the_limit_is_counted(k: int) -> None:
    # float32 has 24 bits: next to 2^30 there are only multiples of 64, so there is no tie there.
    units = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2**30 - 64, 2**30, -(2**30), 2**30 + 128, 2**31, -0.0])
    gradient = (units * 2.0 ** -(28 + k)).astype(np.float32)
    stepper = NATIVE.stepper(Rule.SGD, parameters([11]), {"W": np.zeros(11, np.int64)})
    none = SgdConstants(mu=0, cg=2**15, LR=0, s=30, D=0)
    assert stepper.step_model(Model([gradient], [np.zeros(11, np.float32)], k), [none]) == 4
    top = 2**30 - 1
    assert stepper.gradients.tolist() == [0, 2, 2, 0, -2, 2**30 - 64, top, -top, top, top, 0]


# Errors: those of the definition, after which nothing has changed


@VECTORS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, BLOCK - 1, BLOCK, 3 * BLOCK + 4])
def test_a_gradient_that_is_not_finite(kernel: Native, bad: float, index: int) -> None:
    found = case(Rule.ADAM, 1, [3 * BLOCK + 5])
    found.gradients[0][index] = bad
    result = compare(kernel, found)
    assert isinstance(result, tuple) and result[0] == "GradientError"


class Altered(Case):
    """A case whose model isn't the state's at one place."""

    def model(self) -> Model:
        model = super().model()
        model.weights[1].view(np.int32)[BLOCK + 3] ^= 1
        return model


@VECTORS
def test_a_weight_that_was_changed_is_left_as_it_is(kernel: Native) -> None:
    found = case(Rule.ADAM, 1, [5, 3 * BLOCK])
    assert compare(kernel, Altered(**vars(found))) == ("changed", 1)


def test_a_weight_that_is_not_a_number_and_minus_zero_are_changes() -> None:
    for weight in (np.nan, -0.0):
        stepper = NATIVE.stepper(Rule.SGD, parameters([2]), {"W": np.zeros(2, np.int64)})
        model = Model([np.zeros(2, np.float32)], [np.array([0, weight], np.float32)], 0)
        with pytest.raises(WeightsChangedError):
            stepper.step_model(model, [SgdConstants(mu=0, cg=2**15, LR=1, s=30, D=0)])


def test_of_several_reasons_the_definitions_first_is_given() -> None:
    found = case(Rule.SGD, 1, [5, 3 * BLOCK])
    found.constants[0] = SgdConstants(mu=0, cg=2**15, LR=2**31 - 1, s=15, D=0)
    found.gradients[0][:] = 4.0  # so that each update is out of its range
    assert outcome(lambda: compare(NATIVE, found))[0] == "RangeError"  # type: ignore[index]
    found.gradients[1][-1] = np.nan
    assert compare(NATIVE, found)[0] == "GradientError"  # type: ignore[index]
    assert compare(NATIVE, Altered(**vars(found))) == ("changed", 1)


@VECTORS
@RULES
@pytest.mark.parametrize("G", [2**30, -(2**30), 2**31, -(2**31), 2**40])
def test_integer_gradients_out_of_range(kernel: Native, rule: Rule, G: int) -> None:
    found = case(rule, 1, [400])
    gradients = np.zeros(400, np.int64)
    gradients[300] = G
    given: list[NDArray[np.signedinteger[Any]]] = (
        [gradients] if abs(G) >= 2**31 else [gradients, gradients.astype(np.int32)]
    )
    for values in given:
        stepper = kernel.stepper(rule, found.parameters, found.state)
        before = stepper.state
        with pytest.raises(RangeError, match="gradient") as refusal:
            stepper.step(values, found.constants)
        assert (refusal.value.index, refusal.value.value) == (300, G)
        assert all(np.array_equal(before[name], values) for name, values in stepper.state.items())


WEIGHT, UPDATE = 2**45, 2**31 - 2**20
WHOLE = SgdConstants(mu=0, cg=2**15, LR=2**30, s=30, D=0)
"""With them U is G."""


def reaching(target: int) -> tuple[int, int]:
    """LR and G with which a step of SGD has U = `target`, for s = 15."""
    for LR in range(2**17 + 1, 2**18, 2):
        G = round(target * 2**15 / LR)
        if abs(G) < 2**30 and target == (LR * G + 2**14) >> 15:
            return LR, G
    raise AssertionError(f"no step has U = {target}")


def ends() -> list[tuple[int, int, SgdConstants, bool]]:
    """W, G and constants of steps that come up to an end of a range, or to its last value, and
    whether they may."""
    found = []
    for sign in (1, -1):
        found += [(sign * (WEIGHT - 10), -sign * by, WHOLE, by < 10) for by in (9, 10)]
        for beyond in (0, 1):
            LR, G = reaching(sign * (UPDATE - 1 + beyond))
            found.append((0, G, replace(WHOLE, LR=LR, s=15), not beyond))
    return found


@VECTORS
@pytest.mark.parametrize(("W", "G", "own", "may"), ends(), ids=str)
def test_the_last_value_of_a_range_and_the_next(kernel: Native, W: int, G: int, own: SgdConstants, may: bool) -> None:
    results = []
    for one in (kernel, REFERENCE):
        stepper = one.stepper(Rule.SGD, parameters([3]), {"W": np.array([0, W, 0])})
        result = outcome(partial(stepper.step, np.array([0, G, 0]), [own]))
        results.append((result, stepper.state["W"].tolist()))
    assert results[0] == results[1]
    assert (results[0][0] is None) is may


def bounds() -> list[tuple[Rule, str, int]]:
    found = []
    for name, bad in {
        "W": [2**45, -(2**45), 2**60],
        "M": [2**45, -(2**45)],
        "V": [2**60 + 1, -1],
        "B": [2**30],
    }.items():
        rule = Rule.SGD_MOMENTUM if name == "B" else Rule.ADAM
        found += [(rule, name, value) for value in bad]
    return found


@pytest.mark.parametrize(("rule", "name", "value"), bounds(), ids=str)
def test_a_state_that_no_step_leaves_makes_no_stepper(rule: Rule, name: str, value: int) -> None:
    found = case(rule, 1, [40])
    found.state[name][7] = value
    definition = REFERENCE.stepper(rule, found.parameters, found.state)
    wanted = outcome(lambda: definition.step(np.zeros(40, np.int64), found.constants))
    assert outcome(lambda: NATIVE.stepper(rule, found.parameters, found.state)) == wanted
    assert wanted[0] == "RangeError"  # type: ignore[index]


def test_a_step_that_raised_leaves_the_last_gradients() -> None:
    found = case(Rule.ADAM, 1, [400])
    stepper, model = NATIVE.stepper(Rule.ADAM, found.parameters, found.state), found.model()
    stepper.step_model(model, found.constants)
    kept = stepper.gradients
    copy = kept.copy()
    model.gradients[0][3] = np.inf
    with pytest.raises(GradientError, match=r"layer0.weight\[3\]"):
        stepper.step_model(model, found.constants)
    assert np.array_equal(stepper.gradients, copy) and np.array_equal(kept, copy)
    with pytest.raises(UsageError, match="no step that could be taken back"):
        stepper.undo(model)
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1


def test_a_step_is_undone_once() -> None:
    found = case(Rule.ADAM, 1, [400])
    stepper, model = NATIVE.stepper(Rule.ADAM, found.parameters, found.state), found.model()
    stepper.step_model(model, found.constants)
    stepper.step_model(model, found.constants)
    stepper.undo(model)
    with pytest.raises(UsageError, match="no step that could be taken back"):
        stepper.undo(model)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"gradients": [np.zeros(3, np.float64)]}, "float64"),
        ({"gradients": [np.zeros(4, np.float32)]}, r"shape \(4,\)"),
        ({"gradients": []}, "0 gradient arrays"),
        ({"weights": [np.zeros((3, 1), np.float32)]}, r"shape \(3, 1\)"),
        ({"gradients": [np.zeros(6, np.float32)[::2]]}, "contiguous"),
        ({"weights": [np.zeros(6, np.float32)[::2]]}, "contiguous"),
        ({"weights": [np.frombuffer(bytes(12), np.float32)]}, "read-only|not writeable|readonly"),
        ({"weights": [np.frombuffer(bytearray(13), np.float32, offset=1)]}, "aligned|contiguous"),
        ({"scale": 33}, "exponent"),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit(change: dict[str, object], match: str) -> None:
    stepper = NATIVE.stepper(Rule.ADAM, parameters([3]), {name: np.zeros(3, np.int64) for name in "WMV"})
    model = Model([np.ones(3, np.float32)], [np.zeros(3, np.float32)], 0)
    with pytest.raises(UsageError, match=match):
        stepper.step_model(replace(model, **change), [ADAM])  # type: ignore[arg-type]
    assert not any(values.any() for values in stepper.state.values())
    stepper.step_model(model, [ADAM])


def test_constants_that_do_not_fit() -> None:
    found = case(Rule.ADAM, 1, [5, 5], [0, 1])
    for bad in ([], found.constants[:1], [SgdConstants.no_op(30)] * 2):
        found.constants = list(bad)
        assert compare(NATIVE, found)[0] == "UsageError"  # type: ignore[index]


def test_a_gradient_may_be_the_weights_themselves() -> None:
    results = []
    for kernel in (NATIVE, REFERENCE):
        found = case(Rule.ADAM, 1, [400])
        model = found.model()
        shared = replace(model, gradients=[model.weights[0][:]])
        stepper = kernel.stepper(Rule.ADAM, found.parameters, found.state)
        results.append((stepper.step_model(shared, found.constants), seen(stepper, model)))
    assert results[0][1][0] == results[1][1][0]
    assert results[0] == results[1]


def test_weights_that_overlap_are_refused() -> None:
    memory = np.zeros(5, np.float32)
    stepper = NATIVE.stepper(Rule.SGD, parameters([3, 3]), {"W": np.zeros(6, np.int64)})
    model = Model([np.ones(3, np.float32)] * 2, [memory[:3], memory[2:]], 0)
    with pytest.raises(UsageError, match="share memory"):
        stepper.step_model(model, [SgdConstants(mu=0, cg=2**15, LR=1, s=30, D=0)])
    with pytest.raises(UsageError, match="share memory"):
        stepper.write(model)
    assert not memory.any()


# Threads and processes

MANY = [300_001, 170_000]  # above LARGE of crates/kernel/src/stream.rs, so that the state goes past the caches


@pytest.fixture
def two_threads() -> object:
    set_threads(2)
    yield
    set_threads(None)


@pytest.mark.usefixtures("two_threads")
def test_threads_give_the_same_bits() -> None:
    found = case(Rule.ADAMW, 1, MANY)
    assert isinstance(compare(NATIVE, found), int)
    found.gradients[1][160_000] = np.nan
    assert compare(NATIVE, found)[0] == "GradientError"  # type: ignore[index]


@forking
@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_takes_steps_and_so_does_its_parent() -> None:
    found = case(Rule.ADAM, 1, MANY)
    compare(NATIVE, found)
    assert in_child(lambda: compare(NATIVE, found)) == "done"
    compare(NATIVE, found)


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    assert threads() == 64
    monkeypatch.setitem(sys.modules, "torch", type("Torch", (), {"get_num_threads": staticmethod(lambda: 7)}))
    assert threads() == 7
    monkeypatch.setenv("RAYON_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("RAYON_NUM_THREADS", "many")
    assert threads() == 7
    with pytest.raises(UsageError, match="0 threads"):
        set_threads(0)


# The module itself


def test_every_rule_is_compiled() -> None:
    assert {rule.value for rule in Rule} <= set(_native.kernel_rules())


def test_without_the_compiled_module_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zk_autograd._native", None)
    monkeypatch.delattr("zk_autograd._native", raising=False)
    for ask in (native.kernel, lambda: NATIVE.stepper(Rule.SGD, parameters([1]), {"W": np.zeros(1, np.int64)})):
        with pytest.raises(UsageError, match="make install"):
            ask()


def test_the_compiled_module_is_imported_where_it_is_used() -> None:
    code = "import sys, zk_autograd.kernels.native; sys.exit('zk_autograd._native' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
