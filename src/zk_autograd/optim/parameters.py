"""The tensors that an optimizer is given: which of them are trained, in what order, and where each
lies in the run's flat vector.

Rules: order is that of the groups, then the order given (`named_parameters()`). Frozen tensors
(`requires_grad=False`) are left out. Only dense float32 tensors have an exact step, and no two of
them, under whatever names, may share memory.
"""

import hashlib
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import FloatArray, IntArray, dequantize_weight, quantize_weight
from zk_autograd.core.records import MAX_TENSORS, Parameter, Unproved
from zk_autograd.core.text import is_unicode

MAX_ELEMENTS = 2**31
"""Of one tensor: a kernel on a GPU counts them in 32 bits."""
_MAX_NAME = 1000
_RESERVED = "__metadata__"
"""The one name that a safetensors file keeps for itself."""

_FIXED = "a run trains the same float32 values from its first step to its last: convert or reshape a copy of the model (copy.deepcopy(model).half())"

_TO_FLOAT = "convert the model with model.float() before making the optimizer"


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """Where a tensor's elements lie in a device's memory: byte addresses, the end excluded. An
    empty tensor's span is empty."""

    device: str
    start: int
    end: int

    def meets(self, other: "_Span") -> bool:
        return self.device == other.device and max(self.start, other.start) < min(self.end, other.end)


@dataclass(frozen=True, slots=True)
class GroupOfTensors:
    """The trained tensors of a parameter group with their names, and the group's options."""

    tensors: tuple[tuple[str, torch.Tensor], ...]
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Trained tensors in the run's order: `parameters[i]` says where `tensors[i]` lies; `size`
    elements in all. `addresses` are those of the tensors' memory when the optimizer was made."""

    parameters: tuple[Parameter, ...]
    tensors: tuple[torch.Tensor, ...]
    size: int
    addresses: tuple[int, ...]

    @classmethod
    def of(cls, groups: Sequence[GroupOfTensors]) -> "Manifest":
        """The manifest of checked groups."""
        parameters: list[Parameter] = []
        offset = 0
        for index, group in enumerate(groups):
            for name, tensor in group.tensors:
                parameters.append(Parameter(name, tuple(tensor.shape), offset, tensor.numel(), index))
                offset += tensor.numel()
        tensors = tuple(t for g in groups for _, t in g.tensors)
        return cls(tuple(parameters), tensors, offset, tuple(t.data_ptr() for t in tensors))

    @property
    def device(self) -> str:
        """The type of the device that the tensors are on. UsageError if they are on several."""
        devices = {str(tensor.device): name.name for name, tensor in zip(self.parameters, self.tensors, strict=True)}
        if len(devices) > 1:
            (one, first), (other, second), *_ = devices.items()
            raise UsageError(
                f"{first} is on {one} and {second} on {other}, but a step is computed on one device: move the model to one before making "
                "the optimizer"
            )
        return self.tensors[0].device.type

    def group_size(self, group: int) -> int:
        """How many elements a group has."""
        return sum(p.size for p in self.parameters if p.group == group)

    def weights(self) -> IntArray:
        """The integers W, int64 (size,), of the tensors' present values.

        UsageError for one that isn't finite, RangeError for one of 2^13 or more in size; both name
        the tensor.
        """
        parts = [
            quantize_weight(_as_floats(t), p.name).reshape(-1)
            for p, t in zip(self.parameters, self.tensors, strict=True)
        ]
        return np.concatenate(parts)

    def require_as_made(self) -> None:
        """UsageError, which names it, for a tensor that is no longer what it was when the optimizer
        was made: one of another type or shape, without dense values, or in memory that it now
        shares. Moving it to another device is allowed."""
        moved = False
        for p, tensor, address in zip(self.parameters, self.tensors, self.addresses, strict=True):
            if tensor.dtype != torch.float32:
                raise UsageError(f"{p.name} is now {tensor.dtype}, but {_FIXED}")
            if tuple(tensor.shape) != p.shape:
                raise UsageError(f"{p.name} now has the shape {tuple(tensor.shape)}, not {p.shape}, but {_FIXED}")
            dense = tensor.layout is torch.strided and not tensor.is_meta
            now = tensor.data_ptr() if dense else 0
            if not now:
                where = f"layout {tensor.layout}, device {tensor.device}"
                raise UsageError(f"{p.name} no longer holds dense values ({where}), but {_FIXED}")
            moved = moved or now != address
        if moved:
            _check_memory([(p.name, tensor) for p, tensor in zip(self.parameters, self.tensors, strict=True)])

    def write(self, weights: IntArray) -> None:
        """Writes the float32 values of W, int64 (size,), to the tensors. UsageError as
        `require_as_made`."""
        self.require_as_made()
        floats = dequantize_weight(weights)
        with torch.no_grad():
            for p, tensor in zip(self.parameters, self.tensors, strict=True):
                tensor.copy_(torch.from_numpy(floats[p.offset : p.offset + p.size].reshape(p.shape)))

    def changed(self, written: FloatArray) -> str | None:
        """The name of the first tensor that isn't bit for bit what was written to it, or None.
        UsageError as `require_as_made`."""
        self.require_as_made()
        for p, tensor in zip(self.parameters, self.tensors, strict=True):
            before = written[p.offset : p.offset + p.size].view(np.int32)
            if not np.array_equal(_as_floats(tensor).reshape(-1).view(np.int32), before):
                return p.name
        return None


