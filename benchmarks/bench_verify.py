"""What judging a long run costs: a million segment records, an auditor's report, and starting up.

    python -m benchmarks.bench_verify [--json] [--records N] [--segments N]

The run is one that a trainer with `prover="none"` leaves: Adam, one block, a record for every step.
Its bytes are made here, from fixed seeds, and judged by `zk-verify` in a process of its own, whose
wall time, processor time and peak memory are given. What the short way of reading a record saves
(core/segment_bytes.py) is measured beside it, on a part of the same records.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Goal, conditions, emit
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import Frontier, leaf_hash
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.record_bytes import LogReader, parse, to_bytes
from zk_autograd.core.records import (
    Block,
    Close,
    Data,
    Genesis,
    Group,
    Header,
    Parameter,
    Prover,
    Segment,
    StateCommitments,
    hyper_names,
)
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.prove.hashed.verify import VERSION

MB = 10**6
SIGNER = Ed25519Signer("benchmark", bytes(range(32)))
BLOCK = 16
RECORDS = 10**6
PEER_RECORDS = 20_000
"""Records that are read the long way, for the ratio."""

_HYPER = {"lr": "0.001", "beta1": "0.9", "beta2": "0.999", "eps": "0.00000001"}

_JUDGED = """
import json, resource, sys, time
start = time.perf_counter()
from zk_autograd.cli.verify import main
sys.stdout = open(sys.argv[1], "w")
try:
    status = main(sys.argv[2:])
except SystemExit as end:
    status = end.code
sys.stdout.close()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([status, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss]), file=sys.__stdout__)
"""


def header() -> Header:
    """Of a run of 16 parameters in one block."""
    return Header(
        run=bytes(range(16)),
        package="0.1.0",
        rule=Rule.ADAM,
        grad_scale=8,
        schedule="constant",
        groups=(Group(tuple((name, _HYPER[name]) for name in hyper_names(Rule.ADAM)), 0),),
        parameters=(Parameter("weight", (BLOCK,), 0, BLOCK, 0),),
        unproved=(),
        size=BLOCK,
        blocks=(Block(0, 0, BLOCK),),
        data=Data(b"", 1000, "sequential", 10, b""),
        model_code=b"",
        prover=Prover("none", VERSION, BLOCK, 1),
        keys=(SIGNER.public_key.encode(),),
    )


def records(count: int) -> Iterator[bytes]:
    """The leaves of a run of `count` steps, closed."""
    run = header()
    salts = {name: sha256(name.encode()).digest() for name in run.states[1:]}
    zeros = np.zeros(BLOCK, np.int64)
    state: StateCommitments = {"W": (_drawn(0, 0),)}
    state |= {name: (commit(zeros, salts[name]),) for name in salts}
    yield to_bytes(run)
    yield to_bytes(Genesis(state, {name: (salt,) for name, salt in salts.items()}))
    digests = tuple(state[name][0] for name in sorted(state))
    for index in range(count):
        after = tuple(_drawn(index, i) for i in range(3))
        gradient, batches, loss = _drawn(index, 3), _drawn(index, 4), f"0.{index % 10**6:06d}"
        yield _record(index, digests, after, gradient, batches, loss)
        digests = after
    yield to_bytes(Close(count, count, _state(digests)))


_NAMES = ("M", "V", "W")


def _record(
    index: int, before: Sequence[bytes], after: Sequence[bytes], gradient: bytes, batches: bytes, loss: str
) -> bytes:
    """What `to_bytes` writes for the segment (a tenth of its time), which is asked now and then."""
    ends = [
        "{" + ",".join(f'"{name}":["{one.hex()}"]' for name, one in zip(_NAMES, end, strict=True)) + "}"
        for end in (before, after)
    ]
    leaf = (
        f'{{"batches":"{batches.hex()}","claimed":{{"loss":["{loss}"],"saturated":[0]}},"first":{index + 1},"gradients":["{gradient.hex()}"],'
        f'"index":{index},"last":{index + 1},"lr":[],"proofs":[],"state_in":{ends[0]},"state_out":{ends[1]},"type":"segment"}}'
    ).encode()
    if index % 1000 == 0:
        step = index + 1
        segment = Segment(index, step, step, _state(before), _state(after), (gradient,), batches, (), (), (loss,), (0,))
        assert leaf == to_bytes(segment)
    return leaf


def _state(digests: Sequence[bytes]) -> StateCommitments:
    return {name: (digest,) for name, digest in zip(_NAMES, digests, strict=True)}


def _drawn(index: int, what: int) -> bytes:
    """A commitment to nothing in particular."""
    return sha256(index.to_bytes(8, "big") + bytes([what])).digest()[: BACKENDS["none"].commitment_bytes]


def write(run: Path, count: int) -> int:
    """The run's folder; the bytes of its records."""
    (run / "log").mkdir(parents=True)
    tree, size = Frontier(), 0
    with (run / "log/records.jsonl").open("wb") as file:
        for leaf in records(count):
            tree.append(leaf_hash(leaf))
            size += file.write(leaf + b"\n")
    (run / "log/checkpoint").write_bytes(sign(checkpoint_text(header().origin, tree.size, tree.root()), [SIGNER]))
    return size


