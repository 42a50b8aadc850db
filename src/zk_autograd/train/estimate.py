"""How many proofs a run takes, and about how long and how much disk. Counts are exact; times and sizes are estimates.

Rules for the estimates: the time of an EZKL proof is that of its table, 2^16 rows, whatever is in it, as measured on two idle cores; that
of a native proof grows with its rows, one for each parameter and step, padding included. Proofs are made one after the other,
beside a training that takes far less time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import COMMITMENT_BYTES, SALT_BYTES
from zk_autograd.core.rules import state_names
from zk_autograd.core.text import counted

PROOF_SECONDS = 10
KEY_SECONDS = 20
"""Making the keys of a circuit, where the cache has none."""

EZKL_BASIS = "10 s a proof and 20 s for new keys, measured on two idle cores"
NATIVE_ROWS_PER_SECOND = {1: 270_000, 2: 270_000, 3: 250_000}
"""By how many states a rule has."""
NATIVE_PROOF_SECONDS = 0.4
"""What a proof costs beside its rows: the work that each challenge asks for."""
NATIVE_PROOF_BYTES = 1_060_000
"""Of the largest proof, of AdamW under the preset strict; the smallest has less than half of it."""

NATIVE_BASIS = "{fixed} s and {rate:,} rows a second for a proof of about a megabyte at most, measured on two cores"
CACHE_BYTES = 340 * 10**6
"""Keys and SRS in the user's cache folder, shared by all runs of one circuit."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`public_bytes` are the log and the proofs, `private_bytes` the journal of states, gradients and salts; `seconds` is for proving."""

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


def hashed_run(rule: Rule, group_sizes: Sequence[int], steps: int, *, block: int, segment_steps: int) -> Estimate:
    """For the prover "none"."""
    return _estimate("none", rule, group_sizes, steps, block, segment_steps, _Cost())


def proved_run(
    rule: Rule, group_sizes: Sequence[int], steps: int, *, block: int, segment_steps: int, proof_bytes: int
) -> Estimate:
    """For the prover "ezkl" with a circuit of `block` parameters and `segment_steps` steps."""
    cost = _Cost(proof_bytes, PROOF_SECONDS, KEY_SECONDS, CACHE_BYTES, EZKL_BASIS)
    return _estimate("ezkl", rule, group_sizes, steps, block, segment_steps, cost)


def native_run(rule: Rule, group_sizes: Sequence[int], steps: int, *, block: int, segment_steps: int) -> Estimate:
    """For the prover "native" with proofs of `block` parameters and `segment_steps` steps."""
    rate = NATIVE_ROWS_PER_SECOND[len(state_names(rule))]
    seconds = NATIVE_PROOF_SECONDS + block * segment_steps / rate
    cost = _Cost(NATIVE_PROOF_BYTES, seconds, basis=NATIVE_BASIS.format(fixed=NATIVE_PROOF_SECONDS, rate=rate))
    return _estimate("native", rule, group_sizes, steps, block, segment_steps, cost)


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one proof, and of what is made once; nothing of it where there are no proofs."""

    proof_bytes: int = 0
    proof_seconds: float = 0
    once_seconds: float = 0
    cache_bytes: int = 0
    basis: str = ""


def _estimate(
    backend: str, rule: Rule, group_sizes: Sequence[int], steps: int, block: int, segment_steps: int, cost: _Cost
) -> Estimate:
    states, parameters = len(state_names(rule)), sum(group_sizes)
    blocks = sum(-(-size // block) for size in group_sizes)
    segments = -(-steps // segment_steps)
    proofs = 0 if backend == "none" else blocks * segments
    hexadecimal = 2 * (COMMITMENT_BYTES[backend] * (2 * states + 1) + 32)
    record = 600 + blocks * hexadecimal
    witness = 8 * states * parameters + blocks * SALT_BYTES[backend] * (2 * states + 1)
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
