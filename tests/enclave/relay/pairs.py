"""Two ends of a relay in one process."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.client import Relay
from zk_autograd.enclave.relay.frames import Wire
from zk_autograd.enclave.relay.server import Server, Services

SHORT = 0.3


@contextmanager
def pair(patience: float = SHORT) -> Iterator[tuple[Wire, socket.socket]]:
    """A wire, and the socket of its peer, who may do anything."""
    one, other = socket.socketpair()
    other.settimeout(10)
    with one, other:
        yield Wire(one, "the host", patience), other


@contextmanager
def served(folder: Path, services: Services, patience: float = 5) -> Iterator[tuple[Relay, Server]]:
    """A host that does what it should."""
    address = Address(path=str(folder / "relay"))
    server = Server(address.listen(), services, patience=patience)
    try:
        with Relay(address, patience) as relay:
            yield relay, server
    finally:
        server.close()


@contextmanager
def hostile(folder: Path, answer: Callable[[socket.socket], None], patience: float = SHORT) -> Iterator[Relay]:
    """A host that answers each connection as `answer` does, and then ends it."""
    address = Address(path=str(folder / "hostile"))
    listening = address.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with Relay(address, patience) as relay:
            yield relay
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def frame(kind: bytes, payload: bytes) -> bytes:
    return (1 + len(payload)).to_bytes(4, "big") + kind + payload


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes, up to `end`."""
    found = b""
    while not found.endswith(end):
        piece = connection.recv(2**16)
        if not piece:
            raise OSError("ended")
        found += piece
    return found
