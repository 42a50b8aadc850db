"""Half the squared error, added up over the outputs."""

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Kind
from zk_autograd.optim.exact.network import Affine, Network, TwoLogits


def outputs(network: Network, value: Affine | TwoLogits) -> None:
    """A value an output. UsageError for two logits."""
    if isinstance(value, TwoLogits):
        raise UsageError(
            f'the model gives two logits of {value.logit.name}, and loss="mse" takes values: use loss="logistic"'
        )
    network.outputs(Kind.VALUE, value)
