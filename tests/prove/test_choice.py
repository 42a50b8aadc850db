from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zk_autograd.core.backends import PROVERS
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Prover
from zk_autograd.optim import ZKOptimizer
from zk_autograd.optim.options import decays_of, read_options
from zk_autograd.prove.choice import backend_for_new_run, backend_of_run, require_provable
from zk_autograd.prove.ezkl.choice import srs_digest
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.protocol import Backend

NATIVE = Prover("native", "1", 2**13, 8, "native/adam-standard", bytes(32))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("ezkl"):
        pytest.importorskip("ezkl", reason="the [ezkl] extra is not installed")
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))


def srs_file(path: Path, logrows: int = 16) -> Path:
    """A file of an SRS's size; nothing is proved with it."""
    path.write_bytes(logrows.to_bytes(4, "little") + bytes(2 * 64 * 2**logrows + 4 * 64))
    return path


def recorded(circuit_digest: bytes, srs: bytes) -> Prover:
    circuit = catalogue.load("adam-n32-t64")
    return Prover("ezkl", "23.0.5", circuit.block, circuit.steps, circuit.name, circuit_digest, srs)


@pytest.mark.ezkl
def test_srs_is_named_by_file_by_digest_or_not_at_all(tmp_path: Path) -> None:
    digest = srs_digest(srs_file(tmp_path / "a.srs"))
    assert Cache().srs_path(digest).exists()
    assert srs_digest(None) == digest
    assert srs_digest(digest.hex()) == digest
    assert srs_digest(str(tmp_path / "a.srs")) == digest


@pytest.mark.ezkl
def test_run_goes_on_with_its_own_srs_only(tmp_path: Path) -> None:
    prover = recorded(catalogue.load("adam-n32-t64").digest, bytes(32))
    with pytest.raises(RunError, match=r"begun with another SRS, 0000\S+: give that one"):
        backend_of_run(prover, "ezkl", srs_file(tmp_path / "a.srs"), tmp_path)
    with pytest.raises(UsageError, match=r"SRS 0000\S+ is not in \S+ add it with --srs FILE"):
        backend_of_run(prover, "ezkl", None, tmp_path)


@pytest.mark.ezkl
def test_run_of_another_versions_circuit_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="begun with another circuit adam-n32-t64"):
        backend_of_run(recorded(bytes(32), bytes(32)), "ezkl", None, tmp_path)
    other = Prover("ezkl", "23.0.5", 1, 1, "adam-n1-t1", bytes(32), bytes(32))
    with pytest.raises(RunError, match="this version can't resume the run: the circuit is not in the catalogue"):
        backend_of_run(other, "ezkl", None, tmp_path)


def test_run_without_proofs_goes_on_in_its_own_shape(tmp_path: Path) -> None:
    backend = backend_of_run(Prover("none", "1", 5, 7), "ezkl", None, tmp_path)
    assert (backend.prover.backend, backend.prover.block, backend.prover.steps) == ("none", 5, 7)


def test_backend_that_is_given_is_taken(tmp_path: Path) -> None:
    backend = HashedBackend(3, 3)
    assert backend_of_run(Prover("none", "1", 5, 7), backend, None, tmp_path) is backend


# ---- the native prover


def native(tmp_path: Path, rule: Rule = Rule.ADAM, steps: int | None = 100, preset: str | None = None) -> Backend:
    return backend_for_new_run("native", rule, [5000, 31], None, steps, tmp_path, preset)


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("rule", Rule)
def test_native_prover_takes_every_rule_and_the_shape_that_suits(rule: Rule, tmp_path: Path) -> None:
    prover = native(tmp_path, rule).prover
    assert (prover.backend, prover.version, prover.circuit) == ("native", "1", f"native/{rule.value}-standard")
    assert (prover.block, prover.steps, prover.srs_digest) == (2**13, 128, b"")
    assert native(tmp_path, rule, None, "strict").prover.circuit == f"native/{rule.value}-strict"