def collect(params: object) -> tuple[list[GroupOfTensors], list[tuple[str, torch.Tensor]]]:
    """The groups of what torch.optim takes (tensors, pairs of name and tensor, or dictionaries with
    either under "params"), checked, and the frozen tensors among them. Tensors without a name are
    called param.0, param.1 ...

    Raises UsageError, which names the tensor, for whatever can't be trained.
    """
    if isinstance(params, torch.Tensor):
        raise UsageError("the optimizer was given one tensor; give model.named_parameters()")
    if not isinstance(params, Iterable):
        raise UsageError(f"the optimizer was given a {type(params).__name__}; give model.named_parameters()")
    given = list(params)
    dictionaries = [item for item in given if isinstance(item, dict)]
    if dictionaries and len(dictionaries) != len(given):
        raise UsageError("the parameters mix tensors and groups; give either tensors or dictionaries")
    groups: list[GroupOfTensors] = []
    frozen: list[tuple[str, torch.Tensor]] = []
    count = 0
    for index, group in enumerate(dictionaries or [{"params": given}]):
        if "params" not in group:
            raise UsageError(f'parameter group {index} has no "params"')
        named = _named(group["params"], count)
        count += len(named)
        frozen += [(name, tensor) for name, tensor in named if not tensor.requires_grad]
        trained = tuple((name, tensor) for name, tensor in named if tensor.requires_grad)
        if not trained:
            where = f"parameter group {index} has" if dictionaries else "there are"
            raise UsageError(f"{where} no parameters to train (of {len(named)} given, all are frozen)")
        groups.append(GroupOfTensors(trained, {k: v for k, v in group.items() if k not in ("params", "param_names")}))
    trained_tensors = [pair for g in groups for pair in g.tensors]
    for name, tensor in trained_tensors:
        _check(name, tensor)
    _check_names([*(n for n, _ in trained_tensors), *(n for n, _ in frozen)])
    _check_memory(trained_tensors)
    return groups, frozen


def unproved_tensors(
    model: torch.nn.Module | None, trained: Sequence[torch.Tensor], frozen: Iterable[tuple[str, torch.Tensor]]
) -> tuple[Unproved, ...]:
    """What no proof covers: the model's buffers, its parameters outside the optimizer, and the
    frozen ones given to it.

    UsageError, which names it, for one that shares memory with a trained tensor or holds no dense
    values.
    """
    known = {id(t) for t in trained}
    spans = sorted(map(_span, trained))
    listed = []
    buffers = [] if model is None else model.named_buffers()
    others = [] if model is None else model.named_parameters()
    for kind, pairs in (("buffer", buffers), ("frozen", [*others, *frozen])):
        for name, tensor in pairs:
            if id(tensor) not in known:
                known.add(id(tensor))
                _check_unproved(name, kind, tensor, spans)
                listed.append(
                    Unproved(name, kind, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), digest(tensor))
                )
    return tuple(listed)


