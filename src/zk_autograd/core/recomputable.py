"""How much a state of a run may cost whoever commits to it again: a verifier refuses what is more, so a trainer begins no such run."""

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Header

MAX_COMMITTED = {"none": 2**33, "native": 2**29}
"""Elements, padding included, of one state that are committed again, by backend: 64 GiB to hash for `none`, some ten minutes for the native
prover (0.7 to 1 s of processor time for 2^20). Both hash all of them, and whoever made the commitments had to. Not a limit on memory, which
holds one block."""

MAX_BLOCKS = {"ezkl": 1024}
"""Blocks, where a commitment's cost doesn't hang on its elements: EZKL takes 0.12 s for each, whatever it holds, and who commits to zeros on purpose
takes next to nothing. So there are at most two minutes for a state: four for Adam's two at the start, and two more for published weights. A run of EZKL's needs seconds to minutes to prove each block of
each segment: an honest one has far fewer."""


def require_recomputable(header: Header, record: int | None = None) -> None:
    """VerificationError, which names `record`, if committing to a state, to one that is zero at the start or to the published weights, takes more
    than anybody has to spend."""
    block, backend, count = header.prover.block, header.prover.backend, len(header.blocks)
    if count > (most := MAX_BLOCKS.get(backend, count)):
        raise VerificationError(
            "the run has too many blocks to commit to a state of theirs again",
            record=record,
            expected=f"at most {most} blocks of the backend {backend}",
            found=str(count),
        )
    if block * count > (most := MAX_COMMITTED.get(backend, block * count)):
        raise VerificationError(
            "the blocks of the run are too large for their number",
            record=record,
            expected=f"at most {most} elements",
            found=str(block * count),
        )
