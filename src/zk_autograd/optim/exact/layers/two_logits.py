"""torch.cat([torch.zeros_like(z), z], 1): the logits of two classes, of which the first is 0."""

import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.calls import Call, Calls
from zk_autograd.optim.exact.network import Affine, TwoLogits, Zeros


def zeros_like(call: Call) -> Zeros:
    (value,) = call.bound("input")
    if not isinstance(value, Affine):
        raise UsageError(f"{call.name} is of what no linear layer gives, which has no exact pass: use --level L1")
    return Zeros(value)


def cat(call: Call) -> TwoLogits:
    parts, dim = call.bound("tensors", dim=0)
    match parts:
        case (Zeros(like=Affine() as like), Affine(width=1) as logit) if like is logit and dim in (1, -1):
            return TwoLogits(logit)
    raise UsageError(
        f"{call.name} has an exact pass only as cat([zeros_like(z), z], 1) of a layer's one output z: compute z alone under "
        'loss="logistic", or use --level L1'
    )


CALLS: Calls = {
    torch.zeros_like: zeros_like,
    torch.cat: cat,
    torch.concat: cat,
    torch.concatenate: cat,
}
