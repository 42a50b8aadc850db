"""Frames over a stream socket: 4 bytes of length, big-endian, of what follows; a byte that says
what it is; and the rest, at most MAX_FRAME bytes.

    W   a word: an object in canonical JSON, at most MAX_WORD bytes
    D   data: a piece of what a word announced

Neither side believes the other: no length is taken before it is bounded, a frame has to be whole
within `patience` seconds of being waited for, however slowly its bytes come, and a frame of the
wrong kind is an error. After an error the connection is of no use any more.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.fields import Fields

WORD, DATA = b"W", b"D"
MAX_FRAME = 2**20
MAX_WORD = 2**16
PATIENCE = 120.0
"""Seconds that one side waits for the other's next frame."""

_LENGTH = 4


class PeerEnded(RunError):
    """The other end ended the connection."""


class Wire:
    """One end of a connection, for one thread at a time. `peer` is what the other end is called in
    messages. Everything raises RunError for a peer that ends, stalls or breaks the protocol."""

    def __init__(self, connection: socket.socket, peer: str, patience: float = PATIENCE) -> None:
        self._socket = connection
        self._peer = peer
        self._patience = patience

    def say(self, word: Mapping[str, Json]) -> None:
        """Sends a word."""
        self._send(WORD, canonical.encode(dict(word)))

    def heard(self, patience: float | None = None) -> Fields:
        """The next frame, which must be a word. `patience`: seconds, if others than the wire's."""
        payload = self._receive(WORD, MAX_WORD, patience)
        with self.understood():
            return Fields(canonical.decode(payload, max_bytes=MAX_WORD), "word")

    def send(self, pieces: Iterable[bytes]) -> None:
        """Sends data, in frames."""
        for piece in pieces:
            for at in range(0, len(piece), MAX_FRAME):
                self._send(DATA, piece[at : at + MAX_FRAME])

    def receive(self, size: int) -> Iterator[bytes]:
        """`size` bytes of data, frame by frame; the caller has bounded `size`."""
        while size:
            piece = self._receive(DATA, min(size, MAX_FRAME), None)
            if not piece:
                raise self.broken("a frame without data")
            size -= len(piece)
            yield piece

    def broken(self, how: str) -> RunError:
        """The error for a peer that breaks the protocol."""
        return RunError(f"{self._peer} doesn't keep to the relay's protocol: {how}")

    def detach(self) -> socket.socket:
        """The socket, for whoever reads and writes raw bytes from here on."""
        self._socket.settimeout(None)
        return self._socket

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Makes `broken` of what a word's fields raise."""
        try:
            yield
        except VerificationError as error:
            raise self.broken(str(error)) from error

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, kind: bytes, payload: bytes) -> None:
        frame = (1 + len(payload)).to_bytes(_LENGTH, "big") + kind + payload
        try:
            self._socket.settimeout(self._patience)  # of sendall: for the whole frame
            self._socket.sendall(frame)
        except OSError as error:
            raise self._failed(error, "takes nothing", self._patience) from error

    def _receive(self, kind: bytes, most: int, patience: float | None) -> bytes:
        patience = self._patience if patience is None else patience
        deadline = monotonic() + patience
        length = int.from_bytes(self._exactly(_LENGTH, deadline, patience), "big")
        if not 1 <= length <= 1 + most:
            raise self.broken(f"a frame of {length} bytes, where {1 + most} are the most")
        frame = self._exactly(length, deadline, patience)
        if frame[:1] != kind:
            raise self.broken(f"a frame of the kind {ascii(frame[:1])[1:]}, where {ascii(kind)[1:]} was due")
        return frame[1:]

    def _exactly(self, size: int, deadline: float, patience: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            left = deadline - monotonic()
            if left <= 0:
                raise self._failed(TimeoutError(), "says nothing", patience)
            try:
                self._socket.settimeout(left)
                piece = self._socket.recv(min(size - len(found), MAX_FRAME))
            except OSError as error:
                raise self._failed(error, "says nothing", patience) from error
            if not piece:
                raise PeerEnded(f"{self._peer} ended the connection, and more was due")
            found += piece
        return bytes(found)

    def _failed(self, error: OSError, what: str, patience: float) -> RunError:
        if isinstance(error, TimeoutError):
            return RunError(f"{self._peer} {what} for {patience:g} seconds")
        return RunError(f"the connection to {self._peer} failed: {error.strerror or error}")
