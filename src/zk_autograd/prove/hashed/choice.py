"""How a trainer gets the backend `none`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.prove.protocol import Backend, Cost, Planned, Sample, Wanted

MAX_BLOCK = 2**20
"""The most parameters that are committed to together."""


class HashedChoice:
    """Blocks as large as the largest group."""

    def require_fitting(self, srs: str | Path | None, preset: str | None) -> None:
        if preset is not None:
            raise UsageError("only the prover native has presets: leave it out, or choose that prover")

    def preset_of(self, recorded: Prover) -> str:
        return ""

    def require_provable(self, prover: Prover, rule: Rule, decays: Mapping[str, str]) -> None:
        """It proves no rule, so there is nothing to refuse."""

    def planned(self, wanted: Wanted) -> Planned:
        made = _made(wanted.group_sizes).prover
        return Planned(made.block, made.steps, "the prover none logs hashes only", Cost())

    def sample(self, wanted: Wanted) -> Sample | None:
        return None

    def for_new_run(self, wanted: Wanted, srs: str | Path | None, scratch: Path) -> Backend:
        return _made(wanted.group_sizes)

    def of_run(self, recorded: Prover, srs: str | Path | None, scratch: Path) -> Backend:
        return HashedBackend(recorded.block, recorded.steps)


def _made(group_sizes: Sequence[int]) -> HashedBackend:
    return HashedBackend(block=min(MAX_BLOCK, max(group_sizes)))


CHOICE = HashedChoice()
