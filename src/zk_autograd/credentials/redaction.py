"""Redaction: no access token reaches a file or a stream that this package writes.

What is taken for a secret:

* a text of the form of a token: `hf_` (Hugging Face) or `vfy_` (the training service) and at least 8 letters or digits, as long as they go on;
* the password in a URL (`https://user:PASSWORD@host`), a user name there of at least 16 characters (`https://TOKEN@host`), and the value of a
  parameter, in the query or after `#`, whose name ends in token, key, secret, password, signature or credential (`X-Amz-Security-Token`);
* each value that a `Redactor` was told, whole, and each piece of it of at least 8 characters, wherever it stands and in letters of either case.

All of it is also found percent-encoded and in the escapes of JSON, HTML and Python, octal ones included, `LAYERS` times over. Not found: base64,
compressed or encrypted copies, and pieces of an unknown token without its beginning.

Rule: whatever the text is, the time grows with its length and not with the square of it.
"""

import re
import string
import sys
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
"""Searched, as `_OPEN`, from `_tail` on: where every character may be one of a token, the first match takes all."""

_OPEN = re.compile(r"(?:h|hf|hf_[A-Za-z0-9]{0,33}|v|vf|vfy|(?:vfy|hf_oauth|hf_jwt)_[A-Za-z0-9._~-]*)\Z")
"""A text that may end within a token: one of Hugging Face has 34 characters after `hf_`, the others any number."""

_IN_URL = re.compile(
    r"://[^/?#@\s:]*:(?P<password>[^/?#\s]+)@"
    r"|(?:[?&;]|(?<=\S)\#)(?:[a-z0-9]++[_-])*+(?:api|access|auth)?(?:token|key|secret|password|passwd|signature|sig|credential)"
    r"=(?P<value>[^&;#\s\"'<>]+)",
    re.IGNORECASE,
)
_USER = re.compile(r"://(?P<user>[^/?#@\s:]{16,})(?::[^/?#\s]*)?@")
_ESCAPE = re.compile(
    r"%(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?<!\\)\\++(?:u(?P<long>[0-9A-Fa-f]{4})|u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|U(?P<whole>[0-9A-Fa-f]{8})|x(?P<short>[0-9A-Fa-f]{2})"
    r"|(?P<octal>[0-3][0-7]{2}))"
    r"|\\(?P<same>[\"'/\\])"
    r"|&\#(?:x(?P<html>[0-9A-Fa-f]{1,6})|(?P<decimal>[0-9]{1,7}));"
)
_BASES = {"percent": 16, "long": 16, "braced": 16, "whole": 16, "short": 16, "octal": 8, "html": 16, "decimal": 10}
_IN_TOKENS = string.ascii_letters + string.digits + "._~-"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


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
            lowered = {known.translate(_LOWER) for known in self._known}
            pieces = sorted({piece for known in lowered for piece in _pieces(known)}, key=len, reverse=True)
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
            if match := _BEGUN.search(plain, _tail(plain)):
                start = match.start()
            for known in self._known:
                start = min(start, len(plain) - _broken_off(plain, known))
            if start < len(plain):
                starts.append(places[start] if places else start)
        return min(starts)

    def goes_on(self, word: str) -> bool:
        """Whether a secret may have been broken off at the end of the word, to go on in the next line or record."""
        for plain, _ in _layers(word):
            whole = any(plain[-len(known) :].translate(_LOWER) == known.translate(_LOWER) for known in self._known)
            if not whole and _OPEN.search(plain, _tail(plain)):
                return True
        return any(_broken_off(word, known) for known in self._known)

    def _found(self, text: str) -> Iterator[Span]:
        for match in _TOKEN.finditer(text):
            yield Span(*match.span())
        for pattern in (_IN_URL, _USER):
            for match in pattern.finditer(text):
                yield Span(*match.span(match.lastgroup or 0))
        place, lowered = 0, text.translate(_LOWER) if self._pieces else ""
        while self._pieces and (piece := self._pieces.search(lowered, place)):
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


def _tail(text: str) -> int:
    """Where the characters begin that may all be of a token that is broken off at the end."""
    return len(text.rstrip(_IN_TOKENS + "_"))


def _broken_off(text: str, known: str) -> int:
    """How many characters of the known value's beginning, but not all of it, the text ends with; 0 for fewer than `SHORTEST`."""
    end, known = text[-len(known) :].translate(_LOWER), known.translate(_LOWER)
    return next((n for n in range(min(len(known) - 1, len(end)), SHORTEST - 1, -1) if end.endswith(known[:n])), 0)


def _layers(text: str) -> Iterator[tuple[str, list[int]]]:
    """The text as it is, and with its escapes resolved once, twice ...; with where each character, and the end, stands in `text`: nothing
    for the text itself."""
    yield text, []
    if "%" not in text and "\\" not in text and "&#" not in text:
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
        kind = match.lastgroup or ""
        code = int(match[kind], _BASES[kind]) if kind in _BASES else ord(match[kind])
        parts.append(chr(code) if code <= sys.maxunicode else "\ufffd")
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
