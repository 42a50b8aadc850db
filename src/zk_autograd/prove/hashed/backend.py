"""`prover="none"`: each segment's states and gradients are committed to, and nothing is proved."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.prove.protocol import BlockProof, BlockWitness


class HashedBackend:
    """Commits with salted SHA-256, `block` elements together, and up to `steps` steps a segment."""

    def __init__(self, block: int = 2**20, steps: int = 16) -> None:
        self._prover = Prover("none", "1", block, steps)

    @property
    def prover(self) -> Prover:
        return self._prover

    @property
    def different_proofs(self) -> int:
        return 0  # there are none

    def draw_salt(self) -> bytes:
        return os.urandom(BACKENDS["none"].salt_bytes)

    def commit(self, values: Any, salt: bytes) -> bytes:
        return commit(values, salt)

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        return [commit(values, salt) for values, salt in messages]

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        return commit(gradients, salt)

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """The commitments alone: whether the steps lead to the end is for the caller to see."""

        def committed(end: str, states: Mapping[str, IntArray]) -> Mapping[str, bytes]:
            return {s: commit(values, witness.salts[f"{s}_{end}"]) for s, values in states.items()}

        gradient = self.commit_gradients(witness.gradients, witness.salts["G"])
        return BlockProof(b"", committed("in", witness.start), committed("out", witness.end), gradient)

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        raise NotImplementedError("a run without proofs has none to check")

    def stop(self) -> None:
        return
