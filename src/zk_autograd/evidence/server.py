"""Asking a server for bytes, by HTTP/1.1 (RFC 9112), so that nothing it answers does harm.

One connection, used again as long as it lasts. No redirect is followed and no encoding taken; no
proxy of the environment is used, and no cookie or password sent. Certificates are checked against
those that the system trusts, or those that SSL_CERT_FILE names. A body's length is known before it
is read, or it comes in chunks; then it must have that length, and nothing may follow. http.client
bounds lines (64 KiB) and headers (100); `pace` bounds all of it in bytes and time.

Whatever goes wrong between here and the server is an UnreadableError: it says nothing against the
run. What the answer's status means is the caller's to say (`evidence.remote`).
"""

import http.client
import io
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.text import printable, quoted
from zk_autograd.evidence.pace import LimitReachedError, Pace, PacedReader
from zk_autograd.evidence.url import Address

ADVICE = (
    "this says nothing against the run: try again, or fetch the run by other means and give its folder, or a bundle"
)
_PIECE = 2**16
_LENGTH = re.compile(r"[0-9]{1,18}")
_CLOSED = (ConnectionError, ssl.SSLError)


class Answer:
    """A server's answer: its status, and the body, to be read at most once."""

    def __init__(self, url: str, response: http.client.HTTPResponse, pace: Pace) -> None:
        self.url = url
        self.status = response.status
        self._response = response
        self._pace = pace
        self.read = False

    def header(self, name: str) -> str:
        """A header's value; "" if there is none."""
        return self._response.headers.get(name, "")

    def length(self) -> int | None:
        """How long the body is, None if it comes in chunks. UnreadableError if it doesn't say, or
        says it in a way that two readers may take differently."""
        headers = self._response.headers
        for encoding in headers.get_all("Content-Encoding", []):
            if encoding.strip().lower() != "identity":
                raise unread(self.url, f"the server encodes it as {quoted(encoding)}, which it was not asked for")
        lengths, codings = headers.get_all("Content-Length", []), headers.get_all("Transfer-Encoding", [])
        if not lengths and [coding.lower() for coding in codings] == ["chunked"]:
            return None
        if codings or len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
            raise unread(self.url, "the server's answer doesn't say in one way how long it is")
        return int(lengths[0])

    def body(self, limit: int, what: str) -> Iterator[bytes]:
        """The body, piece by piece. VerificationError if it has more than `limit` bytes; `what` has
        them."""
        length = self.length()
        if length is not None:
            if length > limit:
                raise _too_large(what, limit, str(length))
            self._pace.expect(length)
        count = 0
        while (length is None or count < length) and (piece := self._response.read1(_PIECE)):
            count += len(piece)
            self._pace.took(len(piece))
            if count > limit:
                raise _too_large(what, limit, "more")
            yield piece
        if length is not None and count != length:
            raise unread(self.url, f"the connection ended after {count} of {length} bytes")
        response = self._response
        if length is not None and isinstance(response, _PacedResponse) and response.goes_on():
            raise unread(self.url, f"the server sent more than the {length} bytes that it announced")
        self.read = True

    def close(self) -> None:
        """Nothing more of it is read."""
        self._response.close()


class Server:
    """The one server that is asked: the one that a run is read from."""

    def __init__(self, address: Address, pace: Pace, context: ssl.SSLContext | None = None) -> None:
        """`context`: whose certificates are accepted, instead of the system's. Nothing is asked
        yet."""
        self.address = address
        self._pace = pace
        self._gave_up: UnreadableError | None = None
        tls = None if address.scheme == "http" else context or ssl.create_default_context()
        self._connection = _Connection(address, pace, tls)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def asked(
        self,
        path: str,
        *,
        method: str = "GET",
        span: tuple[int, int] | None = None,
        sent: tuple[str, bytes] | None = None,
    ) -> Iterator[Answer]:
        """The answer for a path on the server; `span`: for the bytes from one number to another,
        both included; `sent`: to a body, after its media type. UnreadableError if none comes, or it
        breaks off while the block reads it."""
        url = self.address.origin + path
        if self._gave_up is not None:
            raise self._gave_up
        answer: Answer | None = None
        self._pace.begin()
        try:
            answer = Answer(url, self._answer(path, method, span, sent), self._pace)
            yield answer
        except (OSError, http.client.HTTPException) as error:
            fault = unread(url, _reason(error))
            if isinstance(error, LimitReachedError | _NoConnectionError):
                self._gave_up = fault
            raise fault from error
        finally:
            self._pace.end()
            if answer is not None:
                answer.close()
            if answer is None or not answer.read:  # what is left of it is not read
                self._connection.close()

    def _answer(
        self, path: str, method: str, span: tuple[int, int] | None, sent: tuple[str, bytes] | None
    ) -> http.client.HTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "zk-verify", "Accept": "*/*"}
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        if sent is not None:
            headers["Content-Type"] = sent[0]
        body = None if sent is None else sent[1]
        if self._connection.sock is not None:
            try:
                return self._connection.answer(method, path, headers, body)
            except _CLOSED:  # the server has closed a connection that was idle
                self._connection.close()
        return self._connection.answer(method, path, headers, body)


