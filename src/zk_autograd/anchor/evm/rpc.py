"""Asking an Ethereum node: JSON-RPC 2.0 over HTTP(S), one question at a time.

No redirect is followed and no proxy used; an answer is bounded in bytes, and in seconds altogether
(evidence.server). The node's URL often holds a key, so no message repeats more of it than its host.
"""

import json
import os
from typing import Any
from urllib.parse import urlsplit

from zk_autograd.core.canonical import Json, NoInteger, decode_foreign
from zk_autograd.core.errors import AnchorDown, AnchorError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.text import printable
from zk_autograd.evidence.pace import Limits, Pace
from zk_autograd.evidence.server import ADVICE, Server
from zk_autograd.evidence.url import Address

URL_VARIABLE = "ETH_RPC_URL"
"""Where the URL is taken from if a specification has none, as Foundry's tools do."""

_MAX_ANSWER = 2**22
LIMITS = Limits(total=_MAX_ANSWER + 2**17, connect=10, idle=30, patience=30, seconds=30)
"""For one question."""


class RefusedError(AnchorError):
    """The node answered with an error: its `text`, and the `data` of a contract that reverted."""

    def __init__(self, message: str, text: str, data: bytes) -> None:
        super().__init__(message)
        self.text = text
        self.data = data


class Node:
    """The node at a URL. Every method raises AnchorDown for what may get better, AnchorError for
    what won't."""

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        """Nothing is asked yet. `url` "": that of the environment. UsageError for what is no URL
        of a node."""
        found = urlsplit(url or os.environ.get(URL_VARIABLE, ""))
        try:
            port = found.port
        except ValueError:
            port = -1
        if found.scheme not in ("http", "https") or not found.hostname or port == -1 or found.username:
            raise UsageError(
                f"an Ethereum node's URL is http:// or https://, in the specification or in {URL_VARIABLE}"
            )
        self.shown = f"{found.scheme}://{found.hostname}" + (f":{port}" if port else "")
        path = (found.path or "/") + (f"?{found.query}" if found.query else "")
        self._address = Address(found.scheme, found.hostname, port or {"http": 80, "https": 443}[found.scheme], path)
        self._limits = limits

    def call(self, method: str, *params: Any) -> "Json | None":
        """The result of a method, None for null. RefusedError for an error of the node's."""
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        body = self._posted(json.dumps(question).encode())
        try:
            answer = decode_foreign(body, max_bytes=_MAX_ANSWER)
        except VerificationError as error:
            raise self._down(f"its answer to {method} can't be read ({error})") from error
        if not isinstance(answer, dict) or answer.get("id") != 1 or not {"result", "error"} & answer.keys():
            raise self._down(f"its answer to {method} is none")
        fault: Json | NoInteger = answer.get("error", NoInteger("null"))
        if not isinstance(fault, NoInteger):
            raise self._refusal(method, fault)
        result: Json | NoInteger = answer.get("result", NoInteger("null"))
        return None if isinstance(result, NoInteger) else result

    def quantity(self, method: str, *params: Any) -> int:
        """The number that a method gives."""
        return number(self.call(method, *params), f"the answer of {self.shown} to {method}")

    def data(self, method: str, *params: Any) -> bytes:
        """The bytes that a method gives."""
        return octets(self.call(method, *params), f"the answer of {self.shown} to {method}")

    def object(self, method: str, *params: Any) -> dict[str, Json]:
        """The object that a method gives. AnchorDown for null, too: it isn't there yet."""
        result = self.call(method, *params)
        if not isinstance(result, dict):
            raise self._down(f"it has nothing to say to {method} yet")
        return result

    def _posted(self, question: bytes) -> bytes:
        address = self._address
        try:
            server = Server(address, Pace(self._limits))
            try:
                with server.asked(address.path, method="POST", sent=("application/json", question)) as answer:
                    if answer.status != 200:
                        raise self._status(answer.status)
                    return b"".join(answer.body(_MAX_ANSWER, "its answer"))
            finally:
                server.close()
        except UnreadableError as error:  # its message begins with the whole URL
            why = str(error).removeprefix(f"{address} can't be read: ").removesuffix(f"; {ADVICE}")
            raise self._down(f"it can't be asked ({why})") from None
        except VerificationError as error:
            raise self._down(str(error)) from error
        except (OSError, ValueError) as error:  # a path that HTTP can't say, no certificates to trust
            raise self._down(f"it can't be asked ({type(error).__name__})") from None

    def _status(self, status: int) -> AnchorError:
        if status == 429 or status >= 500:
            return self._down(f"it answers with status {status}")
        return AnchorError(f"the Ethereum node {self.shown} refuses, with status {status}: check its URL and its key")

    def _refusal(self, method: str, fault: Json) -> RefusedError:
        fields = fault if isinstance(fault, dict) else {}
        text, data = fields.get("message"), fields.get("data")
        said = text if isinstance(text, str) else "without a message"
        try:
            revert = octets(data, "")
        except AnchorDown:
            revert = b""
        return RefusedError(f"the Ethereum node {self.shown} refuses {method}: {printable(said[:200])}", said, revert)

    def _down(self, why: str) -> AnchorDown:
        return AnchorDown(f"the Ethereum node {self.shown} gives no answer: {why}; try again, or name another")


def number(value: object, what: str) -> int:
    """A quantity of JSON-RPC. AnchorDown for anything else."""
    digits = value[2:] if isinstance(value, str) and value.startswith("0x") else ""
    if not 1 <= len(digits) <= 64 or not set(digits) <= set("0123456789abcdef"):
        raise AnchorDown(f"{what} is not a number")
    return int(digits, 16)


def octets(value: object, what: str) -> bytes:
    """Unformatted data of JSON-RPC. AnchorDown for anything else."""
    digits = value[2:].lower() if isinstance(value, str) and value.startswith("0x") else "-"
    if len(digits) % 2 or not set(digits) <= set("0123456789abcdef"):
        raise AnchorDown(f"{what} is not a string of bytes")
    return bytes.fromhex(digits)
