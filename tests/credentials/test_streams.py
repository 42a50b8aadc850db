"""No token in what the standard streams show, however it is spelt and thrown, and in whatever
pieces it is written.
"""

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.credentials import streams
from zk_autograd.credentials.redaction import BEGINNING, MARK, Redactor
from zk_autograd.credentials.streams import RedactedStream

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
PASSWORD = "s3cr3t/with+odd=chars%41~"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda s: f"https://user:{quote(s, safe='')}@example.org/?token={s}",
    "json": lambda s: json.dumps({"a": s}),
    "repr": lambda s: repr(ValueError(s.encode())),
}


def cut(text: str, places: Sequence[int]) -> list[str]:
    """The text in pieces."""
    ends = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in pairwise(ends)]


def leaks(shown: str, secret: str) -> bool:
    """Whether more of the secret can be read than a piece that may be seen."""
    texts = (secret, quote(secret, safe=""))
    return any(text[i : i + BEGINNING] in shown for text in texts for i in range(len(text) - BEGINNING + 1))


texts = st.builds(
    lambda before, spelt, secret, after: (secret, f"{before}{SPELLINGS[spelt](secret)}{after}"),
    st.sampled_from(["", "a ", "token=", "\x1b[2K", "\u00e9", "hf_", "x" * 30]),
    st.sampled_from(sorted(SPELLINGS)),
    st.sampled_from([TOKEN, PASSWORD]),
    st.sampled_from(["", "\n", " z", '"', "\x1b[0m"]),
)


@given(texts, st.lists(st.integers(0, 400), max_size=12))
def test_a_secret_in_pieces_is_hidden_as_a_whole_one(drawn: tuple[str, str], places: list[int]) -> None:
    secret, text = drawn
    below, redactor = io.StringIO(), Redactor([PASSWORD])
    stream = RedactedStream(below, redactor)
    for piece in cut(text, places):
        assert stream.write(piece) == len(piece)
    stream.flush()
    assert below.getvalue() == redactor.text(text)
    assert not leaks(below.getvalue(), secret)


@pytest.mark.parametrize("secret", [TOKEN, PASSWORD])
def test_a_secret_that_is_flushed_in_two_is_hidden_with_the_rest_of_its_word(secret: str) -> None:
    for place in range(len("hf_") + BEGINNING, len(secret)):
        below = io.StringIO()
        stream = RedactedStream(below, Redactor([PASSWORD]))
        for piece in ("a ", secret[:place], secret[place:-1], secret[-1], "", ", b", "c"):
            stream.write(piece)
            stream.flush()
        for piece in ("\n", secret[:place]):
            stream.write(piece)
        stream.flush()
        for piece in (secret[place:], ", d", "e\n"):
            stream.write(piece)
        assert below.getvalue() == f"a {MARK} bc\n{MARK} de\n"


@given(st.text(), st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_what_holds_no_secret_is_shown_as_it_is(text: str, places: list[int], flush: bool) -> None:
    below = io.StringIO(newline="")
    stream = RedactedStream(below, Redactor())
    for piece in cut(text, places):
        stream.write(piece)
        if flush:
            stream.flush()
    stream.flush()
    assert below.getvalue() == text or "hf_" in text or "://" in text or "=" in text


def test_a_whole_line_is_shown_at_once_and_a_half_one_when_it_is_flushed() -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor())
    stream.write("one line\nPassword: ")
    assert below.getvalue() == "one line\nPassword: "
    stream.write("50%")
    assert below.getvalue() == "one line\nPassword: "
    stream.flush()
    assert below.getvalue() == "one line\nPassword: 50%"


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("text", ["\n" * 100_000, "x" * 200_000 + "\n", "hf_oauth_" * 20_000 + "!\n"])
def test_the_time_of_a_stream_grows_with_the_text_and_not_with_its_square(text: str, size: int) -> None:
    began = time.process_time()
    stream = RedactedStream(io.StringIO(), Redactor([PASSWORD]))
    for place in range(0, len(text), size):
        stream.write(text[place : place + size])
    stream.flush()
    assert time.process_time() - began < 10


