"""Real circuits under EZKL's mock prover, which checks gates, copies and lookups of a witness: what
the field evaluator says is what they do."""

import random
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from attacks.on_circuits import (
    another_sign,
    fraction_for_each_variable,
    no_op_gradient,
    quotient_and_remainder_shifted,
    rounding_off_by_one,
    wrapped_value_for_each_variable,
)
from attacks.tools.cheat import Cheat
from attacks.tools.mock import MockProver, failing_lookups, failing_outputs
from attacks.tools.segment import ONE, Segment
from attacks.tools.variants import SGDS, start, suited, under
from zk_autograd.core.constants import AdamConstants, SgdConstants, StepConstants
from zk_autograd.prove.ezkl.circuit.field import MODULUS
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import LookupRows, rows_of
from zk_autograd.prove.ezkl.circuit.relations import TABLE_MAX, lookup_exponent
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS
from zk_autograd.prove.ezkl.witness import Tensors, table_output, violations

pytestmark = [
    pytest.mark.ezkl,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ezkl") is None or find_spec("onnx") is None,
        reason="needs EZKL and onnx: pip install 'zk-autograd[ezkl,dev]'",
    ),
]

RULES = pytest.mark.parametrize("rule", sorted(CIRCUITS))
SEED = 20


Prover = Callable[[str, int, int], MockProver]


@pytest.fixture(scope="module")
def prover(tmp_path_factory: pytest.TempPathFactory) -> Prover:
    """The published relations of a rule in a size, compiled once."""
    from zk_autograd.prove.ezkl.graph import model

    @cache
    def compiled(rule: str, block: int, steps: int) -> MockProver:
        return MockProver(model(Layout(CIRCUITS[rule].relations, block, steps)), tmp_path_factory.mktemp("mock"))

    return compiled


def honest(rule: str, block: int, steps: int) -> Segment:
    constants: StepConstants = AdamConstants(3277, 33, 2**22, 700, 0)
    if rule in SGDS:
        constants = SgdConstants(29491, ONE, 2**28 + 12345, 30, 0)
    gradients = [[(-1) ** i * 4000 + 7 * t for i in range(block)] for t in range(steps)]
    return Segment.honest(rule, [under(rule, constants)] * steps, [start(rule, W=-12345)] * block, gradients)


def extreme(rule: str) -> Segment:
    """Three steps at the formats' ends, the second with the largest decay and the last a no-op."""
    rates: list[StepConstants] = [SgdConstants(0, ONE, 2**30, 30, 0), SgdConstants(0, ONE, 0, 30, 0)]
    rates.append(SgdConstants.no_op(30))
    first = start(rule, W=2**45 - 1, B=2**30 - 1)
    if rule not in SGDS:
        rates = [AdamConstants(1, 1, 2**30 - 1, 2**29 - 1, 0), AdamConstants(ONE, ONE, 2**20, 1, 0)]
        rates = [suited(rule, one) for one in (*rates, AdamConstants.no_op())]
        first = start(rule, W=-(2**45) + 2**32, M=2**45 - 1, V=2**60)
    rates[1] = under(rule, rates[1], 2**28 - 1)
    return Segment.honest(rule, rates, [first], [[2**30 - 1], [-(2**30) + 1], [5]])


def positions(layout: Layout) -> list[tuple[str, int]]:
    """(line, row) of every looked-up position, in the circuit's order, without the row of the
    public output."""
    found: list[tuple[str, int]] = []
    seen: dict[str, int] = {}
    for rows in rows_of(layout):
        for label in rows.labels if isinstance(rows, LookupRows) else ():
            found.append((label, seen.setdefault(label, 0)))
            seen[label] += 1
    return [place for place in found if place[0] != "one"]


def spoilt(values: Tensors, places: list[tuple[str, int]]) -> Tensors:
    """The tensors with a random element at each of the places."""
    generator = random.Random(SEED)
    changed = {name: list(tensor) for name, tensor in values.items()}
    for name, index in places:
        changed[name][index] = generator.randrange(MODULUS)
    return changed


def committed(layout: Layout) -> list[tuple[str, int]]:
    """Every committed value but salts and public ones."""
    start, length = layout.aux["public"]
    salted = [(name, i) for name, size in layout.lengths.items() for i in range(size - 8)]
    return [(name, i) for name, i in salted if name != "aux" or not start <= i < start + length]


def predicted(layout: Layout, values: Tensors) -> set[tuple[str, int]]:
    """The positions that the field evaluator finds outside the table."""
    return {(v.line, v.row) for v in violations(layout, values, limit=10**6) if not 0 <= v.value <= TABLE_MAX}


@RULES
def test_honest_segments_are_accepted(rule: str, prover: Prover) -> None:
    for segment in (honest(rule, 2, 3), extreme(rule), honest(rule, 3, 1)):
        circuit = prover(rule, segment.block, segment.steps)
        assert circuit.complaints(segment.tensors().values()) == ""
        layout = Layout(CIRCUITS[rule].relations, segment.block, segment.steps)
        start, length = layout.aux["public"]
        assert circuit.outputs() == [*segment.tensors()["aux"][start : start + length], 1, 1]


