"""What of a model no step moves, hashed at each step: nothing else would notice if a resumed model
didn't have its buffers back.

A step keeps 8 bytes of each tensor's SHA-256, in the order of the header's list; zeros where it
wasn't hashed. Hashing takes time, so only the smallest tensors are hashed, up to a number of bytes:
batch norm's always are, a frozen backbone is not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod

import torch

from zk_autograd.core.records import Unproved
from zk_autograd.optim.parameters import digest

BUDGET = 2**16
"""Bytes that each step may hash in any case. A step hashes its gradients, too: it may hash at least
as many bytes as those have."""

_SHORT = 8
_UNSEEN = bytes(_SHORT)


class UnprovedValues:
    """The unproved tensors of a model, by name, as they are when asked for."""

    def __init__(
        self,
        model: torch.nn.Module | None,
        frozen: Iterable[tuple[str, torch.Tensor]],
        listed: Sequence[Unproved],
        budget: int,
    ) -> None:
        """`listed` is the header's list of `model` and the optimizer's `frozen` tensors."""
        sources = {name: _constant(tensor) for name, tensor in frozen}
        if model is not None:
            for name, _ in (*model.named_parameters(), *model.named_buffers()):
                owner, _, attribute = name.rpartition(".")
                sources[name] = _attribute(model.get_submodule(owner), attribute)
        self._sources: dict[str, Callable[[], object]] = {}
        for unproved in sorted(listed, key=_bytes_of):
            budget -= _bytes_of(unproved)
            if budget >= 0 and unproved.name in sources:
                self._sources[unproved.name] = sources[unproved.name]

    def digests(self, listed: Sequence[Unproved]) -> bytes:
        """What a step keeps; `listed` is the header's list."""
        return b"".join(self._digest(unproved.name) for unproved in listed)

    def _digest(self, name: str) -> bytes:
        source = self._sources.get(name)
        try:
            value = None if source is None else source()
            return digest(value)[:_SHORT] if isinstance(value, torch.Tensor) else _UNSEEN
        except (AttributeError, RuntimeError, TypeError):  # it was removed, or no longer has dense values
            return _UNSEEN


def unrestored(first: Sequence[Unproved], seen: bytes, now: Sequence[Unproved]) -> list[str]:
    """The names of the tensors that don't have their values back in a resumed run. `first` is the
    header's list, `seen` what the last step kept, `now` what is there.

    These are the ones that have their first values again though the run had moved them, and frozen
    parameters that the run never moved but that differ. Anything else was loaded by somebody:
    buffers may move after a step, too.
    """
    there: Mapping[str, bytes] = {u.name: u.digest[:_SHORT] for u in now}
    names = []
    for index, unproved in enumerate(first):
        begun, last = unproved.digest[:_SHORT], seen[index * _SHORT : (index + 1) * _SHORT]
        found = there.get(unproved.name, last)
        known = last not in (found, _UNSEEN, b"")
        if known and (found == begun or (unproved.kind == "frozen" and last == begun)):
            names.append(unproved.name)
    return names


def _bytes_of(unproved: Unproved) -> int:
    dtype = getattr(torch, unproved.dtype, None)
    return prod(unproved.shape) * (dtype.itemsize if isinstance(dtype, torch.dtype) else 16)


def _constant(tensor: torch.Tensor) -> Callable[[], object]:
    return lambda: tensor


def _attribute(owner: torch.nn.Module, name: str) -> Callable[[], object]:
    return lambda: getattr(owner, name, None)