def test_bytes_of_the_buffer_are_hidden_too() -> None:
    below = io.StringIO()
    stream = RedactedStream(below, Redactor())
    for piece in (TOKEN[:9].encode(), TOKEN[9:].encode(), b" \xc3\xa9\n"):
        assert stream.buffer.write(memoryview(piece)) == len(piece)
    stream.buffer.flush()
    assert below.getvalue() == f"{MARK} \u00e9\n"


def test_the_stream_looks_like_the_one_below(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w", encoding="ascii", errors="strict") as below:
        stream = RedactedStream(below, Redactor())
        assert (stream.encoding, stream.errors, stream.fileno(), stream.isatty(), stream.name, stream.closed) == (
            "ascii",
            "strict",
            below.fileno(),
            False,
            below.name,
            False,
        )
        stream.writelines(["a\n", f"{TOKEN}\n"])
        print("b", file=stream, flush=True)
    assert (tmp_path / "file").read_text() == f"a\n{MARK}\nb\n"


def test_everything_is_wrapped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = io.StringIO(), io.StringIO()
    for name, below in (("stdout", one), ("__stdout__", one), ("stderr", one), ("__stderr__", other)):
        monkeypatch.setattr(sys, name, below)
    streams.wrap()
    wrapped = sys.stdout, sys.stderr
    assert all(isinstance(stream, RedactedStream) for stream in wrapped)
    kept: list[object] = [sys.__stdout__, sys.__stderr__]
    assert kept == [sys.stdout, other]
    streams.wrap()
    assert (sys.stdout, sys.stderr) == wrapped


def test_a_process_without_streams_is_left_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, None)
    streams.wrap()
    assert (sys.stdout, sys.stderr) == (None, None)


# ---- a command's whole process -------------------------------------------------------------------

SCRIPT = """
import atexit, logging, os, sys, threading, warnings
from zk_autograd.cli.output import run_command
from zk_autograd.credentials import tokens
way, token = sys.argv[1], os.environ["HF_TOKEN"]

def fail(*arguments):
    try:
        raise KeyError(token)
    except KeyError as error:
        error.add_note("see https://me:" + token + "@example.org")
        raise RuntimeError(token.encode()) from error

class Late:
    def __del__(self, token=token):
        raise RuntimeError(token.encode())

def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread

def alive():
    threading.main_thread().join()
    print("alive", token, flush=True)
    print("half " + token[:20], end="")

def interrupted():
    sys.stderr.write("half " + token[:20])
    raise KeyboardInterrupt

def logged():
    try:
        fail()
    except RuntimeError:
        logging.getLogger("library").exception("failed with %s", token, stack_info=True)
    logging.error("%d %d", token)

def late():
    global it
    it = Late()

def own_bar():
    for done in range(3):
        sys.stderr.write("\\r" + token + " " + str(done))
        sys.stderr.flush()

def dunder():
    sys.stdout.write("in " + token[:12])
    sys.__stdout__.write(token[12:])

WAYS = {
    "raise": fail,
    "interrupted": interrupted,
    "exit": lambda: sys.exit("stopped by " + token),
    "exit-error": lambda: sys.exit(RuntimeError("stopped by " + token)),
    "exit-tuple": lambda: sys.exit(("stopped by", token)),
    "atexit": lambda: (atexit.register(fail), atexit.register(lambda: logging.warning("at exit %s", token))),
    "alive": lambda: in_thread(alive),
    "late": late,
    "dunder": dunder,
    "warn": lambda: warnings.warn(token),
    "log": logged,
    "thread": lambda: in_thread(fail).join(),
    "pieces": lambda: [sys.stdout.write(token[i : i + 5]) for i in range(0, len(token), 5)],
    "buffer": lambda: [sys.stdout.buffer.write(token[i : i + 5].encode()) for i in range(0, len(token), 5)],
    "two": lambda: [print(piece, end="", flush=True) for piece in (token[:20], token[20:])],
    "half": lambda: sys.stdout.write("half " + token[:20]),
    "bar": own_bar,
    "variables": lambda: print(os.environ),
    "piece by piece": lambda: print(*map(repr, (token, token.encode(), {"token": token}))),
}
tokens.hide()
sys.exit(run_command(lambda output: (WAYS[way](), output.line("done"), output.result({"token": token}), 0)[-1],
                     json_output="--json" in sys.argv))
"""


