"""Attack: train with other gradients than the declared graph gives on the committed data, and prove
every step.

Gain: a model of the trainer's choice under the name of an honest training: the proofs are valid,
since L1 takes any gradient.

Why it fails: what was opened has to open the record's commitments, so the auditor sees the
gradients that the steps were taken with, and computes each of them again (step 9).
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attacks.tools.outcome import Outcome
from attacks.tools.replays import Attempt, Submission, outcome
from tests.verify import exact_runs
from zk_autograd.core.cells import Cells
from zk_autograd.core.formats import IntArray
from zk_autograd.core.graph import Gradient, Pass
from zk_autograd.core.order import Order
from zk_autograd.optim.exact import ExactGradient

GAIN = "a model of the trainer's choice, as if it were the data's"
_WORDS = "is not what the graph gives on the data"


def _cheating(step: Callable[[ExactGradient, IntArray, int, int], Gradient]) -> Callable[[Path], Submission]:
    """A run whose trainer takes its gradients from `step`, and opens all of it."""

    class Cheating(ExactGradient):
        def step(self, weights: IntArray, number: int, k: int) -> Gradient:
            return step(self, weights, number, k)

        def float_loss(self, step: int) -> None:
            return None

    def forge(folder: Path) -> Submission:
        own = exact_runs.model()
        cheating = Cheating(exact_runs.graph_of(own), exact_runs.data(), exact_runs.BATCH, exact_runs.SEED)
        return Submission.of(exact_runs.train(folder / "run", "native", cheating, steps=3))

    return forge


def _other_data(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """The gradient of data that nobody committed to, such as the auditor's own test set."""
    other = exact_runs.gradient(seed_of_data=1)
    return other.step(weights, number, k)


def _labels(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """In step 2, the labels of two classes are exchanged in the first example of its batch."""
    cells = self.batch(number).copy()
    if number == 2:
        targets = slice(self.graph.features, None)
        cells[0, targets] = np.roll(cells[0, targets], 1)
    return _of(self, weights, cells, k)


def _another_graph(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """The gradient of a graph with the same parameters, and another loss."""
    other = Pass(exact_runs.graph_of(exact_runs.model(), loss="mse"))
    return other.step(weights, self.batch(number), self.batch_size, self.log_batch, k)


def _another_order(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """The batches of another seed, one that was tried until it suited."""
    rows = np.append(Order(self.shards, self.batch_size, exact_runs.SEED + 1).batch(number), 0)
    return _of(self, weights, self.cells[rows], k)


def _reused(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """Step 3 takes the batch of step 2 once more."""
    return _of(self, weights, self.batch(min(number, 2)), k)


def _dead_counted(self: ExactGradient, weights: IntArray, number: int, k: int) -> Gradient:
    """The example that stands for the dead ones counts as one of the batch."""
    return Pass(self.graph).step(weights, self.batch(number), self.batch_size + 1, self.log_batch, k)


def _of(self: ExactGradient, weights: IntArray, cells: Cells, k: int) -> Gradient:
    return Pass(self.graph).step(weights, cells, self.batch_size, self.log_batch, k)


ATTEMPTS = (
    Attempt("other data", f"the gradient of step 1 {_WORDS}", _cheating(_other_data)),
    Attempt("labels exchanged", f"the gradient of step 2 {_WORDS}", _cheating(_labels)),
    Attempt("another graph", f"the gradient of step 1 {_WORDS}", _cheating(_another_graph)),
    Attempt("another order", f"the gradient of step 1 {_WORDS}", _cheating(_another_order)),
    Attempt("a batch reused", f"the gradient of step 3 {_WORDS}", _cheating(_reused)),
    Attempt("a dead example counted", f"the gradient of step 1 {_WORDS}", _cheating(_dead_counted)),
)


def run() -> Outcome:
    """All attempts."""
    with TemporaryDirectory() as folder:
        return outcome("gradients of something else", GAIN, ATTEMPTS, Path(folder))
