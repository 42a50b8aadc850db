"""The names that a user gives to workers: processes:N, inline, dask:ADDRESS, ray:ADDRESS."""

from collections.abc import Sequence

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import has_control

INLINE, PROCESSES, DASK, RAY = "inline", "processes", "dask", "ray"
CLUSTERS = (DASK, RAY)
DEFAULT = f"{PROCESSES}:1"
MAX_PROCESSES = 256
MAX_ADDRESS = 300
MAX_WORKER_KEYS = 256


def require_name(name: str, where: str) -> None:
    """UsageError for a name that is no workers'; `where` says where it was set. Nothing is
    started."""
    kind, colon, rest = name.partition(":")
    if kind in CLUSTERS:
        if not 0 < len(rest) <= MAX_ADDRESS or has_control(rest) or " " in rest:
            raise UsageError(f"{where} is {name[:40]!r}; name the cluster's address, such as {kind}:10.0.0.1:8786")
    elif kind == PROCESSES and (not colon or rest):
        count = int(rest) if rest.isascii() and rest.isdecimal() and len(rest) <= 4 else 0 if colon else 1
        if not 1 <= count <= MAX_PROCESSES:
            raise UsageError(
                f"{where} is {name[:40]!r}; there can be 1 to {MAX_PROCESSES} processes, such as {PROCESSES}:2"
            )
    elif name != INLINE:
        raise UsageError(
            f"{where} is {name[:40]!r}; it is {PROCESSES}:N, N processes of this machine, {INLINE}, the training's own process, "
            f"{DASK}:ADDRESS or {RAY}:ADDRESS"
        )


def require_keys(name: str, keys: Sequence[object]) -> None:
    """UsageError for workers that need keys and have none, or that have no use for those given."""
    if name.partition(":")[0] not in CLUSTERS:
        if keys:
            raise UsageError(
                f"worker keys are for the workers of a cluster: leave them out, or choose {DASK}:ADDRESS or {RAY}:ADDRESS"
            )
    elif not 1 <= len(keys) <= MAX_WORKER_KEYS:
        raise UsageError(
            f"tasks for {name} are sealed for workers that are named by key: name 1 to {MAX_WORKER_KEYS} public keys with "
            "--worker-key (worker_keys=); a worker makes its own with `zk-key new-worker-key`"
        )
