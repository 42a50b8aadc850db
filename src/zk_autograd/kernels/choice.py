"""Which kernel computes the steps: by name, for the device that the model is on."""

import os
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    from zk_autograd.kernels.protocol import Kernel  # a command's help needs the names, and waits for nothing else

AUTO = "auto"
KERNELS = (AUTO, "native", "triton", "torch")
_MODULES = {
    "native": "zk_autograd.kernels.native",
    "triton": "zk_autograd.kernels.triton_gpu",
    "torch": "zk_autograd.kernels.torch_ops",
}
"""By name, not by an import statement: each needs something of its own."""
USE_TRITON = "USE_TRITON"
"""The environment variable that makes "auto" pick Triton's kernels where they run."""


class SlowKernel(UserWarning):
    """Steps are computed without the compiled module, several times slower."""


def kernel_called(name: str, device: str = "cpu") -> "Kernel":
    """The kernel called `name`, one of KERNELS, for tensors on `device`: a torch device's type.

    "auto" is the native kernel on a CPU, or torch's operations with a warning `SlowKernel` where
    nothing is compiled; elsewhere torch's operations, which run on any device; Triton's where they
    can and USE_TRITON is 1. A kernel that was named is never replaced by another. UsageError for a
    name that is none, and for a kernel that can't be had here.
    """
    if name not in KERNELS:
        raise UsageError(f"there is no kernel {name[:40]!r}; choose one of {', '.join(KERNELS)}")
    if name == AUTO:
        name = _picked(device)
    if name == "native" and device != "cpu":
        raise UsageError(
            f'kernel="native" computes on the CPU, but the model is on {device}: choose "triton" or "torch", or move the model'
        )
    found: Kernel = import_module(_MODULES[name]).kernel()
    return found


def _picked(device: str) -> str:
    runs = (device == "cuda" or os.environ.get("TRITON_INTERPRET") == "1") and find_spec("triton") is not None
    if runs and os.environ.get(USE_TRITON) == "1":
        return "triton"
    if device != "cpu":
        return "torch"
    if _is_compiled():
        return "native"
    warnings.warn(
        "the compiled module zk_autograd._native is not installed, so steps are computed by torch's operations, several times slower: "
        "install a wheel of zk-autograd, or in a checkout run `make install`, which needs cargo",
        SlowKernel,
        stacklevel=4,
    )
    return "torch"


def _is_compiled() -> bool:
    try:
        return hasattr(import_module("zk_autograd._native"), "Stepper")
    except ImportError:
        return False
