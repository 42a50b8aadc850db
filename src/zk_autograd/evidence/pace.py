"""How much a server may send, and how long it may take.

A server can send for ever, or a byte a second. So each answer must come at a minimum rate, after
some patience, and everything together has a bound in bytes and in seconds. Only the time in which a
server is waited for is counted, not the verifier's own work.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zk_autograd.core.progress import Progress, silent

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a verification over the network, in bytes and seconds.

    `total`: bytes received, and so kept on disk; `connect`: seconds for a connection to one
    address, and once more for TLS; `idle`: seconds without a byte; `patience`: seconds that an
    answer may take, beyond those that its bytes take at `rate`, bytes a second; `seconds`: for
    everything.
    """

    total: int = 16 * 2**30
    connect: float = 10
    idle: float = 30
    patience: float = 30
    rate: int = 16 * 2**10
    seconds: float = 2 * 3600


LIMITS = Limits()
"""Those of zk-verify."""


class LimitReachedError(OSError):
    """A server sent too much, or took too long. There is no point in asking it again."""


class Pace:
    """What a server has sent, and how long it took, held against `limits`."""

    def __init__(
        self, limits: Limits = LIMITS, progress: Progress = silent, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._progress = progress
        self._clock = clock
        self._since = 0.0
        self._spent = 0.0
        self._of_this = 0
        self._received = 0
        self._taken = 0
        self._expected = 0

    def begin(self) -> None:
        """An answer is waited for, from now on."""
        self._since, self._of_this = self._clock(), 0

    def end(self) -> None:
        """It has come, or not."""
        self._spent += self._clock() - self._since
        self._expected = self._taken

    def wait(self, most: float | None = None) -> float:
        """How many seconds to wait for the next byte, at most `most` (`limits.idle`).
        LimitReachedError if time is over."""
        limits, elapsed = self.limits, self._clock() - self._since
        if self._spent + elapsed >= limits.seconds:
            raise LimitReachedError(f"it took longer than {limits.seconds:g} seconds in all")
        left = min(limits.patience + self._of_this / limits.rate - elapsed, limits.seconds - self._spent - elapsed)
        if left <= 0:
            raise LimitReachedError(
                f"it is too slow: less than {limits.rate} bytes a second, after {limits.patience:g} seconds"
            )
        return min(limits.idle if most is None else most, left)

    def late(self) -> LimitReachedError:
        """The error for a byte that didn't come in time."""
        try:
            self.wait()
        except LimitReachedError as error:
            return error
        return LimitReachedError(f"nothing came for {self.limits.idle:g} seconds")

    def received(self, count: int) -> None:
        """Bytes came over the connection. LimitReachedError if they are too many."""
        self._received += count
        if self._received > self.limits.total:
            raise self._too_much()

    def expect(self, size: int) -> None:
        """A body of this size is to come. LimitReachedError if that would be too much."""
        self._expected = self._taken + size
        if self._expected > self.limits.total:
            raise self._too_much()

    def took(self, count: int) -> None:
        """Bytes of a body came: only these buy time."""
        self._of_this += count
        self._taken += count
        self._progress("fetched, in KiB", self._taken >> 10, max(self._taken, self._expected) >> 10)

    def _too_much(self) -> LimitReachedError:
        return LimitReachedError(f"more than {self.limits.total} bytes would have been fetched in all")


class PacedReader(io.RawIOBase):
    """A connection's bytes as they come, none of which is waited for longer than `pace` allows."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, pace: Pace) -> None:
        self._raw = raw
        self._socket = connection
        self._pace = pace
        self.patient = True
        """Whether to wait for a byte. If not, None is read where none is there yet."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._socket.settimeout(self._pace.wait() if self.patient else 0)
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError as error:
            raise self._pace.late() from error
        except ssl.SSLWantReadError:
            return None
        self._pace.received(count or 0)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
