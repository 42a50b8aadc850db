"""The anchor `rfc3161`: asking time-stamp authorities, all at once, by HTTP (RFC 3161, section
3.4).

Each is asked with a nonce of its own, from the operating system, and its reply must repeat it: an
older token, which a cache or a hostile authority may give, is refused. What the auditor's trust
decides can't be known here; all else that receipt.py will check is checked before a receipt is
made. One receipt is enough; why the other authorities gave none is in `failures`.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from zk_autograd.anchor.rfc3161.receipt import KIND
from zk_autograd.anchor.rfc3161.token import MAX_TOKEN, NONCE_BYTES, PURPOSE, imprint, parse, request
from zk_autograd.core import der
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.certificates import require_purpose
from zk_autograd.core.errors import AnchorDown, AnchorError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.text import encode_base64, printable, quoted
from zk_autograd.evidence.pace import Limits, Pace
from zk_autograd.evidence.server import ADVICE, Server
from zk_autograd.evidence.url import Address, parse_service_url

MAX_AUTHORITIES = 16
LIMITS = Limits(total=2 * MAX_TOKEN, connect=10, idle=10, patience=15, rate=4096, seconds=30)

_QUERY = "application/timestamp-query"
_OK, _TOO_MANY = 200, 429
_MOVED = (301, 308)
_GRANTED, _GRANTED_WITH_MODS, _WAITING = 0, 1, 3


class TimestampAnchor:
    """The authorities at these addresses."""

    kind = KIND

    def __init__(self, authorities: Sequence[Address], limits: Limits = LIMITS) -> None:
        self._authorities = tuple(authorities)
        self._limits = limits
        self.failures: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        return f"{KIND}:{','.join(map(str, self._authorities))}"

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor: a receipt of each authority that gave one. AnchorDown if none
        did, and one of them may yet; AnchorError if none will."""
        with ThreadPoolExecutor(len(self._authorities)) as pool:
            answers = list(pool.map(lambda address: self._asked(address, checkpoint), self._authorities))
        errors = [answer for answer in answers if isinstance(answer, AnchorError)]
        receipts = [answer for answer in answers if isinstance(answer, Receipt)]
        self.failures = tuple(map(str, errors))
        if not receipts:
            kind = AnchorDown if any(isinstance(error, AnchorDown) for error in errors) else AnchorError
            raise kind("no time-stamp authority gave a token: " + "; ".join(self.failures))
        return receipts

    def _asked(self, address: Address, checkpoint: SignedCheckpoint) -> Receipt | AnchorError:
        digest, nonce = imprint(checkpoint.head), os.urandom(NONCE_BYTES)
        try:
            token = _token(self._reply(address, request(digest, nonce)))
            found = parse(token)
            found.require(digest, nonce)
            require_purpose(found.signer, PURPOSE, found.time)
        except VerificationError as error:
            return AnchorError(f"{address} gives no token that can be relied upon: {error}")
        except ImportError:
            return AnchorError(
                "asking for time stamps takes the package rfc3161-client: pip install 'zk-autograd[rfc3161]'"
            )
        except AnchorError as error:
            return type(error)(f"{address}: {error}")
        except BaseException as error:  # also a panic in a library, which is no Exception: the others' tokens count
            return AnchorError(f"{address} gives what can't be judged: {printable(repr(error))[:200]}")
        body = {"nonce": nonce.hex(), "token": encode_base64(token)}
        return Receipt(KIND, checkpoint.head.size, checkpoint.head.root, body)

    def _reply(self, address: Address, query: bytes) -> bytes:
        """What the authority answers. AnchorDown, AnchorError, VerificationError."""
        server = Server(address, Pace(self._limits))
        try:
            with server.asked(address.path, method="POST", sent=(_QUERY, query)) as answer:
                if answer.status == _OK:
                    return b"".join(answer.body(MAX_TOKEN, "the reply"))
                raise _status(answer.status, answer.header("Location"))
        except UnreadableError as error:
            raise AnchorDown(str(error).removesuffix(f"; {ADVICE}")) from error
        finally:
            server.close()


def _status(status: int, location: str) -> AnchorError:
    """AnchorDown but for a redirect for ever: all else may be said by a proxy in between, or by a
    server that is about to be well."""
    if 300 <= status < 400:
        kind = AnchorError if status in _MOVED else AnchorDown
        return kind(
            f"it answers {status}, a redirect to {quoted(location, 200)}, and none is followed: give the address itself"
        )
    again = status >= 500 or status == _TOO_MANY
    return AnchorDown(f"it answers {status}" + ("" if again else ": if it goes on so, check its address"))


def open_anchor(rest: str) -> TimestampAnchor:
    """The anchor of `rfc3161:URL[,URL...]`. UsageError for what is no such list."""
    urls = [url.strip() for url in rest.split(",")] if rest else []
    if not 1 <= len(urls) <= MAX_AUTHORITIES or len(set(urls)) != len(urls):
        raise UsageError(
            f"the anchor rfc3161 takes the addresses of 1 to {MAX_AUTHORITIES} authorities, each once: rfc3161:URL[,URL...]"
        )
    return TimestampAnchor([_address(url) for url in urls])


def _address(url: str) -> Address:
    try:
        return parse_service_url(url)
    except UsageError as error:  # it speaks of runs, and doesn't repeat what may be secret
        raise UsageError(
            "a time-stamp authority's address is https://HOST/PATH or http://HOST/PATH, without a user name, a password, "
            f"a query or a fragment; that of {quoted(url.partition('://')[0], 20)}... is not"
        ) from error


def _token(reply: bytes) -> bytes:
    """The token of a granted TimeStampResp. VerificationError for a malformed one, AnchorDown or
    AnchorError for another status."""
    parts = der.element(reply, der.SEQUENCE).items(der.SEQUENCE)
    status = parts[0].items(der.INTEGER)
    number = int.from_bytes(status[0].content, "big", signed=True)
    if number != _GRANTED:
        said = " ".join(item.content.decode("utf-8", "replace") for item in _texts(status[1:]))
        kind = AnchorDown if number == _WAITING else AnchorError
        changed = ", with changes that it doesn't name" if number == _GRANTED_WITH_MODS else ""
        raise kind(f"it doesn't grant the request (status {number}{changed}): {printable(said)[:200] or 'no reason'}")
    if len(parts) != 2:
        raise VerificationError("the reply grants the request and holds no token")
    return parts[1].whole


def _texts(rest: list[der.Element]) -> list[der.Element]:
    return [item for part in rest if part.tag == der.SEQUENCE for item in part.items()]
