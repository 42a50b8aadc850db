"""How many proofs a run takes, and about how long and how much disk. Counts are exact; times and
sizes are estimates.

Rules for the estimates: the time of an EZKL proof is that of its table, 2^16 rows, whatever is in
it, as measured on two idle cores; that of a native proof grows with its rows, one for each
parameter and step, padding included. Proofs are made one after the other, beside a training that
takes far less time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.core.text import counted
from zk_autograd.prove.protocol import Planned


@dataclass(frozen=True, slots=True)
class Estimate:
    """`public_bytes` are the log and the proofs, `private_bytes` the journal of states, gradients
    and salts; `seconds` is for proving."""

    proofs: int
    segments: int
    seconds: int
    public_bytes: int
    private_bytes: int
    cache_bytes: int
    basis: str

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"proofs    {self.proofs}, one for each block of {counted(self.segments, 'segment')}",
            f"time      about {self.seconds} s for proving" + (f": {self.basis}" if self.basis else ""),
            f"disk      about {self.public_bytes:,} bytes to publish, {self.private_bytes:,} bytes of private journal, "
            f"{self.cache_bytes:,} bytes of keys in the cache",
            "Times and sizes are estimates; this machine was not measured.",
        ]

    def to_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "proofs": self.proofs,
            "segments": self.segments,
            "estimated_seconds": self.seconds,
            "estimated_public_bytes": self.public_bytes,
            "estimated_private_bytes": self.private_bytes,
            "estimated_cache_bytes": self.cache_bytes,
            "estimated_from": self.basis,
        }


def of_run(backend: str, rule: Rule, group_sizes: Sequence[int], steps: int, planned: Planned) -> Estimate:
    """Of a run of `steps` steps whose proofs, if the backend has any, are of the planned shape."""
    form, cost = BACKENDS[backend], planned.cost
    states, parameters = len(state_names(rule)), sum(group_sizes)
    blocks = sum(-(-size // planned.block) for size in group_sizes)
    segments = -(-steps // planned.steps)
    proofs = blocks * segments if form.proves else 0
    hexadecimal = 2 * (form.commitment_bytes * (2 * states + 1) + 32)
    record = 600 + blocks * hexadecimal
    witness = 8 * states * parameters + blocks * form.salt_bytes * (2 * states + 1)
    step = 500 + 4 * parameters
    return Estimate(
        proofs=proofs,
        segments=segments,
        seconds=ceil(cost.once_seconds + cost.proof_seconds * proofs),
        public_bytes=proofs * cost.proof_bytes + (segments + 3) * record,
        private_bytes=(segments + 1) * witness + steps * step,
        cache_bytes=cost.cache_bytes,
        basis=cost.basis,
    )
