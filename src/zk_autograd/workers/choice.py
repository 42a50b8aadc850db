"""Workers by the name that a user gives them."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.prove.executors.processes import ProcessWorkers
from zk_autograd.prove.executors.protocol import Workers, require_fit
from zk_autograd.workers.gateway import GatewayWorkers
from zk_autograd.workers.names import CLUSTERS, DASK, INLINE, PROCESSES, RAY, require_keys, require_name
from zk_autograd.workers.sealing import read_recipient

_LIBRARIES = {DASK: "distributed", RAY: "ray"}


@dataclass(frozen=True, slots=True)
class Proving:
    """Who makes a run's proofs: workers of this name (workers.names), `keys` the files of their
    public keys. UsageError for a name that is none, or that doesn't go with the keys."""

    name: str = INLINE
    keys: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.name, "workers")
        require_keys(self.name, self.keys)

    def require_fit(self, prover: str) -> None:
        """UsageError for a prover whose proofs these workers can't make."""
        require_fit(self.name, self.name.partition(":")[0] not in CLUSTERS, prover)

    def workers(self, scratch: Path | None = None) -> Workers | None:
        """New ones, None for "inline"; they are not started. `scratch` is where the witness of a
        process of this machine may lie. UsageError for a key that can't be read, or a library that
        is missing."""
        kind, _, rest = self.name.partition(":")
        if kind == INLINE:
            return None
        if kind == PROCESSES:
            return ProcessWorkers(int(rest or 1), scratch)
        if find_spec(_LIBRARIES[kind]) is None:
            raise UsageError(
                f"{kind} is not installed: `pip install 'zk-autograd[{kind}]'`, or choose {PROCESSES}:{os.cpu_count()}"
            )
        return GatewayWorkers(kind, rest, [read_recipient(path) for path in self.keys])
