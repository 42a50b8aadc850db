"""What a proving backend is: commitments to states and gradients, and proofs of one segment of one
block.

The trainer's side drives a `Backend`; the verifier has its own classes (prove/*/verify.py) and
imports nothing from here but the values. Blocks shorter than the backend's capacity are padded with
zero elements, segments with no-op steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import RunError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement


@dataclass(frozen=True, slots=True)
class BlockWitness:
    """The private part of one proof. The states between its ends follow by the rule: a prover that
    needs them computes them.

    `start`: for each state int64 (block,) before the first step; `end`: the same, what the steps
    must lead to; `gradients`: int32 (steps, block), no-ops and padding included; `salts`: a salt
    for each of "<state>_in", "<state>_out" and "G".
    """

    start: Mapping[str, IntArray]
    end: Mapping[str, IntArray]
    gradients: NDArray[np.int32]
    salts: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class BlockProof:
    """A proof's bytes (empty where the backend has none) and the commitments it is about."""

    proof: bytes
    state_in: Mapping[str, bytes]
    state_out: Mapping[str, bytes]
    gradient: bytes


class Backend(Protocol):
    """A prover of segments. Its methods are called by one thread at a time."""

    @property
    def prover(self) -> Prover:
        """What the run's header says about the backend."""
        ...

    @property
    def different_proofs(self) -> int:
        """How many different proofs of one block of a segment may become known: each opens its
        commitments at new points, and masks and salts cover only that many. A proof regenerated
        byte for byte counts once."""
        ...

    def draw_salt(self) -> bytes:
        """A fresh salt of BACKENDS[backend].salt_bytes bytes, from the operating system."""
        ...

    def commit(self, values: Any, salt: bytes) -> bytes:
        """The commitment to a block of a state: int64 (block,), padding included."""
        ...

    def commit_all(self, messages: Iterable[tuple[Any, bytes]]) -> list[bytes]:
        """The commitments to several blocks, each with its salt, as `commit` gives them one by one.
        Messages are consumed as needed."""
        ...

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        """Proves one block of one segment and verifies the proof. Raises ProverError: a witness
        that breaks the rule or leads to another end (named), a prover that died or ran out of
        time."""
        ...

    def check(self, statement: Statement, proof: bytes) -> BlockProof:
        """The commitments of a proof that is valid for the statement. Raises VerificationError."""
        ...

    def stop(self) -> None:
        """Ends a proof in progress in another thread (its `prove` raises ProverError) and any
        process that is left."""
        ...


@runtime_checkable
class Committing(Backend, Protocol):
    """A backend that commits to gradients without a proof, too, as all of this package do. Of one
    that doesn't, a proof of other gradients between the same states can't be told from the
    trainer's own."""

    def commit_gradients(self, gradients: Any, salt: bytes) -> bytes:
        """The commitment to a segment's gradients, int32 (steps, block) with the padding, as every
        proof of them has it."""
        ...


@runtime_checkable
class CommittingToData(Backend, Protocol):
    """A backend that commits to shards of the data (`Form.commits_to_data`)."""

    def commit_data(self, cells: Any, salt: bytes) -> bytes:
        """The commitment to a shard, int64 (2^k,), padding included; `salt` as `draw_salt` gives
        it."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Roughly what proofs cost: bytes and seconds for one, what is made once for all of them, and
    the basis of the estimate. Nothing by default."""

    proof_bytes: int = 0
    proof_seconds: float = 0
    once_seconds: float = 0
    cache_bytes: int = 0
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that is to be proved: `group_sizes` are those of its parameter groups, `steps` is None
    for a long one, `preset` for the backend's default; `decays`: a group has weight decay."""

    rule: Rule
    group_sizes: Sequence[int]
    steps: int | None
    preset: str | None = None
    decays: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """The shape that a new run's proofs would have: parameters of a block, steps of a segment, and
    in `words` what they are made with, after their number."""

    block: int
    steps: int
    words: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Sample:
    """A small backend that shows how fast this machine proves: a proof of the planned shape takes
    about `times` as long as one of its, which `words` describes."""

    backend: Backend
    times: float
    words: str


class Choice(Protocol):
    """How a trainer gets a backend."""

    def require_fitting(self, srs: str | Path | None, preset: str | None) -> None:
        """UsageError for an option that this backend has no use for."""
        ...

    def preset_of(self, recorded: Prover) -> str:
        """The preset of a header's circuit; "" for a backend that has none."""
        ...

    def require_provable(self, prover: Prover, rule: Rule, decays: Mapping[str, str]) -> None:
        """UsageError if a ready-made backend's circuit can't prove runs of `rule` with the weight
        decays `decays`, keyed by the groups' names in messages: the steps would be refused
        later."""
        ...

    def planned(self, wanted: Wanted) -> Planned:
        """The shape of a new run's proofs. Nothing is made."""
        ...

    def sample(self, wanted: Wanted) -> Sample | None:
        """What shows within a second or so how fast this machine would prove such a run; None where
        that takes longer, there is nothing to prove, or the prover isn't installed."""
        ...

    def for_new_run(self, wanted: Wanted, srs: str | Path | None, scratch: Path) -> Backend:
        """A backend of the `planned` shape. `scratch` is the folder that holds a witness while it
        is proved. UsageError for what is missing, ProverError if keys can't be made."""
        ...

    def of_run(self, recorded: Prover, srs: str | Path | None, scratch: Path) -> Backend:
        """The backend that a run's header recorded. RunError if this version has a different
        circuit of that name; else as `for_new_run`."""
        ...


def require_same_circuit(recorded: Prover, digest: bytes) -> None:
    """RunError if the resumed run was begun with a different circuit from the one of that name
    here, which has this digest."""
    if digest != recorded.circuit_digest:
        raise RunError(
            f"the run was begun with another circuit {recorded.circuit} (digest {recorded.circuit_digest.hex()}): "
            "install the version of zk-autograd that began it"
        )