@pytest.mark.parametrize(
    "rule",  # AdamW's has all of Adam's, and Nesterov's with decay all of SGD's: those take minutes
    [
        pytest.param(rule, marks=[] if rule in ("adamw", "sgd-nesterov-decay", "rmsprop", "lion") else pytest.mark.long)
        for rule in sorted(CIRCUITS)
    ],
)
def test_every_looked_up_position_is_enforced_and_no_other(rule: str, prover: Prover) -> None:
    # With everything wrong, every position is refused; that tells where the circuit has each. Then
    # each committed value is made wrong alone, and the positions refused must be exactly those that
    # the evaluator names.
    layout = Layout(CIRCUITS[rule].relations, 1, 2)
    circuit, values = prover(rule, 1, 2), honest(rule, 1, 2).tensors()
    everything = spoilt(values, committed(layout))
    places = failing_lookups(circuit.complaints(everything.values()))
    assert len(places) == len(positions(layout))
    assert predicted(layout, everything) == set(positions(layout))
    where = dict(zip(positions(layout), places, strict=True))
    seen: set[tuple[str, int]] = set()
    for place in committed(layout):
        wrong = spoilt(values, [place])
        expected = predicted(layout, wrong)
        assert failing_lookups(circuit.complaints(wrong.values())) == sorted(where[p] for p in expected), place
        assert expected or place[0] == "G", place
        seen |= expected
    assert seen == set(positions(layout))


@RULES
def test_every_public_value_is_a_copy(rule: str, prover: Prover) -> None:
    circuit = prover(rule, 1, 2)
    assert circuit.complaints(honest(rule, 1, 2).tensors().values()) == ""
    outputs = circuit.outputs()
    changed = [value + 1 for value in outputs]
    assert failing_outputs(circuit.complaints_about_outputs(changed)) == list(range(len(outputs)))
    one_wrong = [*outputs[:-1], 2]
    assert failing_outputs(circuit.complaints_about_outputs(one_wrong)) == [len(outputs) - 1]


def lookup_alone() -> bytes:
    """A circuit that looks up one committed value and shows the output."""
    from onnx import TensorProto, helper, numpy_helper

    from zk_autograd.prove.ezkl.graph import IR_VERSION, OPSET

    exponent = numpy_helper.from_array(np.array(lookup_exponent(), np.float32), "exponent")
    graph = helper.make_graph(
        [helper.make_node("Pow", ["x", "exponent"], ["y"])],
        "lookup",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [exponent],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    proto.ir_version = IR_VERSION
    serialized: bytes = proto.SerializeToString()
    return serialized


def test_the_table_ends_and_turns_where_the_relations_say(tmp_path: Path) -> None:
    circuit = MockProver(lookup_alone(), tmp_path)
    for value in (0, 1, 2, ONE - 1, ONE, ONE + 1, TABLE_MAX - 1, TABLE_MAX):
        assert circuit.complaints([[value]]) == "", value
        assert circuit.outputs() == [table_output(value)]
        for other in {0, 1, 2} - {table_output(value)}:
            assert failing_outputs(circuit.complaints_about_outputs([other])) == [0]
    for value in (TABLE_MAX + 1, TABLE_MAX + 2, 2**16, MODULUS - 1, (MODULUS + 1) // 2):
        assert failing_lookups(circuit.complaints([[value]])), value
    assert TABLE_MAX == 65527


def one_for_each_check() -> list[Cheat]:
    """A solved cheat for each check that stands alone, in a segment's inner and last steps where
    there is a choice."""
    modules = (
        rounding_off_by_one,
        quotient_and_remainder_shifted,
        fraction_for_each_variable,
        wrapped_value_for_each_variable,
        another_sign,
    )
    found: dict[object, Cheat] = {}
    for cheat in (cheat for module in modules for cheat in module.cheats()):
        found.setdefault((cheat.segment.rule, cheat.lookups, cheat.exact), cheat)
    return list(found.values())


def test_solved_cheats_are_refused_at_their_check(prover: Prover) -> None:
    cheats = one_for_each_check()
    assert len(cheats) > 190
    for cheat in cheats[::4]:  # all of them take minutes; every circuit and every family of cheats is among these
        segment = cheat.segment
        circuit = prover(segment.rule, segment.block, segment.steps)
        layout = Layout(CIRCUITS[segment.rule].relations, segment.block, segment.steps)
        values = segment.tensors()
        assert len(failing_lookups(circuit.complaints(values.values()))) == len(predicted(layout, values)) > 0, (
            cheat.title
        )


def test_solved_cheats_pass_in_a_circuit_without_their_check(tmp_path_factory: pytest.TempPathFactory) -> None:
    from zk_autograd.prove.ezkl.graph import model

    for cheat in one_for_each_check()[::15]:
        weakened, segment = cheat.weakened, cheat.segment
        graph = model(Layout(weakened.relations, segment.block, segment.steps))
        circuit = MockProver(graph, tmp_path_factory.mktemp("weak"))
        assert circuit.complaints(segment.tensors(weakened).values()) == "", cheat.title


def test_a_gradient_in_a_no_op_is_read_by_nothing(prover: Prover) -> None:
    for segment in no_op_gradient.unread_gradients():
        assert prover(segment.rule, 1, 2).complaints(segment.tensors().values()) == ""
    for segment in no_op_gradient.moved_buffers():
        assert prover(segment.rule, 1, 3).complaints(segment.tensors().values())
