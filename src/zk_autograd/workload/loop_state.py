"""What a loop needs beside the weights to go on bit for bit: torch's generator, from which dropout draws, and the model's buffers, in which
batch norm counts. A run's private journal keeps it with each step.

Rules: the state is a safetensors file with the generator's bytes under `generator`, if they moved since the loop was made, and each
buffer under `buffer.NAME`; a loop without either has b"". Only torch's CPU generator is kept: a model that draws from another one, or
counts in attributes that are no buffers, doesn't go on as it stopped.
"""

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from zk_autograd.core.errors import RunError

_GENERATOR = "generator"
_BUFFER = "buffer."


def taken(model: nn.Module, fresh: torch.Tensor) -> bytes:
    """The state after a step; `fresh` is the generator's when the loop was made."""
    tensors = {_BUFFER + name: buffer.detach().clone().contiguous() for name, buffer in model.named_buffers()}
    generator = torch.get_rng_state()
    if not torch.equal(generator, fresh):
        tensors[_GENERATOR] = generator
    return save(tensors) if tensors else b""


def restored(state: bytes, model: nn.Module, fresh: torch.Tensor) -> None:
    """Puts generator and buffers where `state` has them. RunError if it isn't of this model."""
    try:
        tensors = load(state) if state else {}
    except SafetensorError as error:
        raise RunError(f"the loop's state in the run's private folder can't be read: {error}") from error
    # A copy has memory of its own: torch dies of a state that lies at an odd address, as one in the middle of a file may.
    torch.set_rng_state(tensors.pop(_GENERATOR, fresh).clone())
    buffers = {_BUFFER + name: buffer for name, buffer in model.named_buffers()}
    if not state:
        return  # before the first step, or of a model without buffers
    form = {name: (t.shape, t.dtype) for name, t in tensors.items()}
    if form != {name: (b.shape, b.dtype) for name, b in buffers.items()}:
        raise RunError(
            "the model's buffers are not those that the run was begun with: go on with the model's code of that time"
        )
    with torch.no_grad():
        for name, buffer in buffers.items():
            buffer.copy_(tensors[name])
