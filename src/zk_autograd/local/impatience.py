"""uvicorn's HTTP/1.1 with bounds on how long a connection may take for a request's head, and for
all of a request.

uvicorn itself bounds only the time between two requests, and its clock stops at the next byte: a
client that sends one now and then, or that reads no answer, would keep its connection for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 15.0
LONGEST = 40.0
"""Seconds for a request: its body, the wait for the database, and the answer, until its client has
taken so much of it that the rest fits into the connection's buffers."""


class ImpatientProtocol(H11Protocol):
    """Hangs up on a client that has not sent a request's whole head within `SECONDS`, counted from
    the connection or the request before, and on one whose request is not over within `LONGEST`; the
    check comes every `SECONDS`, so it may take that much longer."""

    _watch: asyncio.TimerHandle | None = None
    _seen: Any = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.loop.call_later(SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        # `cycle` is the newest request whose head was read.
        now = self.loop.time()
        if self.cycle is not self._seen:
            self._seen, self._since = self.cycle, now
        elif self.cycle is None or self.cycle.response_complete or now - self._since >= LONGEST:
            self.transport.abort()  # `close` would wait until the client has read what is left
            return
        self._watch = self.loop.call_later(SECONDS, self._check)
