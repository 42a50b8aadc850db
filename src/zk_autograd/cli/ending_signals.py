"""SIGTERM as Ctrl-C: what a command has started is stopped, and temporary folders are removed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_signals() -> Iterator[None]:
    """While the block runs, the first SIGTERM or SIGINT raises KeyboardInterrupt, and later ones do
    nothing: what is being stopped is stopped to its end. A signal that is ignored stays so (a shell
    has SIGINT ignored in the background). Nothing is changed in a thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def end(number: int, frame: FrameType | None) -> None:
        for one in taken:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        for number in taken:
            signal.signal(number, end)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
