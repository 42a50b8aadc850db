"""Where words go, and how errors become exit statuses."""

import errno
import io
import json
import sys

import pytest

from zk_autograd.cli.output import Output, run_command
from zk_autograd.core.errors import ProverError, RangeError, UsageError, VerificationError


def both(*, json_output: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(json_output=json_output, out=out, err=err), out, err


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_lines_without_json_and_the_object_with_it() -> None:
    output, out, err = both(json_output=False)
    output.line("one")
    output.result({"a": 1})
    output.note("note")
    assert (out.getvalue(), err.getvalue()) == ("one\n", "note\n")
    output, out, err = both(json_output=True)
    output.line("one")
    output.text("two", {})
    output.result({"a": "\u202e"})
    output.note("note")
    assert (out.getvalue(), err.getvalue()) == ('{"a": "\\u202e"}\n', "note\n")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 2),
        (VerificationError("x"), 1),
        (ProverError("x"), 1),
        (RangeError("weight", "w", 0, 1, 1, "x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_have_their_exit_status(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(_: Output) -> int:
        raise error

    assert run_command(failing, json_output=False) == status
    assert run_command(failing, json_output=True) == status
    shown = capsys.readouterr()
    assert shown.err == f"error: {error}\n" * 2
    assert json.loads(shown.out)["error"] == {
        "kind": type(error).__name__,
        "message": str(error),
        "exit_status": status,
    }


def test_status_of_a_command_is_what_it_returns() -> None:
    assert [run_command(lambda _, status=status: status, json_output=False) for status in (0, 1, 3)] == [0, 1, 3]  # type: ignore[misc]


def test_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: Output) -> int:
        raise KeyboardInterrupt

    assert run_command(interrupted, json_output=False) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_mistake_of_ours_is_not_hidden_and_says_nothing_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: Output) -> int:
        raise KeyError("x")

    assert run_command(broken, json_output=True) == 70
    shown = capsys.readouterr()
    assert "in broken\n" in shown.err  # the traceback
    assert shown.err.endswith(
        "error: a fault of zk-autograd's own, which says nothing against what was looked at: KeyError: 'x'\n"
    )
    assert json.loads(shown.out)["error"] | {"message": ""} == {
        "kind": "InternalError",
        "message": "",
        "exit_status": 70,
    }


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "denied", "x")],
)
def test_what_the_machine_lacks_is_no_verdict(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(_: Output) -> int:
        raise error

    assert run_command(failing, json_output=True) == 4
    shown = capsys.readouterr()
    assert "nothing was judged or done" in shown.err
    assert "Traceback" not in shown.err
    assert json.loads(shown.out)["error"]["exit_status"] == 4


def test_message_that_repeats_a_file_can_not_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(_: Output) -> int:
        raise VerificationError("\x1b[2J\nverdict: L1")

    run_command(failing, json_output=False)
    assert capsys.readouterr().err == "error: \\x1b[2J\\nverdict: L1\n"


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    styles = {"L1": "bold green"}
    terminal = Terminal()
    Output(json_output=False, out=terminal).text("verdict: L1 [bold]x[/bold]", styles)
    assert "\x1b[1;32mL1" in terminal.getvalue()
    assert "[bold]x[/bold]" in terminal.getvalue()
    output, out, _ = both(json_output=False)
    output.text("verdict: L1", styles)
    assert out.getvalue() == "verdict: L1\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    Output(json_output=False, out=terminal).text("verdict: L1", {"L1": "green"})
    assert "\x1b[3" not in terminal.getvalue()
    assert "verdict: L1\n" in terminal.getvalue()


def test_width_is_the_terminals_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    output, _, _ = both(json_output=False)
    assert output.width == 100
    for columns, width in (("20", 40), ("80", 80), ("500", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        assert Output(json_output=False, out=Terminal()).width == width


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        with Output(json_output=False, out=io.StringIO(), err=stream).progress() as advance:
            advance("proofs", 1, 2)
            advance("proofs", 2, 2)
        assert ("proofs" in stream.getvalue()) is shown


def test_text_that_the_terminal_can_not_spell_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Output(json_output=False, out=stream, err=stream).line("\u00e9 \udc80")
    stream.flush()
    assert raw.getvalue() == b"\\xe9 \\udc80\n"


def test_terminal_that_spells_ascii_alone_gets_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    terminal.encoding = "ascii"
    Output(json_output=False, out=terminal).text("\u00e9", {})
    assert terminal.getvalue() == "\\xe9\n"


def test_a_panic_of_compiled_code_is_a_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """pyo3's is no Exception; without a catch it would end the process with 1, which says
    "false"."""

    class PanicException(BaseException):
        pass

    def command(output: Output) -> int:
        raise PanicException("index out of bounds")

    assert run_command(command, json_output=False) == 70
    assert "PanicException: index out of bounds" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_command(lambda output: sys.exit(5), json_output=False)
