"""What the journal keeps of a segment: its start, its steps, and the salts of its commitments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.records import Header
from zk_autograd.core.rules import State
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.claims import Claims

MAX_LOOP_STATE = 2**30
"""Bytes of what a caller keeps with a step: it is written with each of them."""

MAX_REST = 128 * 2**20
"""Bytes of all that is kept of a start or a step besides salts, integers and the loop state."""


@dataclass(frozen=True, slots=True)
class Salts:
    """The salts of a segment's commitments, each in block order; of the states by name. `batches`
    is that of the batch commitment."""

    state_in: Mapping[str, tuple[bytes, ...]]
    state_out: Mapping[str, tuple[bytes, ...]]
    gradients: tuple[bytes, ...]
    batches: bytes

    @classmethod
    def draw(cls, backend: Backend, header: Header, state_in: Mapping[str, tuple[bytes, ...]] | None = None) -> "Salts":
        """Fresh salts. `state_in` are the previous segment's state-out salts, None for the
        first."""

        def per_block() -> tuple[bytes, ...]:
            return tuple(backend.draw_salt() for _ in header.blocks)

        return cls(
            state_in={name: per_block() for name in header.states} if state_in is None else state_in,
            state_out={name: per_block() for name in header.states},
            gradients=per_block(),
            batches=backend.draw_salt(),
        )

    @classmethod
    def of_parts(cls, parts: Mapping[str, bytes], header: Header) -> "Salts":
        """What `parts` gave. KeyError for a part that is missing."""
        blocks = len(header.blocks)

        def salts(name: str) -> tuple[bytes, ...]:
            joined = parts[f"salt.{name}"]
            length = len(joined) // blocks
            return tuple(joined[i : i + length] for i in range(0, len(joined), length))

        return cls(
            state_in={name: salts(f"{name}_in") for name in header.states},
            state_out={name: salts(f"{name}_out") for name in header.states},
            gradients=salts("G"),
            batches=parts["salt.batches"],
        )

    def parts(self) -> dict[str, bytes]:
        """They as named bytes, as a start is written."""
        ends = (("in", self.state_in), ("out", self.state_out))
        found = {f"salt.{name}_{end}": b"".join(states[name]) for end, states in ends for name in states}
        return found | {"salt.G": b"".join(self.gradients), "salt.batches": self.batches}


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A segment before its step `first`: the state (int64 of shape (header.size,)), its salts, and
    the loop state and settings of the step before."""

    segment: int
    first: int
    state: State
    salts: Salts
    loop_state: bytes
    settings: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Step `number` of a run. `gradients` are integers of shape (header.size,) below 2^30 in size.

    `lr` holds a decimal for each group if the schedule is recorded, else nothing;
    `claims.loop_state` is the caller's own, to continue after this step: generator, sampler,
    schedule. `settings` are the optimizer's own, as the step found them (run.settings): b"" if not
    given, as in runs of earlier versions.
    """

    number: int
    gradients: NDArray[np.signedinteger[Any]]
    lr: tuple[str, ...]
    claims: Claims
    settings: bytes = b""


@dataclass(frozen=True, slots=True)
class Told:
    """What a record tells of step `number`: as `Step`, without what is only needed to go on."""

    number: int
    lr: tuple[str, ...]
    loss: str
    saturated: int
    batch: bytes

    @classmethod
    def of(cls, step: Step) -> "Told":
        claims = step.claims
        return cls(step.number, step.lr, claims.loss, claims.saturated, claims.batch)
