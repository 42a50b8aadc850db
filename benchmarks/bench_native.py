"""The native backend: param-steps a second, proof size, verification, memory; against Plonky3's
hiding mode, itself unmasked, and EZKL.

    python -m benchmarks.bench_native [--json] [--repeat N] [--ezkl [--srs FILE]]

A param-step is one parameter going through one step. The measured programs are `native` and `peers`
of crates/oracle, built here with the release profile, one process for each configuration, so that a
peak of memory is that configuration's. `native` proves once to warm up and reports the median of N
proofs; `peers` proves once.

Plonky3 (p3-batch-stark with HidingFriPcs, the same steps of Adam, at least 100 proven bits by
p3-security) is measured at a blowup of 4 with 87 queries, and at its fastest: a blowup of 2 with
176 queries. It needs up to 10 GiB for 2^20 rows; with less free memory it is measured on 2^18, and
our prover beside it.

The limit of the machine is measured in the same run: butterflies of Plonky3's transform on 8
columns of 2^20, and bytes of BLAKE3. The share of the limit is the time that the transforms and
hashes of the protocol would take at those rates, over the prover's time.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Goal, conditions, emit

ROOT = Path(__file__).resolve().parent.parent
LARGE, MIDDLE, SMALL = 20, 18, 16
"""log2 of the rows."""
LOG_STEPS = {LARGE: 4, MIDDLE: 4, SMALL: 3}
PEER_GIB = 12
EZKL_CIRCUIT = "adam-n64-t32"
GOALS = {
    "native.adam.zk.param_steps_per_s": Goal(150_000, 400_000),
    "native.sgd_momentum.zk.param_steps_per_s": Goal(220_000, 600_000),
    "native.adam.ratio_to_hiding_fri": Goal(3.5, 8),
    "native.adam.ratio_to_unmasked": Goal(0.75, 0.9),
    "native.adam.ratio_to_ezkl": Goal(400, 1500),
    "native.proof_kb": Goal(1300, 500, at_most=True),
    "native.verify_ms": Goal(15, 5, at_most=True),
    "native.peak_gib": Goal(3, 1.5, at_most=True),
    "native.growth": Goal(1.15, 1.0, at_most=True),
}


def build() -> Path:
    """Builds the measured programs; the folder that they are in."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked", "--package", "zk-autograd-oracle", "--bins"],
        cwd=ROOT,
        check=True,
    )
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return Path(json.loads(metadata)["target_directory"]) / "release"


