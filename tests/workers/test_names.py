"""The names of workers, and what goes with them."""

from pathlib import Path

import pytest

from tests.workers.clusters import Keys
from zk_autograd.core.errors import UsageError
from zk_autograd.prove.executors.processes import ProcessWorkers
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
