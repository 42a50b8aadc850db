"""The verifier's side of the backend `none`, which commits, but proves nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.text import quoted
from zk_autograd.prove.commitments import ProofCommitments
from zk_autograd.prove.hashed.commitment import commit

VERSION = "1"
MAX_BLOCK = 2**20
MAX_STEPS = 256
"""The verifier's own bounds on a run without a circuit, for memory and the work per record."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The block and steps that a header gives, within the bounds, in place of a circuit."""

    block: int
    steps: int
    rule: str = ""
    digest: bytes = b""


class HashedSystem:
    """Salted SHA-256 commitments, and no proofs: a ProofSystem, and the checker of its runs."""

    version = VERSION
    proofless = "this run has no proofs: its backend, none, commits to states and gradients and proves nothing"

    def circuit(self, prover: Prover) -> Capacity:
        if prover.version != VERSION:
            raise VerificationError(
                "the backend's version is not known", expected=VERSION, found=quoted(prover.version)
            )
        for what, found, most in (("block", prover.block, MAX_BLOCK), ("steps", prover.steps, MAX_STEPS)):
            if found > most:
                raise VerificationError(
                    f"the backend's {what} is too large", expected=f"at most {most}", found=str(found)
                )
        return Capacity(prover.block, prover.steps)

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """No proof shows any of them."""

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> None:
        """Commitments rest on SHA-256 alone."""

    def checker(self, prover: Prover) -> "HashedSystem":
        return self

    def verify(self, statement: Statement, proof: bytes) -> ProofCommitments:
        raise VerificationError("a run of the backend none has no proofs")

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        return (commit(values, salt) for values, salt in messages)

    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes:
        return commit(gradients, salt)


SYSTEM = HashedSystem
