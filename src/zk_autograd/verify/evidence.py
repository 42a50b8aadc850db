"""What a verification reads: the run's files, and the provers that the verifier knows.

Both are passed in. The files are read through `run.reader`, and what is used of one are the bytes that were hashed; the provers are the verifier's own code and its own circuits:
nothing that comes with a run is executed or used as a key.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import UnreadableError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.run.beside import Entry

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class RunFiles(Protocol):
    """A run's public files (`run.reader.RunReader`). Every method raises VerificationError for what is missing or can't be read."""

    def leaves(self, limit: int = ...) -> list[bytes]:
        """The lines of the log, of at most `limit` bytes in all."""
        ...

    def checkpoint(self) -> bytes: ...

    def proof(self, segment: int, block: int, limit: int = ...) -> bytes: ...

    def model_file(self, name: str, limit: int = ...) -> bytes: ...

    def digest(self, path: str, limit: int) -> bytes:
        """The SHA-256 of a public file by its path in the run, without holding it in memory."""
        ...

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """The names in a folder of the run (run.beside)."""
        ...

    def artefact_names(self) -> list[str]:
        """Which of the trainer's own files (layout.ARTEFACTS) are there, in that order."""
        ...

    def artefact(self, name: str, limit: int = ...) -> bytes: ...


def digests(files: RunFiles, limits: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The SHA-256 of each file by its path in the run. One that this machine can't read is an UnreadableError after all the others: nothing false
    hides behind it."""
    unread: UnreadableError | None = None
    for path, limit in limits.items():
        try:
            digest = files.digest(path, limit)
        except UnreadableError as error:
            unread = unread or error
        else:
            yield path, digest
    if unread is not None:
        raise unread


class Commitments(Protocol):
    """The commitments that a valid proof speaks of."""

    @property
    def state_in(self) -> Mapping[str, bytes]: ...

    @property
    def state_out(self) -> Mapping[str, bytes]: ...

    @property
    def gradient(self) -> bytes: ...


class ProofChecker(Protocol):
    """Proofs and commitments of one run's circuit, under one SRS where there is one."""

    def verify(self, statement: Statement, proof: bytes) -> Commitments:
        """The commitments of a proof that is valid for the statement. VerificationError otherwise, whatever the bytes are."""
        ...

    def commitments(self, messages: Iterable[tuple[IntArray, bytes]]) -> Iterator[bytes]:
        """The commitment of each (padded values, salt). VerificationError for a salt that is none."""
        ...


class Circuit(Protocol):
    """A circuit of the verifier's own."""

    @property
    def rule(self) -> str: ...

    @property
    def block(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Missing:
    """Why something can't be looked at here: a sentence that says what is missing and what to do. No fault of the run's."""

    reason: str


@dataclass(frozen=True, slots=True)
class Security:
    """How hard a false proof is, in bits: as proven under `assumption`."""

    proven_bits: float
    assumption: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What the proofs of a run rest on: a sentence for what was found in step 5, one for the report's limits, and bits where they are known."""

    finding: str
    limit: str
    security: Security | None = None


class ProofSystem(Protocol):
    """A backend with proofs, as the verifier has it."""

    @property
    def version(self) -> str:
        """The version that proofs are made and verified with."""
        ...

    def circuit(self, prover: Prover) -> Circuit | Missing:
        """The verifier's own circuit by the name that the header gives. VerificationError if there is none."""
        ...

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        """VerificationError for a step's constants that a proof of this circuit would not show to be the ones used."""
        ...

    def trust(self, prover: Prover, allowed: frozenset[bytes]) -> Trust | Missing:
        """What the proofs of this circuit rest on; Missing if that is an SRS whose digest is not `allowed`."""
        ...

    def checker(self, prover: Prover) -> ProofChecker | Missing:
        """A checker for a run whose circuit was found to be the verifier's own, and whose proofs rest on what the policy allows."""
        ...
