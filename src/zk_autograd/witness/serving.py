"""A witness on a socket: HTTP/1.1 by uvicorn, in bounds of bytes, seconds and connections.

    POST /add-checkpoint
    GET  /<SHA-256 of the origin>/checkpoint

Connections are held by one thread that waits for none of them; a client that sends slowly is hung
up on. What takes time, signing and the disk, is done by other threads. TLS is a proxy's business.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.local.serving import bounded
from zk_autograd.witness.judging import Reply, Witness
from zk_autograd.witness.request import MAX_BODY

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from uvicorn import Server

PATIENCE = 15.0
"""Seconds for a request's head, and for its body."""

MAX_CONNECTIONS = 512
MAX_HEAD = 2**14
"""Bytes of a request's head."""

GRACE = 10
"""Seconds that requests in progress have to end, after SIGTERM."""

LogLine = Callable[[str, str, int], None]
"""Takes the method, what it was about, and the status of an answer."""


def application(witness: Witness, log: LogLine) -> "Starlette":
    """The ASGI application. UsageError without the extra [witness]."""
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import ClientDisconnect
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError as error:
        raise _missing(error) from error

    async def answered(request: "Request", work: Callable[[Any], Reply], argument: Any) -> "Response":
        try:
            reply = await run_in_threadpool(work, argument)
        except StorageError as error:
            log(request.method, str(error), 503)
            return Response("the witness can't keep anything now\n", 503, {"Retry-After": "5"}, "text/plain")
        log(request.method, reply.about, reply.status)
        # Given as a header, a media type is left as it is.
        return Response(reply.body, reply.status, {"Content-Type": reply.media_type})

    async def add_checkpoint(request: "Request") -> "Response":
        try:
            body = await asyncio.wait_for(bounded(request.stream(), MAX_BODY), PATIENCE)
        except TimeoutError:
            body = None
        except ClientDisconnect:
            log(request.method, "a client that went away", 400)
            return Response(status_code=400)  # nobody reads it
        if body is None or len(body) > MAX_BODY:
            status = 408 if body is None else 413
            log(request.method, "a body that is too slow" if body is None else "a body that is too long", status)
            return Response(f"at most {MAX_BODY} bytes in {PATIENCE:g} s\n", status, {"Connection": "close"})
        return await answered(request, witness.add_checkpoint, body)

    async def checkpoint(request: "Request") -> "Response":
        return await answered(request, witness.checkpoint, request.path_params["digest"])

    routes = [
        Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
        Route("/{digest:str}/checkpoint", checkpoint, methods=["GET"]),
    ]
    return Starlette(routes=routes)


def server(witness: Witness, log: LogLine) -> "Server":
    """A uvicorn server, to be run on sockets: `server(...).run([listening(...)])`. SIGTERM and
    SIGINT end it after the requests in progress. UsageError without the extra [witness]."""
    try:
        import uvicorn

        from zk_autograd.local.impatience import ImpatientProtocol
    except ImportError as error:
        raise _missing(error) from error
    return uvicorn.Server(
        uvicorn.Config(
            application(witness, log),
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
        )
    )


def _missing(error: ImportError) -> UsageError:
    return UsageError(
        f"a witness's server needs the extra [witness] of zk-autograd ({error}): pip install 'zk-autograd[witness]'"
    )
