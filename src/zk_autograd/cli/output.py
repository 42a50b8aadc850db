"""What every command prints, and how an error becomes an exit status.

Results go to standard output: lines, or with --json one JSON object and nothing else. Notes,
progress and errors go to standard error. Colours and progress bars are rich's, for terminals only,
and respect NO_COLOR; nothing of it is loaded before it is used, so that `--help` answers at once.

    def main(argv: Sequence[str] | None = None) -> int:
        arguments = parser().parse_args(argv)
        return run_command(lambda output: work(arguments, output), json_output=arguments.json)

A command that has an access token hides it first of all, before it reads its flags, whose refusals
repeat what was typed (credentials.tokens.hide); the others have none, and load nothing of it.

Exit statuses are core.errors.ExitStatus, one table for all commands: those of the errors for a
ZkError; 2 from argparse for flags that it refuses; 4 where the output, memory or the disk fails; 70
for an error of our own, with its traceback; 130 after an interrupt. A word to standard error that
can't be written is lost: it changes no status.
"""

import argparse
import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from zk_autograd.core.errors import ExitStatus, ZkError
from zk_autograd.core.progress import Progress
from zk_autograd.core.text import printable

if TYPE_CHECKING:
    from rich.console import Console

EXIT_STATUSES = (
    "Exit status: 0 shown or done; 1 false, malformed or refused; 2 wrong usage, or not a run; 3 nothing false, but less shown than was asked "
    "for; 4 could not be judged or done here (output, memory, disk, permission, network); 70 a fault of zk-autograd's own; 130 interrupted, "
    "resumable."
)
"""The table of core.errors.ExitStatus, for every command's help."""

_REFUSALS = frozenset(
    {
        *(
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
            errno.EROFS,
            errno.EACCES,
            errno.EPERM,
            errno.EIO,
            errno.ENXIO,
            errno.ENODEV,
        ),
        *(
            errno.ENOMEM,
            errno.EMFILE,
            errno.ENFILE,
            errno.EAGAIN,
            errno.ESTALE,
            errno.ETIMEDOUT,
            errno.EREMOTEIO,
            errno.EBADF,
        ),
    }
)
"""Errors by which a system refuses, whatever the program does right."""


