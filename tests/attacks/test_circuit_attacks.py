"""Every attack on the circuits fails, and succeeds where the check that stops it is taken out."""

import random
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType

import pytest

from attacks.on_circuits import (
    another_sign,
    cancelling_penalties,
    fraction_for_each_variable,
    no_op_gradient,
    quotient_and_remainder_shifted,
    rounding_off_by_one,
    weight_decay_dropped,
    wrapped_value_for_each_variable,
)
from attacks.tools.cheat import Cheat, described, outcome
from attacks.tools.proving_key import ROWS, ProvingKey
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import ROOTED, SGDS, start, under
from attacks.tools.weakening import exact, looked_up, with_equal_penalties, without_exactness, without_lookups
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit import weights
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.relations import SALTS
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.keys import Cache

DIRECTED = (
    rounding_off_by_one,
    quotient_and_remainder_shifted,
    fraction_for_each_variable,
    wrapped_value_for_each_variable,
    cancelling_penalties,
    another_sign,
)
MODULES = pytest.mark.parametrize("module", DIRECTED, ids=lambda m: m.__name__.rpartition(".")[2])

real_circuits = pytest.mark.skipif(
    find_spec("ezkl") is None or find_spec("onnx") is None,
    reason="needs EZKL and onnx: pip install 'zk-autograd[ezkl,dev]'",
)


@pytest.fixture(scope="module")
def cheats() -> dict[ModuleType, Sequence[Cheat]]:
    return {module: module.cheats() for module in DIRECTED}


@MODULES
def test_every_variant_is_refused_by_its_own_checks_and_no_others(
    module: ModuleType, cheats: dict[ModuleType, Sequence[Cheat]]
) -> None:
    for cheat in cheats[module]:
        assert cheat.refusals, cheat.title
        assert set(cheat.refusals) == cheat.expected, cheat.title


@MODULES
def test_every_variant_passes_with_its_checks_taken_out(
    module: ModuleType, cheats: dict[ModuleType, Sequence[Cheat]]
) -> None:
    for cheat in cheats[module]:
        assert cheat.segment.refusals(cheat.weakened) == [], cheat.title


@MODULES
def test_the_outcome_says_so(module: ModuleType) -> None:
    result = module.run()
    assert result.refused
    assert result.refused_by in str(result)
    assert result.gain in str(result)


def test_an_attack_that_nothing_refuses_is_reported() -> None:
    start = {"W": 12345, "B": 54321}
    honest = Segment.honest("sgd-momentum", [SgdConstants(29491, ONE, 2**28, 30, 0)], [start], [[4000]])
    cheat = Cheat("none at all", honest)
    assert cheat.refusals == []
    assert "ACCEPTED" in described([cheat])
    assert outcome("none", [cheat], "nothing").refused is False


@pytest.mark.parametrize("rule", CIRCUITS)
def test_each_lookup_and_each_exact_output_alone_stops_some_cheat(
    rule: str, cheats: dict[ModuleType, Sequence[Cheat]]
) -> None:
    # h is the one that nothing rests on: see attacks/fraction_for_each_variable.py. Weights before
    # and after share one cheat of fractions, and have one each that leaves the range.
    spare = {"h"} if rule in ROOTED else set()
    single = [c for module in DIRECTED for c in cheats[module] if c.segment.rule == rule]
    lookups = {c.lookups[0] for c in single if len(c.lookups) == 1 and not c.exact}
    outputs = {c.exact[0] for c in single if len(c.exact) == 1 and not c.lookups}
    assert lookups == set(looked_up(CIRCUITS[rule])) - spare
    assert outputs == set(exact(CIRCUITS[rule]))


def test_honest_segments_pass_in_every_weakened_circuit() -> None:
    for variant, circuit in CIRCUITS.items():
        constants: StepConstants = AdamConstants(3277, 33, 2**22, 700, 0)
        if variant in SGDS:
            constants = SgdConstants(29491, ONE, 2**28, 30, 0)
        segment = Segment.honest(variant, [under(variant, constants)] * 2, [start(variant)], [[4000], [-4000]])
        assert segment.refusals(with_equal_penalties(circuit)) == []
        for name in looked_up(circuit):
            assert segment.refusals(without_lookups(circuit, name)) == []
        for name in exact(circuit):
            assert segment.refusals(without_exactness(circuit, name)) == []


