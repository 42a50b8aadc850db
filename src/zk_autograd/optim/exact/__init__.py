"""Exact gradients for `ZKOptimizer`: a model as a graph of units, and its data as cells.

graph = exact_graph(model, loss="cross-entropy", features=64)
optimizer = ZKOptimizer(model.named_parameters(), gradient=ExactGradient(graph, data, batch_size=32))
loss = optimizer.step()
"""

from zk_autograd.optim.exact.gradient import ExactGradient
from zk_autograd.optim.exact.tracing import ModelGraph, exact_graph

__all__ = ["ExactGradient", "ModelGraph", "exact_graph"]