def run(program: Path, *arguments: object) -> dict[str, Any]:
    """The object that the program prints."""
    command = [str(program), *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def native(programs: Path, rule: str, log_rows: int, masking: str, repeat: int) -> dict[str, Any]:
    """What our prover does with so many rows."""
    log_steps = LOG_STEPS[log_rows]
    return run(programs / "native", rule, log_rows - log_steps, log_steps, masking, repeat)


def speed(measured: dict[str, Any]) -> float:
    """Param-steps a second."""
    return float(measured["rows"] / measured["prove_s"])


def figure(name: str, value: float, unit: str, peer: str = "") -> Figure:
    """A figure with its goal, if it has one; a ratio to `peer` is the value itself."""
    return Figure(name, value, unit, peer, value if peer else None, GOALS.get(name))


def peer_figures(programs: Path, ours: dict[str, Any], repeat: int) -> Iterator[Figure]:
    """Plonky3's hiding mode, at both blowups, on as many rows as fit."""
    log_rows = LARGE if free_gib() >= PEER_GIB else MIDDLE
    beside = ours if log_rows == LARGE else native(programs, "adam", log_rows, "masked", repeat)
    for log_blowup, suffix in ((2, ""), (1, "_fastest")):
        peer = run(programs / "peers", log_rows, LOG_STEPS[log_rows], log_blowup)
        name = f"hiding_fri{suffix}.adam"
        setting = f"2^{log_rows} rows, blowup {2**log_blowup}, {peer['queries']} queries"
        yield Figure(f"{name}.param_steps_per_s", round(speed(peer)), f"param-steps/s, {setting}")
        yield Figure(f"{name}.proven_bits", peer["proven_bits"], "bits by p3-security")
        yield Figure(f"{name}.proof_kb", round(peer["proof_bytes"] / 1000), "kB")
        yield Figure(f"{name}.peak_gib", peer["peak_gib"], "GiB")
        ratio = round(speed(beside) / speed(peer), 2)
        yield figure(f"native.adam.ratio_to_hiding_fri{suffix}", ratio, "times", f"{name}.param_steps_per_s")


def free_gib() -> float:
    """Memory that can be had without swapping, in GiB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return 0.0


def limit_figures(ours: dict[str, Any]) -> Iterator[Figure]:
    """The share of each phase, and the distance from what the machine can do."""
    total = sum(ours["phases"].values())
    for phase, seconds in ours["phases"].items():
        name = f"native.adam.phase.{phase.lower().replace(' ', '_')}"
        yield Figure(name, round(100 * seconds / total, 1), "% of the prover's time")
    yield Figure("machine.butterflies_per_s", ours["butterflies_per_s"], "butterflies/s, p3-dft, 8 columns of 2^20")
    yield Figure("machine.hash_bytes_per_s", ours["hash_bytes_per_s"], "bytes/s, BLAKE3, leaves of 192 bytes")
    yield Figure(
        "native.adam.transforms_at_limit_s", ours["transforms_at_limit_s"], "s of the proof's transforms alone"
    )
    yield Figure("native.adam.hashes_at_limit_s", ours["hashes_at_limit_s"], "s of the proof's hashes alone")
    yield Figure("native.adam.share_of_limit", round(ours["share_of_limit"], 3), "of transforms and hashes alone")


def ezkl_speed(srs_file: Path | None, repeat: int) -> tuple[list[Figure], float]:
    """EZKL at its best batch, as `bench_ezkl` measures it."""
    from benchmarks.bench_ezkl import measure_circuit
    from zk_autograd.prove.ezkl.keys import Cache

    cache = Cache()
    if srs_file is not None:
        srs = cache.add_srs(srs_file)
    elif cache.srs_digests():
        srs = cache.srs_digests()[0]
    else:
        raise SystemExit("there is no SRS in the cache: pass --srs FILE, or run benchmarks.bench_ezkl once")
    return measure_circuit(EZKL_CIRCUIT, srs, cache, repeat)


def figures(repeat: int, *, with_ezkl: bool, srs_file: Path | None) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    programs = build()
    yield conditions()
    adam = native(programs, "adam", LARGE, "masked", repeat)
    yield figure("native.adam.zk.param_steps_per_s", round(speed(adam)), "param-steps/s, 2^20 rows")
    yield figure("native.proof_kb", round(adam["proof_bytes"] / 1000), "kB")
    yield figure("native.verify_ms", round(adam["verify_ms"], 2), "ms")
    yield figure("native.peak_gib", round(adam["peak_gib"], 2), "GiB, witness included")
    momentum = native(programs, "sgd-momentum", LARGE, "masked", repeat)
    yield figure("native.sgd_momentum.zk.param_steps_per_s", round(speed(momentum)), "param-steps/s, 2^20 rows")

    unmasked = native(programs, "adam", LARGE, "unmasked", repeat)
    name = "native.adam.unmasked.param_steps_per_s"
    yield Figure(name, round(speed(unmasked)), "param-steps/s, 2^20 rows")
    yield figure("native.adam.ratio_to_unmasked", round(speed(adam) / speed(unmasked), 3), "times", name)
    small = native(programs, "adam", SMALL, "masked", repeat)
    name = "native.adam.zk.param_steps_per_s_small"
    yield Figure(name, round(speed(small)), "param-steps/s, 2^16 rows")
    yield figure("native.growth", round(speed(small) / speed(adam), 3), "times the time a row of 2^16 rows", name)

    yield from peer_figures(programs, adam, repeat)
    if with_ezkl:
        measured, rate = ezkl_speed(srs_file, repeat)
        yield from measured
        name = "ezkl.adam.param_steps_per_s"
        yield figure("native.adam.ratio_to_ezkl", round(speed(adam) / rate), "times", name)
    yield from limit_figures(adam)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--repeat", type=int, default=3, help="proofs of each configuration; the median counts (default 3)"
    )
    parser.add_argument("--ezkl", action="store_true", help="measure EZKL too (about a minute)")
    parser.add_argument("--srs", type=Path, help="EZKL's SRS file (default: the newest of the cache)")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        parser.error("this benchmark reads memory from /proc: it runs on Linux")
    measured = figures(arguments.repeat, with_ezkl=arguments.ezkl, srs_file=arguments.srs)
    emit(measured, as_json=arguments.json)


if __name__ == "__main__":
    main()
