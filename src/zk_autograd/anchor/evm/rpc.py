"""Asking an Ethereum node: JSON-RPC 2.0 over HTTP(S), one question at a time.

No redirect is followed and no proxy used; an answer is bounded in bytes, and in seconds altogether.
The node's URL often holds a key, so no message repeats more of it than its host.
"""

import http.client
import json
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from zk_autograd.core.canonical import Json, NoInteger, decode_foreign
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError, VerificationError
from zk_autograd.core.text import printable

URL_VARIABLE = "ETH_RPC_URL"
"""Where the URL is taken from if a specification has none, as Foundry's tools do."""

_MAX_ANSWER = 2**22
_SECONDS = 30.0
_PIECE = 2**16


class RefusedError(AnchorError):
    """The node answered with an error: its `text`, and the `data` of a contract that reverted."""

    def __init__(self, message: str, text: str, data: bytes) -> None:
        super().__init__(message)
        self.text = text
        self.data = data


class Node:
    """The node at a URL. Every method raises AnchorDown for what may get better, AnchorError for
    what won't."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
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
        self._kind = http.client.HTTPSConnection if found.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = found.hostname, port
        self._path = (found.path or "/") + (f"?{found.query}" if found.query else "")
        self._clock = clock

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
        connection = self._kind(self._host, self._port, timeout=_SECONDS)
        end = self._clock() + _SECONDS
        try:
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            connection.request("POST", self._path, question, headers)
            with connection.getresponse() as response:
                if response.status != 200:
                    raise self._status(response.status)
                return self._body(response, end)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._down(f"it can't be asked ({type(error).__name__})") from error
        finally:
            connection.close()

    def _body(self, response: http.client.HTTPResponse, end: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > _MAX_ANSWER or self._clock() > end:
                raise self._down("its answer is too long, or takes too long")
            pieces.append(piece)
        if response.length:
            raise self._down("its answer breaks off")
        return b"".join(pieces)

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
