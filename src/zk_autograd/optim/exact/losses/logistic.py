"""Logistic regression's loss: cross-entropy over two classes, of which the first one's logit is
0."""

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Kind
from zk_autograd.optim.exact.network import Affine, Network, TwoLogits


def outputs(network: Network, value: Affine | TwoLogits) -> None:
    """Two classes, of one logit. UsageError for several."""
    logit = value.logit if isinstance(value, TwoLogits) else value
    if logit.width != 1:
        raise UsageError(
            f'{logit.name} gives {logit.width:,} outputs, and loss="logistic" takes one logit: use loss="cross-entropy"'
        )
    network.append(Kind.ZERO_CLASS, 1)
    network.outputs(Kind.CLASS, logit)
