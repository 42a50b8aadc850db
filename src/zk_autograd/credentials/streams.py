"""Standard output and standard error without secrets, whatever writes to them: prints, logs, warnings, tracebacks, progress bars.

A secret may come in pieces. What is written is held back from the last white space on, until more is written or somebody flushes; a piece
that a flush shows is remembered, so that the rest of a secret is recognised by it. A secret that a line or a log record breaks off is
followed into the next one. A process whose streams were once wrapped stays so to its end: what threads, atexit handlers and Python itself
say after a command is without secrets, too. Out of reach are what does not pass through Python's streams (native code and child processes
that write to the descriptors) and files that others open themselves.
"""

import io
import logging
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO

from zk_autograd.credentials.redaction import MARK, PIECE, PROCESS, Redactor, Span, joined

_LONGEST = 4096
"""Characters without white space that are held back at most, and remembered."""

_STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
_SPACES = " \n\t\r\v\f"


class Flow:
    """A text that comes in pieces, without its secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._word = ""  # the text since the last white space
        self._shown = 0  # how much of it was given out, or hidden
        self._hidden = False  # whether the last of that was hidden

    def feed(self, text: str) -> str:
        """What can be shown now that `text` has come, too."""
        shown, place = [], 0
        while place < len(text):
            end = text.find("\n", place) + 1 or len(text)
            shown.append(self._feed(text[place:end]))
            place = end
        return "".join(shown)

    def flush(self) -> str:
        """What was held back; a secret that has only begun is hidden."""
        return self._show(len(self._word), self._broken(self._word))

    def record(self, text: str) -> str:
        """A whole record. The next one may go on with a secret that is broken off at its end."""
        shown = self.feed(text) + self.flush()
        if not self._redactor.goes_on(self._word):
            self._forget()
        return shown

    def _feed(self, text: str) -> str:
        """As `feed`, for a text with at most one end of a line in it, at its own end."""
        if not self._word and text.isspace():
            return text
        self._word += text
        cut = max(self._word.rfind(space) for space in _SPACES) + 1
        if not cut:
            return self._show(len(self._word) - _LONGEST) if len(self._word) - self._shown > 2 * _LONGEST else ""
        line, rest = self._word[:cut], self._word[cut:]
        last = line.rstrip("\r\n")
        shown = self._show(cut, self._broken(last) if line.endswith("\n") else [])
        last = last[max(last.rfind(space) for space in _SPACES) + 1 :][-_LONGEST:]
        self._forget()
        if line.endswith("\n") and self._redactor.goes_on(last):
            self._word, self._shown = last, len(last)  # the line's end is no end of the secret
        else:
            self._word = rest
        return shown

    def _broken(self, text: str) -> list[Span]:
        """The secret that begins at the text's end, if so much of it is there that it must not be seen."""
        begun = self._redactor.begun(text)
        return [Span(begun, len(text))] if len(text) - begun >= PIECE else []

    def _show(self, end: int, broken: Sequence[Span] = ()) -> str:
        """The part of the word from what was shown up to `end`, without its secrets and those that are `broken` off."""
        spans = joined([*self._redactor.spans(self._word), *broken])
        parts, place, hidden = [], self._shown, self._hidden and self._shown == end
        for span in spans:
            if span.end <= self._shown or span.start >= end:
                continue
            parts.append(self._word[place : span.start])
            if not (self._hidden and span.start < self._shown):
                parts.append(MARK)
            place = min(span.end, end)
            hidden = place == end
        parts.append(self._word[place:end])
        self._shown, self._hidden = end, hidden
        if end > 2 * _LONGEST:  # a long word: its beginning is not needed any more
            self._word, self._shown = self._word[end - _LONGEST :], _LONGEST
        return "".join(parts)

    def _forget(self) -> None:
        self._word, self._shown, self._hidden = "", 0, False


class RedactedStream(io.TextIOBase):
    """A text stream that shows no secret, over another one; all that it doesn't do itself the other one does."""

    def __init__(self, stream: TextIO, redactor: Redactor = PROCESS) -> None:
        self._stream = stream
        self._flow = Flow(redactor)
        self._redactor = redactor
        self._writing = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    @property
    def buffer(self) -> "RedactedBuffer":
        """The bytes below, without secrets, too."""
        return RedactedBuffer(self)

    @property
    def below(self) -> TextIO:
        """The stream that is written to."""
        return self._stream

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._writing:
            if shown := self._flow.feed(text):
                self._stream.write(shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._writing:
            if shown := self._flow.flush():
                self._stream.write(shown)
            self._stream.flush()

    def close(self) -> None:
        """Flushes. The stream below is not this one's to close; nor is it closed when this one is collected."""
        with suppress(ValueError, OSError):
            self.flush()


class RedactedBuffer(io.RawIOBase):
    """What `RedactedStream.buffer` gives: bytes are written as the characters that they spell."""

    def __init__(self, stream: RedactedStream) -> None:
        self._text = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._text.write(content.decode(self._text.encoding or "utf-8", "backslashreplace"))
        return len(content)

    def flush(self) -> None:
        self._text.flush()

    def fileno(self) -> int:
        return self._text.fileno()


@contextmanager
def redacted(redactor: Redactor = PROCESS) -> Iterator[None]:
    """From now on the standard streams, all log records and the tracebacks of what leaves the program are without secrets; at the block's end
    nothing of it is held back."""
    _wrap(redactor)
    try:
        yield
    except SystemExit as end:  # whose text Python prints at the very end
        if end.code is not None and not isinstance(end.code, int):
            end.code = _said(end.code, redactor)
        raise
    finally:
        for name in _STREAMS:
            if isinstance(stream := getattr(sys, name), RedactedStream):
                stream.close()


def _wrap(redactor: Redactor) -> None:
    """Wraps what isn't yet. Two names of one stream stay so: the pieces of a secret may go to both."""
    wrapped: dict[int, RedactedStream] = {}
    for name in _STREAMS:
        stream = getattr(sys, name)
        if isinstance(stream, RedactedStream):
            wrapped[id(stream.below)] = stream
        elif stream is not None:
            setattr(sys, name, wrapped.setdefault(id(stream), RedactedStream(stream, redactor)))
    if not isinstance(factory := logging.getLogRecordFactory(), _Records):
        logging.setLogRecordFactory(_Records(factory, redactor))
    if not isinstance(sys.excepthook, _Excepthook):
        sys.excepthook = _Excepthook(redactor)


def _said(code: object, redactor: Redactor) -> str:
    """What Python would print of an exit's code."""
    try:
        return redactor.text(str(code))
    except Exception as error:  # of the object's own __str__
        return f"an exit with a {type(code).__name__} whose text can't be had: {type(error).__name__}"


class _Records:
    """Makes log records whose message, traceback and stack hold no secret, for every handler."""

    def __init__(self, make: Any, redactor: Redactor) -> None:
        self._make = make
        self._redactor = redactor
        self._flow = Flow(redactor)
        self._making = threading.Lock()

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*arguments, **named)
        try:
            message = record.getMessage()
        except Exception:  # of arguments that don't fit: logging itself would tell of it, with the arguments
            message = f"{record.msg} {record.args}"
        with self._making:
            record.msg, record.args = self._flow.record(message), ()
        if record.exc_info:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_text, record.exc_info = self._redactor.text(text), None
        if record.stack_info:
            record.stack_info = self._redactor.text(record.stack_info)
        return record


class _Excepthook:
    """Prints a traceback, with its causes, contexts and notes, without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        with suppress(Exception):
            sys.stderr.write(self._redactor.text(text))
            sys.stderr.flush()