def test_equal_penalties_would_accept_the_cheat() -> None:
    cheats = cancelling_penalties.cheats()
    assert {cheat.segment.rule for cheat in cheats} == set(CIRCUITS)
    for cheat in cheats:
        assert cheat.refusals
        assert cheat.segment.refusals(with_equal_penalties(CIRCUITS[cheat.segment.rule])) == []


def test_a_hidden_gradient_moves_the_buffer_where_cg_is_missing() -> None:
    assert no_op_gradient.run().refused
    for segment in no_op_gradient.moved_buffers():
        assert segment.refusals(no_op_gradient.without_cg(segment.rule)) == []


def test_weight_decay_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    result = weight_decay_dropped.run()
    assert result.refused, result
    assert len(weight_decay_dropped.cheats()) == 4
    monkeypatch.setattr(weights, "require_no_decay", lambda constants: None)
    for cheat in weight_decay_dropped.cheats():  # without the refusal they are steps like any others
        assert cheat.refusals() == []


def test_a_gradient_that_moves_nothing_is_no_attack() -> None:
    assert [segment.refusals() for segment in no_op_gradient.unread_gradients()] == [[]] * len(CIRCUITS)


@pytest.mark.ezkl
@pytest.mark.slow
@real_circuits
def test_without_its_two_dimensional_index_a_graph_loses_its_range_checks() -> None:
    from attacks.on_circuits import pruned_lookups

    result = pruned_lookups.run()
    assert result.refused
    assert "accepts the cheat" in result.refused_by
    assert pruned_lookups.complaints(pruned_lookups.one_dimensional(pruned_lookups.published())) == ""


@pytest.mark.ezkl
@pytest.mark.slow
@real_circuits
@pytest.mark.parametrize(
    "rule",
    [
        "adamw",  # Adam's with the decay, as the next is momentum's with all there is
        "sgd-nesterov-decay",
        "rmsprop",
        "lion",
        *(pytest.param(rule, marks=pytest.mark.long) for rule in ("adam", "sgd-momentum")),
    ],
)
def test_every_row_of_the_plan_is_enforced_by_the_key(rule: str, ezkl_cache: Cache, srs_digest: bytes) -> None:
    from attacks.on_circuits import unconstrained_cells
    from zk_autograd.prove.ezkl.graph import model

    layout = Layout(CIRCUITS[rule].relations, 2, 3)
    key = unconstrained_cells.key_of(layout, ezkl_cache.require_srs(srs_digest), model(layout))
    assert unconstrained_cells.missing(key, layout) == []
    # It doesn't pass for another plan, nor with a selector, an entry of the table or a copy gone.
    weaker = Layout(without_lookups(CIRCUITS[rule], "G0").relations, 2, 3)
    assert unconstrained_cells.missing(key, weaker) == ["6 gates or lookups belong to no line"]
    for column in range(len(key.fixed)):
        row = next((row for row, value in enumerate(key.fixed[column]) if value), None)
        if row is not None:
            fixed = [
                values if i != column else [*values[:row], 0, *values[row + 1 :]] for i, values in enumerate(key.fixed)
            ]
            assert found_out(replace(key, fixed=fixed), layout), (column, row)
    copied = [i * ROWS + row for i, name in enumerate(layout.lengths) for row in range(layout.lengths[name] - SALTS)]
    for cell in random.Random(7).sample(copied, 8):
        copies = [*key.copies[:cell], -1, *key.copies[cell + 1 :]]
        assert found_out(replace(key, copies=copies), layout), cell


def found_out(key: ProvingKey, layout: Layout) -> bool:
    """Whether something is missing in the key, or its gates make no sense."""
    from attacks.on_circuits import unconstrained_cells

    try:
        return bool(unconstrained_cells.missing(key, layout))
    except AssertionError:
        return True
