"""What every command prints, and how an error becomes an exit status.

Results go to standard output: lines, or with --json one JSON object and nothing else. Notes, progress and errors go to standard error.
Colours and progress bars are rich's, for terminals only, and respect NO_COLOR; nothing of it is loaded before it is used, so that
`--help` answers at once.

    def main(argv: Sequence[str] | None = None) -> int:
        arguments = parser().parse_args(argv)
        return run_command(lambda output: work(arguments, output), json_output=arguments.json)

No access token is in any of it, nor in the tracebacks and logs of what a command calls (cli.streams): flags are read by a `Parser`, whose
refusals repeat what was typed.

Exit statuses: those of core.errors for a ZkError; 2 from argparse for flags that it refuses; 130 after an interrupt.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from zk_autograd.cli.streams import redacted
from zk_autograd.core.errors import ZkError
from zk_autograd.run import tokens
from zk_autograd.run.redaction import PROCESS

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130

Advance = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class Parser(argparse.ArgumentParser):
    """A parser of flags that doesn't repeat a token that was typed in the wrong place."""

    def _print_message(self, message: str, file: Any = None) -> None:
        tokens.remember()
        super()._print_message(PROCESS.text(message), file)


class Output:
    """Where a command's words go. The text of `line` and `lines` is left out with --json, the object of `result` without it."""

    def __init__(self, *, json_output: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        """`out` and `err` are standard output and standard error unless given."""
        self._json = json_output
        self._out = sys.stdout if out is None else out
        self._err = sys.stderr if err is None else err

    def line(self, text: str = "") -> None:
        """A line of the result: one, whatever a name in it holds."""
        if not self._json:
            _print(self._out, _one_line(text))

    def text(self, text: str, styles: Mapping[str, str]) -> None:
        """A text of several lines, on a terminal with the matches of regular expressions in rich styles."""
        if self._json:
            return
        if not self._out.isatty():
            _print(self._out, text)
            return
        from rich.text import Text

        styled = Text(_spelled(self._out, text))
        for pattern, style in styles.items():
            styled.highlight_regex(pattern, style)
        _console(self._out).print(styled, soft_wrap=True)

    @property
    def width(self) -> int:
        """How many columns a text may take: the terminal's, at most 120, or 100 where there is no terminal."""
        if not self._out.isatty():
            return 100
        return max(40, min(_console(self._out).width, 120))

    def result(self, value: Mapping[str, Any]) -> None:
        """The command's result as one JSON object: ASCII, keys in the order given. Call it once."""
        if self._json:
            _print(self._out, json.dumps(value, ensure_ascii=True, allow_nan=False))

    def note(self, text: str) -> None:
        """A word to whoever watches; it is no part of the result."""
        _print(self._err, _one_line(text))

    def error(self, error: ZkError) -> None:
        """A sentence that says what was wrong; with --json also as the command's result."""
        message = _one_line(str(error))
        _print(self._err, f"error: {message}")
        self.result({"error": {"kind": type(error).__name__, "message": message, "exit_status": error.exit_status}})

    @contextmanager
    def progress(self) -> Iterator[Advance]:
        """Bars, one for each thing that is being done, while the block runs. Nothing where standard error is no terminal."""
        if not self._err.isatty():
            yield _quiet
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=_console(self._err), transient=True) as bars:
            tasks: dict[str, Any] = {}

            def advance(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total)
                bars.update(tasks[what], completed=done, total=total)

            yield advance


def run_command(command: Callable[[Output], int], *, json_output: bool) -> int:
    """The exit status of a command: what it returns, or that of the error it raises, which is printed."""
    tokens.remember()
    with redacted():
        return _run(command, Output(json_output=json_output))


def _run(command: Callable[[Output], int], output: Output) -> int:
    try:
        status = command(output)
        sys.stdout.flush()  # here, so that a closed pipe is met inside the try
        return status
    except ZkError as error:
        output.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        output.note("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _print(stream: TextIO, text: str) -> None:
    print(_spelled(stream, text), file=stream)


def _spelled(stream: TextIO, text: str) -> str:
    """The text with what the stream's encoding can't spell escaped."""
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _one_line(text: str) -> str:
    """The text without what a terminal obeys: messages repeat what a file says."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _quiet(what: str, done: int, total: int) -> None:
    return
