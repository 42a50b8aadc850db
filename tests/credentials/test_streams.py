"""No piece of a token in what the standard streams show, however it is cut, spelt and thrown."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zk_autograd.cli.output import Output, Parser, run_command
from zk_autograd.credentials.redaction import MARK, PIECE, Redactor, Span
from zk_autograd.credentials.streams import Flow, RedactedStream, redacted

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
SERVICE = "vfy_9a8b7c6d5e4f3g2h9a8b7c6d5e4f"
PASSWORD = "s3cr3t/with+odd=chars%41~"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda s: f"https://user:{quote(s, safe='')}@example.org/?token={s}",
    "percent": lambda s: "".join(f"%{ord(c):02X}" for c in s),
    "json": lambda s: json.dumps({"a": s}).replace("/", "\\/"),
    "escapes": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "repr": lambda s: repr(ValueError(s.encode())),
}


def pieces(secret: str) -> set[str]:
    return {secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1)}


def leaks(shown: str, secret: str) -> bool:
    """Whether a piece of the secret can be read in what was shown, as it is, through its escapes, or across marks and ends of lines."""
    readable = shown
    for _ in range(4):
        readable = re.sub(r"%([0-9A-Fa-f]{2})|\\+u([0-9a-f]{4})", lambda m: chr(int(m[1] or m[2], 16)), readable)
    readable = readable.replace("\\/", "/")
    return any(piece in text for piece in pieces(secret) for text in (shown, readable))


def cut(text: str, places: Sequence[int]) -> list[str]:
    """The text in pieces."""
    ends = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in pairwise(ends)]


@pytest.fixture(autouse=True)
def unwrapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is wrapped before a test, and after it everything is as it was: a command's own process stays wrapped."""
    for name in ("__stdout__", "__stderr__"):
        stream = getattr(sys, name)
        monkeypatch.setattr(sys, name, stream.below if isinstance(stream, RedactedStream) else stream)
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(factory)


texts = st.builds(
    lambda before, spelt, secret, after: (secret, f"{before}{SPELLINGS[spelt](secret)}{after}"),
    st.sampled_from(["", "a ", "token=", "\x1b[2K", "é", "hf_", "x" * 30]),
    st.sampled_from(sorted(SPELLINGS)),
    st.sampled_from([TOKEN, SERVICE, PASSWORD]),
    st.sampled_from(["", "\n", " z", '"', "\x1b[0m"]),
)


@given(texts, st.lists(st.integers(0, 400), max_size=12), st.lists(st.booleans(), min_size=14, max_size=14))
@example((TOKEN, TOKEN), list(range(40)), [True] * 14)
def test_a_secret_in_pieces_is_never_shown(drawn: tuple[str, str], places: list[int], flushes: list[bool]) -> None:
    secret, text = drawn
    below = io.StringIO()
    stream = RedactedStream(below, Redactor([PASSWORD]))
    for piece, flush in zip(cut(text, places), flushes * 4, strict=False):
        stream.write(piece)
        if flush:
            stream.flush()
    stream.flush()
    assert not leaks(below.getvalue(), secret), below.getvalue()


@pytest.mark.parametrize("secret", [TOKEN, SERVICE, PASSWORD])
def test_a_secret_written_and_flushed_character_by_character_is_never_shown(secret: str) -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor([PASSWORD]))
    for character in f"a {secret} b":
        stream.write(character)
        stream.flush()
    assert below.getvalue().startswith("a ") and below.getvalue().endswith(" b")
    assert not leaks(below.getvalue(), secret)


@pytest.mark.parametrize("secret", [TOKEN, SERVICE, PASSWORD])
def test_a_secret_cut_by_a_line_is_followed_into_the_next(secret: str) -> None:
    for place in range(len(secret) + 1):
        below = io.StringIO()
        stream = RedactedStream(below, Redactor([PASSWORD]))
        stream.write(f"a {secret[:place]}\n")
        stream.write(f"{secret[place:]} b\n")
        stream.flush()
        assert not leaks(below.getvalue(), secret), (place, below.getvalue())
        assert below.getvalue().endswith(" b\n")


@given(st.text(), st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_what_holds_no_secret_is_shown_as_it_is(text: str, places: list[int], flush: bool) -> None:
    below = io.StringIO(newline="")
    stream = RedactedStream(below, Redactor())
    for piece in cut(text, places):
        assert stream.write(piece) == len(piece)
        if flush:
            stream.flush()
    stream.flush()
    assert below.getvalue() == text or "hf_" in text or "vfy_" in text or "://" in text or "=" in text


def test_a_whole_line_is_shown_at_once_and_a_half_one_when_it_is_flushed() -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor())
    stream.write("one line\nPassword: ")
    assert below.getvalue() == "one line\nPassword: "
    stream.write("50%")
    assert below.getvalue() == "one line\nPassword: "
    stream.flush()
    assert below.getvalue() == "one line\nPassword: 50%"


def test_the_line_after_a_whole_token_is_shown() -> None:
    flow = Flow(Redactor([PASSWORD]))
    assert flow.feed(f"{TOKEN}\nsaved\n{PASSWORD}\nsaved\n") == f"{MARK}\nsaved\n{MARK}\nsaved\n"


