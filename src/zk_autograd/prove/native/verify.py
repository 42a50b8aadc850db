"""Verification of a proof: everything public is rebuilt from the statement, and only the proof's
bytes are taken from a run.

A stored proof is its commitments, COMMITMENT_BYTES each in the order of `Shape.commitment_names`,
and then the proof's body, whose length the compiled module derives from the statement; it refuses
any other.

Two relations depend on the statement, and both sides derive which from it: a statement with weight
decay in any of its constants has the decay's lines, and segment 0 also shows the range of the first
weights. Other states are in range because the previous proof showed it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import floor
from typing import Any, NamedTuple

import numpy as np

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.constants import StepConstants, numbers
from zk_autograd.core.errors import ProverError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.records import Prover
from zk_autograd.core.rules import state_names
from zk_autograd.core.statement import Statement
from zk_autograd.core.trust import Missing, Security, Trust
from zk_autograd.prove.commitments import ProofCommitments
from zk_autograd.prove.native.extension import require_built, require_threads
from zk_autograd.prove.native.shape import VERSION, Shape, shifts

TOGETHER = 8
"""States that are committed to together: as many as fill the transform's vectors."""


class Public(NamedTuple):
    """The public part of a proof, in the order of the compiled module's arguments."""

    rule: str
    s: int
    preset: str
    decay: bool
    first: bool
    log_params: int
    log_steps: int
    constants: list[tuple[int, ...]]
    context: bytes

    @classmethod
    def of(cls, shape: Shape, statement: Statement) -> "Public":
        """VerificationError for a statement that is not of this shape: a different number of steps,
        or constants that differ in s."""
        if len(statement.constants) != shape.steps:
            raise VerificationError(
                "the statement and the circuit differ in their number of steps",
                expected=str(shape.steps),
                found=str(len(statement.constants)),
            )
        found = {getattr(c, "s", 0) for c in statement.constants}
        if len(found) != 1 or not found <= set(shifts(shape.rule)):
            raise VerificationError(
                "the constants are not the rule's, or differ in s",
                expected=" or ".join(map(str, shifts(shape.rule))),
                found=", ".join(map(str, sorted(found))),
            )
        return cls(
            rule=shape.rule.value,
            s=found.pop(),
            preset=shape.preset.value,
            decay=any(c.D != 0 for c in statement.constants),
            first=statement.segment == 0,
            log_params=shape.log_params,
            log_steps=shape.log_steps,
            constants=[numbers(c) for c in statement.constants],
            context=statement.context,
        )


def split(shape: Shape, proof: bytes) -> tuple[list[bytes], bytes]:
    """The commitments and the body of a stored proof. VerificationError for one that is too short
    for its commitments."""
    length = BACKENDS["native"].commitment_bytes
    end = length * len(shape.commitment_names)
    if len(proof) < end:
        raise VerificationError(
            "the proof is too short for its commitments", expected=f"{end} bytes at least", found=f"{len(proof)} bytes"
        )
    return [proof[at : at + length] for at in range(0, end, length)], proof[end:]


