"""Attack: name another run's commitment to its data in the header, such as that of a data set that
was looked at and found clean.

Gain: a model that seems to be trained on data it never saw.

Why it fails: with the secrets that were opened, the data that were given have to be those of the
header (step 9). Whoever gives the other run's data, with its secrets, shows gradients that are not
theirs (step 9, too).
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attacks.tools.outcome import Outcome
from attacks.tools.replays import Attempt, Submission, outcome
from tests.verify import exact_runs
from zk_autograd.core.records import Data, Exact
from zk_autograd.optim.exact import ExactGradient
from zk_autograd.run.exact_files import ExactFiles

GAIN = "a model that seems to be trained on data it never saw"


class _Borrowing(ExactGradient):
    """Names the commitment to `other` data; its own secrets, or the others', are what it keeps."""

    other: ExactGradient
    keeps_own: bool

    def committed(self, backend: Any, *, by_beacon: bool) -> tuple[Data, Exact, ExactFiles]:
        data, exact, files = super().committed(backend, by_beacon=by_beacon)
        _, borrowed, others = self.other.committed(backend, by_beacon=by_beacon)
        kept = files if self.keeps_own else replace(files, secrets=others.secrets)
        return data, replace(exact, shards=borrowed.shards), kept


def _forge(folder: Path, *, keeps_own: bool) -> Submission:
    own = _Borrowing(exact_runs.graph_of(exact_runs.model()), exact_runs.data(1), exact_runs.BATCH, exact_runs.SEED)
    own.other, own.keeps_own = exact_runs.gradient(), keeps_own
    run = exact_runs.train(folder / "run", "native", own, steps=3)
    openings = exact_runs.opened(run, checked=False)
    return Submission(run, openings, own.cells if keeps_own else own.other.cells)


def own_data(folder: Path) -> Submission:
    """The data that the run was trained on are handed over."""
    return _forge(folder, keeps_own=True)


def others_data(folder: Path) -> Submission:
    """The data that the header names are handed over."""
    return _forge(folder, keeps_own=False)


ATTEMPTS = (
    Attempt("with its own data", "not what the header commits to, with the secrets that were opened", own_data),
    Attempt("with the other run's data", "is not what the graph gives on the data", others_data),
)


def run() -> Outcome:
    """All attempts."""
    with TemporaryDirectory() as folder:
        return outcome("data of another run", GAIN, ATTEMPTS, Path(folder))
