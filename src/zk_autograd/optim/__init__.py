"""The trainer's side: an optimizer whose step is core's exact integer rule, and exact gradients for
it. It loads torch when one of its names is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["ExactGradient", "ZKOptimizer", "exact_graph"]

if TYPE_CHECKING:
    from zk_autograd.optim.exact import ExactGradient, exact_graph
    from zk_autograd.optim.optimizer import ZKOptimizer
else:
    _PLACES = {
        "ExactGradient": "zk_autograd.optim.exact",
        "ZKOptimizer": "zk_autograd.optim.optimizer",
        "exact_graph": "zk_autograd.optim.exact",
    }

    def __getattr__(name: str) -> object:
        # zk-key needs `keyfile` of this package, and must not wait for torch.
        if name in _PLACES:
            try:
                return getattr(import_module(_PLACES[name]), name)
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                raise ModuleNotFoundError(
                    f"{name} needs torch: pip install 'zk-autograd[train]'", name="torch"
                ) from None
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
