"""Asking one witness, by C2SP tlog-witness: `add-checkpoint`, and the checkpoint that it shows to
monitors.

No state is kept here, and nothing that a witness answers is believed: it is read within bounds of
bytes and time, and judged by the caller. An answer that isn't the protocol's is an AnchorDown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.core.errors import AnchorDown, UnreadableError, VerificationError
from zk_autograd.core.text import encode_base64, quoted
from zk_autograd.evidence.pace import Limits, Pace
from zk_autograd.evidence.server import ADVICE, Server
from zk_autograd.evidence.url import Address

LIMITS = Limits(total=2**22, connect=10, idle=15, patience=15, seconds=45)
"""For everything that one witness is asked in one publication."""

MAX_ANSWER = 2**18
"""Bytes of one answer: 64 lines of ML-DSA-44's size."""

SIZE_TYPE = "text/x.tlog.size"

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_RETRY = re.compile(r"[0-9]{1,9}")
_SAID = 80


@dataclass(frozen=True, slots=True)
class Reply:
    """A witness's answer, whole."""

    status: int
    media_type: str
    body: bytes

    @property
    def said(self) -> str:
        """The beginning of what it says of a refusal, for a message."""
        return quoted(self.body.decode("utf-8", "replace").strip(), _SAID)

    def size(self) -> int:
        """The tree size that a 409 names. AnchorDown unless it is as the protocol has it."""
        match = _SIZE.fullmatch(self.body)
        if self.media_type != SIZE_TYPE or match is None:
            raise AnchorDown("its 409 names no tree size as tlog-witness has it")
        return int(match[1])


class Client:
    """The witness whose submission prefix is `address`; it may be asked until it is closed."""

    def __init__(self, address: Address, limits: Limits = LIMITS) -> None:
        self._server = Server(address, Pace(limits))
        self._prefix = address.path.rstrip("/")

    def close(self) -> None:
        self._server.close()

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Reply:
        """What it answers to the note, a checkpoint, with the consistency proof from the tree of
        `old` leaves. AnchorDown if there is no answer, or it asks to be left alone for now."""
        lines = [f"old {old}", *map(encode_base64, proof)]
        return self._asked("/add-checkpoint", "".join(f"{line}\n" for line in lines).encode() + b"\n" + note)

    def checkpoint(self, origin: str) -> bytes | None:
        """What it shows as the newest checkpoint of the log; None if it shows none. AnchorDown as
        `add_checkpoint`, and for any other status."""
        reply = self._asked(f"/{sha256(origin.encode('utf-8')).hexdigest()}/checkpoint", None)
        if reply.status not in (200, 404):
            raise AnchorDown(f"it answers {reply.status} where a checkpoint is asked for")
        return reply.body if reply.status == 200 else None

    def _asked(self, path: str, content: bytes | None) -> Reply:
        method, sent = ("GET", None) if content is None else ("POST", ("text/plain", content))
        try:
            with self._server.asked(self._prefix + path, method=method, sent=sent) as answer:
                _require_answer(answer.status, answer.header("Retry-After"))
                body = b"".join(answer.body(MAX_ANSWER, "its answer"))
                return Reply(answer.status, answer.header("Content-Type").partition(";")[0].strip().lower(), body)
        except UnreadableError as error:
            raise AnchorDown(str(error).removesuffix(f"; {ADVICE}")) from error
        except VerificationError as error:
            raise AnchorDown(str(error)) from error


def _require_answer(status: int, retry: str) -> None:
    """AnchorDown for a status that isn't an answer to what was asked."""
    if status == 429 or status >= 500:
        wait = f", and asks to wait {int(retry)} seconds" if _RETRY.fullmatch(retry) else ""
        raise AnchorDown(f"it answers {status}{wait}")
    if status < 200 or 300 <= status < 400:
        raise AnchorDown(f"it answers {status}, and no redirect is followed")
