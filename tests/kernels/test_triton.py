"""Triton's programs without a GPU: in the interpreter, in a process of its own (it is switched on
before triton is loaded), and compiled for GPUs that aren't here."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.kernels.choice import kernel_called

if find_spec("torch") is None or find_spec("triton") is None:
    pytest.skip("triton, which torch brings along on Linux, is not installed", allow_module_level=True)

import torch
from triton import knobs

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent

TYPES = {
    **{"w_low": "*i32", "w_high": "*i16", "m_low": "*i32", "m_high": "*i16", "v": "*i64", "b": "*i32"},
    **{"gradient": "*fp32", "weights": "*fp32", "integers": "*i32", "report": "*i64", "scale": "fp32"},
}


def test_without_a_gpu_triton_is_refused_in_a_sentence() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: benchmarks/on_gpu.py compares the kernels on it")
    assert not knobs.runtime.interpret, "only a process of its own interprets Triton's programs"
    with pytest.raises(UsageError, match=r'kernel="triton" needs a GPU .* choose kernel="native" or "torch"'):
        kernel_called("triton")


@pytest.mark.slow
def test_in_the_interpreter_steps_are_those_of_core() -> None:
    files = [str(FOLDER / "test_steps.py"), str(FOLDER / "interpreted_arithmetic.py")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=environment | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = int(done.stdout.split(" passed")[0].split()[-1])
    assert passed > 40
    assert "skipped" not in done.stdout


def compiled(name: str, target: Any, **options: object) -> Any:
    """The kernel as it is launched on that GPU, its planes aligned."""
    import triton
    from triton.compiler import ASTSource

    from zk_autograd.kernels import triton_steps

    kernel = getattr(triton_steps, name)
    types: dict[str, str] = {}
    for argument in kernel.arg_names:
        types[argument] = "constexpr" if argument in options else TYPES.get(argument.removeprefix("new_"), "i32")
    if not options.get("FLOATS", True):
        types["gradient"] = "*i32"
    attributes = {(at,): [["tt.divisibility", 16]] for at, kind in enumerate(types.values()) if kind.startswith("*")}
    source = ASTSource(kernel, types, constexprs=options, attrs=attributes)
    return triton.compile(source, target=target, options={"enable_fp_fusion": True})


@pytest.mark.slow
@pytest.mark.parametrize(
    "gpu",
    [
        ("cuda", 90, 32),
        pytest.param(("cuda", 80, 32), marks=pytest.mark.long),
        pytest.param(("cuda", 120, 32), marks=pytest.mark.long),
        pytest.param(("hip", "gfx942", 64), marks=pytest.mark.long),
    ],
    ids=lambda gpu: f"{gpu[0]}-{gpu[1]}",
)
def test_every_rule_compiles_for_a_gpu(
    gpu: tuple[str, Any, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter takes what the compiler doesn't: types, shapes, a function's operands."""
    from triton.backends.compiler import GPUTarget

    from zk_autograd.kernels.triton_gpu import BLOCK, ROWS

    assert set(ROWS) == set(Rule)
    monkeypatch.setattr(knobs.cache, "dir", str(tmp_path))
    target = GPUTarget(*gpu)
    for kernel, options in {(row.kernel, tuple(row.options.items())) for row in ROWS.values()}:
        for floats in (True, False):
            found = compiled(kernel, target, **dict(options), FLOATS=floats, BLOCK=BLOCK)
            assert len(found.asm["cubin" if gpu[0] == "cuda" else "hsaco"]) > 1000
    for back in (True, False):
        assert compiled("write", target, BACK=back, BLOCK=BLOCK).asm
