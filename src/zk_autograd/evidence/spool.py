"""Where fetched bytes stay as long as they are judged: a temporary file without a name.

What was fetched once is read from here ever after, so that no step sees other bytes than another.
"""

import os
import tempfile
from collections.abc import Iterable

from zk_autograd.core.errors import UnreadableError
from zk_autograd.evidence.source import Place, read_at


class Spool:
    """Bytes that are only ever added. A `source.Source`. How many there may be is the caller's
    concern (`pace.Limits.total`)."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call it. UnreadableError if there can't be such a file."""
        self.name = name
        self.size = 0
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the reader
        except OSError as error:
            raise _full(error) from error

    def add(self, pieces: Iterable[bytes]) -> Place:
        """The place of these bytes, once all of them are there. UnreadableError if the disk doesn't
        take them."""
        start = at = self.size
        for piece in pieces:
            at = self._written(piece, at)
        self.size = at
        return Place(start, at - start)

    def read_at(self, start: int, size: int) -> bytes:
        """As Source's."""
        return read_at(-1 if self._file.closed else self._file.fileno(), start, size, "what was fetched")

    def close(self) -> None:
        self._file.close()

    def _written(self, piece: bytes, at: int) -> int:
        left = memoryview(piece)
        while left:
            try:
                count = os.pwrite(self._file.fileno(), left, at)
            except OSError as error:
                raise _full(error) from error
            left, at = left[count:], at + count
        return at


def _full(error: OSError) -> UnreadableError:
    return UnreadableError(
        f"the folder for temporary files doesn't take what is fetched: {error.strerror}; set TMPDIR to one with room"
    )
