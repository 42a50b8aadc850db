"""environment.json: what in the machine and its software can affect a result, to the last bit, and
nothing about whose they are.

It has no host, user, path, kernel or serial number, and of the environment variables only those of
`VARIABLES`, if their values are plain. It has what another machine must share for a training to
repeat itself: processor features and vector units (they choose the order of additions), the
versions of Python, NumPy, torch and BLAS, the number of torch's threads, and torch's settings.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.credentials.redaction import looks_secret
from zk_autograd.evidence.layout import ENVIRONMENT
from zk_autograd.version import __version__

FORMAT = "zk-autograd/environment/v0"
MAX_BYTES = 2**16

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
)
"""Environment variables that change results."""

_PACKAGES = ("numpy", "torch", "scikit-learn", "ezkl")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9:,._+-]{0,60}")
_FLAGS = frozenset(
    [
        "sse4_1",
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512dq",
        "avx512bw",
        "avx512vl",
        "avx512_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_bf16",
        "amx_int8",
        "amx_tile",
        "avx_vnni",
        "asimd",
        "asimddp",
        "asimdhp",
        "bf16",
        "i8mm",
        "sve",
        "sve2",
    ]
)


def current() -> bytes:
    """environment.json's bytes for this process as it is now. torch's part is
    empty unless something imported it."""
    return encode(
        {
            "format": FORMAT,
            "python": {"implementation": platform.python_implementation(), "version": platform.python_version()},
            "system": {"name": platform.system(), "libc": " ".join(platform.libc_ver())},
            "machine": {"architecture": platform.machine(), "features": _features()},
            "packages": {"zk-autograd": __version__, **{name: _version(name) for name in _PACKAGES}},
            "blas": _blas(),
            "torch": _torch(),
            "variables": _variables(os.environ),
        }
    )


def differences(recorded: bytes, here: bytes) -> list[str]:
    """Where the second environment differs from the first: sentences such as "packages.numpy: 2.1
    there, 2.2 here".

    VerificationError for what is not an environment.json.
    """
    there, now = _flat(parsed(recorded)), _flat(parsed(here))
    return [
        f"{name}: {there.get(name, 'nothing')} there, {now.get(name, 'nothing')} here"
        for name in sorted(there.keys() | now.keys())
        if there.get(name) != now.get(name)
    ]


def parsed(content: bytes) -> Mapping[str, Json]:
    """What environment.json holds. VerificationError unless it is canonical and of this format;
    what it says is the trainer's word."""
    value = decode(content, max_bytes=MAX_BYTES)
    Fields(value, ENVIRONMENT).choice("format", (FORMAT,))
    if not isinstance(value, dict):
        raise VerificationError(f"{ENVIRONMENT} is not an object")
    return value


def _features() -> list[str]:
    """Vector units of the processor, sorted; none where the system doesn't tell."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return []
    return sorted(_FLAGS & set(line.partition(":")[2].split()))


def _version(name: str) -> str:
    """The installed version, "" if there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _blas() -> str:
    """NumPy's: name and version."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    blas = found.get("Build Dependencies", {}).get("blas", {})  # with paths of where NumPy was built
    return " ".join(str(blas.get(key, "")) for key in ("name", "version")).strip()


def _torch() -> dict[str, Json]:
    torch = sys.modules.get("torch")  # whoever computes with it has imported it
    if torch is None:
        return {}
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": torch.backends.mkl.is_available(),
        "mkldnn": torch.backends.mkldnn.is_available(),
        "cuda": torch.version.cuda or "",
        "default_dtype": str(torch.get_default_dtype()),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def _variables(environ: Mapping[str, str]) -> dict[str, Json]:
    """The `VARIABLES` that are set; "other" for a value that is not plain, or looks secret."""
    found: dict[str, Json] = {}
    for name in VARIABLES:
        if name in environ:
            value = environ[name]
            found[name] = value if _PLAIN_VALUE.fullmatch(value) and not looks_secret(value) else "other"
    return found


def _flat(value: Json, place: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {place: " ".join(map(str, value)) if isinstance(value, list) else str(value)}
    found: dict[str, str] = {}
    for name, item in value.items():
        found |= _flat(item, f"{place}.{name}" if place else name)
    return found
