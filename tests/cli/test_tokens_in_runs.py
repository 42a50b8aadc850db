"""A whole training whose model's code spills a token wherever it can: no file of the run and no stream has a piece of it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from zk_autograd.credentials import keyfile

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
]

TOKEN = "hf_QwErTyUiOpAsDfGhJkLzXcVbNm76543210"
OWN = "S0me/Th1ng+Without%A=Prefix"

SPILLING = """
import logging, os, sys, threading, traceback, warnings
from urllib.parse import quote
from torch import nn

TOKENS = [os.environ["HF_TOKEN"], os.environ["ZK_AUTOGRAD_TOKEN"]]
log = logging.getLogger("spilling")
file = logging.FileHandler("spilling.log")
file.setFormatter(logging.Formatter("%(levelname)s %(message)s %(exc_text)s"))
log.addHandler(file)


def spill(token):
    print("loading", token, repr(token.encode()), {"token": token})
    print(f"https://me:{quote(token, safe='')}@example.org/?token={token}", file=sys.stderr)
    for place in range(0, len(token), 5):
        sys.stderr.write(token[place : place + 5])
        sys.stderr.flush()
    for place in range(1, len(token)):
        log.warning("part %s", token[:place])
        log.warning(token[place:].replace("%", "%%"), *())
        print(token[:place])
        print(token[place:], end="")
        sys.stdout.flush()
        sys.stdout.buffer.write(token[:place].encode())
        sys.stdout.buffer.write(token[place:].encode() + b"\\n")
    warnings.warn(token)
    try:
        try:
            raise KeyError(token)
        except KeyError as error:
            raise RuntimeError("".join(f"\\\\u{ord(c):04x}" for c in token)) from error
    except RuntimeError:
        log.exception("failed")
        traceback.print_exc()


    def die():
        raise ValueError(token)

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()


class Net(nn.Linear):
    def forward(self, rows):
        for token in TOKENS:
            print(token, file=sys.stderr)
        return super().forward(rows)


def make(columns, classes):
    for token in TOKENS:
        spill(token)
    return Net(columns, classes)


def fail(columns, classes):
    raise RuntimeError("can't load https://me:" + TOKENS[0] + "@example.org with " + TOKENS[1])
"""


def spilt(content: bytes, secret: str) -> list[bytes]:
    """The pieces of the secret that the bytes have, as they are, in percent escapes, and in JSON's."""
    texts = {secret, quote(secret, safe=""), "".join(f"\\u{ord(c):04x}" for c in secret)}
    found = [secret[i : i + 8].encode() for i in range(len(secret) - 7)]
    found += [quote(secret[i : i + 8], safe="").encode() for i in range(len(secret) - 7)]
    return [piece for piece in (*found, *(text.encode() for text in texts)) if piece in content]


@pytest.mark.parametrize(("factory", "status"), [("make", 0), ("fail", 2)])
def test_no_file_and_no_stream_has_a_piece_of_a_token(factory: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "spilling.py").write_text(SPILLING)
    environment = {
        **os.environ,
        "HF_TOKEN": TOKEN,
        "ZK_AUTOGRAD_TOKEN": OWN,
        "MKL_CBWR": TOKEN,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    keyfile.create(tmp_path / "config/zk-autograd/log.key", "trainer")
    flags = ("--data", "breast-cancer", "--steps", "2", "--prover", "none", "--out", "run", "--json")
    ended = subprocess.run(
        [sys.executable, "-m", "zk_autograd.cli.train", "--model", f"spilling:{factory}", *flags],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ended.returncode == status, ended.stderr.decode()
    assert b"[redacted]" in ended.stderr
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert (len(files) > 10) == (status == 0)
    logged = tmp_path / "spilling.log"
    for secret in (TOKEN, OWN):
        for content in (ended.stdout, ended.stderr, logged.read_bytes(), *(path.read_bytes() for path in files)):
            assert spilt(content, secret) == [], content.decode("latin-1")[:2000]
