"""A worker process, started by prove.executors.processes with the folder where a witness may lie.

A task comes in on standard input, its answer goes out on standard output, one after the other. The
process ends at once when its input does, or when its parent is gone: in the middle of a proof, too.
"""

import os
import queue
import resource
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from zk_autograd.local.child_processes import wait_for_end_of_parent
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send
from zk_autograd.prove.executors.task import Workshop, answered

MAX_TASK = 2**30
"""Bytes of a task: the largest has 2^22 rows."""


def main() -> None:
    """What others print goes to standard error, only answers to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the witness
    workshop = Workshop(Path(sys.argv[2]) if sys.argv[2:] else None)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    asked, ask = os.pipe()
    os.set_blocking(ask, False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # Python's handlers wait for the main thread, which may be proving
    signal.set_wakeup_fd(ask)
    for work in (lambda: _read(tasks, workshop), lambda: _watch(workshop), lambda: _await_end(asked, workshop)):
        threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            send(answers, answered(workshop.prove, tasks.get()))
        except OSError:  # nobody reads any more
            _end(workshop)


def _read(tasks: "queue.SimpleQueue[bytes]", workshop: Workshop) -> None:
    try:
        while True:
            tasks.put(receive(sys.stdin.buffer, MAX_TASK))
    except (BrokenFrameError, OSError):
        _end(workshop)


def _watch(workshop: Workshop) -> None:
    wait_for_end_of_parent()
    _end(workshop)


def _await_end(asked: int, workshop: Workshop) -> None:
    """SIGTERM is the only signal that is handled here."""
    os.read(asked, 1)
    _end(workshop)


def _end(workshop: Workshop) -> NoReturn:
    """A proof in progress isn't waited for."""
    with suppress(Exception):
        workshop.clear()
    os._exit(0)
