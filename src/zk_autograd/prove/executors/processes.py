"""Worker processes of the trainer's own, on its machine.

Each is a fresh Python (prove.executors.worker) which imports nothing of the user's: a training
script needs no main guard. Bytes go through pipes, and nothing is unpickled. The processes are in
sessions of their own, so that Ctrl-C is for the trainer alone; and they end with it.
"""

import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from zk_autograd.core.errors import ProverError
from zk_autograd.core.text import printable
from zk_autograd.local.child_processes import python
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.executors.task import MAX_ANSWER, answer_task

WORKER = "zk_autograd.prove.executors.worker"
_GRACE = 1.0
"""Seconds that a process has to remove what it keeps on disk."""
_TAIL = 600
"""Bytes of a dead process's last words."""


class AnswerFuture(Future[bytes]):
    """The future of an answer: who makes it, and since when (time.monotonic)."""

    worker = ""
    began: float


Call = tuple[AnswerFuture, bytes]


@dataclass(frozen=True, slots=True)
class _Running:
    """A process, and the file descriptor of what it wrote to standard error."""

    process: "subprocess.Popen[bytes]"
    words: int

    def end(self) -> str:
        """Ends it. Its last words."""
        with suppress(OSError):
            self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        size = os.fstat(self.words).st_size
        said = os.pread(self.words, _TAIL, max(size - _TAIL, 0))
        os.close(self.words)
        return said.decode("utf-8", "replace").strip()


class ProcessExecutor(Executor):
    """`count` processes that answer tasks. One that dies fails its task, and is begun again with
    the next one."""

    def __init__(self, count: int, scratch: Path | None = None, module: str = WORKER) -> None:
        """Starts them. `scratch` is where a witness may lie while it is proved; `module` is the
        worker's, whose `main` gets that folder. ProverError if no process can be started."""
        self._command = python(module, *([str(scratch.absolute())] if scratch else []))
        threads = max(1, (os.cpu_count() or 1) // count)
        self._environment = os.environ | ({"RAYON_NUM_THREADS": str(threads)} if count > 1 else {})
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._ended = False
        self._running: dict[int, _Running] = {}
        self._owner = os.getpid()
        self._threads: list[threading.Thread] = []
        try:
            for number in range(count):
                self._started(number)
        except ProverError:
            self.stop()
            raise
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Only `answer_task` with one task: RuntimeError for anything else, and after the end."""
        if fn is not answer_task or len(args) != 1 or kwargs:
            raise RuntimeError("a worker process answers tasks and calls nothing else: submit(answer_task, task)")
        future = AnswerFuture()
        with self._lock:
            if self._ended:
                raise RuntimeError("the worker processes were stopped")
            self._calls.put((future, args[0]))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes once the tasks that were submitted are answered; with
        `cancel_futures`, those that are in progress."""
        with self._lock:
            if not self._ended:
                self._ended = True
                if cancel_futures:
                    self._cancel()
                for _ in self._threads:
                    self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def stop(self) -> None:
        """Ends the processes, whatever they do: at once, or they are killed. Does nothing in a fork
        of their owner."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._ended = True
            self._cancel()
            for running in self._running.values():
                with suppress(OSError):
                    running.process.terminate()
            for _ in self._threads:  # more than processes, if one died
                self._calls.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(2 * _GRACE)

    def _cancel(self) -> None:
        with suppress(queue.Empty):
            while (call := self._calls.get_nowait()) is not None:
                call[0].cancel()

    def _serve(self, number: int) -> None:
        while (call := self._calls.get()) is not None:
            future, task = call
            if not future.set_running_or_notify_cancel():
                continue
            future.began = monotonic()
            try:
                answer = self._answered(number, future, task)
            except BaseException as error:  # every future is answered
                future.set_exception(error)
            else:
                future.set_result(answer)
        with self._lock:
            running = self._running.pop(number, None)
        if running is not None:
            running.end()

    def _answered(self, number: int, future: "AnswerFuture", task: bytes) -> bytes:
        process = self._started(number).process
        future.worker = f"process {process.pid}"
        assert process.stdin is not None and process.stdout is not None
        try:
            send(process.stdin, task)
            return receive(process.stdout, MAX_ANSWER)
        except (OSError, BrokenFrameError) as error:
            with self._lock:
                words = self._running.pop(number).end()
            said = f": {printable(' '.join(words.split()))}" if words else ""
            raise ProverError(f"the worker process ended with status {process.returncode} ({error}){said}") from error

    def _started(self, number: int) -> _Running:
        """The process of this number, begun again if it died."""
        with self._lock:
            running = self._running.get(number)
            if running is not None and running.process.poll() is None:
                return running
            if self._ended:
                raise ProverError("the worker processes were stopped")
            if running is not None:
                running.end()
            try:
                words = os.memfd_create("zk-worker")  # a pipe that nobody reads would fill up
                try:
                    process = subprocess.Popen(
                        self._command,
                        env=self._environment,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=words,
                        start_new_session=True,
                    )
                except BaseException:
                    os.close(words)
                    raise
            except OSError as error:
                raise ProverError(f"no worker process can be started: {error.strerror}") from error
            self._running[number] = _Running(process, words)
            return self._running[number]


class ProcessWorkers:
    """A run's own worker processes, made when they are first needed."""

    def __init__(self, count: int, scratch: Path | None = None, module: str = WORKER) -> None:
        """`count` of them, at least 1. The rest as `ProcessExecutor` has it."""
        self._count = count
        self._scratch = scratch
        self._module = module
        self._executor: ProcessExecutor | None = None
        self._stopped = False

    @property
    def name(self) -> str:
        return f"processes:{self._count}"

    @property
    def own(self) -> bool:
        return True

    @property
    def slots(self) -> int:
        return self._count

    def start(self) -> None:
        if self._stopped:
            raise ProverError("the worker processes were stopped")
        if self._executor is None:
            for left in self._scratch.glob("zk-prove-*") if self._scratch else ():  # of a trainer that was killed
                shutil.rmtree(left, ignore_errors=True)
            self._executor = ProcessExecutor(self._count, self._scratch, self._module)

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        self.start()
        assert self._executor is not None
        try:
            return self._executor.submit(answer_task, task)
        except RuntimeError as error:
            raise ProverError(str(error)) from error

    def stop(self) -> None:
        self._stopped = True
        if self._executor is not None:
            self._executor.stop()