def test_words_without_end_take_bounded_memory() -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor())
    for _ in range(300):
        stream.write("x" * 1000)
    assert 280_000 < len(below.getvalue()) < 300_000
    stream.write(TOKEN)
    stream.flush()
    assert below.getvalue() == "x" * 300_000 + MARK


def test_a_secret_in_single_words_on_single_lines_takes_bounded_memory() -> None:
    flow = Flow(Redactor())
    shown = "".join(flow.feed("vfy_abcdefgh.\n") for _ in range(1000))
    assert len(flow._word) <= 4096
    assert "abcdefgh" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 1_500_000,
        "x" * 1_000_000 + "\n",
        "hf_oauth_" * 20_000 + "!\n",
        "\\" * 200_000 + "\n",
    ],
    ids=["lines", "word", "beginnings", "backslashes"],
)
def test_the_time_of_a_stream_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    began = time.process_time()
    stream = RedactedStream(io.StringIO(), Redactor([PASSWORD]))
    stream.write(text)
    stream.flush()
    assert time.process_time() - began < 5


def test_a_long_word_written_by_characters_is_not_looked_at_again_for_each() -> None:
    looks = []

    class Counting(Redactor):
        def spans(self, text: str) -> list[Span]:
            looks.append(len(text))
            return super().spans(text)

    stream = RedactedStream(io.StringIO(), Counting())
    for _ in range(40_000):
        stream.write("x")
    assert len(looks) < 20


def test_bytes_of_the_buffer_are_hidden_too() -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor())
    for piece in (TOKEN[:9].encode(), TOKEN[9:].encode(), b" \xc3\xa9\n"):
        stream.buffer.write(piece)
    stream.buffer.flush()
    assert below.getvalue() == f"{MARK} \u00e9\n"


def test_the_stream_looks_like_the_one_below(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w", encoding="ascii", errors="strict") as below:
        stream = RedactedStream(below, Redactor())
        assert (stream.encoding, stream.errors, stream.fileno(), stream.isatty(), stream.name) == (
            "ascii",
            "strict",
            below.fileno(),
            False,
            below.name,
        )
        stream.writelines(["a\n", f"{TOKEN}\n"])
        stream.close()
        assert not below.closed
        print("more", file=below)
    assert (tmp_path / "file").read_text() == f"a\n{MARK}\nmore\n"


def test_progress_bars_of_rich_work_and_show_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    below = Terminal()
    with Output(json_output=False, err=RedactedStream(below, Redactor())).progress() as advance:  # type: ignore[arg-type]
        for done in range(4):
            advance(f"loading {TOKEN}", done, 3)
    assert "loading" in below.getvalue()
    assert not leaks(below.getvalue(), TOKEN)


# ---- logs, warnings and tracebacks of a command ----------------------------------------------------------------------


@given(st.integers(0, len(TOKEN)), st.sampled_from([TOKEN, PASSWORD]))
def test_a_secret_cut_by_two_log_records_is_in_neither(place: int, secret: str) -> None:
    below = io.StringIO()
    handler = logging.StreamHandler(below)  # of a library's own: not the wrapped stream
    handler.setFormatter(logging.Formatter("%(levelname)s:%(message)s"))
    logger = logging.Logger("library")
    logger.addHandler(handler)
    with redacted(Redactor([PASSWORD])):
        logger.warning("begin %s", secret[:place])
        logger.warning("%s end", secret[place:])
    assert not leaks(below.getvalue(), secret)
    assert not leaks(below.getvalue().replace("\nWARNING:", ""), secret)
    assert below.getvalue().endswith(" end\n")


@pytest.mark.parametrize("handled", ["%(message)s", "%(message)s %(args)s %(exc_text)s"])
def test_logged_exceptions_stacks_and_wrong_arguments_hold_no_token(handled: str) -> None:
    below = io.StringIO()
    handler = logging.StreamHandler(below)
    handler.setFormatter(logging.Formatter(handled))
    logger = logging.Logger("library")
    logger.addHandler(handler)
    with redacted(Redactor()):
        try:
            try:
                raise KeyError(TOKEN)
            except KeyError as error:
                raise RuntimeError({"url": f"https://me:{TOKEN}@x"}) from error
        except RuntimeError:
            logger.exception("failed with %s", TOKEN)
        logger.warning("at hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567", stack_info=True)  # the stack shows this line
        logger.error("%d %d", TOKEN)  # noqa: PLE1206
        logger.error("%s")
    assert "RuntimeError" in below.getvalue()
    assert "KeyError" in below.getvalue()
    assert not leaks(below.getvalue(), TOKEN)


def test_everything_is_wrapped_once_and_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = io.StringIO(), io.StringIO()
    for name, below in (("stdout", one), ("__stdout__", one), ("stderr", one), ("__stderr__", other)):
        monkeypatch.setattr(sys, name, below)
    with redacted(Redactor()):
        first = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, sys.excepthook, logging.getLogRecordFactory())
        assert [stream.below for stream in first[:4]] == [one, one, one, other]  # type: ignore[union-attr]
        assert len(set(first[:3])) == 1  # pieces of a secret may go to all three
        with redacted(Redactor()):
            pass
    again = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, sys.excepthook, logging.getLogRecordFactory())
    assert again == first


