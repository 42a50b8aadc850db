"""Where a relay listens: `vsock:CID:PORT` of an enclave's hypervisor, or `unix:PATH` where the two
are processes of one machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.text import quoted

PARENT = 3
"""The address (CID) of the host, as an enclave of AWS Nitro knows it."""

ANY = 0xFFFFFFFF
"""VMADDR_CID_ANY: whoever listens there is asked by every enclave of this machine."""

_MAX_UNIX = 107
"""Bytes of a path that fits into sockaddr_un."""


@dataclass(frozen=True, slots=True)
class Address:
    """A path, or (with `path` = "") a CID and a port."""

    path: str = ""
    cid: int = 0
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Address":
        """UsageError for a text of neither form."""
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest and "\0" not in rest and len(rest.encode("utf-8", "surrogateescape")) <= _MAX_UNIX:
            return cls(path=rest)
        cid, _, port = rest.partition(":")
        if kind == "vsock" and _is_number(cid) and _is_number(port):
            return cls(cid=int(cid), port=int(port))
        raise UsageError(
            f"{quoted(text)} is no relay's address: it is unix:PATH, of at most {_MAX_UNIX} bytes, or vsock:CID:PORT"
        )

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"vsock:{self.cid}:{self.port}"

    def connect(self, patience: float) -> socket.socket:
        """A connection to who listens there. RunError if nobody does within `patience` seconds."""
        with self._explained("reached"):
            made = self._socket()
            try:
                made.settimeout(patience)
                made.connect(self._where())
            except BaseException:
                made.close()
                raise
            return made

    def listen(self) -> socket.socket:
        """A socket that listens there. RunError if that can't be."""
        with self._explained("listened at"):
            made = self._socket()
            try:
                made.bind(self._where())
                made.listen(64)
            except BaseException:
                made.close()
                raise
            return made

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_UNIX if self.path else socket.AF_VSOCK, socket.SOCK_STREAM)

    def _where(self) -> str | tuple[int, int]:
        return self.path or (self.cid, self.port)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunError(f"the relay {self} can't be {what}: {reason}") from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= ANY
