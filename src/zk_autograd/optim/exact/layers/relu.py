"""ReLU, as a module, a function or a method; its slope at 0 is 0."""

import torch
from torch import nn
from torch.nn import functional

from zk_autograd.core.errors import UsageError
from zk_autograd.core.graph import Kind
from zk_autograd.optim.exact.calls import Call, Calls
from zk_autograd.optim.exact.network import Affine, Given


def relu(call: Call) -> Given:
    """Hidden units. Of hidden units they are the same ones: none is negative."""
    value, _ = call.bound("input", inplace=False)
    if isinstance(value, Affine):
        return call.network.hidden(value, call.name)
    if isinstance(value, Given) and value.units.kind is Kind.RELU:
        return value
    raise UsageError(
        f"{call.name} is a ReLU of what no linear layer gives, which has no exact pass: put it behind an nn.Linear, or use --level L1"
    )


CALLS: Calls = {
    nn.ReLU: relu,
    torch.relu: relu,
    torch.relu_: relu,
    functional.relu: relu,
    functional.relu_: relu,
    "relu": relu,
    "relu_": relu,
}