def _named(params: object, count: int) -> list[tuple[str, torch.Tensor]]:
    if isinstance(params, torch.Tensor):
        params = [params]
    if isinstance(params, set | frozenset) or not isinstance(params, Iterable):
        raise UsageError(f"the parameters are a {type(params).__name__}; give model.named_parameters(), or a list")
    pairs: list[tuple[str, torch.Tensor]] = []
    for item in params:
        named = isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
        name, tensor = item if named else (f"param.{count + len(pairs)}", item)
        if not isinstance(tensor, torch.Tensor):
            raise UsageError(f"{name} is a {type(tensor).__name__}, not a tensor; give model.named_parameters()")
        pairs.append((name, tensor))
    return pairs


def _check(name: str, tensor: torch.Tensor) -> None:
    if torch.nn.parameter.is_lazy(tensor):
        raise UsageError(f"{name} has no shape yet (a lazy module): run the model once before making the optimizer")
    if tensor.is_complex():
        raise UsageError(
            f"{name} is complex ({tensor.dtype}); store its real and imaginary parts as two float32 parameters"
        )
    if tensor.dtype != torch.float32:
        raise UsageError(f"{name} is {tensor.dtype}; only float32 parameters have an exact step: {_TO_FLOAT}")
    if tensor.layout is not torch.strided or tensor.is_meta:
        raise UsageError(f"{name} holds no dense values (layout {tensor.layout}, device {tensor.device})")
    if tensor.numel() == 0:
        raise UsageError(f"{name} has no elements; leave it out")
    if tensor.numel() > MAX_ELEMENTS:
        raise UsageError(
            f"{name} has {tensor.numel()} elements; a tensor may have {MAX_ELEMENTS}: split it into several parameters"
        )
    if not tensor.is_leaf:
        raise UsageError(f"{name} is computed from other tensors; give the parameters that it is computed from")


def _check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_TENSORS:
        raise UsageError(f"{len(names)} tensors; a run holds at most {MAX_TENSORS}")
    seen = set()
    for name in names:
        if not 0 < len(name) <= _MAX_NAME or name == _RESERVED or not is_unicode(name):
            raise UsageError(f"a parameter is called {name[:40]!r}; a name has 1 to {_MAX_NAME} Unicode characters")
        if name in seen:
            raise UsageError(f"two parameters are called {name!r}; give each its own name")
        seen.add(name)


def _check_memory(named: Sequence[tuple[str, torch.Tensor]]) -> None:
    """Refuses tensors that share elements: a step of one would change the other, unproved."""
    spans = []
    for name, tensor in named:
        span = _span(tensor)
        if span.end - span.start < tensor.numel() * tensor.element_size():
            raise UsageError(f"elements of {name} share memory with each other (an expanded tensor): clone it")
        spans.append((span, name))
    for (one, name), (other, other_name) in pairwise(sorted(spans)):
        if one.meets(other):
            raise UsageError(f"{name} and {other_name} share memory; give a shared parameter once, under one name")


def _check_unproved(name: str, kind: str, tensor: torch.Tensor, trained: Sequence[_Span]) -> None:
    """Refuses what each step would move, though the run says that it is no part of a step.
    `trained` are disjoint and sorted."""
    where = "the buffer" if kind == "buffer" else "the frozen parameter"
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
        raise UsageError(f"{where} {name} holds no dense values (layout {tensor.layout}, device {tensor.device})")
    span = _span(tensor)
    place = bisect(trained, span)
    if any(span.meets(other) for other in trained[max(place - 1, 0) : place + 1]):
        raise UsageError(f"{where} {name} shares memory with a trained parameter: clone it, or leave it out")


def _span(tensor: torch.Tensor) -> _Span:
    start = tensor.data_ptr()
    if tensor.numel() == 0:
        return _Span(str(tensor.device), start, start)
    reach = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return _Span(str(tensor.device), start, start + (reach + 1) * tensor.element_size())


def _as_floats(tensor: torch.Tensor) -> FloatArray:
    floats: FloatArray = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return floats


def digest(tensor: torch.Tensor) -> bytes:
    """SHA-256 of the values in C order, as they lie in memory."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    raw = plain.as_strided((plain.numel(),), (1,)).view(
        torch.uint8
    )  # one element may keep the stride of what it was cut from
    return hashlib.sha256(raw.numpy().tobytes()).digest()
