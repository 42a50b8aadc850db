"""Texts in evidence: which characters they may hold, and how bytes are written in them.

Every byte string has one text and every text one byte string; with two encodings, a copy could
differ from the original without being false.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from zk_autograd.core.errors import VerificationError

SHOWN = 40
"""Characters of a foreign text that a message repeats."""

# C0, DEL and C1, which terminals obey: fixed sets, not those of one version of Unicode.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def has_control(text: str) -> bool:
    """Whether the text has a control character: one of U+0000..U+001F and U+007F..U+009F."""
    return _CONTROL.search(text) is not None


def quoted(text: str, length: int = 60) -> str:
    """A foreign text, for use in a sentence: quoted, ASCII, cut to `length` characters, and one
    word, so that no line begins in the middle of it."""
    return ascii(text[:length]).replace(" ", "\\x20") + ("..." if len(text) > length else "")


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 proof", "2 proofs"; `plural` for nouns that don't just take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """The first `most` of the names with commas between them, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def is_unicode(text: str) -> bool:
    """Whether the text has no lone surrogate, which no UTF-8 can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def encode_utf8(text: str, what: str) -> bytes:
    """The text, called `what` in messages, in UTF-8. VerificationError for a lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VerificationError(f"{what} has a lone surrogate") from error


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes that `encode_base64` writes as `text`, called `what` in a VerificationError."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise VerificationError(f"{what} is not base64") from error
    # The decoder ignores the bits that an encoder leaves zero (RFC 4648 section 3.5).
    if encode_base64(data) != text:
        raise VerificationError(f"{what} is not canonical base64")
    return data


def printable(line: str) -> str:
    """The line with everything unprintable escaped: a terminal must not obey text from a run."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def nearest(text: str, known: Iterable[str]) -> str:
    """The end of a message: the name in `known` that `text` may be a typo for, or nothing."""
    close = get_close_matches(text, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