class NativeVerifier:
    """Verifies the proofs of one shape, and commits to blocks as they do."""

    def __init__(self, shape: Shape) -> None:
        """UsageError if the compiled module is missing."""
        require_built()
        self.shape = shape

    def verify(self, statement: Statement, proof: bytes) -> ProofCommitments:
        """The commitments of a proof valid for the statement. VerificationError for any other
        bytes."""
        from zk_autograd import _native

        _require_own_process()
        public = Public.of(self.shape, statement)
        commitments, body = split(self.shape, proof)
        with _refusals("the proof does not verify"):
            _native.verify(*public, commitments, body)
        named = dict(zip(self.shape.commitment_names, commitments, strict=True))
        states = state_names(self.shape.rule)
        return ProofCommitments(
            {s: named[f"{s}_in"] for s in states}, {s: named[f"{s}_out"] for s in states}, named["G"]
        )

    def commit(self, values: Any, salt: bytes) -> bytes:
        """The commitment to a padded block of a state, int64 (block,). VerificationError for an
        invalid salt."""
        return self._committed([(values, salt)])[0]

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        """The commitment to a segment's gradients, int32 (steps, block) with the padding, as every
        proof of them has it. VerificationError for an invalid salt, or a gradient out of range."""
        from zk_autograd import _native

        _require_own_process()
        with _refusals("a commitment can't be computed"):
            return _native.commit_gradients(
                np.ascontiguousarray(gradients), self.shape.log_params, self.shape.log_steps, salt
            )

    def commit_data(self, cells: Any, salt: bytes) -> bytes:
        """The commitment to a shard of the data, int64 (2^k,). VerificationError for an invalid
        salt."""
        from zk_autograd import _native

        _require_own_process()
        with _refusals("a commitment can't be computed"):
            return _native.commit_data(np.ascontiguousarray(cells, "<i8"), len(cells).bit_length() - 1, salt)

    def commitments(self, messages: Iterable[tuple[Any, bytes]]) -> Iterator[bytes]:
        """The commitment of each (padded values, salt), computed as they are consumed, a few at a
        time."""
        rest = iter(messages)
        while some := list(islice(rest, TOGETHER)):
            yield from self._committed(some)

    def _committed(self, messages: Sequence[tuple[Any, bytes]]) -> list[bytes]:
        from zk_autograd import _native

        for _, salt in messages:
            if len(salt) != BACKENDS["native"].salt_bytes:
                raise VerificationError(
                    "a salt has the wrong length", expected=str(BACKENDS["native"].salt_bytes), found=str(len(salt))
                )
        _require_own_process()
        states, salts = [little_endian(values) for values, _ in messages], [salt for _, salt in messages]
        with _refusals("a commitment can't be computed"):
            return _native.commit_all(states, self.shape.log_params, salts)


def _require_own_process() -> None:
    """UnreadableError in a fork of a process where the compiled module was at work: that says
    nothing about a proof."""
    try:
        require_threads()
    except ProverError as error:
        raise UnreadableError(str(error)) from error


def little_endian(values: Any) -> bytes:
    """Integers of any shape as the compiled module takes them: row by row, int64, little-endian."""
    return np.ascontiguousarray(values, dtype="<i8").tobytes()


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Makes a VerificationError of whatever the compiled module raises: ValueError (its ProofError
    is one), or RuntimeError for a fault of its own."""
    try:
        yield
    except (ValueError, OverflowError, RuntimeError) as error:
        raise VerificationError(f"{what}: {error}") from error


@dataclass(frozen=True, slots=True)
class NativeCircuit:
    """A shape of the native prover, for comparison with a header."""

    rule: str
    block: int
    steps: int
    digest: bytes


class NativeSystem:
    """The native STARK. It needs no set-up, and its circuits come with the compiled module."""

    version = VERSION
    proofless = ""

    def circuit(self, prover: Prover) -> "NativeCircuit | Missing":
        shape = Shape.of(prover)  # an unknown name or shape is the run's fault, built here or not
        try:
            return NativeCircuit(shape.rule.value, shape.block, shape.steps, shape.digest)
        except UsageError as error:
            return Missing(str(error))

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """Every constant of a step, weight decay too, is a public value of its proof."""

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        """A hash function, and the preset's assumption."""
        shape = Shape.of(prover)
        try:
            proven = shape.security()
        except UsageError as error:
            return Missing(str(error))
        assumption = shape.preset.assumption
        return Trust(
            f"native STARK, preset {shape.preset}: {_bits(proven)} proven bits ({assumption})",
            f"the proofs need no trusted set-up; that none of them is forged rests on the preset's assumption ({assumption}): "
            f"forging one takes at least {_bits(proven)} bits of work",
            Security(proven, assumption),
        )

    def checker(self, prover: Prover) -> NativeVerifier | Missing:
        try:
            return NativeVerifier(Shape.of(prover))
        except UsageError as error:
            return Missing(str(error))


def _bits(bits: float) -> str:
    """Bits with one decimal, rounded down: no more is said than is shown."""
    return f"{floor(10 * bits) / 10:.1f}"


SYSTEM = NativeSystem
