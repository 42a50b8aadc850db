"""A real Ray cluster of two nodes, in a network and a process namespace of its own: Ray listens on
all interfaces, and its processes end with the namespace."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.workers.clusters import ALL

pytest.importorskip("ray", reason="Ray isn't installed: pip install 'zk-autograd[ray]'")
pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")

PROGRAM = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from tests.workers.clusters import Keys, done, proved_by, reasons
folder, run = map(Path, sys.argv[1:3])
keys = Keys.make(run.parent)
os.environ |= {"ZK_WORKER_KEY": str(keys.private), "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
ray = [str(Path(sys.executable).parent / "ray"), "start", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
def start(*arguments):
    for _ in range(3):  # on a busy machine Ray gives its own server too little time
        found = subprocess.run([*ray, *arguments], capture_output=True, text=True)
        if not found.returncode:
            return
    sys.exit(found.stderr)
start("--head", "--node-ip-address=127.0.0.1", "--port=6379", "--include-dashboard=false", f"--temp-dir={folder}")
start("--address=127.0.0.1:6379", "--node-ip-address=127.0.0.2")
def nodes():
    found = subprocess.run(["pgrep", "-f", "^[^ ]*raylet/raylet .*node_ip_address=127.0.0.2 "], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]
(second,) = nodes()
events = proved_by(run, "ray:127.0.0.1:6379", keys, during=lambda: os.kill(second, signal.SIGKILL))
print(json.dumps({"done": done(events), "reasons": reasons(events), "workers": sorted({getattr(e, "worker", "") for e in events})}))
"""


def test_two_nodes_prove_a_run_and_one_is_lost_in_the_middle(tmp_path: Path) -> None:
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespace can be made here, and without one Ray listens on all interfaces")
    folder = Path(tempfile.mkdtemp(prefix="zk-ray-"))  # short: the paths of its sockets are bounded
    script = 'ip link set lo up && exec "$@"'
    command = [*NAMESPACE, "sh", "-c", script, "sh", sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "run")]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert found.returncode == 0, found.stderr[-2000:]
    told = json.loads(found.stdout.splitlines()[-1])
    assert [tuple(place) for place in told["done"]] == ALL
    assert len([name for name in told["workers"] if name.startswith("node ")]) == 2
    assert len(list((tmp_path / "run/proofs").iterdir())) == len(ALL)