@pytest.mark.parametrize(
    ("secret", "flags"),
    [(TOKEN, []), (TOKEN, ["--json"]), (PASSWORD, []), ("quo\"te'and\\back/slash", ["--json"])],
    ids=["token", "token in json", "password", "quotes in json"],
)
@pytest.mark.parametrize(
    ("way", "status", "words"),
    [
        ("raise", 70, "RuntimeError: b'[redacted]'"),
        ("interrupted", 130, "half [redacted]"),
        ("exit", 1, "stopped by [redacted]\n"),
        ("exit-error", 1, "stopped by [redacted]\n"),
        ("exit-tuple", 1, "('stopped by', '[redacted]')\n"),
        ("atexit", 0, "at exit [redacted]\n"),
        ("alive", 0, "alive [redacted]\nhalf [redacted]"),
        ("late", 0, "RuntimeError: b'[redacted]'"),
        ("dunder", 0, "in [redacted]"),
        ("warn", 0, "UserWarning: [redacted]\n"),
        ("log", 0, "failed with [redacted]\n"),
        ("thread", 0, "RuntimeError: b'[redacted]'"),
        ("pieces", 0, "[redacted]"),
        ("buffer", 0, "[redacted]"),
        ("two", 0, "[redacted]"),
        ("half", 0, "half [redacted]"),
        ("bar", 0, "[redacted] 2"),
        ("variables", 0, "'HF_TOKEN': '[redacted]'"),
        ("piece by piece", 0, "b'[redacted]' {'token': '[redacted]'}"),
    ],
)
def test_a_process_that_ends_in_any_way_shows_no_token(
    way: str, status: int, words: str, secret: str, flags: list[str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, way, *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_TOKEN": secret},
        check=False,
    )
    shown = ended.stdout + ended.stderr
    assert ended.returncode == status, shown
    assert words in shown.replace('"[redacted]"', "'[redacted]'")  # repr chooses the quotes
    assert not leaks(shown, secret)
    # At the process's end the wrappers cause no trouble.
    assert way in ("atexit", "late") or "ignored" not in shown


BARS = """
import os, sys
from zk_autograd.cli.output import Output
from zk_autograd.credentials import tokens
tokens.hide()
token = os.environ["HF_TOKEN"]
with Output(json_output=False).progress() as advance:
    advance("training", 1, 3)
    print("loading https://me:" + token + "@example.org/" + "x" * 20 + token, file=sys.stderr)
    print("loading", "x" * 30 + token)
    advance(token, 2, 3)
    print("loaded")
"""


@pytest.mark.parametrize("secret", [TOKEN, PASSWORD])
def test_a_word_beside_bars_is_not_broken_over_the_lines_of_a_terminal(secret: str) -> None:
    ours, its = pty.openpty()
    environment = {**os.environ, "HF_TOKEN": secret, "COLUMNS": "50", "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", BARS], stdout=its, stderr=its, env=environment)
    os.close(its)
    shown = b""
    with suppress(OSError):  # what a terminal says when nobody writes to it any more
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait() == 0, shown
    assert b"loading https://me:[redacted]@example.org/" in shown
    assert b"x[redacted]\r\n" in shown
    assert b"loaded" in shown
    assert not any(secret[i : i + 5].encode() in shown for i in range(3, len(secret) - 4)), shown
