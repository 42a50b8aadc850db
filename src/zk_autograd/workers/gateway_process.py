"""A gateway to a cluster, a process that workers.gateway starts with a cluster's kind and
address, and a folder of its own.

What comes from the cluster may run code here: Dask's and Ray's protocols carry pickles. So tasks
are sealed, the environment has no tokens, and where the system has Landlock, this process opens
Python's and the system's public files alone. What it can still reach, local.confinement says.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from time import sleep
from typing import IO, Any, Protocol

from zk_autograd.local.child_processes import wait_for_end_of_parent
from zk_autograd.local.confinement import confine
from zk_autograd.local.python_files import python_files, system_files
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send
from zk_autograd.workers.messages import MAX_ASKED, Asked, Said

_LOOK_AFTER = 1.0  # seconds
_OF_ETC = (
    *("ca-certificates", "crypto-policies", "dask", "gai.conf", "group", "host.conf", "hostname", "hosts"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "machine-id", "mime.types", "nsswitch.conf"),
    *("os-release", "passwd", "pki/ca-trust", "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "resolv.conf"),
    *("services", "ssl/certs", "ssl/openssl.cnf", "timezone"),
)
"""Not all of it: root owns /etc/shadow and the keys in /etc/ssl/private."""
_WRITTEN = ("/dev/null",)


class Cluster(Protocol):
    """A cluster that this process is connected to."""

    def slots(self) -> int:
        """How many workers there are, each of which makes one proof at a time."""
        ...

    def submit(self, asked: Asked) -> "Future[Any]":
        """A future of an answer; not by a worker that answered for the same block before, if there
        is another."""
        ...

    def worker(self, future: "Future[Any]") -> str:
        """Who answered, as far as the cluster says so."""
        ...


def main() -> None:
    """Confines itself, connects, and carries tasks and answers until its input ends."""
    kind, address, scratch = sys.argv[2:5]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    unconfined = _confined(kind, Path(scratch))  # before there is a thread, which would keep its rights
    threading.Thread(target=_watch, daemon=True).start()
    lock = threading.Lock()

    def say(said: Said) -> None:
        with lock:
            try:
                send(answers, said.encode())
            except OSError:
                os._exit(0)

    if unconfined:
        say(Said(b"U", content=unconfined.encode("utf-8", "replace")))
    try:
        cluster = connected(kind, address)
        slots = cluster.slots()
    except Exception as error:  # whatever the cluster's library raises
        say(Said(b"F", content=f"{type(error).__name__}: {error}".encode("utf-8", "replace")))
        os._exit(1)
    say(Said(b"S", max(slots, 1)))
    threading.Thread(target=_tell_slots, args=(cluster, say, slots), daemon=True).start()
    _carry(cluster, sys.stdin.buffer, say)


def connected(kind: str, address: str) -> Cluster:
    """A connection. Whatever its library raises if there is none."""
    if kind == "dask":
        from zk_autograd.workers.dask_cluster import DaskCluster

        return DaskCluster(address)
    from zk_autograd.workers.ray_cluster import RayCluster

    return RayCluster(address)


def _confined(kind: str, scratch: Path) -> str:
    os.environ["TMPDIR"] = os.environ["HOME"] = str(scratch)
    tempfile.tempdir = str(scratch)
    os.chdir(scratch)
    places = [*system_files(), *(Path("/etc", name) for name in _OF_ETC), *python_files(), *_named()]
    written = [scratch, *map(Path, _WRITTEN)]
    if kind == "ray":  # which lists processes (their environments stay closed); its objects lie in /dev/shm
        places.append(Path("/proc"))
        written += [Path("/dev/shm"), Path(os.environ.get("RAY_TMPDIR", "/tmp/ray"))]
    return confine(places, written)


def _named() -> list[Path]:
    """Files that Dask's settings name, such as certificates."""
    values = (value for name, value in os.environ.items() if name.startswith("DASK_") and os.path.isabs(value))
    return [Path(value) for value in values if os.path.isfile(value)]


def _carry(cluster: Cluster, tasks: IO[bytes], say: Callable[[Said], None]) -> None:
    while True:
        try:
            asked = Asked.parse(receive(tasks, MAX_ASKED))
        except (BrokenFrameError, OSError):
            os._exit(0)
        try:
            cluster.submit(asked).add_done_callback(partial(_done, cluster, say, asked.number))
        except Exception as error:
            say(Said(b"X", asked.number, "", _text(error)))


def _done(cluster: Cluster, say: Callable[[Said], None], number: int, future: "Future[Any]") -> None:
    """In a thread of the cluster's library."""
    worker = ""
    try:
        worker = cluster.worker(future)
        answer = future.result()
    except BaseException as error:
        say(Said(b"X", number, worker, _text(error)))
        return
    if type(answer) is bytes:
        say(Said(b"A", number, worker, answer))
    else:
        say(Said(b"X", number, worker, f"the worker returned a {type(answer).__name__}, not bytes".encode()))


def _text(error: BaseException) -> bytes:
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:2000]


def _tell_slots(cluster: Cluster, say: Callable[[Said], None], known: int) -> None:
    while True:
        sleep(_LOOK_AFTER)
        try:
            now = cluster.slots()
        except Exception:  # tasks in flight say what is wrong
            continue
        if now != known and now > 0:
            known = now
            say(Said(b"S", now))


def _watch() -> None:
    wait_for_end_of_parent()
    os._exit(0)
