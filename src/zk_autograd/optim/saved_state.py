"""What `state_dict` holds besides torch's own entries, so that an optimizer continues bit for bit.

The integer state lies under "state", a dictionary for each tensor (torch's numbering), as int64
tensors W, M, V or B. What the floats of `param_groups` can't say exactly lies under "zk_autograd":
plain texts and integers, so that torch.load takes it with weights_only=True.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import hyper_names
from zk_autograd.core.rules import State, state_names
from zk_autograd.optim.options import GroupOptions, exact
from zk_autograd.optim.parameters import Manifest
from zk_autograd.optim.schedule import canonical

FORMAT = "zk-autograd/state/v1"
KEY = "zk_autograd"


@dataclass(frozen=True, slots=True)
class SavedState:
    """An optimizer after `step` steps, which is all that a schedule depends on. `grad_scale` and
    `shifts` (s of each group, 0 for none) are None before the first step has fixed them."""

    rule: Rule
    schedule: str
    step: int
    groups: tuple[GroupOptions, ...]
    state: State
    grad_scale: int | None
    shifts: tuple[int, ...] | None


def tensors_of(state: State, manifest: Manifest) -> dict[torch.Tensor, dict[str, torch.Tensor]]:
    """Each parameter with its part of the state, as torch.optim keeps it."""
    return {
        tensor: {
            name: torch.from_numpy(values[p.offset : p.offset + p.size].reshape(p.shape).copy())
            for name, values in state.items()
        }
        for p, tensor in zip(manifest.parameters, manifest.tensors, strict=True)
    }


def described(saved: SavedState, manifest: Manifest) -> dict[str, object]:
    """The entry "zk_autograd"."""
    return {
        "format": FORMAT,
        "rule": saved.rule.value,
        "schedule": saved.schedule,
        "step": saved.step,
        "names": [p.name for p in manifest.parameters],
        "hyper": [dict(g.texts()) for g in saved.groups],
        "grad_scale": saved.grad_scale,
        "s": None if saved.shifts is None else list(saved.shifts),
    }


def deviation(saved: SavedState, now: SavedState) -> str | None:
    """How `saved`, over the same tensors, differs from `now` in any bit; None if it doesn't."""
    pairs = {
        "schedule": (saved.schedule, now.schedule),
        "step": (saved.step, now.step),
        "hyper-parameters": ([g.texts() for g in saved.groups], [g.texts() for g in now.groups]),
        "grad_scale": (saved.grad_scale, now.grad_scale),
        "s": (saved.shifts, now.shifts),
    }
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            return f"its {what} is {found!r:.200}, the run's {wanted!r:.200}"
    for name, values in now.state.items():
        if not np.array_equal(saved.state[name], values):
            return f"its integers {name} differ from the run's"
    return None


def restored(state_dict: Mapping[str, object], rule: Rule, manifest: Manifest) -> SavedState:
    """The state in a `state_dict` that was made by an optimizer of the same rule over the same
    tensors. Raises UsageError."""
    try:
        own, parts = state_dict[KEY], state_dict["state"]
    except (KeyError, TypeError):
        raise UsageError("this state_dict is not ZKOptimizer's: it has no exact integer state") from None
    if not isinstance(own, Mapping) or own.get("format") != FORMAT or not isinstance(parts, Mapping):
        raise UsageError(f"this state_dict is from another version of ZKOptimizer; this one reads {FORMAT}")
    if own["rule"] != rule.value:
        raise UsageError(f"this state_dict is of the rule {own['rule']}, but the optimizer's is {rule.value}")
    names = [p.name for p in manifest.parameters]
    if own["names"] != names:
        other = next((a for a, b in zip(names, own["names"], strict=False) if a != b), "their number")
        raise UsageError(f"this state_dict has other parameters than the optimizer: they differ in {other}")
    count = len({p.group for p in manifest.parameters})
    if len(own["hyper"]) != count:
        raise UsageError(f"this state_dict has {len(own['hyper'])} parameter groups, the optimizer has {count}")
    groups = tuple(
        GroupOptions(rule, {n: exact(texts[n], f"{n} of parameter group {i}") for n in hyper_names(rule)})
        for i, texts in enumerate(own["hyper"])
    )
    state = {name: _vector(name, parts, manifest) for name in state_names(rule)}
    shifts = None if own["s"] is None else tuple(own["s"])
    return SavedState(rule, canonical(own["schedule"]), own["step"], groups, state, own["grad_scale"], shifts)


def groups_in(state_dict: Mapping[str, object], count: int) -> list[Mapping[str, object]]:
    """torch's own "param_groups" of a `state_dict`. UsageError unless it has `count` groups."""
    groups = state_dict.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        raise UsageError('this state_dict has no "param_groups"')
    if len(groups) != count:
        raise UsageError(f"this state_dict has {len(groups)} parameter groups, the optimizer has {count}")
    return groups


def _vector(name: str, parts: Mapping[object, object], manifest: Manifest) -> IntArray:
    pieces = []
    for index, p in enumerate(manifest.parameters):
        part = parts.get(index)
        tensor = part.get(name) if isinstance(part, Mapping) else None
        if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.int64 or tuple(tensor.shape) != p.shape:
            raise UsageError(f"this state_dict has no {name} of int64 and shape {p.shape} for {p.name}")
        pieces.append(tensor.cpu().numpy().reshape(-1))
    return np.concatenate(pieces)
