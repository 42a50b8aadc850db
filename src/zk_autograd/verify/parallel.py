"""Work on several threads whose results come in order.

What a proof system computes leaves Python, so that threads use the cores. The tasks themselves are
taken one after the other, by the thread that asks for results: reading needs no lock.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from zk_autograd.core.errors import VerificationError

Task: TypeAlias = tuple[int, Callable[[], None]]
"""A number, and work that raises VerificationError or returns."""

MAX_THREADS = 16
"""Each holds a proof, and what verifying it takes."""


def in_order(tasks: Iterator[Task]) -> Iterator[tuple[int, VerificationError | None]]:
    """The number and the error of each task, in the order of the tasks; at most two for each thread
    are held at a time. Other errors are raised. A caller that stops early waits for those that are
    being worked on, and no others are begun."""
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")
    pending: deque[tuple[int, Future[None]]] = deque()
    try:
        for number, work in tasks:
            pending.append((number, pool.submit(work)))
            if len(pending) >= 2 * threads:
                yield _result(*pending.popleft())
        while pending:
            yield _result(*pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(number: int, future: "Future[None]") -> tuple[int, VerificationError | None]:
    try:
        future.result()
    except VerificationError as error:
        return number, error
    return number, None
