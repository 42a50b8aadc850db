"""What a forked child comes to: it acts on what it has from its parent, and tells by a pipe how
that ended."""

import os
import signal
from collections.abc import Callable

import pytest

LIMIT = 60
"""Seconds after which a child that hangs is ended by a signal."""

forking = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""For tests that fork beside threads, which later versions of Python advise against."""


def in_child(act: Callable[[], object]) -> str:
    """What became of `act` in a forked child: "done", or the error's class and message. The child
    must come to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        try:
            act()
            text = "done"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}; it told {told!r}"
    return told
