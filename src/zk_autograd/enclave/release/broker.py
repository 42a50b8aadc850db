"""An enclave's side of a broker: it asks for a nonce, attests its release key, and opens the key
that it is given.

The host carries the bytes, and may be hostile: an answer counts if the broker's pinned key signed
it, for this run, nonce, release key and document, and if it is in that broker's log. TLS ends in
here, where a certificate is pinned; it hides from the host what is asked, and the key's secrecy
doesn't rest on it.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from zk_autograd.broker.decision import is_broker_key
from zk_autograd.broker.messages import MAX_ANSWER, MAX_ASKING, Answer, Nonce, Release, Request, encode_asking
from zk_autograd.core.attestation import release_digest
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.text import printable
from zk_autograd.tee.device import Device, document_of
from zk_autograd.vault.errors import KeyRefused, KeyServiceDown, VaultError
from zk_autograd.vault.holder.recipient import RecipientKey

SECONDS = 30.0
"""For one request, its answer included."""

_LATER = (408, 429, 503)
"""Statuses of a broker that may answer later."""
_MAX_HEAD = 2**14
_MAX_SENTENCE = 300
_PIECE = 2**14

Connect = Callable[[], socket.socket]
"""A new connection to the broker, a stream; OSError if there is none. The caller's relay."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker that an enclave asks: how it is reached, the host's name of its URL, its public
    key, and what ends TLS (None: it is spoken to in the clear)."""

    connect: Connect
    host: str
    key: PublicKey
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not is_broker_key(self.key):
            raise UsageError(f"{self.key.label} is no broker's key: its name is not the origin of a broker's log")
        if not self.host.isascii() or not self.host.isprintable() or " " in self.host or not self.host:
            raise UsageError("the broker's host is not the name or address of one")


def pinned_tls(certificates: str) -> ssl.SSLContext:
    """TLS 1.3 with a server whose certificate is one of these (PEM), or signed by one. The system's
    roots don't count. UsageError if there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a server's own certificate can be pinned
    try:
        context.load_verify_locations(cadata=certificates)
    except (OSError, ValueError) as error:
        raise UsageError(f"the broker's certificates can't be read as PEM: {error}") from error
    return context


def release(broker: Broker, run: bytes, release_key: RecipientKey, device: Device) -> bytes:
    """The key of the job of the run (16 bytes), 32 bytes: released by the broker for `release_key`,
    which `device` attests. One nonce, one request: nothing is tried again.

    VaultError for a broker that refuses, or whose answer isn't this one's: nothing of it is used.
    KeyServiceDown if it can't be reached or gives no answer; RunError where the device or the relay
    refuses.
    """
    public = release_key.public
    try:
        nonce = _nonce(broker, run)
        document = document_of(device, release_digest(run, public, nonce), public, nonce)
        request = Request(run, document, device.collateral())
        status, body = _asked(broker, "/v0/release", request.encode(), MAX_ANSWER)
        _require_answer(status, body)
        answer = Answer.parse(body, broker.key)
        answer.about(request)
        if not answer.decision.granted:
            raise KeyRefused(f"the broker refuses the key of run {run.hex()}: {answer.decision.reason}")
        if status != 200:
            raise VerificationError(f"the broker's answer grants the key, under status {status}")
        return _opened(answer, release_key)
    except VerificationError as error:
        raise VaultError(f"the broker's answer is refused: {error}") from error


def _opened(answer: Answer, release_key: RecipientKey) -> bytes:
    try:
        return release_key.unwrap(answer.wrapped, Release(answer.decision.run, answer.decision.nonce))
    except VaultError as error:
        raise VaultError(
            "the broker's answer has a key that doesn't open: it was wrapped for another release"
        ) from error


def _nonce(broker: Broker, run: bytes) -> bytes:
    status, body = _asked(broker, "/v0/nonce", encode_asking(run), MAX_ASKING)
    if status != 200:
        raise _refused(status, body)
    found = Nonce.parse(body)
    if found.run != run:
        raise VerificationError("the nonce is for another run")
    return found.nonce


def _require_answer(status: int, body: bytes) -> None:
    """A refusal that is signed says 403; what says something else was not decided."""
    if status not in (200, 403) or (status == 403 and not body.startswith(b"zk-autograd/")):
        raise _refused(status, body)


def _refused(status: int, body: bytes) -> VaultError:
    if 300 <= status < 400:
        return KeyRefused(f"the broker redirects (status {status}), and a redirect is not followed")
    sentence = printable(body[:_MAX_SENTENCE].decode("ascii", "replace").strip())
    kind = KeyServiceDown if status in _LATER else KeyRefused
    return kind(f"the broker answers with status {status}, and nobody signed it: {sentence}")


# ---- HTTP ----------------------------------------------------------------------------------------


class _Received(io.BytesIO):
    """Bytes that were received, as what http.client takes for a socket, and for its file."""

    def makefile(self, mode: str) -> io.BytesIO:
        return self

    def close(self) -> None:
        """What is left is still to be looked at."""


def _asked(broker: Broker, path: str, body: bytes, most: int) -> tuple[int, bytes]:
    """Status and body of the answer to a POST. KeyServiceDown if no whole one comes;
    VerificationError for what is not one answer within the bound."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {broker.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    end = time.monotonic() + SECONDS
    try:
        with broker.connect() as plain:
            plain.settimeout(SECONDS)
            if broker.tls is None:
                return _answer(_exchanged(plain, head.encode("ascii") + body, most, end), most)
            with broker.tls.wrap_socket(plain, server_hostname=_name(broker.host)) as channel:
                return _answer(_exchanged(channel, head.encode("ascii") + body, most, end), most)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise KeyServiceDown(
            f"the broker can't be reached, or its certificate is not the pinned one: {error}"
        ) from error


def _exchanged(channel: socket.socket, request: bytes, most: int, end: float) -> bytes:
    """All that comes until the other side closes: one answer, or too much."""
    channel.sendall(request)
    received = b""
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long to answer")
        channel.settimeout(left)
        piece = channel.recv(_PIECE)
        if not piece:
            return received
        received += piece
        if len(received) > most + _MAX_HEAD:
            raise VerificationError("it is too long", expected=f"at most {most} bytes")


def _answer(received: bytes, most: int) -> tuple[int, bytes]:
    source = _Received(received)
    response = http.client.HTTPResponse(cast(socket.socket, source), method="POST")
    try:
        response.begin()
        lengths = response.headers.get_all("Content-Length") or []
        if response.headers.get("Transfer-Encoding") is not None or len(lengths) != 1:
            raise VerificationError("it has not the one Content-Length that a broker's has")
        if response.length is None or response.length > most:
            raise VerificationError("it is too long", expected=f"at most {most} bytes")
        body = response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise KeyServiceDown(f"the broker gave no whole HTTP answer ({type(error).__name__})") from error
    if source.read(1):
        raise VerificationError("the broker answered twice")
    return response.status, body


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
