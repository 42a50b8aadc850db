"""A witness on a socket: what its HTTP is, what is bounded, and what slow clients, a locked
database and signals do."""

import http.client
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.witness.witnesses import Register, Running, body, made, running
from zk_autograd.core.errors import UsageError
from zk_autograd.core.note import parse_signatures
from zk_autograd.local.serving import listening
from zk_autograd.witness.folder import Folder
from zk_autograd.witness.request import MAX_BODY

REGISTER = Register()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return made(tmp_path / "w", REGISTER)


@pytest.fixture
def served(folder: Folder) -> Iterator[Running]:
    with running(folder) as one:
        yield one


def ask(port: int, method: str, path: str, content: bytes | None = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, content)
        response = connection.getresponse()
        return response.status, response.headers.get("Content-Type", ""), response.read()
    finally:
        connection.close()


DIGEST = sha256(REGISTER.origin.encode()).hexdigest()


def test_the_interface_of_the_specification(served: Running) -> None:
    assert ask(served.port, "GET", f"/{DIGEST}/checkpoint")[0] == 404
    status, _, lines = ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))
    assert status == 200
    assert len(parse_signatures(lines.decode(), 9)) == 2
    assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 7)) == (409, "text/x.tlog.size", b"5\n")
    status, media_type, shown = ask(served.port, "GET", f"/{DIGEST}/checkpoint")
    assert (status, media_type) == (200, "text/plain; charset=utf-8")
    assert shown.endswith(lines)
    statuses = {
        ("GET", "/add-checkpoint"): 405,
        ("POST", f"/{DIGEST}/checkpoint"): 405,
        ("GET", "/"): 404,
        ("POST", "/sign-subtree"): 404,
        ("GET", "/a/b/checkpoint"): 404,
        ("POST", "/add-checkpoint"): 400,
    }
    for (method, path), expected in statuses.items():
        assert ask(served.port, method, path)[0] == expected, path


def test_a_connection_serves_several_requests(served: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    for old, new in ((0, 5), (5, 6)):
        connection.request("POST", "/add-checkpoint", REGISTER.body(old, new))
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()


def test_lines_of_the_log_say_what_was_asked_and_nothing_secret(folder: Folder) -> None:
    evil = b"old 0\n\n\x9b31m\n"
    secrets = [line.split(": ")[1] for line in folder.key_file.read_text().splitlines()[2:]]
    with running(folder) as served:
        ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))
        ask(served.port, "POST", "/add-checkpoint", Register(seed=2).body(0, 5))
        ask(served.port, "POST", "/add-checkpoint", evil)
        lines = list(served.lines)
    assert [(method, status) for method, _, status in lines] == [("POST", 200), ("POST", 404), ("POST", 400)]
    assert lines[0][1] == f"'{REGISTER.origin}' 0 -> 5"
    assert not any(secret in str(lines) for secret in secrets)


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_bounded(chunked: bool, served: Running) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        kind = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1000000000000"
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n" + kind + b"\r\n\r\n")
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n" if chunked else b"x" * 4096
        for _ in range(MAX_BODY // 4096 + 2):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_heads_are_bounded(served: Running) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 20_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_slow_clients_block_nobody_and_are_hung_up_on(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: connections that send half a head, or half a body, and then nothing."""
    monkeypatch.setattr("zk_autograd.witness.serving.PATIENCE", 1.0)
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.5)
    beginnings = (
        b"",
        b"POST /add-ch",
        b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nold 0\n",
    )
    with running(folder) as served, ExitStack() as stack:
        slow = []
        for number in range(45):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), 20))
            connection.sendall(beginnings[number % 3])
            slow.append(connection)
        began = time.monotonic()
        assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))[0] == 200
        assert time.monotonic() - began < 1
        for connection in slow:
            connection.settimeout(5)
            while connection.recv(4096):  # a 408, and the end
                pass
        assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(5, 6))[0] == 200


def test_a_client_that_drips_is_hung_up_on_after_an_answer_too(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn's own bound ends at the first byte of the next request."""
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.3)
    with running(folder) as served, socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        began = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(200):
                connection.sendall(b"G")
                time.sleep(0.02)
        assert time.monotonic() - began < 3


def test_clients_that_read_nothing_are_hung_up_on(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: connections that ask and ask, and never read. An answer would wait for each for ever,
    until nobody else gets a connection."""

    def narrow(address: str) -> socket.socket:
        place = listening(address)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # else 20,000 answers fit into it
        return place

    monkeypatch.setattr("tests.witness.witnesses.listening", narrow)
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.3)
    monkeypatch.setattr("zk_autograd.local.impatience.LONGEST", 1.0)
    request = f"GET /{DIGEST}/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with running(folder) as served, ExitStack() as stack:
        deaf: dict[socket.socket, int] = {}  # how much of a request each has sent
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", served.port))
            one.setblocking(False)
            deaf[one] = 0
        end = time.monotonic() + 20
        while deaf and time.monotonic() < end:
            for one, at in list(deaf.items()):
                try:
                    deaf[one] = (at + one.send((request * 500)[at:])) % len(request)
                except BlockingIOError:
                    pass  # the server takes nothing more: it waits, too
                except ConnectionError:
                    del deaf[one]
            time.sleep(0.01)
        assert not deaf


def test_a_request_that_waits_for_the_database_is_answered(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than its client would have had for the next one's head."""
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.2)
    with running(folder) as served:
        other = sqlite3.connect(folder.path / "witness.sqlite", check_same_thread=False)
        other.execute("begin immediate")
        release = threading.Timer(1.5, other.close)
        release.start()
        assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))[0] == 200
        release.join()


