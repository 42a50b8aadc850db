"""`zk-circuit digest` and `explain`. Building circuits and SRS files is tested with the EZKL
backend."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.prove.native.test_witness import arrays_of, saved
from zk_autograd.cli.circuit import main
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.native import shape

Circuit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zk_circuit(capsys: pytest.CaptureFixture[str]) -> Circuit:
    """Runs the command; gives exit status, standard output and standard error."""

    def run(*flags: str | Path) -> tuple[int, str, str]:
        status = main([str(flag) for flag in flags])
        return status, *capsys.readouterr()

    return run


@pytest.mark.usefixtures("native_prover")
def test_digests_of_all_circuits_are_listed(zk_circuit: Circuit) -> None:
    status, out, err = zk_circuit("digest")
    found = dict(line.split() for line in out.splitlines())
    assert (status, err) == (0, "")
    assert list(found) == [*catalogue.names(), *shape.names()]
    for name in shape.names():
        assert found[name] == shape.circuit_digest(name).hex()
    assert json.loads(zk_circuit("digest", "--json")[1]) == {"circuits": found}


def test_digests_of_ezkl_circuits_need_no_compiled_module(zk_circuit: Circuit, without_native: None) -> None:
    status, out, err = zk_circuit("digest")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == catalogue.names()
    assert "the native circuits have no digests here: " in err
    status, out, err = zk_circuit("digest", "native/adam-standard")
    assert (status, out) == (2, "")
    assert "make install" in err


@pytest.mark.parametrize("command", ["digest", "explain", "build"])
def test_unknown_circuit_is_refused_with_those_that_there_are(command: str, zk_circuit: Circuit) -> None:
    pytest.importorskip("onnx", reason="the [dev] extra is not installed")
    status, out, err = zk_circuit(command, "adam-n1-t1")
    assert (status, out) == (2, "")
    assert "there is no circuit 'adam-n1-t1': it is one of " in err
    assert ("native/adam-strict" in err, "adam-n32-t64" in err) == (command != "build", command != "explain")


@pytest.mark.usefixtures("native_prover")
def test_circuit_is_explained_by_its_description(zk_circuit: Circuit) -> None:
    name = "native/sgd-nesterov-strict"
    status, out, _ = zk_circuit("explain", name)
    assert status == 0
    assert shape.description(name).strip() in out
    assert out.splitlines()[-1] == f"digest {shape.circuit_digest(name).hex()}"
    found = json.loads(zk_circuit("explain", name, "--json")[1])
    assert found == {
        "circuit": name,
        "digest": shape.circuit_digest(name).hex(),
        "description": shape.description(name),
    }


@pytest.mark.usefixtures("native_prover")
def test_witness_is_explained_by_what_it_breaks(zk_circuit: Circuit, tmp_path: Path) -> None:
    arrays = arrays_of(Rule.ADAM)
    good = zk_circuit("explain", "native/adam-standard", "--witness", saved(tmp_path, arrays))
    assert good == (0, "the witness breaks no relation\n", "")
    arrays["V"][1:, 3] += 1
    path = saved(tmp_path, arrays)
    status, out, _ = zk_circuit("explain", "native/adam-standard", "--witness", path)
    assert status == 1
    assert out.startswith("step 0, element 3, ")
    broken = json.loads(zk_circuit("explain", "native/adam-standard", "--witness", path, "--json")[1])["broken"]
    assert (broken["step"], broken["element"]) == (0, 3)
    assert set(broken) == {"step", "element", "relation", "message"}


def test_file_that_is_no_witness_is_wrong_usage(zk_circuit: Circuit, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", W=np.zeros((2, 2), np.int64))
    status, _, err = zk_circuit("explain", "native/adam-standard", "--witness", tmp_path / "w.npz")
    assert status == 2
    assert "must hold the arrays constants, G, W, M, V" in err
