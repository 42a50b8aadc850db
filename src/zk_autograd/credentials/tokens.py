"""Access tokens: where they are looked for, and that none of them is shown.

The first place that has one wins: the flag --hf-token, the variable HF_TOKEN, the cache file
$HF_HOME/token (~/.cache/huggingface/token) that Hugging Face's own programs make and read, whoever
else can read it.

A token is one word of printable ASCII. Whatever is resolved is redacted from then on
(credentials.redaction), and no message repeats a part of it.
"""

import os
import re
import stat
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from zk_autograd.core.errors import UsageError, ZkError
from zk_autograd.credentials import streams
from zk_autograd.credentials.redaction import PROCESS, SHORTEST, Redactor
from zk_autograd.local.named_files import refusal
from zk_autograd.local.own_folders import NoHomeError, home

FLAG, VARIABLE = "--hf-token", "HF_TOKEN"
MAX_BYTES = 4096

HELP = (
    "a Hugging Face token for the code of your model, which finds it as HF_TOKEN; recorded nowhere (default: HF_TOKEN, "
    "then $HF_HOME/token)"
)
"""For the flag's parser. A flag can be seen in the system's list of processes: a better place is
the variable or the file."""

_TOKEN = re.compile(rf"[!-~]{{{SHORTEST},{MAX_BYTES}}}")


def hide() -> None:
    """What a command that may have a token does first: from now on neither stream shows one."""
    streams.wrap()
    remember()


def remember(environ: Mapping[str, str] = os.environ, redactor: Redactor = PROCESS) -> None:
    """Redacts from now on what the variable and the cache file hold, used or not."""
    for word in environ.get(VARIABLE, "").split():
        redactor.add(word)
    with suppress(ZkError):  # it is for whoever wants the token to say what is wrong with it
        if _TOKEN.fullmatch(token := _without_newline(_cached(environ) or "")):
            redactor.add(token)


def resolve(
    flag: str | None = None, environ: Mapping[str, str] = os.environ, redactor: Redactor = PROCESS
) -> str | None:
    """The token, None if there is none anywhere. UsageError for one that is none, StorageError if
    the system refuses to read."""
    if flag is not None:
        return _checked(flag, FLAG, redactor)
    if value := environ.get(VARIABLE):
        return _checked(value, VARIABLE, redactor)
    try:
        token = _cached(environ)
    except NoHomeError:
        return None
    return None if token is None else _checked(token, str(cache_file(environ)), redactor)


def provide(token: str | None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Lets the code that runs in this process, and its children, find the token under its
    variable."""
    if token is not None:
        environ[VARIABLE] = token


def cache_file(environ: Mapping[str, str]) -> Path:
    """Where Hugging Face's programs keep a token. NoHomeError where there is no folder for it."""
    # A relative one would find what lies where the caller stands.
    if os.path.isabs(own := environ.get("HF_HOME", "")):
        return Path(own) / "token"
    named = environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else home("set HF_HOME") / ".cache") / "huggingface" / "token"


def _checked(text: str, where: str, redactor: Redactor) -> str:
    token = _without_newline(text)
    for word in token.split():
        redactor.add(word)  # first of all: whatever is said of it
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"{where} holds no token: it must be one word of {SHORTEST} to {MAX_BYTES} printable ASCII characters; "
            "take the token as it was given"
        )
    return token


def _cached(environ: Mapping[str, str]) -> str | None:
    path = cache_file(environ)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hang
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{path} is no file; give the Hugging Face token by {VARIABLE}")
            return file.read(MAX_BYTES + 2).decode("latin-1")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refusal(error, f"can't read the Hugging Face token in {path}") from error


def _without_newline(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
