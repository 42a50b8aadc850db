"""Asking time-stamp authorities: a real one, by OpenSSL, and hostile and failing ones, of which
none makes a receipt."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")

from tests.anchor.rfc3161.authority import SHA1, STAMPING, UNKNOWN, OpenSsl, asked, holder, reply, served, stamp, token
from zk_autograd.anchor.kinds import KINDS, open_anchor
from zk_autograd.anchor.rfc3161 import publish as rfc3161_publish
from zk_autograd.anchor.rfc3161.publish import TimestampAnchor
from zk_autograd.anchor.rfc3161.receipt import Trust, verify
from zk_autograd.core.anchors import Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError
from zk_autograd.evidence.pace import Limits
from zk_autograd.evidence.url import parse_service_url

ROOT = holder("a root", ca=True)
BETWEEN = holder("between", ROOT, ca=True)
LEAF = holder("an authority", BETWEEN)
ALWAYS = holder("an authority", ROOT, end=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
TRUST = Trust((ROOT.certificate,))
HEAD = Checkpoint("zk-autograd/register/" + "ab" * 32, 3, bytes(range(32)))
CHECKPOINT = SignedCheckpoint(b"the note", HEAD)
QUICK = Limits(total=2**17, connect=1, idle=0.3, patience=0.5, rate=4096, seconds=1)


class NoHistory:
    """An authority is sent a hash, and nothing of the register's entries."""

    def entries(self, first: int, end: int) -> list[bytes]:
        raise AssertionError

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        raise AssertionError


def publish(*urls: str, limits: Limits | None = None) -> list[Receipt]:
    addresses = [parse_service_url(url) for url in urls]
    anchor = TimestampAnchor(addresses, limits) if limits else TimestampAnchor(addresses)
    return list(anchor.publish(CHECKPOINT, NoHistory()))


def forged(**changes: Any) -> Callable[[bytes], bytes]:
    """An authority that answers the digest and the nonce that it is asked with, but for what is
    changed: of the stamp (stamped), of the signer, of the token."""
    stamped, signer = changes.pop("stamped", {}), changes.pop("signer", LEAF)

    def answer(query: bytes) -> bytes:
        digest, nonce = asked(query)
        content = {"digest": digest, "nonce": nonce, **stamped}
        return reply(token(signer, stamp(content.pop("digest"), content.pop("nonce"), **content), **changes))

    return answer


@pytest.mark.parametrize("chain", [(), (BETWEEN, ROOT)], ids=["its own certificate", "its whole chain"])
def test_a_receipt_of_a_real_authority_verifies_offline(tmp_path: Path, chain: tuple[Any, ...]) -> None:
    with served(OpenSsl(tmp_path / "tsa", LEAF, chain)) as url:
        [receipt] = open_anchor(f"rfc3161:{url}").publish(CHECKPOINT, NoHistory())
    again = Receipt.parse(receipt.encode())
    trust = Trust((ROOT.certificate,), () if chain else (BETWEEN.certificate,))
    claim = verify(again, CHECKPOINT, trust)
    assert claim.standing is Standing.SHOWN
    assert claim.time is not None
    assert abs(claim.time - time.time()) < 60
    assert verify(again, CHECKPOINT, None).standing is Standing.UNJUDGED


def test_several_authorities_give_a_receipt_each_and_failures_are_told(tmp_path: Path) -> None:
    other_root = holder("another root", ca=True)
    other = holder("another authority", other_root)
    trust = Trust((ROOT.certificate, other_root.certificate))
    one, two = OpenSsl(tmp_path / "one", LEAF, (BETWEEN,)), OpenSsl(tmp_path / "two", other)
    with served(one) as first, served(two) as second, served(lambda query: b"", status=503) as third:
        anchor = open_anchor(f"rfc3161:{third},{first},{second}")
        assert isinstance(anchor, TimestampAnchor)
        receipts = anchor.publish(CHECKPOINT, NoHistory())
        assert anchor.spec == f"rfc3161:{third},{first},{second}"
    claims = [verify(receipt, CHECKPOINT, trust) for receipt in receipts]
    assert [claim.standing for claim in claims] == [Standing.SHOWN] * 2
    assert len({claim.identity for claim in claims}) == 2
    assert anchor.failures == (f"{third}: it answers 503",)


class PanicError(BaseException):
    """As what a library in Rust panics with: it is no Exception."""


