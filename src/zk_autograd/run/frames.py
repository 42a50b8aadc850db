"""A file of frames that only grows. Each frame is chained to the file's owner and place, and to all
frames before it: one that was torn, altered, exchanged, left out or repeated is noticed.

    "zk-autograd/journal/v1\\n" | frames
    frame   prefix | check | head | check | parts
    prefix  mark, 16 bytes | name of the digest, 8 bytes, filled with zeros | how many frames were
            durable when this one was begun | bytes of the head | bytes of the parts (integers of 8
            bytes, big-endian)
    head    canonical JSON: the fields, and for each part its name, its bytes, and its digest
    mark    the first half of SHA-256("zk-autograd/journal/v1\\n" | digest of the run's header |
            number of the segment)

The first check is the digest of the check before it (of the whole SHA-256 that begins with the
mark, for the first frame) and the prefix, the second is that of the first and the head. A part
whose digest is empty is covered by the table of the same name (run.narrow).

What a crash leaves: a process that is killed, or finds the disk full, a frame that isn't whole. A
power cut also one whose sectors, some of them, were never written, and are zeros: that is taken
for a crash's work if no frame after it says that it was durable. Whoever goes on cuts both off.
Everything else is damage.
"""

import errno
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.evidence.files import unreadable
from zk_autograd.run.digests import BLAKE3, BYTES, SHA256, digest

MAGIC = b"zk-autograd/journal/v1\n"
_FAMILY = b"zk-autograd/journal/"
_PREFIX = struct.Struct(">16s8sQQQ")
_MARK, _NAME = 16, 8
_MAX_HEAD = 2**20
_MAX_PARTS = 64
_SECTOR = 512
_DIGESTS = (SHA256.encode(), BLAKE3.encode())
_PIECE = 2**20
TABLE = ".table"
"""What the name of a vector's table ends with."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose file it is: the digest of the run's header, and the number of the segment."""

    run: bytes
    segment: int

    @property
    def origin(self) -> bytes:
        """What the first frame is chained to; it begins with the mark."""
        return sha256(MAGIC + self.run + self.segment.to_bytes(8, "big")).digest()


