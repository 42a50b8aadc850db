"""Reading a run from a server: its folder, or a bundle of it.

Of a folder, each file is fetched when it is first asked for. Of a bundle, ranges are, if the server
gives ranges; if not, all of it. What was fetched stays in a temporary file (`evidence.spool`) and
is never asked for again. Each length is bounded before it is read, by the layout's bounds and by
`evidence.pace`; what the bytes are worth is for the verifier to find out, as with any other run's.

A file that the server doesn't have (404, 410) is missing. Any other answer than the file says
nothing against the run: UnreadableError. What lies beside a folder's files can't be listed.
"""

import re
import ssl
from collections.abc import Generator
from threading import RLock
from typing import BinaryIO

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.progress import Progress, silent
from zk_autograd.core.text import quoted
from zk_autograd.evidence.beside import Entry
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.layout import CHECKPOINT, LOG, RECORDS, is_public
from zk_autograd.evidence.pace import LIMITS, Limits, Pace
from zk_autograd.evidence.run import Evidence
from zk_autograd.evidence.server import Answer, Server, unread
from zk_autograd.evidence.source import Place, Source, ends_early, reader
from zk_autograd.evidence.spool import Spool
from zk_autograd.evidence.url import parse_url

PAGE = 2**14
"""Bytes of a bundle that are fetched at once, at least: from its files' headers to small files."""

MAX_BUNDLE = 2**62
"""Bytes of a bundle that comes as a whole: what is fetched at all has the closer bound."""

_OK, _PARTIAL, _NO_SUCH_RANGE = 200, 206, 416
_MISSING = (404, 410)
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def open_url(
    url: str, progress: Progress = silent, *, limits: Limits = LIMITS, context: ssl.SSLContext | None = None
) -> Evidence:
    """A reader of the run at `url`, to be closed. UsageError for a URL that isn't taken, or where
    there is no bundle; UnreadableError if the server can't be reached, or doesn't answer as it
    should. `context` is `Server`'s."""
    address = parse_url(url)
    server = Server(address, Pace(limits, progress), context)
    if address.is_folder:
        return RemoteFolder(server)
    try:
        return RemoteBundle(_bundle(server))
    except UsageError as error:
        raise UsageError(f"{error}; the URL of a run's folder ends in a slash") from error


class RemoteFolder(Evidence):
    """The public files of a run in a folder that a server holds."""

    listable = False
    served = True

    def __init__(self, server: Server) -> None:
        """`server` is closed with it. Nothing is asked yet."""
        self._server = server
        self._spool = Spool(str(server.address))
        self._places: dict[str, Place | None] = {}
        self._lock = RLock()

    def close(self) -> None:
        self._server.close()
        self._spool.close()

    def has_log(self) -> bool:
        try:
            return self._place(f"{LOG}/{CHECKPOINT}", MAX_NOTE_BYTES) is not None or self.has(f"{LOG}/{RECORDS}")
        except UnreadableError:
            raise
        except VerificationError:  # to be judged, and refused
            return True

    def has(self, path: str) -> bool:
        with self._lock:
            if path in self._places:
                return self._places[path] is not None
            with self._server.asked(self._server.address.path + path, method="HEAD") as answer:
                if answer.status in _MISSING:
                    self._places[path] = None
                elif answer.status != _OK:
                    raise refused(answer)
                return answer.status == _OK

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """UnreadableError: HTTP lists nothing."""
        raise UnreadableError(f"the names in {self._server.address}{folder} can't be listed")

    def opened(self, path: str, limit: int) -> BinaryIO:
        if not is_public(path):
            raise VerificationError(f"{quoted(path)} is not the name of a public file of a run")
        place = self._place(path, limit)
        if place is None:
            raise VerificationError(f"{path} can't be read: the server has no such file")
        if place.size > limit:
            raise VerificationError(f"{path} is too large", expected=f"at most {limit} bytes", found=str(place.size))
        return reader(self._spool, place)

    def _place(self, path: str, limit: int) -> Place | None:
        """Where the file is, fetched if it wasn't; None if the server doesn't have it."""
        with self._lock:
            if path not in self._places:
                with self._server.asked(self._server.address.path + path) as answer:
                    found = answered(answer)
                    self._places[path] = self._spool.add(answer.body(limit, path)) if found else None
            return self._places[path]


class RemoteBundle(Bundle):
    """The public files of a run in a bundle that a server holds."""

    served = True


