"""What is sent to a server and whom it is sent to; no reply leads to anything but a report."""

import random
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.evidence.servers import Handler, judged, listening, served
from tests.verify.run_builder import honest
from zk_autograd.core.errors import UnreadableError
from zk_autograd.evidence.pace import Limits
from zk_autograd.evidence.remote import open_url

REPLIES = 200
"""How many altered replies are tried."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    honest("none").write(tmp_path / "run")
    return tmp_path


def test_what_is_asked_names_no_encoding_and_no_secret(place: Path) -> None:
    headers: list[dict[str, str]] = []

    def seen(handler: Handler, data: bytes) -> None:
        headers.append({name.lower(): value for name, value in handler.headers.items()})
        handler.answer(200, data)

    with served(place, lies={"/run/log/checkpoint": seen}) as server, open_url(f"{server.url}/run/") as files:
        files.checkpoint()
    host = server.url.removeprefix("http://")
    assert headers == [{"host": host, "accept-encoding": "identity", "user-agent": "zk-verify", "accept": "*/*"}]


def test_localhost_is_this_machine_whatever_its_name_leads_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looked_up = socket.getaddrinfo, list[object]()

    def watched(host: object, *arguments: object, **options: object) -> object:
        looked_up.append(host)
        return real(host, *arguments, **options)  # type: ignore[arg-type]

    with served(place) as server:
        monkeypatch.setattr(socket, "getaddrinfo", watched)
        found = judged(server.url.replace("127.0.0.1", "localhost") + "/run/")
    assert found == (0, 0, "")
    assert set(looked_up) == {"127.0.0.1", "::1"}


def test_a_host_that_never_answers() -> None:
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # until its queue is full, and the system lets others wait
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        start = time.monotonic()
        found = judged(f"http://127.0.0.1:{deaf.getsockname()[1]}/run/", limits=Limits(connect=0.3))
        assert time.monotonic() - start < 3
    assert found[:2] == (4, 0)
    assert "no connection came about in time" in found[2]


def test_what_is_announced_and_too_much_is_not_waited_for(place: Path) -> None:
    def announced(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "60000")
        handler.end_headers()
        time.sleep(1)

    with served(place, lies={"/run/log/checkpoint": announced}) as server:
        with open_url(f"{server.url}/run/", limits=Limits(total=50_000)) as files:
            start = time.monotonic()
            with pytest.raises(UnreadableError, match="more than 50000 bytes would have been fetched in all"):
                files.checkpoint()
        assert time.monotonic() - start < 1


def test_no_reply_leads_to_anything_but_a_report(place: Path) -> None:
    checkpoint = (place / "run/log/checkpoint").read_bytes()
    replies = [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(checkpoint), checkpoint),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(checkpoint), checkpoint),
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\nETag: x\r\n\r\nabcd",
        b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    ]
    generator = random.Random(1)
    reply = b""

    def answer(connection: socket.socket) -> None:
        connection.settimeout(5)
        while not connection.recv(4096).endswith(b"\r\n\r\n"):
            pass
        connection.sendall(reply)

    seen = set()
    with listening(answer) as there:
        for _ in range(REPLIES):
            reply = altered(generator.choice(replies), generator)
            for path in ("run/", "b"):
                status, step, _ = judged(f"http://{there}/{path}", limits=Limits(patience=2, idle=2))
                assert status in (1, 2, 4), reply
                assert status != 1 or path == "run/", reply
                seen.add((status, step))
    assert {(2, 0), (4, 0)} <= seen


def altered(reply: bytes, generator: random.Random) -> bytes:
    """With up to four bytes of its head replaced, put in or taken out."""
    data, head = bytearray(reply), reply.index(b"\r\n\r\n") + 10
    for _ in range(generator.randrange(5)):
        at = generator.randrange(min(head, len(data)))
        byte = generator.choice(b"\0\r\n :;,-0159azAZ\x7f\x80\xff")
        data[at : at + generator.randrange(2)] = bytes([byte] * generator.randrange(3))
    return bytes(data)
