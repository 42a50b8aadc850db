"""Redaction: no access token is in a file that this package writes, nor in what a command with a
token prints.

What is found, and hidden:

* each value that a `Redactor` was told, and its beginning of at least 8 characters, in letters of
  either case, as it is and as URLs (percent), JSON and Python's repr spell it, or two of them, one
  over the other;
* a text of the form of a Hugging Face token: `hf_` and at least 8 letters or digits, as long as
  they go on, and `hf_oauth_` or `hf_jwt_` with letters, digits and `.`, `_`, `~`, `-`;
* the password in a URL (`https://user:PASSWORD@host`), a user name there of at least 16 characters
  (`https://TOKEN@host`), and the value of a parameter, in the query or after `#`, whose name ends
  in token, key, secret, password, signature or credential (`X-Amz-Security-Token`).

What isn't: a piece of a value without its beginning; the rest of one that has something between its
characters, such as the end of a line; any other spelling, such as escapes of plain letters, base64,
or what is compressed or encrypted.

Rule: whatever the text is, the time grows with its length and not with the square of it.
"""

import json
import re
from collections.abc import Iterable
from itertools import takewhile
from urllib.parse import quote

MARK = "[redacted]"

SHORTEST = 4
"""A known value with fewer characters is not looked for: half of any text would be redacted."""

BEGINNING = 8
"""Characters by which a known value is recognised, wherever it breaks off."""

_LAYERS = 2
_SPELLINGS = (
    quote,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: repr(text)[1:-1],
)
_FORMS = (  # the first group stays
    re.compile(r"()hf_(?:(?:oauth|jwt)_[A-Za-z0-9._~-]{8,}|[A-Za-z0-9]{8,})"),
    re.compile(r"(://[^/?#@\s:]*:)[^/?#\s]+(?=@)"),
    re.compile(r"(://)[^/?#@\s:]{16,}(?=(?::[^/?#\s]*)?@)"),
    re.compile(
        r"((?:[?&;]|(?<=\S)\#)(?:[a-z0-9]++[_-])*+(?:api|access|auth)?"
        r"(?:token|key|secret|password|passwd|signature|sig|credential)=)[^&;#\s\"'<>]+",
        re.IGNORECASE,
    ),
)


class Redactor:
    """Hides secrets. `add` may be called at any time, from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._begun = re.compile(r"(?!)")
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hides this value from now on, too; one of less than `SHORTEST` characters is left out."""
        if len(secret) < SHORTEST:
            return
        spelt = {secret}
        for _ in range(_LAYERS):
            spelt |= {spell(text) for text in spelt for spell in _SPELLINGS}
        self._known |= {text.lower() for text in spelt}
        beginnings = {re.escape(known[:BEGINNING]) for known in self._known}
        # It matches in front of each, not with it: they may overlap.
        self._begun = re.compile(f"(?={'|'.join(beginnings)})", re.IGNORECASE)

    def text(self, text: str) -> str:
        """The text with `MARK` in the place of each secret."""
        parts, place = [], 0
        for begun in self._begun.finditer(text):
            start = begun.start()
            if start >= place:
                parts += [text[place:start], MARK]
            place = max(place, start + max(_shared(known, text, start) for known in self._known))
        text = "".join((*parts, text[place:]))
        for form in _FORMS:
            # A template in the function's place would be compiled here, which fails at the
            # process's end.
            text = form.sub(lambda match: match[1] + MARK, text)
        return text


PROCESS = Redactor()
"""The one of this process: commands tell it each token that they resolve."""


def looks_secret(text: str) -> bool:
    """Whether something in the text would be redacted: what is recorded for good is refused
    instead."""
    return PROCESS.text(text) != text


def _shared(known: str, text: str, start: int) -> int:
    """How many characters of the known value stand in the text from `start` on."""
    pairs = zip(known, text[start : start + len(known)].lower(), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
