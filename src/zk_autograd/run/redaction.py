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
_BEGUN = re.compile(r"(?:hf|vfy)_(?:(?:oauth|jwt)_[A-Za-z0-9._~-]*|[A-Za-z0-9]+)\Z")
_OPEN = re.compile(r"(?:h|hf|hf_[A-Za-z0-9]{0,33}|v|vf|vfy|(?:vfy|hf_oauth|hf_jwt)_[A-Za-z0-9._~-]*)\Z")
"""A text that may end within a token: one of Hugging Face has 34 characters after `hf_`, the others any number."""

_IN_URL = re.compile(
    r"://[^/?#@\s:]*:(?P<password>[^/?#\s]+)@"
    r"|[?&;](?:[a-z]+[_-])?(?:token|key|secret|password)=(?P<value>[^&;#\s\"'<>]+)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(
    r"%(?P<percent>[0-9A-Fa-f]{2})|\\+(?:u(?P<long>[0-9A-Fa-f]{4})|x(?P<short>[0-9A-Fa-f]{2}))|\\(?P<same>[\"'/\\])"
)


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
        return joined(
            [
                Span(places[span.start], places[span.end]) if places else span
                for plain, places in _layers(text)
                for span in self._found(plain)
            ]
        )

    def begun(self, text: str) -> int:
        """Where a secret begins that may go on after the end of the text: `len(text)` if none does."""
        starts = [len(text)]
        for plain, places in _layers(text):
            start = len(plain)
            if match := _BEGUN.search(plain):
                start = match.start()
            for known in self._known:
                ends = (
                    n for n in range(min(len(known) - 1, len(plain)), SHORTEST - 1, -1) if plain.endswith(known[:n])
                )
                start = min(start, len(plain) - next(ends, 0))
            if start < len(plain):
                starts.append(places[start] if places else start)
        return min(starts)

    def goes_on(self, word: str) -> bool:
        """Whether a secret may have been broken off at the end of the word, to go on in the next line or record."""
        for plain, _ in _layers(word):
            if _OPEN.search(plain) and not any(plain.endswith(known) for known in self._known):
                return True
        return any(word.endswith(known[:n]) for known in self._known for n in range(SHORTEST, len(known)))

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


def _layers(text: str) -> Iterator[tuple[str, list[int]]]:
    """The text as it is, and with its escapes resolved once, twice ...; with where each character, and the end, stands in `text`: nothing
    for the text itself."""
    yield text, []
    if "%" not in text and "\\" not in text:
        return
    places = list(range(len(text) + 1))
    for _ in range(LAYERS):
        if not _ESCAPE.search(text):
            return
        text, below = _unescaped(text)
        places = [places[place] for place in below]
        yield text, places


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text with its escapes resolved, and for each of its characters, and its end, the place in `text` where it begins."""
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[done : match.start()])
        places += range(done, match.start() + 1)
        digits = match["percent"] or match["long"] or match["short"]
        parts.append(chr(int(digits, 16)) if digits else match["same"])
        done = match.end()
    parts.append(text[done:])
    places += range(done, len(text) + 1)
    return "".join(parts), places


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same places, in order, without overlaps and without neighbours that touch."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found
