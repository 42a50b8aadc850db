"""The host's side of a run: it starts the enclave, carries between it and the world, keeps what it
sends, and has that time-stamped. It needs no secret, and what it does wrong makes no false evidence
(tests/enclave/hostile_host.py)."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from zk_autograd.anchor.rfc3161.publish import TimestampAnchor
from zk_autograd.core.errors import RunError, StorageError, UsageError, ZkError
from zk_autograd.enclave.prover_host import HostProver
from zk_autograd.enclave.relay.address import ANY, Address
from zk_autograd.enclave.relay.channels import COMPLETE
from zk_autograd.enclave.relay.frames import PATIENCE
from zk_autograd.enclave.relay.kept import Kept, sealed_beside
from zk_autograd.enclave.relay.server import Server, Services
from zk_autograd.enclave.relay.tunnel import Target
from zk_autograd.enclave.stamping import LAST_WAIT, Stamper
from zk_autograd.enclave.start import Start
from zk_autograd.enclave.starting import Instance
from zk_autograd.local.named_files import read_named
from zk_autograd.local.new_files import require_new
from zk_autograd.vault.keys import MAX_KEY_FILE, SUFFIX

ENC = ".enc"
MAX_JOB = 2**32
BEGINNING = 300.0
"""Seconds that an enclave has to say its first word."""

_LOOK = 0.1

UNSURE = 60.0
"""Seconds for which a tool may fail to say whether the enclave still runs, before that ends the
run: a machine may be busy, and an enclave's run can't be begun again."""

_ASK_AGAIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job to be trained in an enclave. `job` is the folder with NAME.enc and NAME.key.json, `out`
    where the run is kept, with OUT.sealed beside it for what is sealed for the job's recipient;
    `launch` starts the enclave, which connects to the relay; `proves`: proofs are made here, for a
    job that has them made outside, which shows the host all of its data; `port`, `cid`: of vsock
    (0: a unix socket)."""

    job: Path
    out: Path
    start: Start
    launch: Callable[[Address], Instance]
    tunnels: Mapping[str, Target] = field(default_factory=dict)
    anchors: Sequence[TimestampAnchor] = ()
    proves: bool = False
    cid: int = 0
    port: int = 0
    patience: float = PATIENCE
    beginning: float = BEGINNING
    last_wait: float = LAST_WAIT


@dataclass(frozen=True, slots=True)
class Hosted:
    """How a run ended, by the enclave's own word (relay.channels.ENDED; "" if it said none) and
    reason. `unstamped`: a sentence for each anchor that lacks its newest entry; `troubles`: what
    the relay refused."""

    out: Path
    how: str
    reason: str
    unstamped: tuple[str, ...] = ()
    troubles: tuple[ZkError, ...] = ()

    @property
    def complete(self) -> bool:
        return self.how == COMPLETE


def job_files(folder: Path) -> tuple[Path, Path]:
    """The sealed job and its key file in a folder. UsageError unless there is one of each."""
    try:
        keys = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except OSError as error:
        raise UsageError(f"--job {folder} is no folder that can be read: {error.strerror}") from error
    if len(keys) != 1:
        raise UsageError(f"--job {folder} has {len(keys)} key files NAME{SUFFIX}, and must have one, beside NAME{ENC}")
    return keys[0].with_name(keys[0].name.removesuffix(SUFFIX) + ENC), keys[0]


def host(order: Order, say: Callable[[str], None]) -> Hosted:
    """Runs the job, and returns how it ended, or raises KeyboardInterrupt once the enclave was
    stopped. `say` gets lines for people, from several threads. RunError if the enclave can't be
    started, or ends without a word; StorageError where the disk refuses; UsageError for files that
    aren't there."""
    require_new(order.out, "--out")
    require_new(sealed_beside(order.out), "the folder for sealed files")
    sealed, key = job_files(order.job)
    inputs = {
        "job": read_named(sealed, "the sealed job", MAX_JOB),
        "key": read_named(key, "the key file", MAX_KEY_FILE),
        "start": order.start.encode(),
    }
    kept = Kept(order.out)
    with ExitStack() as stack:
        address = stack.enter_context(_address(order))
        stamper = Stamper(order.out, order.anchors, kept.add, say)
        prover = HostProver(Path(stack.enter_context(tempfile.TemporaryDirectory()))) if order.proves else None
        services = Services(inputs, kept, order.tunnels, prover, lambda text: say(f"enclave: {text}"), stamper.tell)
        server = Server(address.listen(), services, cid=order.cid or None, patience=order.patience)
        stack.callback(server.close)
        instance = order.launch(address)
        stack.callback(instance.stop)
        try:
            _wait(instance, server, order.beginning)
        except KeyboardInterrupt:
            instance.stop()
            server.settle(5)
            stamper.finish(0)
            raise
        server.settle(5)
        unstamped = stamper.finish(order.last_wait)
    return _judged(order, server, unstamped)


class Watched:
    """Whether an instance has ended, asked again and again."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._failing: float | None = None
        self._next = 0.0

    def ended(self) -> bool:
        """False also where that can't be said, for `UNSURE` seconds; then its RunError."""
        now = monotonic()
        if now < self._next:
            return False
        try:
            found = self._instance.ended()
        except RunError:
            self._failing = now if self._failing is None else self._failing
            if now - self._failing > UNSURE:
                raise
            self._next = now + _ASK_AGAIN
            return False
        self._failing = None
        return found


def _wait(started: Instance, server: Server, beginning: float) -> None:
    """Until the enclave has said how it ended, or ended. RunError if it never says a word."""
    instance, deadline = Watched(started), monotonic() + beginning
    while server.ended is None and not instance.ended():
        if not server.greeted and monotonic() > deadline:
            raise RunError(f"the enclave said nothing for {beginning:g} seconds after it was started")
        threading.Event().wait(_LOOK)
    deadline = monotonic() + 30
    while server.ended is not None and not instance.ended() and monotonic() < deadline:
        threading.Event().wait(_LOOK)  # it ends by itself once it has said so


def _judged(order: Order, server: Server, unstamped: Sequence[str]) -> Hosted:
    for trouble in server.trouble:
        if isinstance(trouble, StorageError):
            raise trouble
    ended = server.ended
    if ended is None:
        why = f" ({server.trouble[0]})" if server.trouble else ""
        left = f"{order.out} holds an unfinished run" if order.out.exists() else "it left nothing"
        raise RunError(f"the enclave ended without a word{why}: {left}, and nobody can resume it, as its key is gone")
    return Hosted(order.out, ended.how, ended.reason, tuple(unstamped), tuple(server.trouble))


@contextmanager
def _address(order: Order) -> Iterator[Address]:
    """Where the relay listens: at a port for this enclave, or in a folder that only this user can
    enter."""
    if order.port:
        yield Address(cid=ANY, port=order.port)
        return
    with tempfile.TemporaryDirectory(prefix="zk-relay-") as folder:
        yield Address(path=str(Path(folder) / "relay"))
