"""Asking a node: one that is down, slow, half there, or hostile is told from one that refuses, and
its URL, which may hold a key, is not repeated. Against a real server that answers as it is told."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.anchor.evm.chain import Log, anvil
from zk_autograd.anchor.evm.rpc import LIMITS, Node, RefusedError, number, octets
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError


class Scripted(http.server.ThreadingHTTPServer):
    """Answers every question with `status`, `head` and `body`."""

    daemon_threads = True
    status = 200
    head: tuple[tuple[str, str], ...] = ()
    body = b""
    pause = 0.0
    asked = 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        self.server.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        for name, value in self.server.head:
            self.send_header(name, value)
        if not self.server.head:
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        for at in range(0, len(self.server.body), 2**16):
            time.sleep(self.server.pause)
            try:
                self.wfile.write(self.server.body[at : at + 2**16])
            except OSError:
                return

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def node(server: Scripted, **options: Any) -> Node:
    return Node(f"http://127.0.0.1:{server.server_address[1]}/v3/secret", **options)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"0x1"',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":2,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1,"id":1,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0x1"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":1}',
        b'{"jsonrpc":"2.0","id":1,"result":"1"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0x"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0xg"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0x' + b"f" * 65 + b'"}',
        b"<html>busy</html>",
    ],
)
def test_half_an_answer_is_worth_another_try(server: Scripted, body: bytes) -> None:
    server.body = body
    with pytest.raises(AnchorDown) as caught:
        node(server).quantity("eth_blockNumber")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, AnchorDown), (500, AnchorDown), (503, AnchorDown), (401, AnchorError), (404, AnchorError)],
)
def test_a_busy_node_is_told_from_one_that_refuses(server: Scripted, status: int, kind: type[AnchorError]) -> None:
    server.status = status
    with pytest.raises(AnchorError, match=f"status {status}") as caught:
        node(server).quantity("eth_blockNumber")
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)


def test_a_redirect_is_not_followed(server: Scripted) -> None:
    server.status, server.head = 302, (("Location", f"http://127.0.0.1:{server.server_address[1]}/"),)
    with pytest.raises(AnchorError, match="status 302"):
        node(server).quantity("eth_blockNumber")
    assert server.asked == 1


def test_an_answer_without_end_is_cut_off(server: Scripted) -> None:
    server.head, server.body = (
        (("Transfer-Encoding", "chunked"),),
        b"10000\r\n" + (b" " * 2**16 + b"\r\n10000\r\n") * 128,
    )
    with pytest.raises(AnchorDown, match="its answer is too large"):
        node(server).quantity("eth_blockNumber")
    server.head, server.body = (), b" " * 2**23
    with pytest.raises(AnchorDown, match="its answer is too large"):
        node(server).quantity("eth_blockNumber")


BRIEF = replace(LIMITS, seconds=0.5)


def test_an_answer_that_drips_is_given_up(server: Scripted) -> None:
    server.body, server.pause = b" " * 2**22, 0.02
    with pytest.raises(AnchorDown, match=r"took longer than 0\.5 seconds") as caught:
        node(server, limits=BRIEF).quantity("eth_blockNumber")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b" "),
        (b"", b""),
    ],
    ids=["continue", "header", "chunk size", "body", "silence"],
)
def test_a_node_that_never_comes_to_an_end_is_given_up(first: bytes, again: bytes) -> None:
    """Attack: a byte now and then, wherever HTTP has no bound of its own, holds the publisher."""
    done = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(2**16)
            connection.sendall(first)
            while not done.wait(0.02):
                connection.sendall(again)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        timer = threading.Timer(10, done.set)
        timer.start()
        try:
            with pytest.raises(AnchorDown, match=r"longer than 0\.5 seconds|too slow|nothing came"):
                Node(f"http://127.0.0.1:{listener.getsockname()[1]}/", BRIEF).call("eth_chainId")
            assert time.monotonic() - began < 5
        finally:
            timer.cancel()
            done.set()
            thread.join()


def test_an_answer_that_breaks_off_is_told(server: Scripted) -> None:
    server.head, server.body = (("Content-Length", "100"),), b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'
    with pytest.raises(AnchorDown, match=r"ended after 39 of 100 bytes|ended early"):
        node(server).quantity("eth_blockNumber")


def test_nobody_at_home_is_told() -> None:
    with pytest.raises(AnchorDown, match="can't be asked"):
        Node("http://127.0.0.1:1/v3/secret").quantity("eth_blockNumber")
    with pytest.raises(AnchorDown, match="can't be asked"):
        Node("http://nowhere.invalid/v3/secret").quantity("eth_blockNumber")


def test_an_error_says_what_the_node_said_in_one_line(server: Scripted) -> None:
    server.body = b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"no\\n\\u001b[31mway","data":"0x0102"}}'
    with pytest.raises(RefusedError, match=r"refuses eth_call: no\\n\\x1b\[31mway$") as caught:
        node(server).call("eth_call")
    assert caught.value.data == b"\1\2"
    for fault in (b'"no"', b"{}", b'{"message":1,"data":{"x":1}}', b"[1]", b"true"):
        server.body = b'{"jsonrpc":"2.0","id":1,"error":' + fault + b"}"
        with pytest.raises(RefusedError, match="without a message"):
            node(server).call("eth_call")


def test_a_number_is_a_number() -> None:
    assert number("0x0", "it") == 0
    assert octets("0xABcd", "it") == b"\xab\xcd"
    for wrong in (None, 0, "0x", "0X1", "-0x1", "0x-1", "0x 1"):
        with pytest.raises(AnchorDown, match=r"^it is not a number"):
            number(wrong, "it")
    for wrong in (None, 0, "0x1", "00", "0x0g"):
        with pytest.raises(AnchorDown, match=r"^it is not a string of bytes"):
            octets(wrong, "it")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1", "ws://127.0.0.1", "http://", "http://u@127.0.0.1", "http://127.0.0.1:x"]
)
def test_what_is_no_nodes_url_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETH_RPC_URL", raising=False)
    with pytest.raises(UsageError, match="ETH_RPC_URL"):
        Node(url)


def test_a_node_that_stops_is_down_and_comes_back(tmp_path: Any) -> None:
    """A run goes on meanwhile, and publishes later."""
    with anvil(tmp_path / "chain") as chain:
        anchor, log = chain.anchor(), Log(key=1)
        anchor.publish(log.checkpoint(3), log)
    with pytest.raises(AnchorDown):
        anchor.publish(log.checkpoint(5), log)
