"""Who makes a run's proofs: workers behind a concurrent.futures.Executor."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from zk_autograd.core.errors import UsageError

EZKL = "ezkl"


@dataclass(frozen=True, slots=True)
class Place:
    """Which proof a task asks for: a block of a segment of the run with this header."""

    header_digest: bytes
    segment: int
    block: int


class Workers(Protocol):
    """Workers of one run. Called by one thread, but for `stop`.

    Nothing that they return is believed (run.coordinator); they are shown the witness.
    """

    @property
    def name(self) -> str:
        """What a user calls them: "processes:2"."""
        ...

    @property
    def own(self) -> bool:
        """Whether they are processes of this user and package on this machine, as good as the
        caller's own. Their proofs are verified, too."""
        ...

    @property
    def slots(self) -> int:
        """How many proofs they make at a time, now."""
        ...

    def start(self) -> None:
        """Makes them ready before the first task. ProverError if they can't be reached."""
        ...

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        """A future of an answer (prove.executors.task.answer_task), or of anything else that its
        worker likes. From the second `attempt` on, another worker than before where there is one.
        ProverError if there are no workers; they are made again by the next call."""
        ...

    def stop(self) -> None:
        """Ends what they do for this run at once, and the processes that are its own. Futures that
        are left are cancelled or fail. From any thread, and more than once."""
        ...


def require_fit(name: str, own: bool, backend: str) -> None:
    """UsageError for a backend whose proofs workers of this `name` can't make; `own` as of
    `Workers`.

    An answer crosses a cluster in the clear, that of a task that goes out again, too. Proofs by
    EZKL don't hide well enough for that: only so many of a block may become known, and each
    attempt is another one.
    """
    if not own and backend == EZKL:
        raise UsageError(
            f"proofs by EZKL can't be made by a cluster ({name}): each attempt is another proof, which a cluster sees, and only a few of a block "
            "may become known; choose processes:N, or the native prover"
        )
