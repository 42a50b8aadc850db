"""A witness on disk, and what it breaks: to find out why a proof can't be made.

The file is NumPy's .npz with int64 arrays: `constants` (T, 5) in the order of core.constants'
fields, `G` (T, N), and for each state of the rule, by its name, (T + 1, N): from before the first
step to after the last. N and T are powers of two.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import NUMBERS, StepConstants, from_numbers, numbers
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.local.named_files import open_named, refusal
from zk_autograd.prove.native.extension import require_built
from zk_autograd.prove.native.verify import little_endian

_MAX_BYTES = 2**36


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """The private part of a proof, and its constants: `states` (T + 1, N), `gradients` (T, N),
    int64."""

    constants: tuple[StepConstants, ...]
    states: dict[str, IntArray]
    gradients: IntArray


@dataclass(frozen=True, slots=True)
class Broken:
    """The first relation, or range of a quantity, that a witness breaks: in which step and element,
    both from 0, and how."""

    step: int
    element: int
    relation: str
    message: str

    def __str__(self) -> str:
        return f"step {self.step}, element {self.element}, {self.relation}: {self.message}"


def read(path: Path, rule: Rule) -> Witness:
    """The witness in a file. UsageError for a file that isn't one, arrays that don't fit the rule
    or each other, or bad constants; StorageError if the system refuses to read it."""
    names = ("constants", "G", *state_names(rule))
    with open_named(path, "the witness", _MAX_BYTES) as fd, open(fd, "rb", closefd=False) as opened:
        if not zipfile.is_zipfile(opened):  # of another file NumPy might make an array, or a pickle
            raise UsageError(f"{path} can't be read as a file of NumPy arrays (.npz)")
        opened.seek(0)
        try:
            with np.load(opened, allow_pickle=False) as file:
                if set(file.files) != set(names):
                    raise UsageError(f"{path} must hold the arrays {', '.join(names)}, and no others")
                arrays: dict[str, NDArray[Any]] = {name: file[name] for name in names}
        except OSError as error:
            raise refusal(error, f"{path} can't be read as a file of NumPy arrays (.npz)") from error
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} can't be read as a file of NumPy arrays (.npz): {error}") from error
    for name, values in arrays.items():
        if values.dtype != np.int64 or values.ndim != 2:
            raise UsageError(f"{path}: {name} is {values.dtype} with {values.ndim} axes; it must be int64 with 2")
    steps, block = arrays["G"].shape
    shapes = {"constants": (steps, NUMBERS), "G": (steps, block)} | dict.fromkeys(state_names(rule), (steps + 1, block))
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise UsageError(f"{path}: {name} is of shape {arrays[name].shape}; with this G it must be {shape}")
    for what, count in (("steps", steps), ("elements", block)):
        if count < 1 or count & (count - 1):
            raise UsageError(f"{path} has {count} {what}: pad it to a power of two, with no-ops or zeros")
    kind = FAMILIES[rule].constants
    try:
        constants = tuple(from_numbers(kind, row.tolist()) for row in arrays["constants"])
    except VerificationError as error:
        raise UsageError(f"{path}: {error}") from error
    return Witness(constants, {name: arrays[name] for name in state_names(rule)}, arrays["G"])


def explain(rule: Rule, witness: Witness) -> Broken | None:
    """The first relation that the witness breaks, None if it breaks none. UsageError if it can't be
    checked: the compiled module is missing, the constants differ in s, or there are too many
    rows."""
    require_built()
    from zk_autograd import _native

    steps, block = witness.gradients.shape
    shifts = {getattr(c, "s", 0) for c in witness.constants}
    if len(shifts) != 1:
        raise UsageError("the constants' s differs from step to step; a run has one for each group")
    try:
        found = _native.explain(
            rule.value,
            shifts.pop(),
            any(c.D != 0 for c in witness.constants),
            block.bit_length() - 1,
            steps.bit_length() - 1,
            [numbers(c) for c in witness.constants],
            {name: little_endian(values) for name, values in witness.states.items()},
            little_endian(witness.gradients),
        )
    except (ValueError, OverflowError, RuntimeError) as error:
        raise UsageError(f"the witness can't be explained: {error}") from error
    return None if found is None else Broken(*found)
