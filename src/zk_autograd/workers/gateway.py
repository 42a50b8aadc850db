"""Workers of a cluster, behind a process of their own that speaks with it.

Dask and Ray carry Python objects: whoever controls a cluster, a single worker of it perhaps, can
run code in each process that is connected to it. So the trainer's isn't. A gateway
(workers.gateway_process) connects, gets sealed tasks and hands bytes back; before it connects, it
gives up all files but Python's own (local.confinement).
"""

import os
import signal
import subprocess
import threading
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

from zk_autograd.core.errors import ProverError
from zk_autograd.core.text import printable
from zk_autograd.local.child_processes import python_alone
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send
from zk_autograd.prove.executors.processes import AnswerFuture
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.vault.holder.recipient import Recipient
from zk_autograd.workers.messages import MAX_SAID, Asked, Said
from zk_autograd.workers.names import require_keys
from zk_autograd.workers.sealing import seal_task

GATEWAY = "zk_autograd.workers.gateway_process"
MAX_SLOTS = 256
"""Whatever a gateway says: a trainer keeps some tasks for each."""
MEMORY = 2**31
"""Bytes of the tasks that a trainer keeps."""
_TASKS_A_SLOT = 4
_MAX_QUEUED = 3 * _TASKS_A_SLOT * MAX_SLOTS
CONNECT_SECONDS = 60.0
_END_SECONDS = 2.0
_TAIL = 600

_PASSED = ("DASK_", "RAY_", "LC_")
_PASSED_ALONE = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TZ")
"""Of the environment: tokens for other services stay out of the gateway's."""


class Unconfined(UserWarning):
    """The process that speaks with a cluster keeps its user's rights on this system."""