@dataclass(frozen=True, slots=True)
class End:
    """Where a file ends, and what the next frame is chained to."""

    size: int
    check: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a frame in the file, and its digest."""

    offset: int
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame whose head was read and checked. Its parts are not, until they are read."""

    offset: int
    durable: int
    digest: str
    fields: Fields
    parts: Mapping[str, Span]
    end: End


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a file of `size` bytes holds: whole frames, up to `end`. What is behind is a crash's
    work."""

    frames: Sequence[Frame]
    end: End
    size: int


def begun(place: Place) -> End:
    """The end of a file that has no frames yet."""
    return End(len(MAGIC), place.origin)


def encode(
    place: Place, end: End, name: str, durable: int, fields: Mapping[str, Json], parts: Mapping[str, bytes]
) -> tuple[list[bytes], End]:
    """The bytes of the frame that follows `end`, in pieces, and the end after it. `name` is that of
    its digests, `fields` have no "parts"."""
    listed: list[Json] = [[part, len(data), _digest_of(name, part, data, parts).hex()] for part, data in parts.items()]
    head = canonical.encode({**fields, "parts": listed})
    body = sum(map(len, parts.values()))
    prefix = _PREFIX.pack(place.origin[:_MARK], name.encode(), durable, len(head), body)
    first = digest(name, end.check, prefix)
    check = digest(name, first, head)
    pieces = [prefix + first + head + check, *parts.values()]
    return pieces, End(end.size + sum(map(len, pieces)), check)


def _digest_of(name: str, part: str, data: bytes, parts: Mapping[str, bytes]) -> bytes:
    return b"" if part + TABLE in parts else digest(name, data)


def read(fd: int, path: Path, place: Place, most: int, bound: int, *, first: bool = False) -> Found:
    """The frames of an open file, at most `most`, each of at most `bound` bytes besides its head;
    their parts are left unread. `first`: only that one.

    VerificationError for what neither the writer nor a crash leaves. A sparse file takes neither
    memory nor time.
    """
    size = os.fstat(fd).st_size
    magic = pread(fd, path, 0, len(MAGIC))
    if magic.startswith(_FAMILY) and len(magic) == len(MAGIC) and magic != MAGIC:
        raise RunError(f"{path} is of another version ({magic!r}); use the version that began the run")
    if magic != MAGIC:
        raise VerificationError("it doesn't begin as one")
    end = begun(place)
    frames: list[Frame] = []
    while end.size < size:
        frame = _frame(fd, path, place, len(frames), end, size, bound)
        if frame is None:
            break
        if len(frames) == most:
            raise VerificationError("it has too many frames", expected=f"at most {most}", found="more")
        frames.append(frame)
        end = frame.end
        if first:
            break
    if not frames:
        raise VerificationError("its first frame is not whole")
    return Found(frames, end, size)


def _frame(fd: int, path: Path, place: Place, number: int, end: End, size: int, bound: int) -> Frame | None:
    """Frame `number`, at `end`; None for what a crash left there. VerificationError for damage."""
    rest = size - end.size
    if rest < _PREFIX.size + BYTES:
        return None
    begin = pread(fd, path, end.size, _PREFIX.size + BYTES)
    prefix, first = begin[: _PREFIX.size], begin[_PREFIX.size :]
    owner, text, durable, head_bytes, body_bytes = _PREFIX.unpack(prefix)
    mark = place.origin[:_MARK]
    if owner != mark:
        if _unwritten(begin, end.size):
            _require_newest(fd, path, mark, end.size, number)
            return None
        raise VerificationError("it belongs to another run or segment, or was altered")
    name = _name(text)
    if name is None or digest(name, end.check, prefix) != first:
        if _unwritten(begin, end.size):
            _require_newest(fd, path, mark, end.size, number)
            return None
        raise VerificationError("a frame of it was altered, left out or exchanged")
    if head_bytes > _MAX_HEAD or body_bytes > bound:
        raise VerificationError("a frame of it is larger than any that the writer writes")
    offset = end.size + len(begin) + head_bytes + BYTES
    if size < offset + body_bytes:
        return None
    rest_of_head = pread(fd, path, end.size + len(begin), head_bytes + BYTES)
    head, check = rest_of_head[:head_bytes], rest_of_head[head_bytes:]
    if digest(name, first, head) != check:
        if _unwritten(rest_of_head, end.size + len(begin)):
            _require_newest(fd, path, mark, end.size, number)
            return None
        raise VerificationError("the head of a frame of it was altered")
    fields = Fields(canonical.decode(head, max_bytes=_MAX_HEAD), "the frame")
    parts: dict[str, Span] = {}
    at = offset
    for item in fields.array("parts", max_items=_MAX_PARTS):
        part, length, found = item.array(max_items=3, min_items=3)
        covered = found.raw == ""
        parts[part.text(max_len=100)] = span = Span(at, length.integer(0, bound), b"" if covered else found.hex(BYTES))
        at += span.size
    if at != offset + body_bytes:
        raise VerificationError("its parts don't add up")
    return Frame(end.size, durable, name, fields, parts, End(at, check))


def part(fd: int, path: Path, frame: Frame, name: str, most: int) -> bytes:
    """A part of a frame, of at most `most` bytes, that has a digest. VerificationError if it is
    missing, larger, or altered."""
    span = span_of(frame, name, most)
    data = pread(fd, path, span.offset, span.size)
    if digest(frame.digest, data) != span.digest:
        raise VerificationError(f"the digest of its part {name} doesn't match")
    return data


def span_of(frame: Frame, name: str, most: int) -> Span:
    """Where a part of at most `most` bytes lies. VerificationError if it is missing or larger."""
    span = frame.parts.get(name)
    if span is None or span.size > most:
        raise VerificationError(f"its part {name} is missing, or too large")
    return span


def are_whole(fd: int, path: Path, name: str, spans: Iterable[Span]) -> bool:
    """Whether each of the spans is what its digest, called `name`, says. False if a crash may have
    left those that aren't: of each a sector was perhaps never written, since all of it is zeros.
    VerificationError if it can't have."""
    whole = True
    for span in spans:
        data = pread(fd, path, span.offset, span.size)
        if digest(name, data) != span.digest:
            if not _unwritten(data, span.offset):
                raise VerificationError("the digest of a part of it doesn't match")
            whole = False
    return whole


def pread(fd: int, path: Path, offset: int, size: int) -> bytes:
    """Exactly these bytes of an open file; fewer only where it ends. VerificationError where the
    system refuses."""
    pieces: list[bytes] = []
    try:
        while size and (piece := os.pread(fd, size, offset)):
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
    except OSError as error:
        raise unreadable(path, error) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _name(text: bytes) -> str | None:
    """What a power cut tore, or nobody writes, is none."""
    name = text.rstrip(b"\0")
    return name.decode() if name in _DIGESTS else None


def _unwritten(data: bytes, offset: int) -> bool:
    """Whether a sector of these bytes, which begin at `offset` of the file, is all zeros; of the
    sectors at both ends only what is in them."""
    begin = 0
    while begin < len(data):
        end = min(begin + _SECTOR - (offset + begin) % _SECTOR, len(data))
        if not any(data[begin:end]):
            return True
        begin = end
    return False


def _require_newest(fd: int, path: Path, mark: bytes, at: int, number: int) -> None:
    """VerificationError if a frame after number `number`, which is at `at` and of which sectors are
    missing, says that it was durable: then no crash took them."""
    place: int | None = at + 1
    while place is not None and (place := _next_data(fd, path, place)) is not None:
        piece = pread(fd, path, place, _PIECE + _PREFIX.size)
        found = piece.find(mark)
        while found >= 0:
            durable = piece[found + _MARK + _NAME : found + _MARK + _NAME + 8]
            if len(durable) == 8 and int.from_bytes(durable, "big") > number:
                raise VerificationError("a frame of it was overwritten with zeros")
            found = piece.find(mark, found + 1)
        place += _PIECE


def _next_data(fd: int, path: Path, offset: int) -> int | None:
    """The first place from `offset` on that isn't in a hole; None if there is none."""
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise unreadable(path, error) from error
