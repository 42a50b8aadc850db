"""Raw bytes between an enclave and a service that the host's operator allowed. The host sees what
passes: TLS, which ends inside the enclave, or what is wrapped for its key."""

import re
import select
import socket
from contextlib import suppress
from dataclasses import dataclass

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.text import quoted
from zk_autograd.enclave.relay.channels import NAME

_CHUNK = 2**16
IDLE = 300.0
"""Seconds without a byte, either way, after which a tunnel ends."""

_CONNECTING = 15.0
_TARGET = re.compile(r"([^=]+)=(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a tunnel leads to."""

    host: str
    port: int

    def connect(self) -> socket.socket:
        """RunError if it can't be reached."""
        try:
            return socket.create_connection((self.host, self.port), _CONNECTING)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunError(f"{self.host}:{self.port} can't be reached: {reason}") from error

    @classmethod
    def parse(cls, text: str) -> tuple[str, "Target"]:
        """Name and target of NAME=HOST:PORT. UsageError for another text."""
        match = _TARGET.fullmatch(text)
        if match is None or not NAME.fullmatch(match[1]) or not 0 < int(match[3]) < 2**16:
            raise UsageError(f"{quoted(text)} is no tunnel: it is NAME=HOST:PORT, such as broker=broker.example:8443")
        return match[1], cls(match[2].strip("[]"), int(match[3]))


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carries bytes both ways until both ends have ended, one fails, or IDLE seconds pass."""
    facing = {one: other, other: one}
    waiting = [one, other]
    with suppress(OSError):
        for end in (one, other):
            end.settimeout(IDLE)
        while waiting:
            ready, _, _ = select.select(waiting, [], [], IDLE)
            if not ready:
                return
            for end in ready:
                if data := end.recv(_CHUNK):
                    facing[end].sendall(data)
                else:
                    waiting.remove(end)
                    with suppress(OSError):
                        facing[end].shutdown(socket.SHUT_WR)
