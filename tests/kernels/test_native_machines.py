"""The compiled kernel for machines other than this one: its instructions chosen as it runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.parametrize("machine", ["x86-64", "x86-64-v3"])
def test_a_kernel_compiled_for_lesser_machines_gives_the_same_bits(machine: str) -> None:
    """Here "auto", "v3" and "scalar" are different instructions, if the machine has them; in a
    checkout's own build all are the machine's."""
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo here to compile the kernel with")
    environment = os.environ | {
        "RUSTFLAGS": f"-C target-cpu={machine}",
        "CARGO_TARGET_DIR": str(ROOT / ".cache" / "kernel" / machine),
    }
    command = ["cargo", "test", "--locked", "-p", "zk-autograd-kernel"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all_sets_of_instructions_give_the_same_bits ... ok" in done.stdout