def test_a_client_that_asks_now_and_then_keeps_its_connection(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.8)
    with running(folder) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.connect()
        same = connection.sock
        for _ in range(5):
            connection.request("GET", f"/{DIGEST}/checkpoint")
            connection.getresponse().read()
            time.sleep(0.25)
        assert connection.sock is same
        connection.close()


def test_a_client_that_goes_away_is_a_line_of_the_log_and_no_traceback(
    served: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nold 0\n")
        time.sleep(0.1)
    end = time.monotonic() + 10
    while not served.lines and time.monotonic() < end:
        time.sleep(0.01)
    assert served.lines == [("POST", "a client that went away", 400)]
    assert not [record for record in caplog.records if record.exc_info]


def test_a_locked_database_is_503_and_nothing_is_cosigned(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_autograd.witness.store._WAIT", 0.1)
    with running(folder) as served:
        other = sqlite3.connect(folder.path / "witness.sqlite")
        other.execute("begin immediate")
        assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))[0] == 503
        other.close()
        assert served.lines[0][2] == 503 and "locked" in served.lines[0][1]
        assert ask(served.port, "POST", "/add-checkpoint", REGISTER.body(0, 5))[0] == 200


def test_16_clients_at_once_over_two_servers_on_one_database(folder: Folder) -> None:
    """Two branches; one survives, and no answer takes it back."""
    branches = [REGISTER, Register(branch="'")]
    given: list[tuple[str, int]] = []
    with running(folder) as one, running(folder) as two:
        barrier = threading.Barrier(16)

        def client(number: int) -> None:
            register, port = branches[number % 2], (one, two)[number // 2 % 2].port
            old = 0
            barrier.wait()
            for _ in range(30):
                status, _, text = ask(port, "POST", "/add-checkpoint", register.body(min(old, 9), 9))
                if status != 409:
                    break
                old = int(text)
            if status == 200:
                given.append((register.branch, 9))

        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(given) == 8
    assert len({branch for branch, _ in given}) == 1


@pytest.mark.parametrize(
    "address", ["", "7380", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "256.0.0.1:0", "[::1:0"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        listening(address)


def test_a_port_that_is_taken_is_refused() -> None:
    with listening("127.0.0.1:0") as place, pytest.raises(UsageError, match="choose another --listen"):
        listening(f"127.0.0.1:{place.getsockname()[1]}")


# ---- processes -----------------------------------------------------------------------------------


@contextmanager
def process(folder: Folder) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`zk-witness serve` on a free port."""
    command = [
        sys.executable,
        "-m",
        "zk_autograd.cli.witness",
        "serve",
        "--dir",
        str(folder.path),
        "--listen",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            match = re.fullmatch(r"listening at http://127\.0\.0\.1:(\d+)/\n", child.stdout.readline())
            assert match is not None
            yield child, int(match[1])
        finally:
            child.kill()


@pytest.mark.slow
def test_sigterm_lets_a_request_end_and_takes_no_other(folder: Folder) -> None:
    request = REGISTER.body(0, 5)
    with process(folder) as (child, port), socket.create_connection(("127.0.0.1", port), 20) as connection:
        head = f"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request)}\r\n\r\n".encode()
        connection.sendall(head + request[:100])
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), 5)
        connection.sendall(request[100:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        _, errors = child.communicate(timeout=20)
        assert child.returncode == -signal.SIGTERM
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ POST 200 'zk-autograd/register/[0-9a-f]{64}' 0 -> 5\n", errors
    )


@pytest.mark.slow
def test_killed_among_requests_no_cosigned_size_is_lost(folder: Folder) -> None:
    """kill -9 while clients ask; whatever was answered stands in the database."""
    answered = [0]
    for _ in range(3):
        with process(folder) as (child, port):

            def client(port: int = port) -> None:
                old = answered[0]
                try:
                    for new in range(old + 1, old + 2000):
                        status, _, text = ask(port, "POST", "/add-checkpoint", REGISTER.body(old, new))
                        if status == 409:
                            old = int(text)
                            continue
                        assert status == 200
                        old = answered[0] = new
                except (OSError, http.client.HTTPException):
                    return

            before = answered[0]
            thread = threading.Thread(target=client)
            thread.start()
            while answered[0] < before + 5 and thread.is_alive():
                time.sleep(0.01)
            child.kill()
            thread.join()
        assert answered[0] >= before + 5
        with folder.store().transaction() as transaction:
            last = transaction.cosigned(REGISTER.origin)
        assert last is not None and last.size in (answered[0], answered[0] + 1)
        answered[0] = last.size


def test_without_the_extra_one_sentence_says_so(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from zk_autograd.witness import serving

    for missing in ("starlette.applications", "uvicorn"):
        with monkeypatch.context() as patch, pytest.raises(UsageError, match=r"needs the extra \[witness\]"):
            patch.setitem(sys.modules, missing, None)
            serving.server(folder.witness(), lambda *line: None)


def test_a_body_is_read_once(served: Running) -> None:
    """Two requests sent at once on a connection are two."""
    one, two = REGISTER.body(0, 5), body(5, [], REGISTER.checkpoint(5).note)
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        for content in (one, two):
            head = f"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content)
        data = b""
        while data.count(b"HTTP/1.1 200 OK") < 2:
            piece = connection.recv(65536)
            assert piece
            data += piece
