"""One step over the flat vector: as the rule on each group, and errors that name the tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.run.trainer import SIZE, first_weights, gradients, hashed_backend, make_header
from zk_autograd.core.errors import RangeError, UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Group, Header, Parameter
from zk_autograd.core.rules import State, step
from zk_autograd.kernels.reference import REFERENCE, group_ranges
from zk_autograd.run.step import constants_of, first_state, take


def advance(header: Header, sequences: Any, state: State, t: int, G: IntArray, lr: Sequence[str]) -> State:
    """The state after step `t`."""
    stepper = REFERENCE.stepper(header.rule, header.parameters, state)
    assert take(header, stepper, G, constants_of(header, sequences, t, lr)) == 0
    return stepper.state


def header_of(rule: Rule = Rule.ADAM, schedule: str = "constant") -> Header:
    return make_header(hashed_backend(), rule, schedule)


@pytest.mark.parametrize("rule", Rule)
def test_each_group_steps_by_its_own_constants(rule: Rule) -> None:
    header = header_of(rule)
    sequences = [header.sequence(group) for group in range(2)]
    state = first_state(header, first_weights())
    for t in (1, 2, 3):
        before = {name: values.copy() for name, values in state.items()}
        after = advance(header, sequences, state, t, gradients(t), ())
        for group, part in enumerate((slice(0, 7), slice(7, SIZE))):
            old = {name: values[part] for name, values in before.items()}
            expected = step(rule, old, gradients(t)[part], header.sequence(group).at(t))
            for name in header.states:
                np.testing.assert_array_equal(after[name][part], expected[name])
                np.testing.assert_array_equal(state[name], before[name])
        state = after


def test_recorded_rates_are_used() -> None:
    header = header_of(schedule="recorded")
    sequences = [header.sequence(group) for group in range(2)]
    state = first_state(header, first_weights())
    still = advance(header, sequences, state, 1, gradients(1), ("0", "0.001"))
    np.testing.assert_array_equal(still["W"][:7], state["W"][:7])
    assert (still["W"][7:] != state["W"][7:]).all()


def test_range_errors_name_tensor_and_index() -> None:
    header = header_of()
    sequences = [header.sequence(group) for group in range(2)]
    weights = first_weights()
    weights[9] = 2**45 - 1
    state = first_state(header, weights)
    downhill = np.full(SIZE, -(2**20))
    with pytest.raises(RangeError) as caught:
        advance(header, sequences, state, 1, downhill, ())
    assert (caught.value.what, caught.value.tensor, caught.value.index) == ("weight", "b.weight", 2)
    weights[6] = 2**45
    with pytest.raises(RangeError) as caught:
        first_state(header, weights)
    assert (caught.value.tensor, caught.value.index) == ("a.bias", 0)


def test_arguments_that_do_not_fit_are_usage_errors() -> None:
    header, recorded = header_of(), header_of(schedule="recorded")
    sequences = [header.sequence(group) for group in range(2)]
    state = first_state(header, first_weights())
    with pytest.raises(UsageError, match=r"int16 of shape \(11,\); they must be int32 or int64"):
        advance(header, sequences, state, 1, gradients(1).astype(np.int16), ())
    with pytest.raises(UsageError, match=r"shape \(10,\)"):
        advance(header, sequences, state, 1, gradients(1)[:-1], ())
    with pytest.raises(UsageError, match="step 4 has 1 learning rates; with a recorded schedule it must be 2"):
        advance(recorded, sequences, state, 4, gradients(4), ("0.1",))
    with pytest.raises(UsageError, match="with a constant schedule it must be 0"):
        advance(header, sequences, state, 1, gradients(1), ("0.1", "0.1"))
    with pytest.raises(UsageError, match="weights have shape"):
        first_state(header, first_weights()[:-1])


@pytest.mark.parametrize("rate", ["-1", "nan", "", "3"])
def test_a_learning_rate_out_of_range_is_a_usage_error_that_names_the_step(rate: str) -> None:
    header = header_of(schedule="recorded")
    sequences = [header.sequence(group) for group in range(2)]
    with pytest.raises(UsageError, match=r"step 1 can't be taken: .*lr"):
        advance(header, sequences, first_state(header, first_weights()), 1, gradients(1), ("0.1", rate))


def test_a_group_without_tensors_has_no_elements() -> None:
    header = header_of()
    group = Group(header.groups[0].hyper, 0)
    parameters = (Parameter("a", (7,), 0, 7, 0), Parameter("b", (4,), 7, 4, 2))
    wider = Header(
        **{f: getattr(header, f) for f in Header.__dataclass_fields__}
        | {"groups": (group, group, group), "parameters": parameters}
    )
    assert group_ranges(parameters) == (slice(0, 7), slice(0, 0), slice(7, 11))
    sequences = [wider.sequence(group) for group in range(3)]
    state = advance(wider, sequences, first_state(wider, first_weights()), 1, gradients(1), ())
    assert (state["W"] != first_weights()).all()
