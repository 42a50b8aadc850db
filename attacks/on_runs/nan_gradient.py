"""Attack: let the loss be NaN or infinite, so that a gradient is not a number.

Gain: cast to an integer, NaN is whatever the processor makes of it (-2^63 on most): a step that is
proved but that no training took, different on other machines, and chosen by whoever can make a
batch overflow.

Why it fails: the optimizer refuses a gradient that isn't finite before anything is recorded
(GradientError), and leaves weights and run as they were. This is on the trainer's side: a verifier
sees only integers, which are always finite.
"""

import numpy as np

from attacks.tools.attempt import Scene
from attacks.tools.outcome import Outcome
from zk_autograd.core.errors import GradientError
from zk_autograd.core.formats import FloatArray, quantize_gradient

GAIN = "a proved step in a direction that no loss gave"
VALUES = (float("nan"), float("inf"), float("-inf"))


def gradient(value: float) -> FloatArray:
    """A gradient with one element of this value."""
    return np.array([0.5, value, -0.25], np.float32)


def run(scene: Scene) -> Outcome:
    """Each value, at the entry to a step."""
    refused = True
    for value in VALUES:
        try:
            quantize_gradient(gradient(value), 0)
            refused = False
        except GradientError:
            continue
    return Outcome("NaN and infinite gradients", refused, "GradientError, before the step", GAIN)