def test_a_process_without_streams_can_run_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, None)
    with redacted(Redactor()):
        assert sys.stdout is None


def test_half_a_line_is_not_lost_when_a_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with redacted(Redactor()):
            print("half a line", end="")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capsys.readouterr().out == "half a line"


def test_refused_flags_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="x")
    parser.add_subparsers().add_parser("sub").add_argument("--steps", type=int)
    for flags in (["sub", "--steps", TOKEN], ["sub", f"--nonsense={TOKEN}"], [TOKEN]):
        with pytest.raises(SystemExit):
            parser.parse_args(flags)
    shown = capsys.readouterr().err
    assert "invalid int value: '[redacted]'" in shown
    assert not leaks(shown, TOKEN)


SCRIPT = """
import sys, warnings
from zk_autograd.cli.output import run_command
token = sys.argv[2]
def command(output):
    def fail():
        try:
            raise KeyError(token)
        except KeyError as error:
            error.add_note("see https://me:" + token + "@example.org")
            raise RuntimeError(token.encode()) from error
    if sys.argv[1] == "raise":
        fail()
    if sys.argv[1] == "exit":
        sys.exit("stopped by " + token)
    if sys.argv[1] == "exit-error":
        sys.exit(RuntimeError("stopped by " + token))
    if sys.argv[1] == "exit-tuple":
        sys.exit(("stopped by", token))
    if sys.argv[1] == "exit-broken":
        class Broken:
            def __str__(self):
                raise ValueError(token)
        sys.exit(Broken())
    if sys.argv[1] == "atexit":
        import atexit, logging
        atexit.register(lambda: print("at exit", token))
        atexit.register(lambda: logging.getLogger().warning("log %s", token))
        atexit.register(fail)
        return 0
    if sys.argv[1] == "alive":
        import threading
        def wait():
            threading.main_thread().join()
            print("alive", token, flush=True)
            print("half " + token[:20], end="")
        threading.Thread(target=wait).start()
        return 0
    if sys.argv[1] == "dunder":
        print("under", token, file=sys.__stdout__)
        sys.stdout.write(token[:12]), sys.__stdout__.write(token[12:])
        print(token, file=sys.__stderr__)
        return 0
    if sys.argv[1] == "warn":
        warnings.warn(token)
        return 0
    if sys.argv[1] == "thread":
        import threading
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        return 0
    if sys.argv[1] == "half":
        sys.stdout.write("half " + token[:20])
        return 0
    if sys.argv[1] == "variable":
        import os
        print(os.environ["ZK_AUTOGRAD_TOKEN"][3:])
        return 0
sys.exit(run_command(command, json_output=False))
"""


@pytest.mark.parametrize(
    ("way", "status", "words"),
    [
        ("raise", 70, "RuntimeError: b'[redacted]'"),
        ("exit", 1, "stopped by [redacted]"),
        ("exit-error", 1, "stopped by [redacted]\n"),
        ("exit-tuple", 1, "('stopped by', '[redacted]')\n"),
        ("exit-broken", 1, "an exit with a Broken whose text can't be had: ValueError\n"),
        ("atexit", 0, "at exit [redacted]\n"),
        ("alive", 0, "alive [redacted]\nhalf [redacted]"),
        ("dunder", 0, "under [redacted]\n[redacted]"),
        ("warn", 0, "UserWarning: [redacted]"),
        ("thread", 0, "RuntimeError: b'[redacted]'"),
        ("half", 0, "half [redacted]"),
        ("variable", 0, MARK),
    ],
)
def test_a_process_that_ends_in_any_way_shows_no_token(way: str, status: int, words: str) -> None:
    environment = {**os.environ, "ZK_AUTOGRAD_TOKEN": PASSWORD}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, way, TOKEN], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == status
    assert words in ended.stdout + ended.stderr
    for secret in (TOKEN, PASSWORD):
        assert not leaks(ended.stdout + ended.stderr, secret)
    assert way == "atexit" or "ignored" not in ended.stderr  # at the process's end the wrappers cause no trouble


def test_a_command_shows_no_token_and_holds_nothing_back(capsys: pytest.CaptureFixture[str]) -> None:
    def command(output: Output) -> int:
        assert isinstance(sys.stdout, RedactedStream)
        output.line(TOKEN)
        output.note(f"see {TOKEN}")
        print("half", end="")
        print("under", end="", file=sys.__stdout__)
        return 0

    under = io.StringIO()
    sys.__stdout__ = under  # type: ignore[assignment,misc]
    for _ in range(2):
        assert run_command(command, json_output=False) == 0
    assert capsys.readouterr() == (f"{MARK}\nhalf" * 2, f"see {MARK}\n" * 2)
    assert under.getvalue() == "underunder"
    print(TOKEN)
    assert capsys.readouterr().out == f"{MARK}\n"
