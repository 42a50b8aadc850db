"""The bounds of docs/verification.md, "What it costs", held by the system: zk-verify runs in a
process of its own that may take so much memory and no more (RLIMIT_DATA), and ten times the
processor time that it should (RLIMIT_CPU).

A verification that hits the first ends as "not judged", one that hits the second is killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.bench_verify import SIGNER
from benchmarks.bench_verify import write as write_long
from tests.verify.hostile import FAILED, SHOWN, UNJUDGED, VKEY, put, sparse
from tests.verify.run_builder import honest
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_artefacts
from zk_autograd.core.canonical import MAX_MARKS
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.verify.log import MAX_LOG

MIB = 2**20
FEW = 24 * MIB
"""What judging anything takes: buffers, the small files, a report."""

_LIMITED = """
import resource, sys
import numpy, safetensors
import zk_autograd.prove.hashed.verify, zk_autograd.verify.verifier
from zk_autograd.cli.verify import main
memory, seconds = int(sys.argv[1]), int(sys.argv[2])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
there = int(status["VmData"].split()[0]) * 1024
used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1
resource.setrlimit(resource.RLIMIT_DATA, (there + memory, there + memory))
resource.setrlimit(resource.RLIMIT_CPU, (used + 10 * seconds, used + 10 * seconds))
sys.exit(main(sys.argv[3:]))
"""


def judged(run: Path, memory: int, seconds: int, key: str = VKEY) -> tuple[int, str]:
    """The exit status of zk-verify that may take `memory` bytes beyond what is there at the start,
    and ten times so many seconds of processor time; and what it prints, as JSON."""
    limits = [str(memory), str(seconds)]
    command = [sys.executable, "-c", _LIMITED, *limits, str(run), "--key", key, "--require", "L0", "--json"]
    one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # each of its threads has a buffer
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return honest("none").write(tmp_path / "run")


def with_first(run: Path, record: bytes) -> None:
    """The log begins with these bytes."""
    put(run, [record], honest("none").header.origin)


def test_an_honest_run_is_judged_within_the_limits(run: Path) -> None:
    status, text = judged(run, FEW, 2)
    assert status == SHOWN, text


def test_the_limit_on_memory_is_one(run: Path) -> None:
    """A record that takes more than it may ends the verification, and tells nothing of the run."""
    with_first(run, b'["' + b"a" * (16 * MIB) + b'"]')
    status, text = judged(run, 20 * MIB, 2)
    assert status == UNJUDGED, text
    assert "memory" in text


@pytest.mark.slow
def test_the_limit_on_time_is_one(run: Path) -> None:
    put_bomb, memory, _, _ = bombs()["brackets"]
    put_bomb(run)
    status, _ = judged(run, memory, 0)
    assert status in (-signal.SIGXCPU, -signal.SIGKILL)


def bombs() -> dict[str, tuple[Callable[[Path], None], int, int, str]]:
    """For each: what is done to the run, the memory and the seconds that its refusal may take, and
    what is said."""

    def log_of(size: int) -> Callable[[Path], None]:
        return lambda run: sparse(run / "log/records.jsonl", size)

    brackets = b"[" + b"[]," * (MAX_MARKS // 3 - 2) + b"[]]"
    digits = b"[" + b"1" * (8 * MIB) + b"]"
    deep = b"[" * MIB + b"]" * MIB
    text = b'["' + b"a" * (8 * MIB) + b'"]'
    numbers = b"[" + b"1," * (MAX_MARKS - 8) + b"1]"

    def first(record: bytes) -> Callable[[Path], None]:
        return lambda run: with_first(run, record)

    def reading(record: bytes) -> int:
        """Memory for a record while it is read."""
        marks = sum(record.count(mark) for mark in (b"[", b"]", b"{", b"}", b",", b":"))
        return FEW + 20 * len(record) + 100 * marks

    return {
        "a log of a tebibyte": (log_of(2**40), FEW, 1, "records.jsonl is too large"),
        "a log above its bound": (log_of(MAX_LOG + 1), FEW, 1, "records.jsonl is too large"),
        # readline's own buffer grows by doubling
        "a log that is one line": (log_of(MAX_LOG), FEW + 3 * MAX_RECORD, 1, "does not end"),
        "a checkpoint of a tebibyte": (lambda run: sparse(run / "log/checkpoint", 2**40), FEW, 1, "checkpoint is too large"),
        "weights of a gibibyte": (
            lambda run: sparse(run / "model/weights.i64.safetensors", 2**30), FEW, 4, "weights.i64.safetensors",
        ),
        "an opening of a tebibyte": (lambda run: sparse(run / "model/opening.json", 2**40), FEW, 1, "opening.json"),
        "a training log of a gibibyte": (long_train_log, FEW, 4, "train_log.jsonl"),
        "brackets": (first(brackets), reading(brackets), 10, "record is invalid"),
        "more brackets": (first(brackets + b"[]" * 16), FEW + 3 * len(brackets), 1, "too many brackets"),
        "digits": (first(digits), reading(digits), 2, "an integer of 8388608 characters"),
        "numbers": (first(numbers), reading(numbers), 10, "record is invalid"),
        "depth": (first(deep), reading(deep), 2, "nested deeper"),
        "a text": (first(text), reading(text), 2, "record is invalid"),
    }  # fmt: skip


def long_train_log(run: Path) -> None:
    other = honest("none")
    contents = contents_of(other)
    name_artefacts(other, contents)
    other.write(run)
    for name, data in contents.items():
        (run / name).write_bytes(data)
    sparse(run / "train_log.jsonl", 2**30)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", list(bombs()))
def test_a_bomb_is_refused_within_its_bounds(run: Path, bomb: str) -> None:
    place, memory, seconds, said = bombs()[bomb]
    place(run)
    status, text = judged(run, memory, seconds)
    assert status == FAILED, text
    assert said in text


@pytest.mark.slow
def test_a_log_is_held_in_less_than_its_own_size(tmp_path: Path) -> None:
    """10^5 records, read, hashed, chained, and their constants computed."""
    size = write_long(tmp_path / "run", 10**5)
    status, text = judged(tmp_path / "run", FEW + size // 2, 5, SIGNER.public_key.encode())
    assert status == SHOWN, text
    assert "steps 1..100000 without a gap" in text
