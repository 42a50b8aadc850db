"""nn.Linear, with a bias or without."""

from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.calls import Call, Calls
from zk_autograd.optim.exact.network import Affine, Given, Linear


def linear(call: Call) -> Affine:
    """The affine value of a layer over the features or a hidden run."""
    layer = call.module
    assert isinstance(layer, nn.Linear)
    (source,) = call.bound("input")
    if isinstance(source, Affine):
        raise UsageError(
            f"{call.name} takes what {source.name} gives with no ReLU between them, and two linear layers are one: put an nn.ReLU between "
            "them, or leave one out"
        )
    if not isinstance(source, Given):
        raise UsageError(
            f"{call.name} takes two logits, which belong to the loss: end the model with them, or use --level L1"
        )
    if source.units.count != layer.in_features:
        raise UsageError(
            f"{call.name} takes {layer.in_features:,} numbers, and gets {source.units.count:,} from {source.name}: make them the same"
        )
    return Affine((Linear(call.name, source, layer.weight, layer.bias),), layer.out_features)


CALLS: Calls = {nn.Linear: linear}
