"""Number formats of the exact pass: widths and bounds.

    symbol  meaning                                     scale       bound
    Wf      weight as the pass reads it, floor(W/2^16)  2^-16       abs(Wf) <= 2^22 (64)
    A, Z    activation; value before it; data           2^-12       abs < 2^22 (1,024)
    D, dZ   derivative of the sum of the batch's losses 2^-20       abs < 2^28 (256)
            by a unit's output; by its Z
    G       gradient (core.formats)                     2^-(28+k)   abs < 2^30, nothing saturates

`k` is the gradient scale's exponent. Every division rounds to nearest, halves up, but that of Wf,
which is a floor. A proof may show ranges a little wider than these, never narrower.
"""

WEIGHT_SHIFT = 16
"""Bits of W that the pass doesn't read."""

WEIGHT_BITS = 16
ACTIVATION_BITS = 12
DERIVATIVE_BITS = 20

WEIGHT_MAX = 2**22
"""Inclusive, unlike the other bounds."""
ACTIVATION_BOUND = 2**22
DERIVATIVE_BOUND = 2**28

ONE = 2**ACTIVATION_BITS
"""1 as an activation: the constant unit, and the target of an example's own class."""

TARGET_SHIFT = DERIVATIVE_BITS - ACTIVATION_BITS

MAX_LOG_BATCH = 13
"""A batch has at most 2^13 examples: its sum of 2^50 each then fits 63 bits."""

SHIFTS = range(17)
"""Permitted s: how many bits of a gradient's sum are rounded away."""


def gradient_shift(log_batch: int, k: int) -> int:
    """s = 4 + l - k: the sum over 2^l examples at 2^-32 becomes the mean at 2^-(28+k)."""
    return 4 + log_batch - k
