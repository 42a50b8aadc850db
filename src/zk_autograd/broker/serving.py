"""A broker on a socket: HTTP/1.1 by uvicorn and FastAPI, in bounds of bytes, seconds, connections
and requests.

    POST /v0/nonce, /v0/release                     broker.messages
    GET  /v0/log/checkpoint                         the newest signed checkpoint
    GET  /v0/log/entries?first=N&end=N              decisions, a line each, at most 256
    GET  /v0/log/consistency?first=N&second=N       hashes of the proof, a line each

Whoever asks too often gets 429, with Retry-After. A refused release is 403, with an answer that is
signed and in the log; other refusals are a sentence, which nobody signed.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zk_autograd.broker.deciding import Broker
from zk_autograd.broker.messages import MAX_ASKING, MAX_REQUEST, Request, parse_asking
from zk_autograd.broker.rates import Rates, subscriber
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import UsageError, VerificationError, ZkError
from zk_autograd.local.serving import bounded

if TYPE_CHECKING:
    import ssl

    from fastapi import FastAPI
    from fastapi import Request as HttpRequest
    from uvicorn import Server

PATIENCE = 15.0
"""Seconds for a request's head, and for its body."""

MAX_CONNECTIONS = 256
MAX_HEAD = 2**14
"""Bytes of a request's head."""

GRACE = 10
"""Seconds that requests in progress have to end, after SIGTERM."""

JSON_TYPE, TEXT_TYPE = "application/json", "text/plain; charset=utf-8"

LogLine = Callable[[str, str, int], None]
"""Takes the method, what it was about, and the status of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status of HTTP, a body, its media type, and what a line of the server's log says."""

    status: int
    body: bytes
    about: str
    media_type: str = TEXT_TYPE
    wait: int = 0

    @classmethod
    def refusal(cls, status: int, sentence: str, about: str = "", wait: int = 0) -> "Reply":
        return cls(status, f"{sentence}\n".encode(), about or sentence, wait=wait)


@dataclass(frozen=True, slots=True)
class Door:
    """The broker behind its limits: what is asked for becomes a reply. `rates` are counted by
    address and by run."""

    broker: Broker
    addresses: Rates
    runs: Rates

    def nonce(self, body: bytes) -> Reply:
        try:
            run = parse_asking(body)
        except VerificationError as error:
            return Reply.refusal(400, str(error))
        if refused := self._too_often(run):
            return refused
        about = f"run {run.hex()}"
        nonce = self.broker.nonce(run)
        if nonce is None:
            return Reply.refusal(404, "this broker holds no key of that run", about)
        return Reply(200, nonce.encode(), f"{about}: a nonce", JSON_TYPE)

    def release(self, body: bytes) -> Reply:
        try:
            request = Request.parse(body)
        except VerificationError as error:
            return Reply.refusal(400, str(error))
        if refused := self._too_often(request.run):
            return refused
        decision, answer = self.broker.release(request)
        about = f"run {request.run.hex()}: {decision.reason}"
        return Reply(200 if decision.granted else 403, answer, about, TEXT_TYPE)

    def checkpoint(self) -> Reply:
        return Reply(200, self.broker.checkpoint(), "the log's checkpoint", TEXT_TYPE)

    def entries(self, first: int, end: int) -> Reply:
        leaves = self.broker.entries(first, end)
        return Reply(200, b"".join(leaf + b"\n" for leaf in leaves), f"{len(leaves)} decisions", TEXT_TYPE)

    def consistency(self, size1: int, size2: int) -> Reply:
        proof = self.broker.consistency(size1, size2)
        if proof is None:
            return Reply.refusal(404, "the log has no such trees", f"consistency {size1} {size2}")
        lines = "".join(f"{node.hex()}\n" for node in proof)
        return Reply(200, lines.encode(), f"consistency {size1} {size2}", TEXT_TYPE)

    def _too_often(self, run: bytes) -> Reply | None:
        return too_often(self.runs, run, f"run {run.hex()}")


def too_often(rates: Rates, name: object, about: str) -> Reply | None:
    """The refusal of a request that comes too soon."""
    wait = rates.wait(name)
    if not wait:
        return None
    seconds = max(1, math.ceil(wait))
    return Reply.refusal(429, f"too many requests: ask again in {seconds} s", f"{about}: too many requests", seconds)


