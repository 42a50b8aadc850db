"""Workers by the name that a user gives them: processes:N, inline, dask:ADDRESS, ray:ADDRESS."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import has_control
from zk_autograd.prove.executors.processes import MAX_PROCESSES, ProcessWorkers
from zk_autograd.prove.executors.protocol import Workers
from zk_autograd.workers.gateway import GatewayWorkers
from zk_autograd.workers.sealing import MAX_WORKER_KEYS, read_recipient

INLINE, PROCESSES, DASK, RAY = "inline", "processes", "dask", "ray"
DEFAULT = f"{PROCESSES}:1"
MAX_ADDRESS = 300
_LIBRARIES = {DASK: "distributed", RAY: "ray"}


def require_workers(name: str, keys: Sequence[Path], where: str = "--workers") -> None:
    """UsageError for a name that is no workers', and for keys that they have no use for; `where`
    says where it was set. Nothing is started."""
    kind, _, rest = name.partition(":")
    if kind in _LIBRARIES:
        if not 0 < len(rest) <= MAX_ADDRESS or has_control(rest) or " " in rest:
            raise UsageError(f"{where} is {name[:40]!r}; name the cluster's address, such as {kind}:10.0.0.1:8786")
        if not 1 <= len(keys) <= MAX_WORKER_KEYS:
            raise UsageError(
                f"tasks for {name} are sealed for workers that are named by key: name 1 to {MAX_WORKER_KEYS} public keys with "
                "--worker-key (worker_keys=); a worker makes its own with `zk-key new-worker-key`"
            )
        return
    if keys:
        raise UsageError(
            "worker keys are for the workers of a cluster: leave them out, or choose dask:ADDRESS or ray:ADDRESS"
        )
    if kind == INLINE and not rest and name == INLINE:
        return
    count = rest or "1"
    if kind == PROCESSES and name in (kind, f"{kind}:{count}"):
        if count.isdecimal() and count.isascii() and len(count) <= 4 and 1 <= int(count) <= MAX_PROCESSES:
            return
        raise UsageError(
            f"{where} is {name[:40]!r}; there can be 1 to {MAX_PROCESSES} processes, such as {PROCESSES}:2"
        )
    raise UsageError(
        f"{where} is {name[:40]!r}; it is {PROCESSES}:N, N processes of this machine, {INLINE}, the training's own process, "
        f"{DASK}:ADDRESS or {RAY}:ADDRESS"
    )


def workers_called(name: str, keys: Sequence[Path] = (), scratch: Path | None = None) -> Workers | None:
    """The workers of this name, None for "inline". `keys` are files of public keys, `scratch` is
    where the witness of a process of this machine may lie. UsageError as `require_workers`, and for
    a library that is missing."""
    require_workers(name, keys)
    kind, _, rest = name.partition(":")
    if kind == INLINE:
        return None
    if kind == PROCESSES:
        return ProcessWorkers(int(rest or 1), scratch)
    if find_spec(_LIBRARIES[kind]) is None:
        raise UsageError(
            f"{kind} is not installed: `pip install 'zk-autograd[{kind}]'`, or choose {PROCESSES}:{os.cpu_count()}"
        )
    return GatewayWorkers(kind, rest, [read_recipient(path) for path in keys])
