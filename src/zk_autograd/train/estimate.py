"""How many proofs a run takes, and about how long and how much disk. Counts are exact; times and
sizes are estimates, from what was measured just before (train.rehearsal).

A proof that is too long to be tried takes as long as the backend says (prove.protocol.Cost): what
was measured on another machine. The estimate says which it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.core.text import counted
from zk_autograd.prove.protocol import Planned
from zk_autograd.train.course import Pace, total_seconds
from zk_autograd.train.rehearsal import Rehearsal

_RECORD_BYTES = 600
_LOG_LINE_BYTES = 110
"""A step's line of train_log.jsonl."""


@dataclass(frozen=True, slots=True)
class Proving:
    """Seconds of a proof of the planned shape: `each`, and `first` more for the first one; `basis`
    says where that was measured."""

    each: float
    first: float
    basis: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """`public_bytes` are the log, the proofs and what is published with them, `private_bytes` the
    journal of states, gradients and salts. Seconds: of the steps alone, of the proofs alone, and
    from the order to the closed run. `basis` says in sentences what was measured, and where."""

    proofs: int
    segments: int
    training_seconds: float
    proving_seconds: float
    total_seconds: float
    public_bytes: int
    private_bytes: int
    cache_bytes: int
    basis: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people."""
        beside = f", {spoken(self.proving_seconds)} of proving beside it" if self.proofs else ""
        return [
            f"proofs    {self.proofs}, one for each block of {counted(self.segments, 'segment')}",
            f"time      about {spoken(self.total_seconds)} in all: {spoken(self.training_seconds)} of steps{beside}, and what comes before and after",
            f"disk      about {self.public_bytes:,} bytes to publish, {self.private_bytes:,} bytes of private journal, "
            f"{self.cache_bytes:,} bytes of keys in the cache",
            *(f"{'' if index else 'from':<9} {sentence}" for index, sentence in enumerate(self.basis)),
        ]

    def to_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "proofs": self.proofs,
            "segments": self.segments,
            "estimated_training_seconds": round(self.training_seconds, 3),
            "estimated_proving_seconds": round(self.proving_seconds, 3),
            "estimated_total_seconds": round(self.total_seconds, 3),
            "estimated_public_bytes": self.public_bytes,
            "estimated_private_bytes": self.private_bytes,
            "estimated_cache_bytes": self.cache_bytes,
            "estimated_from": list(self.basis),
        }


def of_run(
    backend: str,
    rule: Rule,
    group_sizes: Sequence[int],
    steps: int,
    planned: Planned,
    rehearsed: Rehearsal,
    proving: Proving,
    *,
    cores: int,
    backlog: int,
    shard_steps: int | None = None,
) -> Estimate:
    """Of a run of `steps` steps whose proofs, if the backend has any, are of the planned shape, on
    `cores` cores; training waits once more than `backlog` segments are not proved. `shard_steps` is
    after how many steps a shard of the data ends, and with it a segment; None if none does."""
    form, cost = BACKENDS[backend], planned.cost
    states = len(state_names(rule))
    blocks = sum(-(-size // planned.block) for size in group_sizes)
    each = min(planned.steps, shard_steps or steps)
    segments = -(-steps // planned.steps)
    if shard_steps is not None:
        whole, rest = divmod(steps, shard_steps)
        segments = whole * -(-shard_steps // planned.steps) + -(-rest // planned.steps)
    proofs = blocks * segments if form.proves else 0
    hexadecimal = 2 * (form.commitment_bytes * (2 * states + 1) + 32)
    record = _RECORD_BYTES + blocks * hexadecimal
    salts = blocks * form.salt_bytes * (2 * states + 1)
    pace = Pace(rehearsed.step, each, blocks * proving.each if form.proves else 0, proving.first)
    total = rehearsed.once + cost.once_seconds + total_seconds(pace, steps, cores=cores, backlog=backlog)
    more_steps = steps - rehearsed.steps
    return Estimate(
        proofs=proofs,
        segments=segments,
        training_seconds=steps * rehearsed.step,
        proving_seconds=proofs * proving.each + (proving.first if proofs else 0),
        total_seconds=total,
        public_bytes=rehearsed.public_bytes
        + proofs * cost.proof_bytes
        + segments * record
        + more_steps * _LOG_LINE_BYTES,
        private_bytes=round((segments + 1) * (rehearsed.start_bytes + salts) + steps * rehearsed.step_bytes)
        + rehearsed.data_bytes,
        cache_bytes=cost.cache_bytes,
        basis=_basis(rehearsed, proving, proves=form.proves),
    )


def _basis(rehearsed: Rehearsal, proving: Proving, *, proves: bool) -> tuple[str, ...]:
    where = (
        "on the disk of the run"
        if rehearsed.there
        else "among temporary files, as the run's folder can't be written to"
    )
    return (
        f"{counted(rehearsed.steps, 'step')} of this training just now, recorded {where}: {1000 * rehearsed.step:.1f} ms each",
        *([proving.basis] if proves else []),
        "estimates for a machine as busy as it was just now; register, anchors and a beacon are not in them",
    )


def spoken(seconds: float) -> str:
    """A time in words, with two or three digits."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
