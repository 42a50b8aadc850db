"""uvicorn's HTTP/1.1 with a bound on how long a connection may take for a request's head.

uvicorn itself bounds only the time between two requests, and its clock stops at the next byte: a
client that sends one now and then would keep its connection for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 15.0


class ImpatientProtocol(H11Protocol):
    """Hangs up on a client that has not sent a request's whole head within `SECONDS`, counted from
    the connection or the request before; the check comes every `SECONDS`, so it may take twice as
    long."""

    _watch: asyncio.TimerHandle | None = None
    _seen: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.loop.call_later(SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        # `cycle` is the newest request whose head was read.
        if self.cycle is self._seen and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
            return
        self._seen = self.cycle
        self._watch = self.loop.call_later(SECONDS, self._check)
