"""How long a native run can be, against how long the argument about its weights holds
(crates/air/src/decay.rs, docs/soundness.md)."""

from zk_autograd.core.formats import WEIGHT_BOUND
from zk_autograd.evidence.layout import MAX_LEAVES
from zk_autograd.prove.native.shape import MAX_LOG_ROWS, MIN_LOG_PARAMS

STEPS = 2**30
"""The argument's steps: a weight moves by less than 2^32 in each, and stays an integer far below
the field's order."""


def test_no_log_holds_as_many_steps_as_the_argument_allows() -> None:
    most = MAX_LEAVES << (MAX_LOG_ROWS - MIN_LOG_PARAMS)
    assert most == 2**29
    assert most < STEPS
    assert WEIGHT_BOUND + 2**32 * most < 2**62 < (2**64 - 2**32 + 1) // 2
