"""The exact pass: a model as a graph of units, and forward and backward pass as an exact integer
function of weights and data (docs/gradients.md).

Each name is imported when it is first asked for: whoever judges a run of floats needs the bounds
and the text's form alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["Gradient", "Graph", "Kind", "Pass", "Tensor", "TensorKind", "UnitRangeError", "Units", "require_acceptable"]

if TYPE_CHECKING:
    from zk_autograd.core.graph.acceptance import require_acceptable
    from zk_autograd.core.graph.errors import UnitRangeError
    from zk_autograd.core.graph.passes import Gradient, Pass
    from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind, Units
else:
    _PLACES = {
        "Gradient": "passes",
        "Graph": "units",
        "Kind": "units",
        "Pass": "passes",
        "Tensor": "units",
        "TensorKind": "units",
        "UnitRangeError": "errors",
        "Units": "units",
        "require_acceptable": "acceptance",
    }

    def __getattr__(name: str) -> object:
        if name in _PLACES:
            return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
