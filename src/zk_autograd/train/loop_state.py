"""What a loop needs besides the weights to continue bit for bit: torch's generator, from which
dropout draws, and whatever of the model no optimizer moves: the buffers, in which batch norm
counts, and the frozen parameters, which a forward pass may move (a moving average, the teacher of a
student). A run's private journal keeps it with each step.

Rules: the state is a safetensors file with the generator's bytes under `generator`, if they moved
since the loop was made, each buffer under `buffer.NAME`, and each frozen parameter that isn't what
it was at first under `frozen.NAME`: a large one that doesn't change costs nothing. A loop without
any of them has b"". Buffers and frozen parameters keep their names, shapes and types from the first
step on. Only torch's CPU generator is kept: a model that draws from another one, or counts in
attributes that are not buffers, doesn't continue where it stopped.
"""

from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from zk_autograd.core.errors import RunError, UsageError

_GENERATOR = "generator"
_BUFFER = "buffer."
_FROZEN = "frozen."

_Form = tuple[torch.Size, torch.dtype]


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """A loop's beginning: torch's generator, the buffers' forms, the frozen parameters' values."""

    generator: torch.Tensor
    buffers: dict[str, _Form]
    frozen: dict[str, torch.Tensor]

    @classmethod
    def of(cls, model: nn.Module, generator: torch.Tensor) -> "Fresh":
        """Of a model that has made no step, with what is trained of it settled. `generator` is the
        state of torch's."""
        frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
        return cls(generator, _forms(dict(model.named_buffers())), frozen)


def taken(model: nn.Module, fresh: Fresh) -> bytes:
    """The state after a step. UsageError if a buffer or frozen parameter came, went or changed its
    form, or is of a type that no file has."""
    buffers, frozen = dict(model.named_buffers()), _frozen(model, fresh)
    for kind, found, first in (
        ("buffer", _forms(buffers), fresh.buffers),
        ("frozen parameter", _forms(frozen), _forms(fresh.frozen)),
    ):
        if changed := sorted(name for name in found.keys() | first.keys() if found.get(name) != first.get(name)):
            raise UsageError(
                f"the model's {kind} {changed[0]} was added, dropped, or given another shape or type while it was trained: give it its final "
                "form when the model is made, or no run of it could be resumed"
            )
    tensors = {_BUFFER + name: buffer for name, buffer in buffers.items()}
    tensors |= {_FROZEN + name: p for name, p in frozen.items() if not _same(p, fresh.frozen[name])}
    generator = torch.get_rng_state()
    if not torch.equal(generator, fresh.generator):
        tensors[_GENERATOR] = generator
    try:
        return save({name: _plain(tensor).clone() for name, tensor in tensors.items()}) if tensors else b""
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"the model's buffers can't be kept, so no run of it could be resumed: {type(error).__name__}: {error}"
        ) from error


def restored(state: bytes, model: nn.Module, fresh: Fresh) -> None:
    """Restores generator, buffers and frozen parameters. RunError if `state` isn't this model's."""
    try:
        tensors = load(state) if state else {}
    except SafetensorError as error:
        raise RunError(f"the loop's state in the run's private folder can't be read: {error}") from error
    # A copy has its own memory: torch crashes on a state at an odd address, as one in the middle of
    # a file may be.
    torch.set_rng_state(tensors.pop(_GENERATOR, fresh.generator).clone())
    frozen = {name.removeprefix(_FROZEN): t for name, t in tensors.items() if name.startswith(_FROZEN)}
    known = _forms(fresh.frozen)
    if any(form != known.get(name) for name, form in _forms(frozen).items()):
        raise RunError(
            "the model's frozen parameters are not those that the run was begun with: use the model's code of that time"
        )
    _write(fresh.frozen | frozen, _frozen(model, fresh))
    if not state:
        return  # before the first step, or of a model without buffers
    buffers = {name.removeprefix(_BUFFER): t for name, t in tensors.items() if not name.startswith(_FROZEN)}
    if _forms(buffers) != _forms(dict(model.named_buffers())):
        raise RunError(
            "the model's buffers are not those that the run was begun with: use the model's code of that time"
        )
    _write(buffers, dict(model.named_buffers()))


def _frozen(model: nn.Module, fresh: Fresh) -> dict[str, torch.Tensor]:
    """Those that were frozen at first, whatever a step made of their `requires_grad`."""
    return {name: p.detach() for name, p in model.named_parameters() if name in fresh.frozen}


def _forms(tensors: dict[str, torch.Tensor]) -> dict[str, _Form]:
    return {name: (t.shape, t.dtype) for name, t in tensors.items()}


def _write(values: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]) -> None:
    """Only what differs: elements that share memory with each other can't be written to, and a step
    can't have moved them apart."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            if not _same(tensor, values[name]):
                try:
                    tensor.copy_(values[name])
                except RuntimeError as error:
                    raise RunError(f"the model's {name} can't be restored to what it was: {error}") from error


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of a form are equal bit for bit: NaN is then itself, and 0 is not -0."""
    # One element may keep the stride of what it was cut from, with which it can't be seen as bytes.
    return torch.equal(*(_plain(t).as_strided((t.numel(),), (1,)).view(torch.uint8) for t in (one, other)))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The values, in memory of their own where they don't lie there in C order."""
    return tensor.detach().resolve_conj().resolve_neg().contiguous()