class GatewayWorkers:
    """The workers of the cluster that `address` names ("dask" or "ray" is the `kind`), of which
    those with a key of `recipients` can open the tasks."""

    def __init__(self, kind: str, address: str, recipients: Sequence[Recipient], command: Sequence[str] = ()) -> None:
        require_keys(f"{kind}:{address}", recipients)
        self._kind = kind
        self._address = address
        self._recipients = recipients
        self._command = command or python_alone(GATEWAY)
        self._owner = os.getpid()
        self._largest = 1
        self._lock = threading.Lock()
        self._gateway: _Gateway | None = None
        self._stopped = False

    @property
    def name(self) -> str:
        return f"{self._kind}:{self._address}"

    @property
    def own(self) -> bool:
        return False

    @property
    def slots(self) -> int:
        gateway = self._gateway
        return 1 if gateway is None else max(1, min(gateway.slots, MEMORY // (_TASKS_A_SLOT * self._largest)))

    def start(self) -> None:
        with self._lock:
            if self._stopped:
                raise ProverError("the workers were stopped")
            if self._gateway is not None and self._gateway.alive:
                return
            self._gateway = gateway = _Gateway([*self._command, self._kind, self._address])
        gateway.await_connection(self.name)  # without the lock: it can be stopped meanwhile

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        self.start()
        assert self._gateway is not None
        sealed_task = seal_task(task, place, self._recipients)
        self._largest = max(self._largest, len(sealed_task))
        return self._gateway.submit(sealed_task, place, attempt)

    def stop(self) -> None:
        if os.getpid() != self._owner:  # in a fork, the lock may be held by a thread that isn't there
            return
        with self._lock:
            self._stopped = True
            gateway = self._gateway
        if gateway is not None:
            gateway.stop()
            gateway.await_end()


class _Gateway:
    """A gateway's process, until it ends."""

    def __init__(self, command: Sequence[str]) -> None:
        self.slots = 0
        self._owner = os.getpid()
        self._lock = threading.Lock()  # never held while something is written or read
        self._queued = threading.Condition(self._lock)
        self._queue: deque[Asked] = deque()
        self._bytes = 0
        self._waiting: dict[int, AnswerFuture] = {}
        self._reaping = threading.RLock()
        self._number = 0
        self._connected, self._gone = threading.Event(), threading.Event()
        self._ended = self._unconfined = ""
        self._folders = ExitStack()
        folder = self._folders.enter_context(temporary_folder("zk-gateway-"))
        self._words = os.memfd_create("zk-gateway")
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(_PASSED) or name in _PASSED_ALONE
        }
        try:
            self._process = subprocess.Popen(
                [*command, str(folder)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                start_new_session=True,  # Ctrl-C is for the trainer
            )
        except OSError as error:
            self._folders.close()
            raise ProverError(f"no process can be started: {error.strerror}") from error
        for work in (self._listen, self._write):
            threading.Thread(target=work, name="gateway", daemon=True).start()

    @property
    def alive(self) -> bool:
        return not self._ended

    def await_connection(self, name: str) -> None:
        """ProverError if the cluster can't be reached."""
        end = monotonic() + CONNECT_SECONDS
        while not self._connected.wait(0.1) and not self._ended and monotonic() < end:
            pass
        if not self.slots or self._ended:
            reason = self._ended or f"no answer in {CONNECT_SECONDS:.0f} s"
            self.stop()
            raise ProverError(f"the workers {name} can't be used: {reason}")
        if self._unconfined:
            warnings.warn(
                f"whoever controls {name} can run code in the process that speaks with it, and here that process can read what you can: "
                f"{self._unconfined}. Its results are verified all the same",
                Unconfined,
                stacklevel=2,
            )

    def submit(self, task: bytes, place: Place, attempt: int) -> "Future[Any]":
        """Doesn't wait for the gateway to read it. ProverError if it is gone, or too far behind."""
        future = AnswerFuture()
        with self._queued:
            if self._ended:
                raise ProverError(f"the gateway ended: {self._ended}")
            if len(self._queue) >= _MAX_QUEUED or (self._queue and self._bytes + len(task) > MEMORY):
                raise ProverError(f"the gateway reads nothing more: {len(self._queue)} tasks wait for it")
            self._number += 1
            self._waiting[self._number] = future
            self._queue.append(Asked(self._number, attempt, place.segment, place.block, task))
            self._bytes += len(task)
            self._queued.notify()
        return future

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError):  # it ended, as the listening thread finds
            while (asked := self._next()) is not None:
                send(pipe, *asked.parts())
        with suppress(OSError):
            pipe.close()

    def _next(self) -> Asked | None:
        """The next task that is still wanted; None at the end."""
        with self._queued:
            while not self._ended:
                if not self._queue:
                    self._queued.wait()
                    continue
                asked = self._queue.popleft()
                self._bytes -= len(asked.task)
                future = self._waiting.get(asked.number)
                if future is None:
                    continue
                if future.set_running_or_notify_cancel():
                    return asked
                del self._waiting[asked.number]
        return None

    def stop(self) -> None:
        """Kills it. Does nothing in a fork of its owner, or once it is gone."""
        if os.getpid() != self._owner:
            return
        with self._reaping:  # its number is nobody else's until it is reaped
            if self._process.returncode is None and self._awaits_reaping():
                with suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _awaits_reaping(self) -> bool:
        """Whether the process, dead or alive, is still this one's child."""
        try:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # somebody else in this process did
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            self._process.wait()

    def await_end(self) -> None:
        """Until what it had on disk is removed, but not for long."""
        self._gone.wait(_END_SECONDS)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        reason = ""
        try:
            while not reason:
                said = Said.parse(receive(self._process.stdout, MAX_SAID))
                if said.kind == b"F":
                    reason = printable(said.content[:_TAIL].decode("utf-8", "replace"))
                elif said.kind == b"U":
                    self._unconfined = printable(said.content[:_TAIL].decode("utf-8", "replace"))
                elif said.kind == b"S":
                    self.slots = min(said.number, MAX_SLOTS)
                    self._connected.set()
                else:
                    self._answered(said)
        except BrokenFrameError as error:
            reason = str(error)
        except Exception as error:  # no memory for what it says, for one: the tasks must not wait for ever
            reason = f"{type(error).__name__}: {error}"
        self.stop()
        self._reap()
        with suppress(OSError):
            self._process.stdout.close()
        self._end(reason)

    def _answered(self, said: Said) -> None:
        with self._lock:
            future = self._waiting.pop(said.number, None)
        if future is None:
            return
        future.worker = said.worker
        with suppress(InvalidStateError):  # it was cancelled before it was sent
            if said.kind == b"A":
                future.set_result(said.content)
            else:
                reason = printable(said.content[:_TAIL].decode("utf-8", "replace"))
                future.set_exception(ProverError(f"no answer came: {reason}"))

    def _end(self, reason: str) -> None:
        size = os.fstat(self._words).st_size
        words = " ".join(os.pread(self._words, _TAIL, max(size - _TAIL, 0)).decode("utf-8", "replace").split())
        os.close(self._words)
        with self._queued:
            self._ended = reason + (f": {printable(words)}" if words and reason == "it ended" else "")
            left, self._waiting = list(self._waiting.values()), {}
            self._queue.clear()
            self._queued.notify_all()
        self._connected.set()
        for future in left:
            with suppress(InvalidStateError):
                future.set_exception(ProverError(f"the gateway ended: {self._ended}"))
        with suppress(OSError, RecursionError):  # whoever took it over may have made folders that resist
            self._folders.close()
        self._gone.set()
