"""The losses that have an exact pass, a file a loss."""

from collections.abc import Callable, Mapping

from zk_autograd.optim.exact.losses import cross_entropy, logistic, mse
from zk_autograd.optim.exact.network import Affine, Network, TwoLogits

LOSSES: Mapping[str, Callable[[Network, Affine | TwoLogits], None]] = {
    "cross-entropy": cross_entropy.outputs,
    "logistic": logistic.outputs,
    "mse": mse.outputs,
}
"""How each makes the network's outputs of its last value."""
