"""The host's end of the relay: it carries, and holds no secret. What an enclave asks for is bounded
here, too: connections, names, files, lines for people."""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from zk_autograd.core.errors import RunError, ZkError
from zk_autograd.core.text import printable
from zk_autograd.enclave.relay import channels
from zk_autograd.enclave.relay.channels import END, ENDED, INPUT, MAX_PATH, MAX_TEXT, OUTPUT, PROVE, SAY, TUNNEL, Hello
from zk_autograd.enclave.relay.frames import PATIENCE, PeerEnded, Wire
from zk_autograd.enclave.relay.kept import MAX_RUN, Kept
from zk_autograd.enclave.relay.tunnel import Target, carry

MAX_CONNECTIONS = 64
MAX_LINES = 2**20
"""Lines for people, of one run."""

_GREETING = 30.0
"""Seconds for a connection's first word."""

_LONG = 30 * 86400.0
"""Seconds that an enclave may compute between two words."""

_AGAIN = 0.1
"""Seconds until connections are taken again, after the system gave none."""

_ENCLAVE = "the enclave"


@dataclass(frozen=True, slots=True)
class Ended:
    """How the enclave says that its training ended (channels.ENDED), and why. Its word."""

    how: str
    reason: str


@dataclass(slots=True)
class Services:
    """What a host does for its enclave. `inputs` are by name, `prove` answers a connection of that
    channel (None: nothing is proved here), `say` gets lines that are printable, `kept` is told of
    each file after it changed. All of them are called by several threads."""

    inputs: Mapping[str, bytes]
    kept: Kept
    tunnels: Mapping[str, Target] = field(default_factory=dict)
    prove: Callable[[Wire], None] | None = None
    say: Callable[[str], None] = lambda text: None
    changed: Callable[[str], None] = lambda path: None


class Server:
    """Answers the connections of one enclave, a thread each, until it is closed."""

    def __init__(
        self, listening: socket.socket, services: Services, *, cid: int | None = None, patience: float = PATIENCE
    ) -> None:
        """`cid`: only this enclave's connections are taken (vsock)."""
        self._listening = listening
        self._services = services
        self._cid = cid
        self._patience = patience
        self._room = threading.Semaphore(MAX_CONNECTIONS)
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._ended = threading.Event()
        self._writing = False
        self._lines = 0
        self.greeted = False
        self.ended: Ended | None = None
        self.trouble: list[ZkError] = []
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No connection is answered any more, and all are ended."""
        with self._changed:
            self._closed = True
            left = list(self._open)
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def settle(self, seconds: float) -> None:
        """Waits until no connection is open, at most so long: an enclave that ended may have left
        words that weren't read yet."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, seconds)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, peer = self._listening.accept()
            except OSError:  # also a machine without descriptors or memory, for a while
                if not self._closed:
                    self._ended.wait(_AGAIN)
                continue
            if (self._cid is not None and peer[0] != self._cid) or not self._room.acquire(blocking=False):
                connection.close()
                continue
            with self._changed:
                self._open.add(connection)
            threading.Thread(target=self._answer, args=(connection,), name="relay channel", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        wire = Wire(connection, _ENCLAVE, self._patience)
        try:
            fields = wire.heard(_GREETING)
            with wire.understood():
                hello = Hello.of(fields)
            self.greeted = True
            self._serve(hello, wire)
        except ZkError as error:
            with suppress(RunError):
                wire.say({"refused": printable(str(error))[:MAX_TEXT] or "no reason"})
            with self._changed:
                if not self._closed and len(self.trouble) < MAX_CONNECTIONS:
                    self.trouble.append(error)
        finally:
            wire.close()
            self._room.release()
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()

    def _serve(self, hello: Hello, wire: Wire) -> None:
        if hello.channel == INPUT:
            self._input(hello.name, wire)
        elif hello.channel == OUTPUT:
            self._output(wire)
        elif hello.channel == TUNNEL:
            self._tunnel(hello.name, wire)
        elif hello.channel == SAY:
            self._say(wire)
        elif hello.channel == PROVE:
            if self._services.prove is None:
                raise RunError("this host proves nothing: it was started without a prover")
            self._services.prove(wire)

    def _input(self, name: str, wire: Wire) -> None:
        data = self._services.inputs.get(name)
        if data is None:
            raise RunError(f"there is no input {name}")
        wire.say({"refused": "", "size": len(data)})
        wire.send([data])

    def _output(self, wire: Wire) -> None:
        with self._changed:
            if self._writing:
                raise RunError("the enclave opens a second channel for its files")
            self._writing = True
        while self.ended is None:
            fields = wire.heard(_LONG)
            with wire.understood():
                way = fields.choice("do", (channels.APPEND, channels.REPLACE, channels.ONCE, END))
                if way == END:
                    ended = Ended(fields.choice("ended", ENDED), fields.text("reason", MAX_TEXT, min_len=0))
                    fields.end()
                    with self._changed:
                        self.ended = ended
                    return
                path = fields.text("path", MAX_PATH)
                at, size = fields.integer("at", 0, MAX_RUN), fields.integer("size", 0, MAX_RUN)
                fields.end()
            held = self._services.kept.put(way, path, at, size, wire.receive(size))
            self._services.changed(path)
            wire.say({"refused": "", "held": held})

    def _tunnel(self, name: str, wire: Wire) -> None:
        target = self._services.tunnels.get(name)
        if target is None:
            raise RunError(f"no tunnel {name} is allowed: --tunnel {name}=HOST:PORT allows one")
        with target.connect() as far:
            wire.say({"refused": ""})
            carry(wire.detach(), far)

    def _say(self, wire: Wire) -> None:
        while True:
            try:
                fields = wire.heard(_LONG)
            except PeerEnded:
                return
            with wire.understood():
                text = fields.text("text", MAX_TEXT)
                fields.end()
            with self._changed:
                self._lines += 1
                if self._lines > MAX_LINES:
                    raise RunError(f"the enclave says more than {MAX_LINES} lines")
            self._services.say(printable(text))