class Parser(argparse.ArgumentParser):
    """A parser of flags that may have no stream to write to; its help ends in the table of exit
    statuses."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("epilog", EXIT_STATUSES)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Ends with 2. argparse's own prints the usage to standard output where there is no
        standard error."""
        self.exit(ExitStatus.USAGE, f"{self.format_usage()}{self.prog}: error: {message}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """As argparse's, where there may be no standard error."""
        if message and sys.stderr is not None:
            self._print_message(message, sys.stderr)
        raise SystemExit(int(status))

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not None and file is not sys.stdout:
            with suppress(OSError, ValueError):
                print(message, end="", file=file)
            return
        try:
            with _writing():
                _required(file).write(message)
                _required(file).flush()
        except UnwritableOutput as error:
            raise SystemExit(_unwritten(error)) from error


class Output:
    """Where a command's words go. The text of `line` and `lines` is left out with --json, the
    object of `result` without it."""

    def __init__(self, *, json_output: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        """`out` and `err` are standard output and standard error unless given. UnwritableOutput
        where there is no standard output."""
        self._json = json_output
        self._out = _required(sys.stdout if out is None else out)
        self._err = (sys.stderr if err is None else err) or open(os.devnull, "w")  # noqa: SIM115 - as long as the process

    def line(self, text: str = "") -> None:
        """A line of the result: one, whatever a name in it holds."""
        if not self._json:
            self._say(printable(text))

    def text(self, text: str, styles: Mapping[str, str]) -> None:
        """A text of several lines, on a terminal with the matches of regular expressions in rich
        styles."""
        if self._json:
            return
        if not self._out.isatty():
            self._say(text)
            return
        from rich.text import Text

        styled = Text(_spelled(self._out, text))
        for pattern, style in styles.items():
            styled.highlight_regex(pattern, style)
        with _writing():
            _console(self._out).print(styled, soft_wrap=True)

    @property
    def width(self) -> int:
        """How many columns a text may take: the terminal's, at most 120, or 100 where there is no
        terminal."""
        if not self._out.isatty():
            return 100
        return max(40, min(_console(self._out).width, 120))

    def result(self, value: Mapping[str, Any]) -> None:
        """The command's result as one JSON object: ASCII, keys in the order given. Call it once."""
        if self._json:
            self._say(json.dumps(value, ensure_ascii=True, allow_nan=False))

    def note(self, text: str) -> None:
        """A word to whoever watches; it is no part of the result."""
        with suppress(OSError, ValueError):
            _print(self._err, printable(text))

    def error(self, kind: str, text: str, status: ExitStatus) -> int:
        """A sentence that says what was wrong; with --json also as the command's result. Gives the
        status."""
        message = printable(text)
        self.note(f"error: {message}")
        self.result({"error": {"kind": kind, "message": message, "exit_status": status}})
        return status

    def flush(self) -> None:
        """All that was printed is with whoever reads it. UnwritableOutput if it can't be."""
        with _writing():
            self._out.flush()

    def _say(self, text: str) -> None:
        with _writing():
            _print(self._out, text)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Bars, one for each thing that is being done, while the block runs. Nothing where standard
        error is no terminal."""
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


class UnwritableOutput(Exception):
    """The result can't be printed: standard output is closed, full, or read by nobody any more."""


def run_command(command: Callable[[Output], int], *, json_output: bool) -> int:
    """The exit status of a command: what it returns, or that of the error it raises, which is
    printed."""
    _occupy()
    try:
        output = Output(json_output=json_output)
        status = _status(command, output)
        output.flush()
        return status
    except UnwritableOutput as error:
        return _unwritten(error)


def _occupy() -> None:
    """No file that is opened from now on gets the number of a standard stream that is closed:
    native code and child processes would read it, or write to it."""
    with suppress(OSError):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(fd, True)
        os.close(fd)


def _status(command: Callable[[Output], int], output: Output) -> int:
    try:
        return command(output)
    except ZkError as error:
        return output.error(type(error).__name__, str(error), error.exit_status)
    except UnwritableOutput:
        raise
    except KeyboardInterrupt:
        return output.error("Interrupted", "interrupted", ExitStatus.INTERRUPTED)
    except MemoryError:
        text = "memory ran out, so nothing was judged or done: take a machine with more"
        return output.error("MemoryError", text, ExitStatus.UNJUDGED)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # compiled code raises panics that are no Exception
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            text = f"the system refuses, so nothing was judged or done: {error}"
            return output.error("OSError", text, ExitStatus.UNJUDGED)
        for line in "".join(traceback.format_exception(error)).splitlines():
            output.note(line)
        text = f"a fault of zk-autograd's own, which says nothing against what was looked at: {type(error).__name__}: {error}"
        return output.error("InternalError", text, ExitStatus.INTERNAL)


def _unwritten(error: UnwritableOutput) -> int:
    """Says what became of standard output, if somebody may still read it. Python itself would
    complain once more when it flushes at exit."""
    if not isinstance(error.__cause__, BrokenPipeError):  # whoever read the output has gone: as planned
        with suppress(OSError, ValueError):
            print(f"error: {error}", file=sys.stderr or open(os.devnull, "w"))  # noqa: SIM115
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitStatus.UNJUDGED


@contextmanager
def _writing() -> Iterator[None]:
    """Makes an UnwritableOutput of what standard output raises."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: of a stream that was closed
        raise UnwritableOutput(f"the result can't be written to standard output: {error}") from error


def _required(stream: TextIO | None) -> TextIO:
    if stream is None:
        raise UnwritableOutput("the result can't be written: standard output is closed")
    return stream


def _print(stream: TextIO, text: str) -> None:
    print(_spelled(stream, text), file=stream)


def _spelled(stream: TextIO, text: str) -> str:
    """The text with what the stream's encoding can't spell escaped."""
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    # What is printed beside bars passes through it, too: in a word that it breaks over lines no
    # secret is found.
    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _quiet(what: str, done: int, total: int) -> None:
    return
