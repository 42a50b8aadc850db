"""Attack: open other segments than those of the log.

Gain: a run with one segment of invented gradients, of which the auditor is shown an honest twin's.

Why it fails: what is opened has to open the commitments of the segment's own record: the state
before, the gradients, and the state that the steps lead to (step 9). A segment at another's place
has other batches, besides.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attacks.tools.outcome import Outcome
from attacks.tools.replays import Attempt, Submission, bodies, exchanged, outcome
from tests.verify import exact_runs
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Gradient
from zk_autograd.optim.exact import ExactGradient

GAIN = "a segment of invented gradients that nobody sees"
STEPS = 2 * exact_runs.SEGMENT


class _Inventing(ExactGradient):
    """From the second segment on, one element is another."""

    def step(self, weights: IntArray, number: int, k: int) -> Gradient:
        found = super().step(weights, number, k)
        return Gradient(
            found.G + np.eye(1, len(found.G), dtype=np.int32)[0] * (number > exact_runs.SEGMENT), found.loss
        )


def of_two_runs(folder: Path) -> Submission:
    """The second segment is that of an honest run, which begins with the same state."""
    own = _Inventing(exact_runs.graph_of(exact_runs.model()), exact_runs.data(), exact_runs.BATCH, exact_runs.SEED)
    cheating = Submission.of(exact_runs.train(folder / "cheating", "native", own, steps=STEPS))
    honest = Submission.of(exact_runs.train(folder / "honest", "native", steps=STEPS))
    return exchanged(cheating, [bodies(cheating)[1][0], bodies(honest)[1][1]])


def swapped(folder: Path) -> Submission:
    """The two segments of a run change places."""
    honest = Submission.of(exact_runs.train(folder / "honest", "native", steps=STEPS))
    return exchanged(honest, bodies(honest)[1][::-1])


ATTEMPTS = (
    Attempt("segments of two runs", "that was opened is not the one before segment 1", of_two_runs),
    Attempt("two segments exchanged", "that was opened is not the one before segment 0", swapped),
)


def run() -> Outcome:
    """All attempts."""
    with TemporaryDirectory() as folder:
        return outcome("openings mixed", GAIN, ATTEMPTS, Path(folder))
