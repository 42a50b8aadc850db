"""Whether the compiled part is here. It is imported where it is used, so that what needs none of it starts without it."""

from zk_autograd.core.errors import UsageError


def require_built() -> None:
    """UsageError, saying how to get it, if `zk_autograd._native` is not built, or is of older sources that had no prover."""
    try:
        from zk_autograd import _native
    except ImportError as error:
        raise UsageError(
            "the native prover's compiled module is not here: install a wheel of zk-autograd, or in a checkout run `make install`, "
            "which needs cargo"
        ) from error
    if not hasattr(_native, "Job"):
        raise UsageError("the compiled module zk_autograd._native is of older sources: run `make install` again")
