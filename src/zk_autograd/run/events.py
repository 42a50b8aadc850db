"""What a writer reports while it works, for progress bars and logs.

Events come from the training thread, the proving thread and those of anchors; the callback must
tolerate being called by all of them, and must not raise: what it raises stops the writer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StepLogged:
    """Step `step` is in the journal: it will not be lost, or with `sync_every` only to a power
    cut."""

    step: int


@dataclass(frozen=True, slots=True)
class SegmentSealed:
    """Steps `first` .. `last` will be proved together."""

    segment: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Training waits: `pending` sealed segments are not proved yet, and no more may pile up."""

    pending: int


@dataclass(frozen=True, slots=True)
class ProofStarted:
    """The proof of a block of a segment was begun; `blocks` is how many the segment has. With
    workers, `in_flight` proofs are now being made or wait for one."""

    segment: int
    block: int
    blocks: int
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class ProofFailed:
    """The prover died, hung or refused, or a `worker` lied; retried unless this was the last
    `attempt` (from 1). `in_flight` as in `ProofStarted`."""

    segment: int
    block: int
    attempt: int
    reason: str
    worker: str = ""
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class ProofDone:
    """A block's proof of `size` bytes is on disk, after `seconds`; `found` if an interrupted run
    had left it there. `worker` made it, if workers make the proofs and have names."""

    segment: int
    block: int
    blocks: int
    seconds: float
    size: int
    found: bool
    worker: str = ""


@dataclass(frozen=True, slots=True)
class RecordWritten:
    """The segment's record is in the log, and the checkpoint over `size` records is signed."""

    segment: int
    last_step: int
    size: int


@dataclass(frozen=True, slots=True)
class Entered:
    """The run's first `records` records are entry `index` (from 0) of the trainer's register."""

    index: int
    records: int


@dataclass(frozen=True, slots=True)
class Anchored:
    """The anchor, called as `core.anchors.Anchor.spec` does, holds the register's first `size`
    entries."""

    anchor: str
    size: int


@dataclass(frozen=True, slots=True)
class AnchorFailed:
    """An anchor did not take a checkpoint of the register. `final`: it is not tried again while
    this run goes on; `forked`: it holds another branch of the register, or won't see that ours
    continues its own."""

    anchor: str
    reason: str
    final: bool = False
    forked: bool = False


@dataclass(frozen=True, slots=True)
class BeaconAwaited:
    """The run's header is entered, and its beacon isn't there yet: `done` of `total` of `what` (of
    0: it isn't known how many). What the listener raises ends the waiting, and the run."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class AnchorsAwaited:
    """The run is closed, and these anchors, called as `core.anchors.Anchor.spec` does, don't hold
    all of it yet. KeyboardInterrupt of the listener ends the waiting, and nothing else."""

    anchors: tuple[str, ...]


Event: TypeAlias = (
    StepLogged
    | SegmentSealed
    | Waiting
    | ProofStarted
    | ProofFailed
    | ProofDone
    | RecordWritten
    | Entered
    | Anchored
    | AnchorFailed
    | BeaconAwaited
    | AnchorsAwaited
)
Listener: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener that does nothing."""
