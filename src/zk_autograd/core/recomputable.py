"""How much recomputing the commitments to a state of a run may cost: a verifier refuses more, so a
trainer begins no such run."""

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import BEACON, Header

MAX_FROM_BEACON = 2**31
"""First weights that a beacon may give: some three minutes to make."""


def require_recomputable(header: Header, record: int | None = None) -> None:
    """VerificationError, which names `record`, if committing to a state, to one that is zero at the
    start, to first weights that a beacon gave, to the published weights, or to a segment's exact
    gradients, costs more than a verifier should have to spend."""
    if header.weights_by == BEACON and header.size > MAX_FROM_BEACON:
        raise VerificationError(
            "the run has too many parameters for a beacon to give the first weights",
            record=record,
            expected=f"at most {MAX_FROM_BEACON}",
            found=str(header.size),
        )
    block, form, count = header.prover.block, header.prover.form, len(header.blocks)
    if form.max_blocks is not None and count > form.max_blocks:
        raise VerificationError(
            "the run has too many blocks to recompute the commitments to a state",
            record=record,
            expected=f"at most {form.max_blocks} blocks of the backend {header.prover.backend}",
            found=str(count),
        )
    if form.max_committed is not None and block * count > form.max_committed:
        raise VerificationError(
            "the run's blocks are too large, and too many, to recompute the commitments to a state",
            record=record,
            expected=f"at most {form.max_committed} elements",
            found=str(block * count),
        )
    gradients = block * header.prover.steps * count
    if header.exact is not None and form.max_gradients is not None and gradients > form.max_gradients:
        raise VerificationError(
            "the run's segments are too large to recompute the commitments to their gradients",
            record=record,
            expected=f"at most {form.max_gradients} elements",
            found=str(gradients),
        )
