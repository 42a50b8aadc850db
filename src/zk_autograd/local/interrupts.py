"""Signals that wait until something is whole: a step that was taken but not written down would part
a run from its model.

Python runs a signal's handler between any two operations of the main thread, and the one for Ctrl-C
raises KeyboardInterrupt there. While they are held, such handlers are noted, and called at the end.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Holder:
    """What holds signals at present; only the main thread uses it."""

    def __init__(self) -> None:
        self.holding = False
        self.passing = False
        self.noted: list[int] = []
        self.handlers: dict[int, Any] = {}

    def note(self, number: int, frame: FrameType | None) -> None:
        """In the place of a handler."""
        if self.passing:
            self.handlers[number](number, frame)
        elif number not in self.noted:
            self.noted.append(number)


_holder = _Holder()


@contextmanager
def held() -> Iterator[None]:
    """Inside, in the main thread, handlers of signals that are Python's wait for the end of the
    block, also for that of an outer one. Other threads get none."""
    if threading.current_thread() is not threading.main_thread() or _holder.holding:
        yield
        return
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    _holder.handlers = {number: handler for number, handler in found.items() if callable(handler)}
    _holder.noted, _holder.holding = [], True
    try:
        for number in _holder.handlers:
            signal.signal(number, _holder.note)
        yield
    finally:
        handlers = _holder.handlers
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _holder.holding = False
        for number in _holder.noted:
            handlers[number](number, None)


@contextmanager
def let_through() -> Iterator[None]:
    """Inside, handlers are called at once although they are held: around a wait, which they end."""
    if threading.current_thread() is not threading.main_thread() or not _holder.holding:
        yield
        return
    _holder.passing = True
    try:
        for number in list(_holder.noted):
            _holder.noted.remove(number)
            _holder.handlers[number](number, None)
        yield
    finally:
        _holder.passing = False
