"""Standard output and standard error without secrets, whatever writes to them: prints, logs,
warnings, tracebacks, progress bars.

A secret may come in pieces: what is written is held back from the last white space on, until more
is written or somebody flushes. Where a flush meets the beginning of a secret, the rest of the word
is hidden with it. A command that has a token wraps its streams before anything else, and they stay
so to the process's end: what threads, atexit handlers and Python itself say after the command is
without secrets, too.

Out of reach are a secret of which a flush or another writer to the same stream cuts off less than a
beginning, what does not pass through Python's streams (native code and child processes that write
to the descriptors), and files that others open themselves, a log's among them.
"""

import re
import sys
import threading
from collections.abc import Iterable
from typing import Any, TextIO

from zk_autograd.credentials.redaction import MARK, PROCESS, Redactor

_SPACES = " \n\t\r\v\f"
_REST = re.compile(rf"[^{_SPACES}]*")


class RedactedStream:
    """A text stream without secrets, over another one that does all that this one doesn't do
    itself."""

    def __init__(self, below: TextIO, redactor: Redactor = PROCESS) -> None:
        self.buffer = RedactedBuffer(self)
        self._below = below
        self._redactor = redactor
        self._held: list[str] = []  # the text since the last white space
        self._hides = False  # the rest of a word, of which a flush met the beginning of a secret
        self._writing = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def write(self, text: str) -> int:
        with self._writing:
            length = len(text)
            if self._hides and text:
                text = _REST.sub("", text, count=1)
                self._hides = not text
            if end := max(map(text.rfind, _SPACES)) + 1:
                words, self._held = "".join((*self._held, text[:end])), []
                self._below.write(self._redactor.text(words))
            self._held.append(text[end:])
        return length

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._writing:
            word, self._held = "".join(self._held), []
            if word:
                shown = self._redactor.text(word)
                self._hides = shown.endswith(MARK)
                self._below.write(shown)
            self._below.flush()


class RedactedBuffer:
    """What `RedactedStream.buffer` is: bytes are written as the characters that they spell."""

    def __init__(self, stream: RedactedStream) -> None:
        self._text = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._text, name)

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._text.write(content.decode(self._text.encoding or "utf-8", "backslashreplace"))
        return len(content)


def wrap() -> None:
    """From now on, to the process's end, the standard streams show no secret that `PROCESS`
    finds."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactedStream):
            wrapped = RedactedStream(stream)
            setattr(sys, name, wrapped)
            if getattr(sys, f"__{name}__") is stream:  # which Python takes back at its end
                setattr(sys, f"__{name}__", wrapped)
