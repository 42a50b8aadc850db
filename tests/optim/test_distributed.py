"""Two processes that train one model with DistributedDataParallel over gloo, on this machine."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import torch

from tests.optim.parallel import RANKS, SIGNER
from zk_autograd.auditing import verify_run

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]
ROOT = Path(__file__).parent.parent.parent


def run_ranks(scenario: str, folder: Path) -> list[dict[str, Any]]:
    """What each rank prints; none of them hangs."""
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "RANK", "WORLD_"))},
        **{"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    }
    command = [sys.executable, "-W", "error", "-m", "tests.optim.parallel", scenario]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(port), str(folder)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    try:
        ends = [process.communicate(timeout=180) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == 0, errors[-4000:]
    return [json.loads(printed) for printed, _ in ends]


@pytest.mark.parametrize(
    ("scenario", "level"), [("trains", "L0"), pytest.param("proves", "L1", marks=pytest.mark.long)]
)
def test_rank_0_records_what_all_of_them_step_with(scenario: str, level: str, tmp_path: Path) -> None:
    first, second = run_ranks(scenario, tmp_path)
    assert (first["head"], second["head"]) == (True, False)
    assert first["steps"] == second["steps"] == 5
    assert first["weights"] == second["weights"]
    assert first["resumed"] == second["resumed"]
    assert first["resumed"][:2] == [3, "2"]
    report = verify_run(tmp_path / "run", [SIGNER.public_key], require=[level])
    assert report.exit_status == 0, report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_weights_and_gradients_that_differ_are_refused_on_every_rank(tmp_path: Path) -> None:
    """Otherwise rank 0 would record a training that no other replica of the model went through."""
    for rank in run_ranks("differs", tmp_path):
        weights, runs, *gradients = rank["errors"]
        for kind, text in (weights, runs):
            assert kind == "UsageError"
            assert "other parameters, first weights" in text
            assert "only some of them have run=" in text
        for kind, text in gradients:
            assert kind == "UsageError"
            assert "through DistributedDataParallel, or all-reduce the gradients before step()" in text
        assert len(gradients) == rank["steps"] == 2


def test_a_rank_that_fails_stops_the_others_too(tmp_path: Path) -> None:
    """None waits for it; and what isn't recorded isn't taken."""
    recorder, follower = run_ranks("fails", tmp_path)
    kinds = ["PlaceTakenError", "RunError", "StorageError", "RunError"]
    assert [kind for kind, _ in recorder["errors"]] == kinds
    assert [kind for kind, _ in follower["errors"]] == ["RunError", "GradientError", "RunError"]
    for at, cause in ((0, "PlaceTakenError"), (2, "StorageError")):
        assert f"rank 0 failed, so this rank stops, too, and its step isn't taken: {cause}" in follower["errors"][at][1]
    assert "rank 1 failed" in recorder["errors"][1][1]
    assert recorder["errors"][3][1].startswith("another rank can't be reached (")
    assert recorder["steps"] == follower["steps"] == 2


def test_exact_gradients_are_computed_by_one_process(tmp_path: Path) -> None:
    for rank in run_ranks("exact", tmp_path):
        wrapped, *several = rank["errors"]
        assert wrapped[0] == "UsageError"
        assert "the model is a DistributedDataParallel" in wrapped[1]
        for kind, text in several:
            assert kind == "UsageError"
            assert (
                "torch.distributed runs with several processes, and exact gradients are computed by one alone" in text
            )
        assert not rank["exists"]
