from pathlib import Path

import pytest

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.records import Prover
from zk_autograd.optim.proving import backend_of_run, srs_digest
from zk_autograd.prove.ezkl import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.hashed.backend import HashedBackend

pytestmark = pytest.mark.ezkl


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ezkl", reason="the [ezkl] extra is not installed")
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))


def srs_file(path: Path, logrows: int = 16) -> Path:
    """A file of an SRS's size; nothing is proved with it."""
    path.write_bytes(logrows.to_bytes(4, "little") + bytes(2 * 64 * 2**logrows + 4 * 64))
    return path


def recorded(circuit_digest: bytes, srs: bytes) -> Prover:
    circuit = catalogue.load("adam-n32-t64")
    return Prover("ezkl", "23.0.5", circuit.block, circuit.steps, circuit.name, circuit_digest, srs)


def test_srs_is_named_by_file_by_digest_or_not_at_all(tmp_path: Path) -> None:
    digest = srs_digest(srs_file(tmp_path / "a.srs"))
    assert Cache().srs_path(digest).exists()
    assert srs_digest(None) == digest
    assert srs_digest(digest.hex()) == digest
    assert srs_digest(str(tmp_path / "a.srs")) == digest


def test_run_goes_on_with_its_own_srs_only(tmp_path: Path) -> None:
    prover = recorded(catalogue.load("adam-n32-t64").digest, bytes(32))
    with pytest.raises(RunError, match=r"begun with another SRS, 0000\S+: name that one"):
        backend_of_run(prover, "ezkl", srs_file(tmp_path / "a.srs"), tmp_path)
    with pytest.raises(UsageError, match=r"SRS 0000\S+ is not in \S+ add it with --srs FILE"):
        backend_of_run(prover, "ezkl", None, tmp_path)


def test_run_of_another_versions_circuit_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="begun with another circuit adam-n32-t64"):
        backend_of_run(recorded(bytes(32), bytes(32)), "ezkl", None, tmp_path)
    other = Prover("ezkl", "23.0.5", 1, 1, "adam-n1-t1", bytes(32), bytes(32))
    with pytest.raises(RunError, match="this version can't go on with the run: the circuit is not in the catalogue"):
        backend_of_run(other, "ezkl", None, tmp_path)


def test_run_without_proofs_goes_on_in_its_own_shape(tmp_path: Path) -> None:
    backend = backend_of_run(Prover("none", "1", 5, 7), "ezkl", None, tmp_path)
    assert (backend.prover.backend, backend.prover.block, backend.prover.steps) == ("none", 5, 7)


def test_backend_that_is_given_is_taken(tmp_path: Path) -> None:
    backend = HashedBackend(3, 3)
    assert backend_of_run(Prover("none", "1", 5, 7), backend, None, tmp_path) is backend
