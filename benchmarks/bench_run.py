"""The default run as its users see it: `zk-train --steps 100` and `zk-verify`; and EZKL's, with a
cold cache and with a warm one.

    python -m benchmarks.bench_run [--json] [--steps N] [--without-ezkl]

Cold: no SRS, no keys; the auditor's SRS is made first, as `make train-ezkl` does, and counts. Warm:
the same commands again, except for the SRS. The native prover has nothing to warm. Each command is
a process of its own, timed from start to end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.figures import Figure, Goal, conditions, emit

HELP_RUNS = 9
PROOF = Goal(3, 2.5, at_most=True)


def timed(environment: Mapping[str, str], *command: str) -> tuple[float, str]:
    """Seconds and standard output of a command; ends the benchmark if it fails."""
    program = str(Path(sys.executable).parent / command[0])
    start = time.perf_counter()
    done = subprocess.run([program, *command[1:]], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return seconds, done.stdout


def imported(environment: Mapping[str, str], module: str) -> float:
    """Seconds of a process that imports a module, and does nothing with it."""
    return timed(environment, "python", "-c", f"import {module}")[0]


EZKL_RUN = ("--prover", "ezkl", "--model", "logistic", "--data", "breast-cancer")


def figures(steps: int, with_ezkl: bool) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "ZK_AUTOGRAD_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
        help_seconds = sorted(timed(environment, "zk-verify", "--help")[0] for _ in range(HELP_RUNS))
        yield Figure("verify.help_s", round(help_seconds[HELP_RUNS // 2], 3), "s, median of a process's start to end")
        more = sorted(
            imported(environment, "zk_autograd.auditing") - imported(environment, "numpy") for _ in range(HELP_RUNS)
        )
        median = round(more[HELP_RUNS // 2], 3)
        yield Figure("verify.import_s", median, "s, median: what verify_run needs, beyond the interpreter with NumPy")

        key = str(folder / "key")
        timed(environment, "zk-key", "new", "--key-file", key)
        public = timed(environment, "zk-key", "show", "--key-file", key)[1].strip()

        run = str(folder / "native")
        train, said = timed(environment, "zk-train", "--steps", str(steps), "--key-file", key, "--out", run, "--json")
        verify, _ = timed(environment, "zk-verify", run, "--key", public)
        after = float(json.loads(said.splitlines()[-1])["seconds_after_last_step"])
        yield Figure("run.train_s", round(train, 1), f"s for {steps} steps, all proved")
        yield Figure("run.proof_s", round(after, 2), "s of them from the last step to the closed log", goal=PROOF)
        yield Figure("run.verify_s", round(verify, 1), "s, every proof")
        yield Figure("run.default_s", round(train + verify, 1), "s: training, proving, verifying")
        yield Figure("run.public_bytes", public_bytes(Path(run)), "bytes of log and proofs")
        if with_ezkl:
            yield from ezkl_figures(steps, folder, environment, key, public)


def ezkl_figures(steps: int, folder: Path, environment: Mapping[str, str], key: str, public: str) -> Iterator[Figure]:
    """The same of a run of EZKL's."""
    srs = str(folder / "srs")
    made, _ = timed(environment, "zk-circuit", "srs", "--out", srs)
    yield Figure("ezkl_run.srs_s", round(made, 1), "s")
    digest = timed(environment, "zk-circuit", "srs", "--digest", srs)[1].strip()
    train: dict[str, float] = {}
    verify: dict[str, float] = {}
    for state in ("cold", "warm"):
        run = str(folder / state)
        common = ("--srs", srs, "--key-file", key, "--out", run)
        train[state], _ = timed(environment, "zk-train", "--steps", str(steps), *EZKL_RUN, *common)
        verify[state], _ = timed(environment, "zk-verify", run, "--key", public, "--srs-digest", digest)
        yield Figure(f"ezkl_run.train_{state}_s", round(train[state], 1), f"s for {steps} steps, all proved")
        yield Figure(f"ezkl_run.verify_{state}_s", round(verify[state], 1), "s, every proof")
    cold = made + train["cold"] + verify["cold"]
    yield Figure("ezkl_run.cold_s", round(cold, 1), "s: SRS, keys, training, proving, verifying")
    warm = train["warm"] + verify["warm"]
    yield Figure("ezkl_run.warm_s", round(warm, 1), "s: training, proving, verifying", "cold", warm / cold)
    yield Figure("ezkl_run.public_bytes", public_bytes(folder / "warm"), "bytes of log and proofs")


def public_bytes(run: Path) -> int:
    """Bytes of a run's log and proofs."""
    return sum(p.stat().st_size for part in ("log", "proofs") for p in (run / part).iterdir())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--steps", type=int, default=100, help="steps to train (default 100)")
    parser.add_argument("--without-ezkl", action="store_true", help="the native prover alone")
    arguments = parser.parse_args()
    emit(figures(arguments.steps, with_ezkl=not arguments.without_ezkl), as_json=arguments.json)


if __name__ == "__main__":
    main()