def judged(run: Path, out: Path, *options: str) -> tuple[float, float, float]:
    """Wall and processor seconds and peak MB of `zk-verify` on the run."""
    key = SIGNER.public_key.encode()
    command = [sys.executable, "-c", _JUDGED, str(out), str(run), "--key", key, "--require", "L0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr or done.stdout)
    status, wall, processor, peak = json.loads(done.stdout)
    if status:
        raise SystemExit(f"zk-verify ended with status {status}:\n{out.read_text()}")
    return wall, processor, peak * 1024 / MB


def of_records(folder: Path, count: int) -> Iterator[Figure]:
    """The figures of a run of `count` segment records."""
    run = folder / "long"
    yield Figure("verify.records_mb", round(write(run, count) / MB, 1), f"MB of {count:,} segment records")
    wall, processor, peak = judged(run, folder / "out")
    goal = Goal(40, 20, at_most=True) if count == RECORDS else None
    yield Figure("verify.records_s", round(wall, 2), "s: whole zk-verify", goal=goal)
    yield Figure("verify.records_cpu_s", round(processor, 2), "s of processor time")
    yield Figure("verify.records_peak_mb", round(peak, 1), "MB at most", goal=Goal(500, 500, at_most=True))
    yield from of_reading(run, min(count, PEER_RECORDS))


def of_reading(run: Path, count: int) -> Iterator[Figure]:
    """Reading a record the short way, against the definition of what a record is."""
    with (run / "log/records.jsonl").open("rb") as file:
        leaves = [line[:-1] for line in islice(file, count + 2)]
    reader = LogReader()
    for leaf in leaves[:2]:
        reader.add(leaf)
    start = time.process_time()
    for leaf in leaves[2:]:
        reader.add(leaf)
    short = (time.process_time() - start) / count * 10**6
    start = time.process_time()
    for leaf in leaves[2:]:
        parse(leaf, reader.header)
    long = (time.process_time() - start) / count * 10**6
    yield Figure("verify.parse_reference_us", round(long, 2), "us a record")
    yield Figure("verify.parse_us", round(short, 2), "us a record", "verify.parse_reference_us", round(short / long, 3))


def of_report(folder: Path, count: int) -> Iterator[Figure]:
    """The figures of an auditor's reports on a run of `count` segments."""
    run = folder / "shorter"
    write(run, count)
    for name, options in (("text", ()), ("json", ("--json",)), ("html", ("--report", str(folder / "page.html")))):
        if name == "html" and find_spec("zk_autograd.verify.page") is None:
            continue  # this version writes no page
        out = folder / "out"
        wall, processor, _ = judged(run, out, *options)
        size = (folder / "page.html" if name == "html" else out).stat().st_size
        goal = Goal(3, 3, at_most=True)
        yield Figure(
            f"verify.report_{name}_s", round(wall, 2), f"s: judging {count:,} segments, and reporting", goal=goal
        )
        yield Figure(f"verify.report_{name}_cpu_s", round(processor, 2), "s of processor time")
        yield Figure(f"verify.report_{name}_mb", round(size / MB, 4), "MB", goal=Goal(2, 2, at_most=True))


def of_help() -> Iterator[Figure]:
    """Starting: the best of some, since the disk's cache is none of ours."""
    seconds = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(10):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "zk_autograd.cli.verify", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    yield Figure("verify.help_s", round(min(seconds), 3), "s: zk-verify --help", goal=Goal(0.1, 0.1, at_most=True))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    yield Figure("verify.help_cpu_s", round(used / 10, 3), "s of processor time")


def figures(count: int, segments: int) -> Iterator[Figure]:
    """All figures of this benchmark, as they come."""
    yield conditions()
    yield from of_help()
    with tempfile.TemporaryDirectory() as name:
        yield from of_report(Path(name), segments)
        yield from of_records(Path(name), count)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--records", type=int, default=RECORDS, help="segment records to judge (default 10^6)")
    parser.add_argument("--segments", type=int, default=10**4, help="segments of the run reported on (default 10^4)")
    arguments = parser.parse_args()
    emit(figures(arguments.records, arguments.segments), as_json=arguments.json)


if __name__ == "__main__":
    main()
