"""Stretches of time on one lane of a timeline, in bounded number: neighbours are joined where the
gaps between them are smallest, so that a long run's lane keeps its large gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 2048
"""Spans that a lane keeps, at least."""


@dataclass(frozen=True, slots=True)
class Span:
    """Work on the segments `first` .. `last` from `begin` to `end`, in seconds: `busy` of them, in
    `count` pieces. `note` says in words what it was."""

    begin: float
    end: float
    first: int
    last: int
    busy: float
    count: int = 1
    note: str = ""

    @classmethod
    def of(cls, begin: float, end: float, segment: int, note: str = "") -> "Span":
        """A piece of work on one segment. Times may be in any order."""
        begin, end = min(begin, end), max(begin, end)
        return cls(begin, end, segment, segment, end - begin, 1, note)

    def joined(self, after: "Span") -> "Span":
        """Both, and what lies between."""
        return Span(
            min(self.begin, after.begin),
            max(self.end, after.end),
            min(self.first, after.first),
            max(self.last, after.last),
            self.busy + after.busy,
            self.count + after.count,
        )


def joined(spans: Sequence[Span], most: int) -> list[Span]:
    """The spans by their beginning, at most `most` (from 1): the smallest gaps are closed first,
    the earlier of two equal ones."""
    ordered = sorted(spans, key=lambda span: (span.begin, span.end, span.first))
    gaps = sorted(range(1, len(ordered)), key=lambda i: (ordered[i].begin - ordered[i - 1].end, i))
    closed = set(gaps[: max(len(ordered) - most, 0)])
    found: list[Span] = []
    for index, span in enumerate(ordered):
        if index in closed:
            found[-1] = found[-1].joined(span)
        else:
            found.append(span)
    return found


class Lane:
    """The spans of one lane, of which it keeps at most twice `MOST`."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def add(self, span: Span) -> None:
        """One more."""
        self._spans.append(span)
        if len(self._spans) > 2 * MOST:
            self._spans = joined(self._spans, MOST)

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(self._spans)

    @property
    def busy(self) -> float:
        """Seconds of work in all."""
        return sum(span.busy for span in self._spans)


class Marks:
    """Moments on a lane: how many there were, and where, of which it keeps at most twice `MOST`."""

    def __init__(self) -> None:
        self.count = 0
        self._times: list[float] = []

    def add(self, time: float) -> None:
        """One more."""
        self.count += 1
        self._times.append(time)
        if len(self._times) > 2 * MOST:
            del self._times[1::2]

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(sorted(self._times))
