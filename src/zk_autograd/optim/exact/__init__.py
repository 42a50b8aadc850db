"""Exact gradients for `ZKOptimizer`: a model as a graph of units, and its data as cells.

graph = exact_graph(model, loss="cross-entropy", features=64)
gradient = ExactGradient(graph, (features, labels), batch_size=32)
optimizer = ZKOptimizer(model.named_parameters(), lr=0.003, gradient=gradient)
loss = optimizer.step()
"""

from zk_autograd.optim.exact.gradient import ExactGradient
from zk_autograd.optim.exact.graphs import exact_graph
from zk_autograd.optim.exact.model_graph import ModelGraph
from zk_autograd.optim.exact.torch_matmul import TorchMatmul

__all__ = ["ExactGradient", "ModelGraph", "TorchMatmul", "exact_graph"]
