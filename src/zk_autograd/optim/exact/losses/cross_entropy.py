"""Softmax and cross-entropy over two or more classes."""

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Kind
from zk_autograd.optim.exact.losses import logistic
from zk_autograd.optim.exact.network import Affine, Network, TwoLogits


def outputs(network: Network, value: Affine | TwoLogits) -> None:
    """A class an output. UsageError for one output alone."""
    if isinstance(value, TwoLogits):
        logistic.outputs(network, value)
    elif value.width == 1:
        raise UsageError(f'{value.name} gives one output, and cross-entropy takes two or more: use loss="logistic"')
    else:
        network.outputs(Kind.CLASS, value)
