"""The default run as its users see it: `zk-train --steps 100` and `zk-verify`, from a cold cache and from a warm one.

    python -m benchmarks.bench_run [--json] [--steps N]

Cold: no SRS, no keys; the auditor's SRS and the trainer's key are made first, as `make train` does, and count. Warm: the same
commands again, but for SRS and key. Each command is a process of its own, timed from start to end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.figures import Figure, conditions, emit

HELP_RUNS = 9


def timed(environment: Mapping[str, str], *command: str) -> tuple[float, str]:
    """Seconds and standard output of a command of this environment; ends the benchmark if the command fails."""
    program = str(Path(sys.executable).parent / command[0])
    start = time.perf_counter()
    done = subprocess.run([program, *command[1:]], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return seconds, done.stdout


def figures(steps: int) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "ZK_AUTOGRAD_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
        help_seconds = sorted(timed(environment, "zk-verify", "--help")[0] for _ in range(HELP_RUNS))
        yield Figure("verify.help_s", round(help_seconds[HELP_RUNS // 2], 3), "s, median of a process's start to end")

        srs, key = str(folder / "srs"), str(folder / "key")
        made, _ = timed(environment, "zk-circuit", "srs", "--out", srs)
        yield Figure("run.srs_s", round(made, 1), "s")
        timed(environment, "zk-key", "new", "--key-file", key)
        digest = timed(environment, "zk-circuit", "srs", "--digest", srs)[1].strip()
        public = timed(environment, "zk-key", "show", "--key-file", key)[1].strip()

        train: dict[str, float] = {}
        verify: dict[str, float] = {}
        for state in ("cold", "warm"):
            run = str(folder / state)
            common = ("--srs", srs, "--key-file", key, "--out", run)
            train[state], _ = timed(environment, "zk-train", "--steps", str(steps), *common)
            verify[state], _ = timed(environment, "zk-verify", run, "--key", public, "--srs-digest", digest)
            yield Figure(f"run.train_{state}_s", round(train[state], 1), f"s for {steps} steps, all proved")
            yield Figure(f"run.verify_{state}_s", round(verify[state], 1), "s, every proof")
        cold = made + train["cold"] + verify["cold"]
        yield Figure("run.default_cold_s", round(cold, 1), "s: SRS, keys, training, proving, verifying")
        warm = train["warm"] + verify["warm"]
        yield Figure("run.default_warm_s", round(warm, 1), "s: training, proving, verifying", "cold", warm / cold)
        size = sum(p.stat().st_size for part in ("log", "proofs") for p in (folder / "warm" / part).iterdir())
        yield Figure("run.public_bytes", size, "bytes of log and proofs")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--steps", type=int, default=100, help="steps to train (default 100)")
    arguments = parser.parse_args()
    emit(figures(arguments.steps), as_json=arguments.json)


if __name__ == "__main__":
    main()
