"""A port of the enclave's own loopback that leads through one tunnel of the relay, for libraries
that connect by themselves. TLS ends in the library, inside the enclave."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from zk_autograd.core.errors import RunError
from zk_autograd.enclave.relay.client import Relay
from zk_autograd.enclave.relay.tunnel import carry

_MAX_REQUEST = 2**12
_WAIT = 30.0
_OPEN = b"HTTP/1.1 200 OK\r\n\r\n"


@contextmanager
def local_port(relay: Relay, name: str, *, proxy: bool = False) -> Iterator[int]:
    """The port, on 127.0.0.1, while the block runs. `proxy`: it takes an HTTP proxy's CONNECT
    (RFC 9110, section 9.3.6) first, whatever host that names: the host decides where the tunnel
    leads, and TLS tells whether that is who was meant."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, relay, name, proxy), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(listening: socket.socket, relay: Relay, name: str, proxy: bool) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(connection, relay, name, proxy), daemon=True).start()


def _carry(near: socket.socket, relay: Relay, name: str, proxy: bool) -> None:
    with near, suppress(OSError, RunError):  # the library sees that its connection ends
        near.settimeout(_WAIT)
        if proxy and not _connects(near):
            return
        with relay.tunnel(name) as far:
            if proxy:
                near.sendall(_OPEN)
            carry(near, far)


def _connects(near: socket.socket) -> bool:
    """Reads a CONNECT request, and nothing after it: the library waits for the answer."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        piece = near.recv(1)
        if not piece or len(request) == _MAX_REQUEST:
            return False
        request += piece
    return request.startswith(b"CONNECT ")
