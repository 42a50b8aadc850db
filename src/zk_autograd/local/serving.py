"""What the servers that run on a user's machine have in common: where they listen, and how much of
a request they take."""

import re
import socket
from collections.abc import AsyncIterator

from zk_autograd.core.errors import UsageError

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+)):([0-9]{1,5})")


def listening(address: str) -> socket.socket:
    """A socket that listens at `HOST:PORT`, or `[HOST]:PORT` of IPv6; port 0: a free one.
    UsageError for anything else, and for an address that can't be had."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        raise UsageError(f"--listen takes HOST:PORT, such as 127.0.0.1:7380, not {address[:100]!r}")
    plain, port = match[1] or match[2], int(match[3])
    try:
        family = socket.getaddrinfo(plain, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((plain, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"nobody can listen at {address[:100]!r}: {error}; choose another --listen") from error


def url_of(place: socket.socket, scheme: str = "http") -> str:
    """Where the socket listens, as people write it."""
    host, port = place.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


async def bounded(pieces: AsyncIterator[bytes], most: int) -> bytes:
    """A request's body, or its beginning, if it has more than `most` bytes."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > most:
            break
    return body
