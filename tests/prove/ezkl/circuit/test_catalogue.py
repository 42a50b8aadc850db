"""The published circuits are what they are said to be, and can be built again."""

import lzma
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from zk_autograd.core.errors import ProverError, UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.circuit.catalogue import (
    SHAPES,
    choose,
    circuit_digest,
    circuit_name,
    load,
    names,
    proofs_needed,
)
from zk_autograd.prove.ezkl.circuit.layout import Layout
from zk_autograd.prove.ezkl.circuit.operations import table_rows
from zk_autograd.prove.ezkl.circuit.relations import TABLE_MAX
from zk_autograd.prove.ezkl.circuit.variants import CIRCUITS

SHAPE_LIST = [(rule, *shape) for rule, shapes in SHAPES.items() for shape in shapes]


@pytest.mark.parametrize("name", names())
def test_every_circuit_loads_and_has_its_digest(name: str) -> None:
    circuit = load(name)
    assert circuit.name == name
    assert circuit.digest == circuit_digest(circuit.onnx, circuit.settings)
    assert circuit.proof_bytes > 64 * len(circuit.layout.commitments)


@pytest.mark.parametrize(("rule", "block", "steps"), SHAPE_LIST)
def test_every_circuit_fits_its_table(rule: str, block: int, steps: int) -> None:
    assert 0.93 * TABLE_MAX < table_rows(Layout(CIRCUITS[rule].relations, block, steps)) <= TABLE_MAX


@pytest.mark.slow
@pytest.mark.ezkl
@pytest.mark.parametrize(("rule", "block", "steps"), SHAPE_LIST[::3])
def test_building_again_gives_the_published_digest(rule: str, block: int, steps: int) -> None:
    pytest.importorskip("onnx")
    from zk_autograd.prove.ezkl.build import build

    assert build(rule, block, steps, Child()).digest == load(circuit_name(rule, block, steps)).digest


@pytest.mark.parametrize(("rule", "block", "steps"), [("adam", 70, 32), ("sgd-momentum-decay", 32, 90)])
def test_a_circuit_that_does_not_fit_is_not_built(rule: str, block: int, steps: int) -> None:
    # The second would fit without its 1,185 public values, and EZKL's set-up of it panics.
    pytest.importorskip("onnx")
    from zk_autograd.prove.ezkl.build import build

    with pytest.raises(ProverError, match="fewer parameters or steps"):
        build(rule, block, steps, Child())


def test_a_damaged_circuit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = names()[0]
    shutil.copytree(str(files("zk_autograd.prove.ezkl") / "circuits" / name), tmp_path / "circuits" / name)
    monkeypatch.setattr(catalogue, "files", lambda package: tmp_path)
    rule, block, steps = SHAPE_LIST[0]
    assert catalogue._read(rule, block, steps).digest == load(name).digest
    graph = tmp_path / "circuits" / name / "network.onnx.xz"
    onnx = bytearray(lzma.decompress(graph.read_bytes()))
    onnx[len(onnx) // 2] ^= 1
    graph.write_bytes(lzma.compress(bytes(onnx)))
    with pytest.raises(VerificationError, match="damaged"):
        catalogue._read(rule, block, steps)
    graph.write_bytes(b"no xz")
    with pytest.raises(VerificationError, match="can't be read"):
        catalogue._read(rule, block, steps)


def test_an_unknown_circuit_is_refused() -> None:
    with pytest.raises(VerificationError, match="not in the catalogue"):
        load("../../etc/passwd")


@pytest.mark.parametrize(
    ("sizes", "steps", "name"),
    [
        ([31], 100, "adam-n32-t64"),
        ([650], 20, "adam-n480-t4"),
        ([650], 32, "adam-n64-t32"),
        ([5, 5], 1, "adam-n32-t64"),
    ],
)
def test_a_run_takes_the_circuit_with_the_fewest_proofs(sizes: list[int], steps: int, name: str) -> None:
    chosen = choose(Rule.ADAM, sizes, steps)
    assert chosen.name == name
    needed = [proofs_needed(n, t, sizes, steps) for n, t in SHAPES["adam"]]
    assert proofs_needed(chosen.block, chosen.steps, sizes, steps) == min(needed)


def test_a_rule_without_a_circuit_is_refused_with_the_prover_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CIRCUITS, "lion")  # every rule has one; the next may not
    with pytest.raises(UsageError, match=r'no circuit for the rule lion, .*: take the prover "native"'):
        choose(Rule.LION, [31], 100)


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_has_circuits_with_lines_for_a_decay_where_it_may_have_one(rule: Rule) -> None:
    without, decaying = (choose(rule, [31], 100, decays=decays) for decays in (False, rule is not Rule.ADAM))
    assert without.rule == decaying.rule == rule.value
    assert decaying.code.decays is (rule is not Rule.ADAM)
    assert without.code.decays is (rule in (Rule.ADAMW, Rule.RMSPROP, Rule.LION))


@pytest.mark.parametrize(("rule", "block", "steps"), SHAPE_LIST)
def test_the_graph_of_the_relations_is_the_published_one(rule: str, block: int, steps: int) -> None:
    pytest.importorskip("onnx")
    from zk_autograd.prove.ezkl.graph import model

    published = load(circuit_name(rule, block, steps))
    assert published.variant == rule
    assert model(published.layout) == published.onnx
