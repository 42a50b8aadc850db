"""Whole trainings whose model's code spills a token wherever it can: neither a file of the run nor
a stream has it. Commands that have no token do without all that.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import trainer_key

RUNS = Path(__file__).resolve().parents[1] / "data" / "runs"

TOKEN = "hf_QwErTyUiOpAsDfGhJkLzXcVbNm76543210"
OWN = "S0me/Th1ng+Without%A=Prefix"

without_train = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
)

SPILLING = """
import logging, os, sys, threading, traceback, warnings
from urllib.parse import quote
from torch import nn

TOKEN = os.environ["HF_TOKEN"]
log = logging.getLogger("spilling")
log.addHandler(logging.StreamHandler())


def spill():
    print("loading", TOKEN, repr(TOKEN.encode()), {"token": TOKEN})
    print(f"https://me:{quote(TOKEN, safe='')}@example.org/?token={TOKEN}", file=sys.stderr)
    print(os.environ)
    for stream in (sys.stdout, sys.stderr):
        for place in range(0, len(TOKEN), 5):
            stream.write(TOKEN[place : place + 5])
        stream.write("\\n")
        for done in range(3):
            stream.write(f"\\rloading {TOKEN}: {done}")
            stream.flush()
    for character in TOKEN:
        sys.stdout.buffer.write(character.encode())
    log.warning("with %s", TOKEN)
    log.error("%d %d", TOKEN)
    warnings.warn(TOKEN)
    try:
        fail()
    except RuntimeError:
        log.exception("failed", stack_info=True)
        traceback.print_exc()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def fail(*_):
    try:
        raise KeyError(TOKEN)
    except KeyError as error:
        error.add_note("with " + TOKEN)
        raise RuntimeError(f"can't load https://me:{quote(TOKEN, safe='')}@example.org with {TOKEN}") from error


class Net(nn.Linear):
    def forward(self, rows):
        print(TOKEN, file=sys.stderr)
        return super().forward(rows)


def make(columns, classes):
    spill()
    return Net(columns, classes)


def interrupt(columns, classes):
    spill()
    sys.stderr.write(TOKEN[:-1])
    raise KeyboardInterrupt


def leave(columns, classes):
    sys.stdout.write(TOKEN)
    sys.exit("for " + TOKEN)


def panic(columns, classes):
    class PanicException(BaseException):
        pass

    raise PanicException(TOKEN)
"""


@pytest.mark.torch
@pytest.mark.slow
@without_train
@pytest.mark.parametrize(
    ("factory", "place", "token", "status"),
    [
        ("make", "flag", OWN, 0),
        ("make", "variable", TOKEN, 0),
        ("make", "file", OWN, 0),
        ("fail", "variable", OWN, 2),
        ("interrupt", "variable", OWN, 130),
        ("leave", "file", OWN, 2),
        ("panic", "flag", OWN, 70),
    ],
)
def test_no_file_and_no_stream_has_a_token(factory: str, place: str, token: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "spilling.py").write_text(SPILLING)
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path),
        "HF_TOKEN": token if place == "variable" else "",
        "MKL_CBWR": token,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    if place == "file":
        (tmp_path / "token").write_text(token + "\n")
    trainer_key.create(tmp_path / "config/zk-autograd/log.key", "trainer")
    flags = ["--data", "breast-cancer", "--steps", "2", "--prover", "none", "--out", "run", "--json"]
    if place == "flag":
        flags += ["--hf-token", token]
    ended = subprocess.run(
        [sys.executable, "-m", "zk_autograd.cli.train", "--model", f"spilling:{factory}", *flags],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ended.returncode == status, ended.stderr.decode()
    assert b"[redacted]" in ended.stderr
    if factory in ("make", "interrupt", "leave"):
        assert b"[redacted]" in ended.stdout
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert (len(files) > 10) == (status == 0)
    for content in (ended.stdout, ended.stderr, *(path.read_bytes() for path in files)):
        for spelt in (token, quote(token, safe="")):
            for piece in (spelt[:8], spelt[-8:]):
                assert piece.encode() not in content, content.decode("latin-1")[:2000]


@pytest.mark.torch
@without_train
@pytest.mark.parametrize(
    "flags",
    [
        ("--steps", TOKEN),
        (f"--nonsense={TOKEN}",),
        ("reproduce", "run", f"--nonsense={TOKEN}"),
        ("--hf-token", OWN, "--label", OWN, "--data", "csv:table.csv"),
        ("--config", f"csv:{OWN}.toml"),
        ("--resume", OWN),
    ],
    ids=lambda flags: flags[0],
)
def test_refused_flags_are_not_repeated(flags: tuple[str, ...], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "zk_autograd.cli.train", *flags],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HF_TOKEN": "" if "--hf-token" in flags else OWN},
        check=False,
    )
    assert ended.returncode == 2
    assert "[redacted]" in ended.stderr or "--label looks like an access token" in ended.stderr
    assert not any(token[:8] in ended.stdout + ended.stderr for token in (TOKEN, OWN))


@pytest.mark.parametrize(
    "words",
    [
        "verify --help",
        "verify run --key test.key.pub",
        "verify run --nonsense",
        "key show --key-file test.key",
        "run status run",
        "run list .",
        "run bundle run --out b.tar",
        "run forget open --yes --force",
        "run cache",
        "circuit digest",
    ],
)
@pytest.mark.usefixtures("native_prover")
def test_a_command_without_a_token_loads_nothing_that_hides_one(words: str, tmp_path: Path) -> None:
    for name, run in (("native-finished", "run"), ("none-open", "open")):
        shutil.copytree(RUNS / name, tmp_path / run)
    for name in ("test.key", "test.key.pub"):
        shutil.copy(RUNS / name, tmp_path / name)
    (tmp_path / "test.key").chmod(0o600)
    command, *flags = words.split()
    program = (
        f"import sys\nfrom zk_autograd.cli import {command}\nbefore = sys.stdout, sys.stderr, sys.excepthook\n"
        f"try:\n    status = {command}.main({flags!r})\nexcept SystemExit as end:\n    status = end.code\n"
        "assert before == (sys.stdout, sys.stderr, sys.excepthook)\n"
        "loaded = {'redaction', 'streams', 'tokens'} & {name.removeprefix('zk_autograd.credentials.') for name in sys.modules}\n"
        "sys.exit(str(loaded) if loaded else status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ZK_AUTOGRAD_CACHE": str(tmp_path / "cache")},
        check=False,
    )
    assert ended.returncode == (2 if "--nonsense" in words else 0), ended.stderr
