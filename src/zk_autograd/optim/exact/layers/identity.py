"""What changes nothing: Identity, Dropout with p = 0, and flattening of what is flat."""

import torch
from torch import nn
from torch.nn import functional

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.calls import Call, Calls
from zk_autograd.optim.exact.network import Value

_LAST = (1, -1)


def identity(call: Call) -> Value:
    (value,) = call.bound("input")
    return _same(call, value)


def dropout(call: Call) -> Value:
    """Whatever the model's mode is: a pass is training's."""
    p: object
    if isinstance(call.module, nn.Dropout):
        (value,), p = call.bound("input"), call.module.p
    else:
        value, p, _, _ = call.bound("input", p=0.5, training=True, inplace=False)
    if p != 0:
        raise UsageError(
            f"{call.name} is a Dropout with p = {p}: its mask would be the trainer's choice; set p = 0, or --level L1"
        )
    return _same(call, value)


def flatten(call: Call) -> Value:
    """Of (examples, numbers), from the numbers on: nothing changes."""
    dimensions: tuple[object, ...]
    if isinstance(call.module, nn.Flatten):
        (value,), dimensions = call.bound("input"), (call.module.start_dim, call.module.end_dim)
    else:
        value, *rest = call.bound("input", start_dim=0, end_dim=-1)
        dimensions = tuple(rest)
    if any(dimension not in _LAST for dimension in dimensions):
        raise UsageError(
            f"{call.name} flattens from dimension {dimensions[0]} to {dimensions[1]}, and would join examples: flatten from 1 to -1"
        )
    return _same(call, value)


def _same(call: Call, value: object) -> Value:
    if not isinstance(value, Value):
        raise UsageError(f"{call.name} is given a {type(value).__name__}, not what is computed from the features")
    return value


CALLS: Calls = {
    nn.Identity: identity,
    nn.Dropout: dropout,
    functional.dropout: dropout,
    nn.Flatten: flatten,
    torch.flatten: flatten,
    "flatten": flatten,
}
