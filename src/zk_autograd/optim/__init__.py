"""The trainer's side: an optimizer whose step is core's exact integer rule. It loads torch when
`ZKOptimizer` is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["ZKOptimizer"]

if TYPE_CHECKING:
    from zk_autograd.optim.optimizer import ZKOptimizer
else:

    def __getattr__(name: str) -> object:
        # zk-key needs `keyfile` of this package, and must not wait for torch.
        if name == "ZKOptimizer":
            try:
                return import_module("zk_autograd.optim.optimizer").ZKOptimizer
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                raise ModuleNotFoundError(
                    "ZKOptimizer needs torch: pip install 'zk-autograd[train]'", name="torch"
                ) from None
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
