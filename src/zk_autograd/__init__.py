"""zk-autograd: training steps that a stranger can check.

A trainer needs one name, `ZKOptimizer`. It loads torch, so it is imported when it is first asked for, and the
verifier, which shares this package, starts without it. An auditor needs the command `zk-verify`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["ZKOptimizer", "__version__"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zk_autograd.optim import ZKOptimizer
else:

    def __getattr__(name: str) -> object:
        if name == "ZKOptimizer":
            # By its name, not by an import statement: for a dependency checker one of those would tie every
            # module of the package, the verifier's too, to torch.
            return import_module("zk_autograd.optim").ZKOptimizer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
