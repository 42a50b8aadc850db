"""The exact pass: a model as a graph of units, and forward and backward pass as an exact integer
function of weights and data (docs/gradients.md)."""

from zk_autograd.core.graph.acceptance import require_acceptable
from zk_autograd.core.graph.errors import UnitRangeError
from zk_autograd.core.graph.passes import Gradient, Pass
from zk_autograd.core.graph.units import Graph, Kind, Tensor, TensorKind, Units

__all__ = ["Gradient", "Graph", "Kind", "Pass", "Tensor", "TensorKind", "UnitRangeError", "Units", "require_acceptable"]
