"""Which worker of a cluster gets a task: the one with the fewest, and for a task that goes out
again, one that didn't have it. Whoever fails often is asked last: one that lies at once would
otherwise always have the fewest.
"""

import threading
from collections import Counter
from collections.abc import Sequence

_MOST = 10_000
"""Tasks that are remembered: more than can be in flight for long."""
FAILURES = 3
"""Tasks that went out again after a worker had them, until it is asked last."""


class Assigning:
    """Remembers who has which tasks. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._had: dict[tuple[int, int], list[str]] = {}

    def choose(self, workers: Sequence[str], place: tuple[int, int], attempt: int) -> str:
        """One of the workers' names, for the task of a segment's block."""
        with self._lock:
            if attempt == 1:
                self._had.pop(place, None)
            while len(self._had) >= _MOST:
                del self._had[next(iter(self._had))]
            had = self._had.setdefault(place, [])
            if had:
                self._failed[had[-1]] += 1
            chosen = min(
                workers, key=lambda name: (name in had, self._failed[name] >= FAILURES, self._busy[name], name)
            )
            had.append(chosen)
            self._busy[chosen] += 1
            return chosen

    def done(self, worker: str) -> None:
        """It has one task less."""
        with self._lock:
            self._busy[worker] -= 1
            if self._busy[worker] <= 0:
                del self._busy[worker]
