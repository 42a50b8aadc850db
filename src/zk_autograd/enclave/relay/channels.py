"""The relay's channels: a connection each, which the enclave opens with a word.

    {"channel": <one of these>, "format": FORMAT, "name": <its name, or "">}

    input NAME    the host answers {"refused": "", "size": <bytes>} and that much data
    output        each of the enclave's words {"at", "do", "path", "size"} and its data is answered
                  {"held": <bytes of the file that came from the enclave>, "refused": ""}; the last
                  one is {"do": "end", "ended": <see ENDED>, "reason": <a sentence>}
    tunnel NAME   after {"refused": ""} raw bytes, both ways, to the host and port that the host's
                  operator allowed under that name; TLS ends inside the enclave
    prove         see enclave.proving
    say           words {"text": <a line for people>}, which nobody answers

A refusal is {"refused": <a sentence>}, and ends the connection.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.text import printable, quoted
from zk_autograd.enclave.relay.frames import Wire

FORMAT = "zk-autograd/relay/v0"
INPUT, OUTPUT, TUNNEL, PROVE, SAY = "input", "output", "tunnel", "prove", "say"
CHANNELS = (INPUT, OUTPUT, TUNNEL, PROVE, SAY)
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
"""What an input or a tunnel may be called."""

APPEND, REPLACE, ONCE, END = "append", "replace", "once", "end"
COMPLETE, STOPPED, FAILED = "complete", "stopped", "failed"
ENDED = (COMPLETE, STOPPED, FAILED)

_WHY = 1.0
"""Seconds for a host to say why it takes no more."""

MAX_TEXT = 1000
MAX_PATH = 200


@dataclass(frozen=True, slots=True)
class Hello:
    """The first word of a connection."""

    channel: str
    name: str = ""

    def word(self) -> dict[str, Json]:
        return {"format": FORMAT, "channel": self.channel, "name": self.name}

    @classmethod
    def of(cls, fields: Fields) -> "Hello":
        """VerificationError for another version, a channel that isn't there, or a bad name."""
        fields.choice("format", (FORMAT,))
        hello = cls(fields.choice("channel", CHANNELS), fields.text("name", 40, min_len=0))
        fields.end()
        if (hello.channel in (INPUT, TUNNEL)) != bool(NAME.fullmatch(hello.name)):
            raise VerificationError(f"{quoted(hello.name)} is no name for the channel {hello.channel}")
        return hello


def answered(wire: Wire, what: str, patience: float | None = None) -> Fields:
    """The host's answer, of which "refused" is read; the caller reads the rest and ends it.
    RunError for a refusal, with what was asked for (`what`)."""
    fields = wire.heard(patience)
    with wire.understood():
        refused = fields.text("refused", MAX_TEXT, min_len=0)
    if refused:
        raise RunError(f"the host refuses {what}: {printable(refused)}")
    return fields


@contextmanager
def refusable(wire: Wire, what: str) -> Iterator[None]:
    """For what is sent before the answer is due: a host that takes no more of it is asked why."""
    try:
        yield
    except RunError:
        answered(wire, what, _WHY)
        raise