class RangedFile:
    """A file that a server gives ranges of. A `source.Source`: each page is fetched once."""

    def __init__(self, server: Server, spool: Spool, first: Answer) -> None:
        """`first` is the answer for its first page."""
        self.name = str(server.address)
        self._server = server
        self._spool = spool
        self._tag = _tag(first)
        self._pages: dict[int, int] = {}
        self._lock = RLock()
        self.size = _size(first)
        self._keep(first, 0, 0)

    def read_at(self, start: int, size: int) -> bytes:
        """As Source's."""
        if size <= 0:
            return b""
        if start + size > self.size:
            raise ends_early("the bundle", start + size - self.size)
        first, last = start // PAGE, (start + size - 1) // PAGE
        with self._lock:
            self._fetch(first, last)
            pages = [
                self._spool.read_at(self._pages[page], self._length(page, page)) for page in range(first, last + 1)
            ]
        begin = start - first * PAGE
        return b"".join(pages)[begin : begin + size]

    def close(self) -> None:
        self._server.close()
        self._spool.close()

    def _fetch(self, first: int, last: int) -> None:
        """Fetches those of the pages that aren't here, each gap with one request."""
        missing = [page for page in range(first, last + 1) if page not in self._pages]
        while missing:
            count = next((i for i, page in enumerate(missing) if page != missing[0] + i), len(missing))
            begin, end = missing[0], missing[count - 1]
            span = (begin * PAGE, begin * PAGE + self._length(begin, end) - 1)
            with self._server.asked(self._server.address.path, span=span) as answer:
                if answer.status != _PARTIAL:
                    raise refused(answer)
                if _size(answer) != self.size or _tag(answer) != self._tag:
                    raise unread(self.name, "it changed on the server while it was read")
                self._keep(answer, begin, end)
            missing = missing[count:]

    def _keep(self, answer: Answer, first: int, last: int) -> None:
        """The answer must be these pages and no others."""
        start, length = first * PAGE, self._length(first, last)
        expected = f"bytes {start}-{start + length - 1}/{self.size}"
        if answer.header("Content-Range") != expected or answer.length() != length:
            found = f"{quoted(answer.header('Content-Range'))} of {answer.length()} bytes"
            raise unread(self.name, f"the server gives another range than was asked for ({found})")
        place = self._spool.add(answer.body(length, "a range"))
        self._pages.update({page: place.start + (page - first) * PAGE for page in range(first, last + 1)})

    def _length(self, first: int, last: int) -> int:
        return min((last + 1) * PAGE, self.size) - first * PAGE


class _Whole:
    """A file that a server gives as a whole, all of it fetched. A `source.Source`."""

    def __init__(self, server: Server, spool: Spool) -> None:
        self.name, self.size, self.read_at = spool.name, spool.size, spool.read_at
        self._server, self._spool = server, spool

    def close(self) -> None:
        self._server.close()
        self._spool.close()


def _bundle(server: Server) -> Source:
    """The bundle at the server's address: in ranges where it gives them. It is closed with what is
    returned, or here."""
    address = server.address
    spool = Spool(str(address))
    try:
        with server.asked(address.path, span=(0, PAGE - 1)) as answer:
            if answer.status == _PARTIAL:
                return RangedFile(server, spool, answer)
            if answer.status == _OK:
                spool.add(answer.body(MAX_BUNDLE, "the bundle"))
                return _Whole(server, spool)
            if answer.status in _MISSING or answer.status == _NO_SUCH_RANGE:
                what = "it is empty" if answer.status == _NO_SUCH_RANGE else f"the server answers {answer.status}"
                raise UsageError(f"there is no bundle at {address}: {what}")
            raise refused(answer)
    except BaseException:
        server.close()
        spool.close()
        raise


def _size(answer: Answer) -> int:
    """How long the file is of which the answer is a range."""
    match = _RANGE.fullmatch(answer.header("Content-Range"))
    if match is None:
        raise unread(answer.url, f"the server gives a range, but not which ({quoted(answer.header('Content-Range'))})")
    return int(match[3])


def _tag(answer: Answer) -> str:
    """What names this version of the file, to the byte; "" if nothing does (RFC 9110, 8.8.3)."""
    tag = answer.header("ETag")
    return "" if tag.startswith("W/") else tag


def answered(answer: Answer) -> bool:
    """Whether the answer is the file that was asked for; False if the server doesn't have it.
    UnreadableError if it says anything else."""
    if answer.status not in (_OK, *_MISSING):
        raise refused(answer)
    return answer.status == _OK


def refused(answer: Answer) -> UnreadableError:
    """The error for a status that is not the file."""
    if 300 <= answer.status < 400:
        return UnreadableError(
            f"{answer.url} can't be read: the server answers {answer.status}, a redirect to {quoted(answer.header('Location'), 200)}, and none is "
            "followed: give the address itself; the URL of a run's folder ends in a slash"
        )
    return unread(answer.url, f"the server answers {answer.status}")
