"""The sum of what two linear layers give, as one that skips over others has it."""

import operator

import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.calls import Call, Calls
from zk_autograd.optim.exact.network import Affine


def add(call: Call) -> Affine:
    """One affine value, of at most one bias: two would stand at one place."""
    one, other, alpha = call.bound("input", "other", alpha=1)
    if not isinstance(one, Affine) or not isinstance(other, Affine) or one.width != other.width or alpha != 1:
        raise UsageError(
            f"{call.name} has an exact pass only as a sum of what two linear layers of the same width give: use --level L1"
        )
    layers = (*one.layers, *other.layers)
    if len({layer.source.units.first for layer in layers}) < len(layers):
        raise UsageError(
            f"{call.name} adds up two linear layers of the same inputs, which are one: leave one of them out"
        )
    biased = [layer.name for layer in layers if layer.bias is not None]
    if len(biased) > 1:
        raise UsageError(f"{biased[0]} and {biased[1]} are added up, and both have a bias: give one of them bias=False")
    return Affine(layers, one.width)


CALLS: Calls = {operator.add: add, operator.iadd: add, torch.add: add, "add": add}
