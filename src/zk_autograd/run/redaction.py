"""Redaction: no access token reaches a file or a stream that this package writes.

What is taken for a secret:

* a text of the form of a token: `hf_` (Hugging Face) or `vfy_` (the training service) and at least 8 letters or digits, as long as they go on;
* the password in a URL (`https://user:PASSWORD@host`), and the value of a parameter called token, key, secret or password;
* each value that a `Redactor` was told, whole, and each piece of it of at least 8 characters, wherever it stands.

All of it is also found percent-encoded and in the escapes of JSON and of Python's repr, `LAYERS` times over. Not found: base64, compressed or
encrypted copies, and pieces of an unknown token without its beginning.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MARK = "[redacted]"
PIECE = 8
"""Characters of a known secret that must not be seen together."""

LAYERS = 4
"""How often a secret may have been encoded."""

SHORTEST = 4
"""A known value with fewer characters is not looked for: half of any text would be redacted."""

_TOKEN = re.compile(r"(?:hf|vfy)_(?:(?:oauth|jwt)_[A-Za-z0-9._~-]{8,}|[A-Za-z0-9]{8,})")
_IN_URL = re.compile(
    r"://[^/?#@\s:]*:(?P<password>[^/?#\s]+)@"
    r"|[?&;](?:[a-z]+[_-])?(?:token|key|secret|password)=(?P<value>[^&;#\s\"'<>]+)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%(?P<percent>[0-9A-Fa-f]{2})|\\+(?:u(?P<long>[0-9A-Fa-f]{4})|x(?P<short>[0-9A-Fa-f]{2})|/)")


@dataclass(frozen=True, slots=True)
class Span:
    """A secret's place: characters `start` .. `end` - 1."""

    start: int
    end: int


class Redactor:
    """Finds and hides secrets. `add` may be called at any time, from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._pieces: re.Pattern[str] | None = None
        for secret in secrets:
            self.add(secret)

    @property
    def known(self) -> frozenset[str]:
        """The values that it was told."""
        return self._known

    def add(self, secret: str) -> None:
        """Hides this value from now on, too; one of less than `SHORTEST` characters is left out."""
        if len(secret) >= SHORTEST:
            self._known |= {secret}
            pieces = sorted({piece for known in self._known for piece in _pieces(known)}, key=len, reverse=True)
            self._pieces = re.compile("|".join(map(re.escape, pieces)))

    def text(self, text: str) -> str:
        """The text with `MARK` in the place of each secret."""
        parts, done = [], 0
        for span in self.spans(text):
            parts += [text[done : span.start], MARK]
            done = span.end
        return "".join((*parts, text[done:]))

    def data(self, data: bytes) -> bytes:
        """As `text`, for bytes in any encoding that has ASCII in it."""
        return self.text(data.decode("latin-1")).encode("latin-1")

    def spans(self, text: str) -> list[Span]:
        """Where secrets stand, in order; they neither overlap nor touch."""
        found = list(self._found(text))
        places = list(range(len(text) + 1)) if "%" in text or "\\" in text else []
        for _ in range(LAYERS):
            if not places or not _ESCAPE.search(text):
                break
            text, below = _unescaped(text)
            places = [places[place] for place in below]
            found += [Span(places[span.start], places[span.end]) for span in self._found(text)]
        return _joined(found)

    def _found(self, text: str) -> Iterator[Span]:
        for match in _TOKEN.finditer(text):
            yield Span(*match.span())
        for match in _IN_URL.finditer(text):
            yield Span(*match.span(match.lastgroup or 0))
        place = 0
        while self._pieces and (piece := self._pieces.search(text, place)):
            yield Span(*piece.span())
            place = piece.start() + 1  # pieces overlap


PROCESS = Redactor()
"""The one of this process: commands tell it each token that they resolve."""


def looks_secret(text: str) -> bool:
    """Whether something in the text would be redacted: what is recorded for good is refused instead."""
    return bool(PROCESS.spans(text))


def _pieces(secret: str) -> list[str]:
    if len(secret) <= PIECE:
        return [secret]
    return [secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1)]


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text with its escapes resolved, and for each of its characters, and its end, the place in `text` where it begins."""
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[done : match.start()])
        places += range(done, match.start() + 1)
        digits = match["percent"] or match["long"] or match["short"]
        parts.append(chr(int(digits, 16)) if digits else "/")
        done = match.end()
    parts.append(text[done:])
    places += range(done, len(text) + 1)
    return "".join(parts), places


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
