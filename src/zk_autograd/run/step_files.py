"""The journal of runs that an earlier version began: a file for each start and each step.

    segments/<i>/start      the state before the segment's first step, and its salts
    segments/<i>/step-<t>   one step

A segment that was begun so goes on so, to its end; the next one is begun as run.journal does.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import GRADIENT_BOUND, IntArray
from zk_autograd.core.records import MAX_PARAMETERS, MAX_STEP, Header
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import PRIVATE_FILE, Files, names_in
from zk_autograd.run.private_file import damaged, encode, read
from zk_autograd.run.segment import MAX_LOOP_STATE, MAX_REST, Salts, Start, Step

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_SETTINGS = "settings"


class StepFiles:
    """The earlier form of a run's folder `segments`. Reading raises RunError for what is missing,
    torn or altered."""

    def __init__(self, folder: Path, header: Header, digest: bytes, files: Files) -> None:
        self._folder = folder
        self._header = header
        self._run = digest
        self._files = files

    def start(self, segment: int) -> Start:
        """The segment's start."""
        path = self.start_path(segment)
        blocks, states = len(self._header.blocks), len(self._header.states)
        salts_bytes = (blocks * (2 * states + 1) + 1) * self._header.prover.form.salt_bytes
        limit = 8 * self._header.size * states + salts_bytes + MAX_LOOP_STATE + MAX_REST
        fields, parts = read(path, "start", self._run, limit)

        def state(name: str) -> IntArray:
            return np.frombuffer(parts[f"state.{name}"], "<i8").astype(np.int64)

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
            salts=Salts.of_parts(parts, self._header),
            loop_state=parts["loop"],
            settings=parts.get(_SETTINGS, b""),
        )

    def write_step(self, segment: int, step: Step) -> None:
        """Writes a step of an open segment. ValueError for gradients of 2^30 or more."""
        if int(np.abs(step.gradients.astype(np.int64)).max(initial=0)) >= GRADIENT_BOUND:
            raise ValueError("the gradients don't fit their format")
        fields: dict[str, Json] = {
            "step": step.number,
            "lr": list(step.lr),
            "loss": step.claims.loss,
            "saturated": step.claims.saturated,
        }
        parts: Mapping[str, bytes] = {
            "G": step.gradients.astype("<i4").tobytes(),
            "batch": step.claims.batch,
            "loop": step.claims.loop_state,
            **({_SETTINGS: step.settings} if step.settings else {}),  # earlier versions have none, and ignore it
        }
        path = self._step_path(segment, step.number)
        self._files.write_atomic(path, encode("step", self._run, fields, parts), PRIVATE_FILE)

    def step(self, segment: int, number: int) -> Step:
        """A step of a segment; its gradients are int32."""
        path = self._step_path(segment, number)
        fields, parts = read(path, "step", self._run, 4 * self._header.size + MAX_LOOP_STATE + MAX_REST)
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

    def steps(self, segment: int) -> list[int]:
        """The numbers of a segment's steps, in order."""
        names = names_in(self._folder / str(segment))
        return sorted(int(name[5:]) for name in names if name.startswith("step-") and _NUMBER.fullmatch(name[5:]))

    def start_path(self, segment: int) -> Path:
        """Of the segment's start."""
        return self._folder / str(segment) / "start"

    def _step_path(self, segment: int, number: int) -> Path:
        return self._folder / str(segment) / f"step-{number}"