def application(door: Door, log: LogLine) -> "FastAPI":
    """The ASGI application. UsageError without the extra [broker]."""
    try:
        from fastapi import FastAPI, Response
        from fastapi import Request as HttpRequest
        from fastapi.telemetry import TelemetryConfig
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import ClientDisconnect
    except ImportError as error:
        raise _missing(error) from error

    def response(method: str, host: str, reply: Reply) -> Response:
        log(method, f"{host} {reply.about}", reply.status)
        headers = {"Content-Type": reply.media_type, "Cache-Control": "no-store"}
        if reply.wait:
            headers["Retry-After"] = str(reply.wait)
        if reply.status in (408, 413, 429):  # a body may be left, which nobody reads
            headers["Connection"] = "close"
        return Response(reply.body, reply.status, headers)

    async def answered(request: HttpRequest, work: Callable[[], Awaitable[Reply]]) -> Response:
        host = _host(request)
        reply = too_often(door.addresses, subscriber(host), "an address")
        if reply is None:
            try:
                reply = await work()
            except ClientDisconnect:
                reply = Reply.refusal(400, "a client that went away")
            except ZkError as error:
                reply = Reply.refusal(503, "the broker can't keep anything now: nothing is released", str(error), 5)
        return response(request.method, host, reply)

    async def posted(request: HttpRequest, work: Callable[[bytes], Reply], most: int) -> Response:
        async def read() -> Reply:
            try:
                body = await asyncio.wait_for(bounded(request.stream(), most), PATIENCE)
            except TimeoutError:
                return Reply.refusal(408, f"a request has {PATIENCE:g} seconds", "a body that is too slow")
            if len(body) > most:
                return Reply.refusal(413, f"such a request has at most {most} bytes", "a body that is too long")
            return await run_in_threadpool(work, body)

        return await answered(request, read)

    async def nonce(request: HttpRequest) -> Response:
        return await posted(request, door.nonce, MAX_ASKING)

    async def release(request: HttpRequest) -> Response:
        return await posted(request, door.release, MAX_REQUEST)

    async def checkpoint(request: HttpRequest) -> Response:
        return await answered(request, partial(run_in_threadpool, door.checkpoint))

    async def entries(request: HttpRequest) -> Response:
        return await answered(request, partial(run_in_threadpool, _numbered, request, "first", "end", door.entries))

    async def consistency(request: HttpRequest) -> Response:
        return await answered(
            request, partial(run_in_threadpool, _numbered, request, "first", "second", door.consistency)
        )

    # A variable of the environment would have it send stack traces elsewhere.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
    silent["auto_configure"] = False
    served = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=silent)
    for path, handler in (("nonce", nonce), ("release", release)):
        served.add_api_route(f"/v0/{path}", handler, methods=["POST"], response_model=None)
    for path, handler in (("checkpoint", checkpoint), ("entries", entries), ("consistency", consistency)):
        served.add_api_route(f"/v0/log/{path}", handler, methods=["GET"], response_model=None)
    return served


def _host(request: "HttpRequest") -> str:
    return request.client.host if request.client else "unknown"


def _numbered(request: "HttpRequest", one: str, other: str, work: Callable[[int, int], Reply]) -> Reply:
    """The reply to a query of two numbers."""
    values = []
    for name in (one, other):
        text = request.query_params.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            return Reply.refusal(400, f"{name} is a number from 0 to {MAX_INTEGER}", "a query without its numbers")
        values.append(int(text))
    return work(*values)


def server(door: Door, log: LogLine, tls: tuple[Path, Path] | None = None) -> "Server":
    """A uvicorn server, to be run on sockets: `server(...).run([listening(...)])`; with `tls`, the
    files of a certificate and its key, over TLS 1.3. SIGTERM and SIGINT end it after the requests
    in progress. UsageError without the extra [broker], and for files that aren't those."""
    try:
        import uvicorn

        from zk_autograd.local.impatience import ImpatientProtocol
    except ImportError as error:
        raise _missing(error) from error
    config = uvicorn.Config(
        application(door, log),
        http=ImpatientProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=int(PATIENCE),
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MAX_HEAD,
        ssl_context_factory=None if tls is None else _always(_tls(*tls)),
    )
    return uvicorn.Server(config)


def _always(context: "ssl.SSLContext") -> Callable[..., Any]:
    return lambda *_: context


def _tls(certificate: Path, key: Path) -> "ssl.SSLContext":
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"--tls-cert {certificate} and --tls-key {key} are no certificate (PEM) and its key: {error}"
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is asked for a password")


def _missing(error: ImportError) -> UsageError:
    return UsageError(f"a broker needs the extra [broker] of zk-autograd ({error}): pip install 'zk-autograd[broker]'")
