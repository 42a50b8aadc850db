"""Where each value of a circuit is: the committed tensors, in order, and the index of every
variable in their concatenation.

A circuit of T steps on n parameters takes these tensors, each a polynomial commitment of its own,
each ending in SALTS salts:

    <state>_in ...   n + SALTS elements each        the state before the segment
    <state>_out ...  n + SALTS elements each        the state after it
    G                T*n + SALTS elements           gradients, step by step
    aux              hints, states between steps, limbs' hints, public values, salts

The first two groups share one length and one order, so that the commitment to the state out of one
proof is, byte for byte, the commitment to the state into the next. The public values are the global
coefficients, the step coefficients (each for all T steps) and CONTEXT elements that bind the proof
to its place.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zk_autograd.prove.ezkl.circuit.relations import SALTS, Relations

CONTEXT = 2
"""Field elements of the context: a SHA-256 digest in two halves of 128 bits."""

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Layout:
    """The places of the values of `relations` for `steps` steps on `block` parameters."""

    relations: Relations
    block: int
    steps: int

    @property
    def commitments(self) -> tuple[str, ...]:
        """Names of the committed tensors, in the order of the proof's first points."""
        states = self.relations.states
        return (*(f"{s}_in" for s in states), *(f"{s}_out" for s in states), "G", "aux")

    @property
    def public_length(self) -> int:
        """How many public values the circuit has, the context's included."""
        rel = self.relations
        return len(rel.global_coefficients) + len(rel.step_coefficients) * self.steps + CONTEXT

    @cached_property
    def aux(self) -> dict[str, tuple[int, int]]:
        """(start, length) of each part of the tensor `aux`, in order."""
        rel = self.relations
        parts = [(name, self.steps * self.block) for name in rel.hints]
        parts += [(f"{state}_between", (self.steps - 1) * self.block) for state in rel.states]
        parts += [(name, self.block) for name in rel.state_hints]
        parts.append(("public", self.public_length))
        places: dict[str, tuple[int, int]] = {}
        start = 0
        for name, length in parts:
            places[name] = (start, length)
            start += length
        return places

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of each committed tensor, salts included, in order."""
        lengths = {name: self.block + SALTS for name in self.commitments[:-2]}
        lengths["G"] = self.steps * self.block + SALTS
        lengths["aux"] = sum(length for _, length in self.aux.values()) + SALTS
        return lengths

    @cached_property
    def starts(self) -> dict[str, int]:
        """Index of each tensor's first element in the concatenation of all."""
        starts, total = {}, 0
        for name, length in self.lengths.items():
            starts[name] = total
            total += length
        return starts

    @property
    def pool(self) -> int:
        """Length of the concatenation."""
        return sum(self.lengths.values())

    def public(self) -> Indices:
        """Indices of the public values, in the order of the proof's instances."""
        start, length = self.aux["public"]
        return np.arange(length) + self.starts["aux"] + start

    def over_steps(self, name: str) -> Indices:
        """Indices (T, n) of a variable or coefficient; KeyError for a name that is a line's result.

        A state without a prime is the one before the step, with a prime the one after.
        """
        rel, n, steps = self.relations, self.block, self.steps
        step, element = np.meshgrid(np.arange(steps), np.arange(n), indexing="ij")
        aux = self.starts["aux"]
        coefficients = self.starts["aux"] + self.aux["public"][0]
        if name in rel.global_coefficients:
            return np.full((steps, n), coefficients + list(rel.global_coefficients).index(name))
        if name in rel.step_coefficients:
            first = coefficients + len(rel.global_coefficients)
            return np.asarray(first + rel.step_coefficients.index(name) * steps + step)
        if name == "G":
            return np.asarray(self.starts["G"] + step * n + element)
        if name in rel.hints:
            return np.asarray(aux + self.aux[name][0] + step * n + element)
        state = name.removesuffix("'")
        if state not in rel.states:
            raise KeyError(name)
        time = step + 1 if name.endswith("'") else step
        between = aux + self.aux[f"{state}_between"][0] + (time - 1) * n + element
        ends = np.where(time == 0, self.starts[f"{state}_in"], self.starts[f"{state}_out"]) + element
        return np.asarray(np.where((time == 0) | (time == steps), ends, between))

    def over_elements(self, name: str, end: str) -> Indices:
        """Indices (n,) of a state at an end (`in`, `out`), of a limb's hint, or of a global
        coefficient."""
        rel = self.relations
        element = np.arange(self.block)
        if name in rel.global_coefficients:
            return np.asarray(self.over_steps(name)[0])
        if name in rel.state_hints:
            return np.asarray(self.starts["aux"] + self.aux[name][0] + element)
        if name in rel.states:
            return np.asarray(self.starts[f"{name}_{end}"] + element)
        raise KeyError(name)
