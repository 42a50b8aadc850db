"""One proved step of a model of ten million parameters: does it fit in memory, and how long does it
take?

    python -m benchmarks.bench_large [--json] [--parameters N]

The model is one square linear layer, the gradient comes from a random batch; both are drawn from
fixed seeds. Training, proving and the verification of every proof happen in one process each, and
the peaks are theirs (the most that was resident at once).
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Goal, conditions, emit

GIB = 2**30
DEFAULT = 10**7

_TRAIN = """
import sys, torch
from zk_autograd import ZKOptimizer
side, run, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.manual_seed(0)
model = torch.nn.Linear(side, side, bias=False)
inputs, targets = torch.randn(4, side), torch.randn(4, side)
with ZKOptimizer(model.named_parameters(), rule="adam", lr=1e-3, run=run, key=key, expected_steps=1) as opt:
    opt.zero_grad()
    torch.nn.functional.mse_loss(model(inputs), targets).backward()
    opt.step()
"""

_MEASURED = """
import json, resource, runpy, sys
sys.argv = sys.argv[1:]
exec(open(sys.argv[0]).read())
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""


def measured(code: str, *arguments: str) -> tuple[float, float, float]:
    """Seconds, peak memory in GiB and processor seconds of a process that runs `code`."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "script.py"
        script.write_text(code)
        start = time.perf_counter()
        command = [sys.executable, "-c", _MEASURED, str(script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(done.stderr or done.stdout)
    peak, processor = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak * 1024 / GIB, processor


_VERIFY = """
import sys
from zk_autograd.cli.verify import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    if end.code not in (0, 3, None):  # 3: no key is pinned here
        raise
"""


def figures(parameters: int) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    side = math.isqrt(parameters)
    with tempfile.TemporaryDirectory() as name:
        run, key = Path(name) / "run", Path(name) / "log.key"
        new_key = [sys.executable, "-c", "from zk_autograd.cli.key import main; main()", "new", "--key-file", str(key)]
        subprocess.run(new_key, check=True, capture_output=True)
        seconds, peak, _ = measured(_TRAIN, str(side), str(run), str(key))
        yield Figure("large.parameters", side * side, "trained and proved, one step")
        yield Figure("large.train_s", round(seconds, 1), "s: start, training, proving")
        yield Figure("large.train_peak_gib", round(peak, 2), "GiB", goal=Goal(24, 24, at_most=True))
        size = sum(path.stat().st_size for path in (run / "proofs").iterdir())
        yield Figure("large.proofs", len(list((run / "proofs").iterdir())), "proofs")
        yield Figure("large.proof_mb", round(size / 1e6, 1), "MB of proofs")
        seconds, peak, processor = measured(_VERIFY, str(run))
        goal = Goal(3, 3, at_most=True) if parameters == DEFAULT else None
        yield Figure("large.verify_s", round(seconds, 1), "s: every proof, and the first state", goal=goal)
        yield Figure("large.verify_cpu_s", round(processor, 1), "s of processor time")
        yield Figure("large.verify_peak_gib", round(peak, 2), "GiB")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--parameters", type=int, default=DEFAULT, help="parameters of the model (default 10^7)")
    arguments = parser.parse_args()
    emit(figures(arguments.parameters), as_json=arguments.json)


if __name__ == "__main__":
    main()