@pytest.mark.parametrize("error", [OverflowError("too late"), PanicError("too late")])
def test_one_authority_that_breaks_a_library_takes_no_others_receipt_away(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    hostile = b"a reply that no library expects"

    def breaks(reply: bytes) -> bytes:
        if reply == hostile:
            raise error
        return taken(reply)

    taken = rfc3161_publish._token
    monkeypatch.setattr(rfc3161_publish, "_token", breaks)
    with served(forged()) as honest, served(lambda query: hostile) as other:
        anchor = open_anchor(f"rfc3161:{other},{honest}")
        assert isinstance(anchor, TimestampAnchor)
        assert len(anchor.publish(CHECKPOINT, NoHistory())) == 1
        (told,) = anchor.failures
        assert other in told
        assert "too late" in told
        with pytest.raises(AnchorError, match="too late"):
            publish(other)


def test_authorities_are_asked_at_once() -> None:
    both = threading.Barrier(2, timeout=20)

    def answer(query: bytes) -> bytes:
        both.wait()
        return forged()(query)

    with served(answer) as first, served(answer) as second:
        assert len(publish(first, second)) == 2


def test_each_request_has_a_nonce_of_its_own_of_128_bits() -> None:
    nonces: list[int] = []

    def answer(query: bytes) -> bytes:
        nonces.append(asked(query)[1])
        return forged()(query)

    with served(answer) as first, served(answer) as second:
        receipts = [*publish(first, second), *publish(first)]
    assert len(set(nonces)) == 3
    assert max(nonces) > 2**100
    assert {int(str(receipt.body["nonce"]), 16) for receipt in receipts} == set(nonces)


def test_a_reply_that_was_given_before_is_refused() -> None:
    """An older token is true, but says an older time: a trainer whose authority is a cache, or a
    network that replays one, would have a tree head seem older than its publication."""
    kept: list[bytes] = []

    def answer(query: bytes) -> bytes:
        kept.append(forged()(query))
        return kept[0]

    with served(answer) as url:
        assert len(publish(url)) == 1
        with pytest.raises(AnchorError, match="another nonce"):
            publish(url)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stamped": {"nonce": None}}, "doesn't repeat the nonce"),
        ({"stamped": {"nonce": 1}}, "another nonce"),
        ({"stamped": {"digest": bytes(32)}}, "another checkpoint"),
        ({"stamped": {"algorithm": SHA1}}, "another hash"),
        ({"hash": SHA1}, "a hash that isn't taken"),
        ({"signer": holder("x", BETWEEN, uses=(STAMPING, UNKNOWN))}, "for this purpose alone"),
        ({"signer": holder("x", BETWEEN, critical=False)}, "as critical"),
        ({"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"}, "not valid"),
        ({"signer": ALWAYS, "stamped": {"written": "99991231235959Z", "accuracy": 1}}, "after the year 9999"),
        ({"certificates": None}, "neither in it"),
        ({"certificates": (LEAF,) * 33}, "more than 32"),
        ({"certificates": (LEAF,) * 300}, "too large"),
    ],
)
def test_a_token_that_no_auditor_would_take_makes_no_receipt(changes: dict[str, Any], why: str) -> None:
    with served(forged(**changes)) as url, pytest.raises(AnchorError, match=why) as caught:
        publish(url)
    assert not isinstance(caught.value, AnchorDown)


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (lambda query: reply(None, 2, "no quota\x1b[2J"), AnchorError, r"status 2.*no quota\\x1b"),
        (lambda query: reply(forged()(query), 1), AnchorError, "status 1, with changes"),
        (lambda query: reply(None, 3), AnchorDown, "status 3"),
        (lambda query: reply(None), AnchorError, "holds no token"),
        (lambda query: forged()(query) + b"\5\0", AnchorError, "bytes follow"),
        (lambda query: forged()(query)[:-1], AnchorError, "ends early"),
        (lambda query: b"", AnchorError, "other elements"),
        (lambda query: b"<html>", AnchorError, "in DER"),
        (lambda query: os.urandom(2**18), AnchorError, "too large"),
    ],
)
def test_a_reply_that_is_no_token_makes_no_receipt(
    answer: Callable[[bytes], bytes], kind: type[AnchorError], why: str
) -> None:
    with served(answer) as url, pytest.raises(kind, match=why) as caught:
        publish(url)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("how", "kind", "why"),
    [
        ({"status": 500}, AnchorDown, "answers 500"),
        ({"status": 429}, AnchorDown, "answers 429"),
        ({"status": 403}, AnchorDown, "answers 403: .* check its address"),  # a proxy's, say
        ({"status": 404}, AnchorDown, "answers 404: .* check its address"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, AnchorDown, "a redirect.*none is followed"),
        ({"status": 308, "headers": {"Location": "http://127.0.0.1:1/"}}, AnchorError, "a redirect.*none is followed"),
        ({"announced": 10**6}, AnchorError, "too large"),
        ({"announced": 5000}, AnchorDown, "ended after|too slow|in time"),
        ({"piece": 1, "pause": 0.2}, AnchorDown, "too slow|in time"),
        ({"headers": {"Content-Encoding": "gzip"}}, AnchorDown, "encodes it"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, AnchorDown, "in one way"),
    ],
)
def test_a_server_that_fails_makes_no_receipt(how: dict[str, Any], kind: type[AnchorError], why: str) -> None:
    begin = time.monotonic()
    with served(forged(), **how) as url:
        with pytest.raises(kind, match=why) as caught:
            publish(url, limits=QUICK)
        assert type(caught.value) is kind
    assert time.monotonic() - begin < 5


def test_nobody_there_is_worth_trying_again() -> None:
    with served(forged()) as url:
        pass
    with pytest.raises(AnchorDown, match="nobody listens"):
        publish(url)


@pytest.mark.parametrize(
    "rest", ["", ",", "ftp://a/", "https://u:secret@a/", "https://a/?key=secret", "http://a/,http://a/", "a"]
)
def test_what_names_no_authorities_is_refused(rest: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_anchor(f"rfc3161:{rest}")
    assert "secret" not in str(caught.value)


def test_plain_http_is_taken_since_tokens_are_signed() -> None:
    assert open_anchor("rfc3161:http://timestamp.example:8080/a").spec == "rfc3161:http://timestamp.example:8080/a"
    assert KINDS["rfc3161"].extra == "rfc3161"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    with served(forged()) as url, pytest.raises(AnchorError, match=r"zk-autograd\[rfc3161\]"):
        publish(url)
