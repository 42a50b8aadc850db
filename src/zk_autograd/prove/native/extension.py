"""Whether the compiled module is here. It is imported where it is used, so that what doesn't need
it starts without it."""

import os

from zk_autograd.core.errors import ProverError, UsageError

_process: int | None = None
"""The process that has the compiled module's threads, once it has any."""


def require_built() -> None:
    """UsageError, saying how to get it, if `zk_autograd._native` is not built, or was built from
    older sources."""
    try:
        from zk_autograd import _native
    except ImportError as error:
        raise UsageError(
            "the native prover's compiled module is not installed: install a wheel of zk-autograd, or in a checkout run `make install`, "
            "which needs cargo"
        ) from error
    if not hasattr(_native, "commit_all"):
        raise UsageError(
            "the compiled module zk_autograd._native was built from older sources: run `make install` again"
        )


def require_threads() -> None:
    """ProverError in a forked child of a process that has proved, verified or committed: a fork
    leaves the compiled module's threads behind, and giving them work would hang for ever. Called
    before each of the three."""
    global _process  # noqa: PLW0603 - as global as the threads are
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise ProverError(
            f"the native prover was at work in process {_process} before this one was forked from it, and its threads stayed there: start "
            'this process another way (multiprocessing\'s "spawn"), or fork before the first step'
        )
