"""Ctrl-C in two stages: the first asks the work to finish cleanly, the second ends it."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType


class Interruption:
    """A context that gives whether an end was asked for: the first SIGINT asks and calls
    `on_first`, the second raises KeyboardInterrupt, later ones do nothing."""

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.asked = False
        self._on_first = on_first
        self._count = 0
        self._before: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None

    def __enter__(self) -> Callable[[], bool]:
        self._before = signal.signal(signal.SIGINT, self._received)
        return lambda: self.asked

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _received(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            self.asked = True
            self._on_first()
        elif self._count == 2:
            raise KeyboardInterrupt
