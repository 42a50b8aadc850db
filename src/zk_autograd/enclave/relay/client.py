"""The enclave's end of the relay. Nothing that the host says is believed: every length is bounded,
every answer checked, and a host that drops, stalls or contradicts is one RunError."""

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress

from zk_autograd.core.errors import RunError
from zk_autograd.core.text import printable
from zk_autograd.enclave.relay import channels
from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.channels import (
    APPEND,
    INPUT,
    MAX_TEXT,
    OUTPUT,
    PROVE,
    SAY,
    TUNNEL,
    Hello,
    answered,
    refusable,
)
from zk_autograd.enclave.relay.frames import PATIENCE, Wire

_HOST = "the host"


class Relay:
    """The channels to the host whose relay is at `address`."""

    def __init__(self, address: Address, patience: float = PATIENCE) -> None:
        self._address = address
        self._patience = patience
        self._telling: Wire | None = None
        self._silent = False
        self._lock = threading.Lock()

    def input(self, name: str, most: int) -> bytes:
        """The input `name`, of at most `most` bytes: whatever the host gave for it."""
        with self._opened(Hello(INPUT, name)) as wire:
            fields = answered(wire, f"the input {name}")
            with wire.understood():
                size = fields.integer("size", 0, most)
                fields.end()
            return b"".join(wire.receive(size))

    def outlet(self) -> "Outlet":
        """Where files leave. To be closed."""
        return Outlet(self._opened(Hello(OUTPUT)))

    def tunnel(self, name: str) -> socket.socket:
        """A stream of raw bytes to what the host's operator called `name`. To be closed."""
        wire = self._opened(Hello(TUNNEL, name))
        try:
            fields = answered(wire, f"the tunnel {name}")
            with wire.understood():
                fields.end()
        except BaseException:
            wire.close()
            raise
        return wire.detach()

    def prover(self) -> Wire:
        """The channel to the host's prover. To be closed."""
        return self._opened(Hello(PROVE))

    def say(self, text: str) -> None:
        """A line for people, from any thread. It is lost where the host doesn't take it: that stops
        no training."""
        with self._lock, suppress(RunError):
            if self._silent:
                return
            self._silent = True  # until it worked
            if self._telling is None:
                self._telling = self._opened(Hello(SAY))
            self._telling.say({"text": printable(text)[:MAX_TEXT]})
            self._silent = False

    def close(self) -> None:
        """No more lines are said. Other channels are closed by who opened them."""
        with self._lock:
            self._silent = True
            if self._telling is not None:
                self._telling.close()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, hello: Hello) -> Wire:
        wire = Wire(self._address.connect(self._patience), _HOST, self._patience)
        try:
            wire.say(hello.word())
        except BaseException:
            wire.close()
            raise
        return wire


class Outlet:
    """The channel `output`: one file's change after another, each acknowledged."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def put(self, way: str, path: str, at: int, size: int, pieces: Iterable[bytes]) -> None:
        """Sends `size` bytes of a file, and waits until the host says that it has them. `at`: how
        many of it were sent before (of an append). RunError unless it holds what it was sent."""
        with refusable(self._wire, f"the file {path}"):
            self._wire.say({"do": way, "path": path, "at": at, "size": size})
            self._wire.send(pieces)
        fields = answered(self._wire, f"the file {path}")
        with self._wire.understood():
            held = fields.integer("held", 0, 2**53)
            fields.end()
        if held != (at + size if way == APPEND else size):
            raise RunError(f"the host says that it holds {held} bytes of {path}, and was sent {at + size}")

    def end(self, ended: str, reason: str) -> None:
        """The last word: how the training ended. Nobody answers."""
        self._wire.say({"do": channels.END, "ended": ended, "reason": printable(reason)[:MAX_TEXT]})

    def close(self) -> None:
        """May be called twice."""
        self._wire.close()

    def __enter__(self) -> "Outlet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
