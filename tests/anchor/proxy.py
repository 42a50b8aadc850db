"""A proxy between a client and a server of the tests' own: it loses, delays, changes and invents
answers, as a network, an overloaded service or a hostile one does.

`before` sees each request and may answer by itself; `after` sees the server's answer and may change
it. Each returns a `Reply`, DROP, which resets the connection, or None, which leaves things as they
are.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, TypeAlias

MAX_BYTES = 2**27
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}


@dataclass(slots=True)
class Request:
    """A request; what `before` changes of it is what the server gets."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """DynamoDB's name for what is asked: "PutItem"."""
        return self.headers.get("X-Amz-Target", "").rpartition(".")[2]


@dataclass(slots=True)
class Reply:
    """An answer. `cut`: that many bytes of the body are sent, and the connection is reset."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


class _Drop:
    """The type of DROP."""


DROP: Final = _Drop()
Act: TypeAlias = Reply | _Drop | None


@dataclass(slots=True)
class Proxy:
    """The running proxy. `requests`: all that came, in order."""

    target: int
    port: int = 0
    before: Callable[[Request], Act] = lambda request: None
    after: Callable[[Request, Reply], Act] = lambda request, reply: None
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, part: str = "") -> int:
        """How many requests of this method have `part` in their path."""
        return sum(request.method == method and part in request.path for request in self.requests)

    def calm(self) -> None:
        """No fault from here on, and nothing has come."""
        self.before = lambda request: None
        self.after = lambda request, reply: None
        self.requests.clear()

    def answer(self, request: Request) -> Reply | _Drop:
        """What the client gets. One request at a time reaches the server."""
        self.requests.append(request)
        made = self.before(request)
        if made is not None:
            return made
        with self.lock:
            reply = self._forward(request)
        return self.after(request, reply) or reply

    def _forward(self, request: Request) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.target, timeout=60)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Reply(answer.status, headers, answer.read())
        finally:
            connection.close()


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A proxy in front of the port `target`, on a port of its own."""
    running = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are written one by one

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            assert length <= MAX_BYTES
            body = self.rfile.read(length)
            made = running.answer(Request(self.command, self.path, dict(self.headers.items()), body))
            if isinstance(made, Reply):
                self._send(made)
                if made.cut is None:
                    return
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[: reply.cut])
            self.wfile.flush()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no test's failure."""

    with Server(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
