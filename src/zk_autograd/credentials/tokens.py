"""Access tokens: where they are looked for, and what keeps them to their owner.

The first place that has one wins: the flag, the environment variable, the cache file.

    Hugging Face   --hf-token   HF_TOKEN            $HF_HOME/token                     (~/.cache/huggingface/token)
    service        --token      ZK_AUTOGRAD_TOKEN   token in the package's cache       (~/.cache/zk-autograd/token)

A token is one word of printable ASCII. Our own cache file is refused if others could read it, as a key is; Hugging Face's is as its own
programs make it, readable by others or not, and they read it in any case. Whatever is resolved is redacted from then on
(credentials.redaction), and no message repeats a part of it.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.credentials.redaction import PROCESS, SHORTEST, Redactor
from zk_autograd.local.named_files import refusal

MAX_BYTES = 4096

_TOKEN = re.compile(rf"[!-~]{{{SHORTEST},{MAX_BYTES}}}")


def _hugging_face(environ: Mapping[str, str]) -> Path:
    if os.path.isabs(own := environ.get("HF_HOME", "")):  # a relative one would find what lies where the caller stands
        return Path(own) / "token"
    from zk_autograd.local.own_folders import home

    named = environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if os.path.isabs(named) else home("set HF_HOME") / ".cache"
    return cache / "huggingface" / "token"


def _service(environ: Mapping[str, str]) -> Path:
    from zk_autograd.prove.ezkl.keys import default_cache  # not before it is needed: every command imports this module

    return default_cache(environ) / "token"


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of token: its flag, its variable, where its cache file lies, and the mode bits that this file may not have.

    `file` raises NoHomeError where there is no folder in which a cache file could lie.
    """

    what: str
    flag: str
    variable: str
    file: Callable[[Mapping[str, str]], Path]
    forbidden: int


HUGGING_FACE = Source("Hugging Face token", "--hf-token", "HF_TOKEN", _hugging_face, forbidden=0)
SERVICE = Source("service token", "--token", "ZK_AUTOGRAD_TOKEN", _service, forbidden=0o077)

HF_TOKEN_HELP = "a Hugging Face token for the code of your model, which finds it as HF_TOKEN; recorded nowhere (default: HF_TOKEN, then $HF_HOME/token)"
"""For the flag's parser. A flag can be seen in the system's list of processes: the variable or the file is the better place."""


def resolve(
    source: Source, flag: str | None, environ: Mapping[str, str] = os.environ, redactor: Redactor = PROCESS
) -> str | None:
    """The token, None if there is none anywhere. UsageError for one that is none, and for a file that others can read."""
    if flag is not None:
        return _checked(flag, source.flag, redactor)
    if value := environ.get(source.variable):
        return _checked(value, source.variable, redactor)
    from zk_autograd.local.own_folders import NoHomeError

    try:
        path = source.file(environ)
    except NoHomeError:
        return None
    content = _read(path, source)
    return None if content is None else _checked(content, str(path), redactor)


def provide(source: Source, token: str | None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Lets the code that runs in this process, and its children, find the token under its variable."""
    if token is not None:
        environ[source.variable] = token


def remember(environ: Mapping[str, str] = os.environ, redactor: Redactor = PROCESS) -> None:
    """Redacts from now on what the variables hold, used or not."""
    for source in (HUGGING_FACE, SERVICE):
        for word in environ.get(source.variable, "").split():
            redactor.add(word)


def _checked(text: str, where: str, redactor: Redactor) -> str:
    token = text.removesuffix("\n").removesuffix("\r")
    for word in token.split():
        redactor.add(word)  # first of all: whatever is said of it
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"{where} holds no token: it must be one word of {SHORTEST} to {MAX_BYTES} printable ASCII characters; take the token as it was given"
        )
    return token


def _read(path: Path, source: Source) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hang
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path} is no file; give the {source.what} by {source.variable}")
            if status.st_mode & source.forbidden:
                mode = stat.S_IMODE(status.st_mode)
                raise UsageError(
                    f"{path} can be read by others (mode {mode:04o}): `chmod 600 {path}`, and renew the token"
                )
            return file.read(MAX_BYTES + 2).decode("latin-1")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refusal(error, f"can't read the {source.what} in {path}") from error
