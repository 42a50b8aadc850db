"""zk-autograd: training steps that a stranger can check.

A trainer needs `ZKOptimizer`, with `exact_graph` and `ExactGradient` where gradients are to be
recomputed, too; an auditor `verify_run`. Both also have commands, `zk-train` and `zk-verify`. Each
name is imported when it is first asked for: the trainer's loads torch, and the auditor's starts
without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from zk_autograd.version import __version__

__all__ = ["ExactGradient", "ZKOptimizer", "__version__", "exact_graph", "verify_run"]

if TYPE_CHECKING:
    from zk_autograd.auditing import verify_run
    from zk_autograd.optim import ExactGradient, ZKOptimizer, exact_graph
else:
    _PLACES = {
        "ExactGradient": "zk_autograd.optim",
        "ZKOptimizer": "zk_autograd.optim",
        "exact_graph": "zk_autograd.optim",
        "verify_run": "zk_autograd.auditing",
    }

    def __getattr__(name: str) -> object:
        if name in _PLACES:
            # By its name, not by an import statement: for a dependency checker one of those would
            # tie every module of the package, the verifier's too, to torch.
            return getattr(import_module(_PLACES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
