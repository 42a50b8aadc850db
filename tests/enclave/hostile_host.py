"""A hostile host: it lies between an enclave and an honest host's end of the relay, sees every
frame, and does with each what it likes. In a tunnel it sees pieces of bytes.

An honest end keeps what arrives, so what lies in its run is what a host could show to a stranger:
the enclave's own files, as altered on the way.
"""

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.starting import Instance

STALL = 3600.0


@dataclass(frozen=True)
class Frame:
    """A frame of a channel (called `name`, if it has a name), its number in its direction; of a
    tunnel, a piece of bytes (kind b"")."""

    channel: str
    name: str
    inward: bool
    number: int
    kind: bytes
    payload: bytes

    @property
    def whole(self) -> bytes:
        return (1 + len(self.payload)).to_bytes(4, "big") + self.kind + self.payload if self.kind else self.payload

    @property
    def word(self) -> dict[str, object]:
        """What a word says; {} for data."""
        if self.kind != b"W":
            return {}
        found: dict[str, object] = json.loads(self.payload)
        return found

    def saying(self, **changes: object) -> "Frame":
        text = json.dumps(self.word | changes, sort_keys=True, separators=(",", ":"))
        return replace(self, payload=text.encode())


class Cut(Exception):
    """The connection ends here."""


class Stalled(Exception):
    """Nothing more is carried, and the connection stays."""


Hook = Callable[[Frame], list[Frame]]
"""What becomes of a frame: those that go on, in their order."""


def carry_on(frame: Frame) -> list[Frame]:
    return [frame]


@dataclass
class HostileHost:
    """`hook` is asked about each frame; `seen` are all frames as they came."""

    hook: Hook
    seen: list[Frame] = field(default_factory=list)
    acted: int = 0
    _upstream: Address | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def between(self, upstream: Address) -> Iterator[Address]:
        """Where the enclave connects to, while the block runs."""
        self._upstream = upstream
        with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
            address = Address(path=str(Path(folder) / "relay"))
            listening = address.listen()
            thread = threading.Thread(target=self._accept, args=(listening,), daemon=True)
            thread.start()
            try:
                yield address
            finally:
                self._over.set()
                with contextlib.suppress(OSError):
                    listening.shutdown(socket.SHUT_RDWR)
                listening.close()
                thread.join(10)

    def launching(self, launch: Callable[[Address], Instance]) -> Callable[[Address], Instance]:
        """Starts the enclave with this host before the honest end."""

        def launched(upstream: Address) -> Instance:
            stack = contextlib.ExitStack()
            address = stack.enter_context(self.between(upstream))
            try:
                return _Between(launch(address), stack)
            except BaseException:
                stack.close()
                raise

        return launched

    def crossed(self, *, inward: bool) -> bytes:
        """All bytes that went one way."""
        return b"".join(frame.payload for frame in self.seen if frame.inward is inward)

    def records(self) -> list[bytes]:
        """The records that the enclave sent."""
        data, path = b"", ""
        for frame in self.seen:
            if frame.channel != "output" or frame.inward:
                continue
            if frame.kind == b"W":
                path = str(frame.word.get("path", ""))
            elif path == "log/records.jsonl":
                data += frame.payload
        return data.splitlines()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(near,), daemon=True).start()

    def _connection(self, near: socket.socket) -> None:
        assert self._upstream is not None
        with near, self._upstream.connect(10) as far:
            near.settimeout(STALL)
            far.settimeout(STALL)
            try:
                hello = _frame(near)
                said = json.loads(hello[1:])
                channel, name = str(said["channel"]), str(said["name"])
                far.sendall(len(hello).to_bytes(4, "big") + hello)
                back = threading.Thread(target=self._carry, args=(far, near, channel, name, True), daemon=True)
                back.start()
                self._carry(near, far, channel, name, False)
                back.join()
            except OSError:
                return

    def _carry(self, source: socket.socket, target: socket.socket, channel: str, name: str, inward: bool) -> None:
        number = 0
        try:
            while True:
                raw = channel == "tunnel" and (number > 0 or not inward)
                data = source.recv(2**16) if raw else _frame(source)
                if not data:
                    break
                kind, payload = (b"", data) if raw else (data[:1], data[1:])
                frame = Frame(channel, name, inward, number, kind, payload)
                with self._lock:
                    self.seen.append(frame)
                    sent = self.hook(frame)
                    self.acted += sent != [frame]
                for one in sent:
                    target.sendall(one.whole)
                number += 1
        except Stalled:
            self.acted += 1
            self._over.wait(STALL)
        except Cut:
            self.acted += 1
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@dataclass
class _Between:
    """The enclave's instance, and the hostile host that ends with it."""

    instance: Instance
    stack: contextlib.ExitStack

    def ended(self) -> bool:
        return self.instance.ended()

    def stop(self) -> None:
        self.instance.stop()
        self.stack.close()


def _frame(source: socket.socket) -> bytes:
    """Kind and payload of the next frame; b"" at the end."""
    head = _exactly(source, 4)
    return _exactly(source, int.from_bytes(head, "big")) if len(head) == 4 else b""


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = source.recv(size - len(found))
        if not piece:
            return b""
        found += piece
    return found