@pytest.mark.parametrize("prover", ["ezkl", "none", HashedBackend(3, 3)], ids=["ezkl", "none", "an object"])
def test_preset_of_another_prover_is_refused(prover: str | Backend, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only the prover native has presets"):
        backend_for_new_run(prover, Rule.ADAM, [31], None, 100, tmp_path, "standard")


def test_native_prover_refuses_what_it_has_no_use_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no preset 'lax'; it is one of standard, strict"):
        native(tmp_path, preset="lax")
    for srs in ("0" * 64, tmp_path / "a.srs"):
        with pytest.raises(UsageError, match="the prover native needs no SRS"):
            backend_for_new_run("native", Rule.ADAM, [31], srs, 100, tmp_path)
        with pytest.raises(UsageError, match="the prover native needs no SRS"):
            backend_of_run(NATIVE, "native", srs, tmp_path)


def test_native_prover_that_is_not_built_is_refused(without_native: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"compiled module is not installed: .*make install"):
        native(tmp_path)


def test_every_prover_by_name_takes_any_weight_decay() -> None:
    options = read_options(Rule.ADAMW, {"lr": "0.01", "weight_decay": "0.1"}, "the group")
    for prover in PROVERS:
        require_provable(prover, Rule.ADAMW, decays_of([options]))


@pytest.mark.parametrize(("decay", "name"), [(0.1, "sgd-momentum-decay"), (0, "sgd-momentum")])
def test_circuit_has_lines_for_decay_if_any_group_decays(
    decay: float, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ezkl", reason="the [ezkl] extra is not installed")
    asked: list[str] = []

    def load(circuit: str) -> catalogue.Circuit:
        asked.append(circuit)
        raise UsageError("no further")

    monkeypatch.setattr(catalogue, "load", load)
    one, other = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    groups = [{"params": [("a", one)]}, {"params": [("b", other)], "weight_decay": decay}]
    with pytest.raises(UsageError, match="no further"):
        ZKOptimizer(
            groups,
            "sgd",
            0.01,
            momentum=0.9,
            run=tmp_path / "run",
            prover="ezkl",
            key=Ed25519Signer("trainer", bytes(32)),
        )
    assert [circuit.split("-n")[0] for circuit in asked] == [name]


class OfCircuit(HashedBackend):
    """A backend that says that it proves with a circuit of EZKL's."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    @property
    def prover(self) -> Prover:
        circuit = catalogue.load(self._name)
        return Prover(
            "ezkl", catalogue.EZKL_VERSION, circuit.block, circuit.steps, self._name, circuit.digest, bytes(32)
        )


def test_ready_made_backend_of_another_rule_or_without_the_decay_is_refused() -> None:
    still, decayed = (
        read_options(Rule.SGD_MOMENTUM, {"lr": "0.01", "momentum": "0.9", "weight_decay": decay}, "the group")
        for decay in ("0", "0.1")
    )
    decays = decays_of([still, decayed, still])
    assert decays == {"parameter group 1": "0.1"}
    require_provable(OfCircuit("sgd-momentum-n32-t128"), Rule.SGD_MOMENTUM, {})
    require_provable(OfCircuit("sgd-momentum-decay-n32-t88"), Rule.SGD_MOMENTUM, decays)
    with pytest.raises(
        UsageError, match=r"weight_decay of parameter group 1 is 0\.1, but the circuit sgd-momentum-n32-t128 proves"
    ):
        require_provable(OfCircuit("sgd-momentum-n32-t128"), Rule.SGD_MOMENTUM, decays)
    with pytest.raises(UsageError, match="sgd-nesterov-n32-t94 proves steps of sgd-nesterov, not of sgd-momentum"):
        require_provable(OfCircuit("sgd-nesterov-n32-t94"), Rule.SGD_MOMENTUM, {})


@pytest.mark.usefixtures("native_prover")
def test_native_run_goes_on_with_its_own_circuit_and_shape_only(tmp_path: Path) -> None:
    prover = native(tmp_path, steps=64, preset="strict").prover
    assert backend_of_run(prover, "native", None, tmp_path).prover == prover
    assert backend_of_run(prover, "ezkl", None, tmp_path).prover == prover  # what the run was begun with counts
    with pytest.raises(RunError, match="begun with another circuit native/adam-strict"):
        backend_of_run(replace(prover, circuit_digest=bytes(32)), "native", None, tmp_path)
    for changes in ({"circuit": "native/adam-lax"}, {"block": 2**12}):
        with pytest.raises(RunError, match="this version can't resume the run: the native prover has no such"):
            backend_of_run(replace(prover, **changes), "native", None, tmp_path)
