"""The exact pass gives the same bits whatever multiplies: here NumPy's OpenBLAS, as compiled for
other processors and by more threads; tests/optim/exact/test_torch_matmul.py has torch's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
EXACT = "f8d91412ca555c0644de4e1886d0117acf13bf7c10040df349b4bea800f16834"
"""Of the steps of one_step.py, as the oracle's integers and any other machine's."""


def there(device: str, **environment: str) -> list[dict[str, Any]]:
    """What a child process prints."""
    command = [sys.executable, "-m", "tests.core.graph.one_step", device]
    done = subprocess.run(command, env=os.environ | environment, cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def by_kernel() -> dict[tuple[str, str], dict[str, Any]]:
    """By OPENBLAS_CORETYPE ("" for what it chooses) and number of threads."""
    return {
        (core, threads): there("numpy", OPENBLAS_CORETYPE=core, OPENBLAS_NUM_THREADS=threads)[0]
        for core in ("", "Haswell")
        for threads in ("1", "2")
    }


@pytest.mark.slow
def test_openblas_gives_the_same_bits(by_kernel: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert {found["exact"] for found in by_kernel.values()} == {EXACT}


@pytest.mark.slow
def test_other_kernels_do_sum_in_another_order(by_kernel: dict[tuple[str, str], dict[str, Any]]) -> None:
    """The control: without the check of the sums, and in float32, these very machines differ."""
    if not has_avx512():
        pytest.skip("this processor has no AVX-512, so that OpenBLAS's default may be Haswell's kernels themselves")
    for inexact in ("unsplit", "float32"):
        assert len({found[inexact] for found in by_kernel.values()}) > 1, inexact
    assert EXACT not in {found["unsplit"] for found in by_kernel.values()}


def has_avx512() -> bool:
    """Whether the processor says so (proc(5))."""
    path = Path("/proc/cpuinfo")
    return path.exists() and "avx512f" in path.read_text(encoding="utf-8", errors="replace").split()
