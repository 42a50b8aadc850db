"""The names of workers, and what goes with them."""

from pathlib import Path

import numpy as np
import pytest

from tests.run.native_run import make_header
from tests.run.trainer import FaultyProver
from tests.workers.clusters import Keys
from zk_autograd.core.errors import UsageError
from zk_autograd.prove.executors.processes import ProcessWorkers
from zk_autograd.run.writer import RunWriter
from zk_autograd.workers.choice import Proving
from zk_autograd.workers.gateway import GatewayWorkers
from zk_autograd.workers.names import DEFAULT, require_name


@pytest.mark.parametrize(
    "name", ["inline", "processes", "processes:1", "processes:256", "dask:10.0.0.1:8786", "ray:head:6379"]
)
def test_names(name: str) -> None:
    require_name(name, "--workers")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "it is processes:N"),
        ("inline:", "it is processes:N"),
        ("threads:2", "it is processes:N"),
        ("processes:", "it is processes:N"),
        ("processes:0", "there can be 1 to 256"),
        ("processes:257", "there can be 1 to 256"),
        ("processes:-1", "there can be 1 to 256"),
        ("processes:" + "9" * 5000, "there can be 1 to 256"),
        ("processes:\u0662", "there can be 1 to 256"),
        ("dask:", "name the cluster's address"),
        ("ray:a b", "name the cluster's address"),
        ("dask:" + "a" * 301, "name the cluster's address"),
    ],
)
def test_what_is_no_name_is_told_in_a_sentence(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"^--workers is .*{says}") as caught:
        require_name(name, "--workers")
    assert len(str(caught.value)) < 300


def test_a_cluster_needs_keys_and_nothing_else_has_use_for_them(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    with pytest.raises(UsageError, match="sealed for workers that are named by key: name 1 to 256 public keys"):
        Proving("dask:127.0.0.1:1")
    with pytest.raises(UsageError, match="worker keys are for the workers of a cluster"):
        Proving("processes:2", (keys.public,))
    assert isinstance(Proving(DEFAULT).workers(), ProcessWorkers)
    assert Proving("inline").workers() is None
    pytest.importorskip("distributed", reason="Dask isn't installed: pip install 'zk-autograd[dask]'")
    assert isinstance(Proving("dask:127.0.0.1:1", (keys.public,)).workers(), GatewayWorkers)


@pytest.mark.parametrize("name", ["dask:127.0.0.1:1", "ray:127.0.0.1:1"])
def test_ezkl_is_not_for_a_cluster(name: str, tmp_path: Path) -> None:
    """Each attempt would be another proof that the cluster sees; few hide the block's values."""
    proving = Proving(name, (Keys.make(tmp_path).public,))
    with pytest.raises(UsageError, match=f"^proofs by EZKL can't be made by a cluster .{name}.: "):
        proving.require_fit("ezkl")
    proving.require_fit("native")
    Proving("processes:2").require_fit("ezkl")
    Proving("inline").require_fit("ezkl")


def test_a_run_by_ezkl_is_not_begun_with_a_cluster(tmp_path: Path) -> None:
    backend = FaultyProver()
    workers = GatewayWorkers("dask", "127.0.0.1:1", [Keys.make(tmp_path).key.recipient])
    with pytest.raises(UsageError, match=r"^proofs by EZKL can't be made by a cluster \(dask:"):
        RunWriter.create(tmp_path / "run", make_header(1), backend, [], np.zeros(1, np.int64), workers=workers)
    assert not (tmp_path / "run").exists()