def unread(url: str, why: str) -> UnreadableError:
    """The error for what a server doesn't give as it should."""
    return UnreadableError(f"{url} can't be read: {why}; {ADVICE}")


def _too_large(what: str, limit: int, found: str) -> VerificationError:
    return VerificationError(f"{what} is too large", expected=f"at most {limit} bytes", found=found)


class _NoConnectionError(OSError):
    """Nobody answers there."""


class _Connection(http.client.HTTPConnection):
    """To the addresses that are allowed, over TLS where there is a context, paced."""

    def __init__(self, address: Address, pace: Pace, tls: ssl.SSLContext | None) -> None:
        super().__init__(address.host, address.port)
        self.default_port = 80 if tls is None else 443  # left out of the header Host
        self._address = address
        self._pace = pace
        self._tls = tls
        self.response_class = partial(_PacedResponse, pace=pace)  # type: ignore[assignment]

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """The answer's status and headers."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self._pace.wait())
        self.request(method, path, body, headers)
        return self.getresponse()

    def connect(self) -> None:
        last: OSError | None = None
        for family, target in self._targets():
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(self._pace.wait(self._pace.limits.connect))
                plain.connect(target)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.settimeout(self._pace.wait(self._pace.limits.connect))
                self.sock = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)
                return
            except OSError as error:
                plain.close()
                last = error
        raise _NoConnectionError(_reason(last or OSError("it has no address"))) from last

    def _targets(self) -> list[tuple[socket.AddressFamily, Any]]:
        """Where to connect to. Addresses of this machine are not looked up."""
        found: list[tuple[socket.AddressFamily, Any]] = []
        for name in self._address.loopback or (self.host,):
            flags = socket.AI_NUMERICHOST if self._address.loopback else 0
            try:
                entries = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM, flags=flags)
            except (socket.gaierror, UnicodeError) as error:
                raise _NoConnectionError(f"its host's name leads nowhere ({_said(error)})") from error
            found += [(entry[0], entry[4]) for entry in entries]
        return found


class _PacedResponse(http.client.HTTPResponse):
    """A response whose bytes come through a PacedReader."""

    def __init__(self, sock: socket.socket, *arguments: Any, pace: Pace, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._paced = PacedReader(self.fp.detach(), sock, pace)
        self.fp: io.BufferedReader = io.BufferedReader(self._paced, _PIECE)

    def goes_on(self) -> bool:
        """Whether bytes have come that are none of the answer's."""
        self._paced.patient = False
        try:
            return bool(self.fp.peek(1))
        except OSError:
            return False
        finally:
            self._paced.patient = True


def _reason(error: Exception) -> str:
    if isinstance(error, LimitReachedError | _NoConnectionError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {printable(error.verify_message)}"
    if isinstance(error, TimeoutError):
        return "no connection came about in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there (connection refused)"
    if isinstance(error, ConnectionError | http.client.IncompleteRead | ssl.SSLEOFError):
        return f"the connection ended early ({type(error).__name__})"
    if isinstance(error, http.client.HTTPException):
        return f"what the server answers is not HTTP/1.1 ({type(error).__name__})"
    return _said(error)


def _said(error: Exception) -> str:
    return printable(str(error.strerror)) if isinstance(error, OSError) and error.strerror else type(error).__name__
