"""A witness on disk: what is refused, and what it is told of a good and of a bad one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.prove.native.examples import statement_of, told, witness_of
from zk_autograd.core.constants import numbers
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.native.witness import explain, read


def arrays_of(rule: Rule) -> dict[str, Any]:
    statement = statement_of(rule)
    witness = witness_of(rule, statement)
    constants = np.array([numbers(c) for c in statement.constants], np.int64)
    return {"constants": constants, "G": witness.gradients.astype(np.int64), **told(rule, statement, witness)}


def saved(folder: Path, arrays: dict[str, Any]) -> Path:
    np.savez(folder / "witness.npz", **arrays)
    return folder / "witness.npz"


@pytest.mark.parametrize("rule", Rule)
def test_witness_is_read_as_it_was_saved(rule: Rule, tmp_path: Path) -> None:
    statement = statement_of(rule)
    witness = witness_of(rule, statement)
    found = read(saved(tmp_path, arrays_of(rule)), rule)
    assert found.constants == statement.constants
    assert np.array_equal(found.gradients, witness.gradients)
    states = told(rule, statement, witness)
    assert found.states.keys() == states.keys()
    assert all(np.array_equal(found.states[n], values) for n, values in states.items())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("V", lambda v: None, "must hold the arrays constants, G, W, M, V, and no others"),
        ("B", lambda v: np.zeros(1), "must hold the arrays constants, G, W, M, V, and no others"),
        ("W", lambda v: v.astype(np.float64), "W is float64 with 2 axes; it must be int64 with 2"),
        ("G", lambda v: v[0], "G is int64 with 1 axes"),
        ("W", lambda v: v[1:], r"W is of shape \(8, 8192\); with this G it must be \(9, 8192\)"),
        ("constants", lambda v: v[:, :4], r"constants is of shape \(8, 4\)"),
        ("constants", lambda v: v - 1, "is out of range"),
        ("G", lambda v: np.array(["x"], object), "can't be read as a file of NumPy arrays"),
    ],
)
def test_file_that_is_no_witness_is_refused(name: str, change: Any, message: str, tmp_path: Path) -> None:
    arrays = arrays_of(Rule.ADAM)
    arrays[name] = change(arrays.get(name))
    with pytest.raises(UsageError, match=message):
        read(saved(tmp_path, {n: v for n, v in arrays.items() if v is not None}), Rule.ADAM)


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\3\4torn"])
def test_file_of_other_bytes_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match="can't be read as a file of NumPy arrays"):
        read(tmp_path / "file", Rule.ADAM)
    with pytest.raises(UsageError, match=r"the witness .*nothing can't be read: No such file"):
        read(tmp_path / "nothing", Rule.ADAM)


def test_single_array_is_no_witness(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UsageError, match="can't be read as a file of NumPy arrays"):
        read(tmp_path / "one.npy", Rule.ADAM)


def test_numbers_that_are_no_powers_of_two_are_refused(tmp_path: Path) -> None:
    whole = arrays_of(Rule.SGD)
    fewer = {"constants": whole["constants"][:6], "G": whole["G"][:6], "W": whole["W"][:7]}
    with pytest.raises(UsageError, match="has 6 steps: pad it to a power of two"):
        read(saved(tmp_path, fewer), Rule.SGD)
    narrower = {"constants": whole["constants"], "G": whole["G"][:, :5000], "W": whole["W"][:, :5000]}
    with pytest.raises(UsageError, match="has 5000 elements: pad it"):
        read(saved(tmp_path, narrower), Rule.SGD)


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("rule", Rule)
def test_first_broken_relation_is_named_with_its_place(rule: Rule, tmp_path: Path) -> None:
    arrays = arrays_of(rule)
    assert explain(rule, read(saved(tmp_path, arrays), rule)) is None
    name = list(arrays)[-1]
    arrays[name][3:, 17] -= 1
    broken = explain(rule, read(saved(tmp_path, arrays), rule))
    assert broken is not None
    assert (broken.step, broken.element) == (2, 17)
    assert broken.relation
    assert broken.message
    assert str(broken) == f"step 2, element 17, {broken.relation}: {broken.message}"


@pytest.mark.usefixtures("native_prover")
def test_constants_of_several_s_are_refused(tmp_path: Path) -> None:
    arrays = arrays_of(Rule.SGD)
    arrays["constants"][0, 3] = 15
    with pytest.raises(UsageError, match="s differs from step to step"):
        explain(Rule.SGD, read(saved(tmp_path, arrays), Rule.SGD))
