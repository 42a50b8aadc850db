"""Which kernel a name gives, and what is said where it can't be had."""

import subprocess
import sys
import warnings
from types import ModuleType

import pytest

import zk_autograd
from zk_autograd.core.errors import UsageError
from zk_autograd.kernels import choice
from zk_autograd.kernels.choice import KERNELS, USE_TRITON, SlowKernel, kernel_called


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (USE_TRITON, "TRITON_INTERPRET"):
        monkeypatch.delenv(name, raising=False)


def test_auto_is_the_compiled_kernel_on_a_cpu_and_torch_elsewhere() -> None:
    assert kernel_called("auto").name == "native"
    assert kernel_called("auto", "cuda").name == "torch"
    assert [kernel_called(name).name for name in ("native", "torch")] == ["native", "torch"]


def test_auto_without_the_compiled_module_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zk_autograd._native", None)
    monkeypatch.delattr(zk_autograd, "_native", raising=False)
    with pytest.warns(SlowKernel, match="run `make install`"):
        assert kernel_called("auto").name == "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel_called("auto", "cuda").name == "torch"
    with pytest.raises(UsageError, match="not installed"):
        kernel_called("native")  # one that was named is never replaced


def test_the_variable_changes_what_auto_picks_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USE_TRITON, "1")
    assert kernel_called("auto").name == "native"  # Triton doesn't run on a CPU
    assert [kernel_called(name).name for name in ("native", "torch")] == ["native", "torch"]
    asked = list[str]()

    def imported(name: str) -> ModuleType:
        asked.append(name)
        return sys.modules[__name__]

    monkeypatch.setattr(choice, "_is_compiled", lambda: True)
    monkeypatch.setattr(choice, "import_module", imported)
    kernel_called("auto", "cuda")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    kernel_called("auto")
    monkeypatch.setenv(USE_TRITON, "0")
    kernel_called("torch")
    assert asked == ["zk_autograd.kernels.triton_gpu"] * 2 + ["zk_autograd.kernels.torch_ops"]


def kernel() -> None:
    """In the place of a kernel's module."""


@pytest.mark.parametrize("name", ["", "cuda", "Native", "numpy", "x" * 100])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"there is no kernel .*choose one of auto, native, triton, torch") as caught:
        kernel_called(name)
    assert len(str(caught.value)) < 120


def test_a_kernel_for_another_device_is_refused() -> None:
    with pytest.raises(UsageError, match="the model is on cuda"):
        kernel_called("native", "cuda")
    with pytest.raises(UsageError, match=r"kernel=.triton.*GPU"):
        kernel_called("triton", "cpu")


def test_the_names_are_known_without_torch() -> None:
    code = (
        "import sys; from zk_autograd.kernels.choice import KERNELS; print(*KERNELS); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*KERNELS]


def test_the_reference_is_loaded_with_numpy_alone() -> None:
    code = "import sys; import zk_autograd.kernels.reference; print('torch' in sys.modules, 'zk_autograd._native' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
