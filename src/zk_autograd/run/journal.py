"""The journal: every step of a run, durable before it is acknowledged. A crash loses nothing that
was acknowledged.

    segments/<i>/start      the state before the segment's first step, and the salts of all its
                            commitments
    segments/<i>/step-<t>   one step: gradients, what the record claims of them, the caller's loop
                            state after it, the optimizer's settings
    segments/<i>/proof-<b>  a proof that is not yet published
    segments/<i>/published  the hashes of the proofs that may be public

A segment is sealed (no step is added any more, and its proofs can be made) by the `start` of the
next one: one atomic write says where it ends and what it led to. The salts of its state-out are
those of the next one's state-in: one commitment for both.

`published` is written *before* a proof leaves this folder. Each further proof of the same statement
opens its commitments at another point, and a salt hides only so many openings
(Backend.different_proofs).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.formats import GRADIENT_BOUND, IntArray
from zk_autograd.core.records import MAX_PARAMETERS, MAX_STEP, Header
from zk_autograd.core.rules import State
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.layout import MAX_PROOF
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, names_in, of_the_run
from zk_autograd.run.private_file import damaged, encode, read

MAX_LOOP_STATE = 2**30
"""Bytes of what a caller keeps with a step: it is written with each of them."""

_MAX_REST = 128 * 2**20
"""Bytes of all that is in a file besides the salts, the integers and the loop state."""

_MAX_HASHES = 1024
"""Proofs of a block that may be public: each of them opens its commitments at another point."""

_HASH_BYTES = 32
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_SETTINGS = "settings"


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


class Journal:
    """A run's folder `segments`. Reading raises RunError for what is missing, torn or altered."""

    def __init__(self, folder: Path, header: Header, digest: bytes, files: Files) -> None:
        """`digest` is that of the header; it binds each file to the run."""
        self._folder = folder
        self._header = header
        self._run = digest
        self._files = files

    def begin(self, start: Start) -> None:
        """Begins a segment, and so seals the one before it."""
        folder = self._segment(start.segment)
        self._files.make_private_dir(folder)
        salts = start.salts
        parts = {f"state.{name}": values.astype("<i8").tobytes() for name, values in start.state.items()}
        for end, states in (("in", salts.state_in), ("out", salts.state_out)):
            parts |= {f"salt.{name}_{end}": b"".join(states[name]) for name in self._header.states}
        parts |= {"salt.G": b"".join(salts.gradients), "salt.batches": salts.batches, "loop": start.loop_state}
        parts |= _settings(start.settings)
        self._write(folder / "start", "start", {"segment": start.segment, "first": start.first}, parts)

    def start(self, segment: int) -> Start:
        """The segment's start."""
        path = self._segment(segment) / "start"
        blocks, states = len(self._header.blocks), len(self._header.states)
        salts_bytes = (blocks * (2 * states + 1) + 1) * self._header.prover.form.salt_bytes
        limit = 8 * self._header.size * states + salts_bytes + MAX_LOOP_STATE + _MAX_REST
        fields, parts = read(path, "start", self._run, limit)

        def state(name: str) -> IntArray:
            return np.frombuffer(parts[f"state.{name}"], "<i8").astype(np.int64)

        def salts(name: str) -> tuple[bytes, ...]:
            joined = parts[f"salt.{name}"]
            length = len(joined) // blocks
            return tuple(joined[i : i + length] for i in range(0, len(joined), length))

        names = self._header.states
        try:
            fields.integer("segment", segment, segment)
            first = fields.integer("first", 1, MAX_STEP)
            fields.end()
        except VerificationError as error:
            raise damaged(path, str(error)) from error
        return Start(
            segment=segment,
            first=first,
            state={name: state(name) for name in names},
            salts=Salts(
                state_in={name: salts(f"{name}_in") for name in names},
                state_out={name: salts(f"{name}_out") for name in names},
                gradients=salts("G"),
                batches=parts["salt.batches"],
            ),
            loop_state=parts["loop"],
            settings=parts.get(_SETTINGS, b""),
        )

    def write_step(self, segment: int, step: Step) -> None:
        """Writes a step of an open segment. ValueError for gradients of 2^30 or more."""
        if int(np.abs(step.gradients).max(initial=0)) >= GRADIENT_BOUND:
            raise ValueError("the gradients don't fit their format")
        fields: dict[str, Json] = {
            "step": step.number,
            "lr": list(step.lr),
            "loss": step.claims.loss,
            "saturated": step.claims.saturated,
        }
        parts = {
            "G": step.gradients.astype("<i4").tobytes(),
            "batch": step.claims.batch,
            "loop": step.claims.loop_state,
        }
        parts |= _settings(step.settings)
        self._write(self._step(segment, step.number), "step", fields, parts)

    def step(self, segment: int, number: int) -> Step:
        """A step of a segment; its gradients are int32."""
        path = self._step(segment, number)
        fields, parts = read(path, "step", self._run, 4 * self._header.size + MAX_LOOP_STATE + _MAX_REST)
        try:
            fields.integer("step", number, number)
            step = Step(
                number=number,
                gradients=np.frombuffer(parts["G"], "<i4").astype(np.int32, copy=False),
                lr=tuple(fields.texts("lr", max_items=1000, max_len=100)),
                claims=Claims(
                    loss=fields.text("loss", max_len=60, min_len=0),
                    saturated=fields.integer("saturated", 0, MAX_PARAMETERS),
                    batch=parts["batch"],
                    loop_state=parts["loop"],
                ),
                settings=parts.get(_SETTINGS, b""),
            )
            fields.end()
        except VerificationError as error:
            raise damaged(path, str(error)) from error
        return step

    def segments(self) -> list[int]:
        """The segments that were begun, in order. RunError if the folder can't be listed."""
        begun = [int(name) for name in names_in(self._folder) if _NUMBER.fullmatch(name)]
        return sorted(i for i in begun if exists(self._segment(i) / "start"))

    def steps(self, segment: int) -> list[int]:
        """The numbers of a segment's steps, in order."""
        names = names_in(self._segment(segment))
        return sorted(int(name[5:]) for name in names if name.startswith("step-") and _NUMBER.fullmatch(name[5:]))

    def stage(self, segment: int, block: int, proof: bytes) -> None:
        """Keeps a proof that is not public yet."""
        self._files.write_atomic(self._staged(segment, block), proof)  # public soon; the folder is closed to others

    def staged(self, segment: int, block: int) -> bytes | None:
        """The proof that was kept, if there is one."""
        return read_proof(self._staged(segment, block))

    def unstage(self, segment: int, block: int) -> None:
        """Forgets the proof that was kept."""
        self._files.remove(self._staged(segment, block))

    def published(self, segment: int) -> dict[int, list[bytes]]:
        """For each block the SHA-256 hashes of its proofs that may be public."""
        path = self._published(segment)
        if not exists(path):
            return {}
        limit = len(self._header.blocks) * _MAX_HASHES * _HASH_BYTES + _MAX_REST
        fields, parts = read(path, "published", self._run, limit)
        try:
            fields.integer("segment", segment, segment)
            fields.end()
        except VerificationError as error:
            raise damaged(path, str(error)) from error
        return {
            int(block): [hashes[i : i + _HASH_BYTES] for i in range(0, len(hashes), _HASH_BYTES)]
            for block, hashes in parts.items()
        }

    def publish(self, segment: int, block: int, proof: bytes) -> None:
        """Notes that a proof is about to become public. The same proof counts only once."""
        published = self.published(segment)
        hashes = published.setdefault(block, [])
        if (digest := sha256(proof).digest()) in hashes:
            return
        if len(hashes) == _MAX_HASHES:
            raise RunError(
                f"block {block} of segment {segment} already has {_MAX_HASHES} different proofs that may be public, and no more are allowed: "
                "restore one of them from a copy, or begin a new run"
            )
        hashes.append(digest)
        parts = {str(b): b"".join(found) for b, found in published.items()}
        self._write(self._published(segment), "published", {"segment": segment}, parts)

    def path(self, segment: int) -> Path:
        """The folder of a segment, for messages."""
        return self._segment(segment)

    def _write(self, path: Path, kind: str, fields: Mapping[str, Json], parts: Mapping[str, bytes]) -> None:
        self._files.write_atomic(path, encode(kind, self._run, fields, parts), PRIVATE_FILE)

    def _segment(self, segment: int) -> Path:
        return self._folder / str(segment)

    def _step(self, segment: int, number: int) -> Path:
        return self._segment(segment) / f"step-{number}"

    def _staged(self, segment: int, block: int) -> Path:
        return self._segment(segment) / f"proof-{block}"

    def _published(self, segment: int) -> Path:
        return self._segment(segment) / "published"


def _settings(settings: bytes) -> dict[str, bytes]:
    """The part that holds them. Earlier versions have none, and ignore it."""
    return {_SETTINGS: settings} if settings else {}


def read_proof(path: Path) -> bytes | None:
    """A proof's bytes, or None if there is no such file. RunError for what is not a proof file."""
    if not exists(path):
        return None
    try:
        return read_bounded(path, MAX_PROOF)
    except VerificationError as error:
        raise of_the_run(error, f"{error}; restore it from a copy, or remove it") from error
