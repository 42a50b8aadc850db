"""A broker on a socket: what its HTTP is, what is bounded, and what slow clients, a locked
database, signals and kills do."""

import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.broker.brokers import OTHER_PCRS, OTHER_RUN, RUN, Enclave, Place, Running, nonce_of, random_nonce
from zk_autograd.broker.decision import Decision
from zk_autograd.broker.messages import MAX_ASKING, MAX_REQUEST, Answer, Nonce, encode_asking
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root, verify_consistency
from zk_autograd.core.note import open_note, parse_checkpoint
from zk_autograd.tee.device.emulated import EmulatedDevice


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def served(place: Place) -> Iterator[Running]:
    with place.running() as one:
        yield one


def ask(port: int, method: str, path: str, content: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, content)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_the_interface(served: Running) -> None:
    status, headers, body = ask(served.port, "POST", "/v0/nonce", encode_asking(RUN))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert "server" not in headers
    request = Enclave().request(RUN, Nonce.parse(body).nonce)
    status, headers, note = ask(served.port, "POST", "/v0/release", request.encode())
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert Answer.parse(note, served.broker.key).decision.granted
    status, _, note = ask(served.port, "POST", "/v0/release", request.encode())
    assert status == 403
    assert "used before" in Answer.parse(note, served.broker.key).decision.reason
    _, _, note = ask(served.port, "GET", "/v0/log/checkpoint")
    head = parse_checkpoint(open_note(note, [served.broker.key]).text)
    status, _, lines = ask(served.port, "GET", "/v0/log/entries?first=0&end=10")
    leaves = lines.splitlines()
    assert (head.size, head.root) == (2, root(list(map(leaf_hash, leaves))))
    assert [Decision.parse(leaf).granted for leaf in leaves] == [True, False]
    _, _, lines = ask(served.port, "GET", "/v0/log/consistency?first=1&second=2")
    proof = [bytes.fromhex(line.decode()) for line in lines.splitlines()]
    verify_consistency(1, 2, leaf_hash(leaves[0]), head.root, proof)


def test_what_is_no_request(served: Running) -> None:
    request = Enclave().request(RUN, random_nonce()).encode()
    short = json.loads(request)
    short["attestation"]["nonce"] = "00" * 16
    statuses = {
        ("GET", "/v0/nonce", b""): 405,
        ("GET", "/v0/release", b""): 405,
        ("GET", "/", b""): 404,
        ("GET", "/docs", b""): 404,
        ("GET", "/openapi.json", b""): 404,
        ("POST", "/v0/nonce", b""): 400,
        ("POST", "/v0/nonce", b"{}"): 400,
        ("POST", "/v0/nonce", b"\xff"): 400,
        ("POST", "/v0/nonce", encode_asking(bytes(16))): 404,
        ("POST", "/v0/release", b"[[[[[[[[[["): 400,
        ("POST", "/v0/release", request + b" "): 400,
        ("POST", "/v0/release", request[:-1]): 400,
        ("POST", "/v0/release", request.replace(b'"run"', b'"rum"')): 400,
        ("POST", "/v0/release", json.dumps(short, sort_keys=True, separators=(",", ":")).encode()): 400,
        ("GET", "/v0/log/entries", b""): 400,
        ("GET", "/v0/log/entries?first=-1&end=3", b""): 400,
        ("GET", "/v0/log/entries?first=0&end=%C2%B2", b""): 400,
        ("GET", "/v0/log/entries?first=5&end=3", b""): 200,
        ("GET", "/v0/log/entries?first=5&end=999999999999999", b""): 200,
        ("GET", "/v0/log/consistency?first=1&second=2", b""): 404,
    }
    for (method, path, body), expected in statuses.items():
        assert ask(served.port, method, path, body or None)[0] == expected, (path, body)
    assert served.broker.entries(0, 9) == []


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "most"), [("nonce", MAX_ASKING), ("release", MAX_REQUEST)])
def test_bodies_are_bounded(path: str, most: int, chunked: bool, served: Running) -> None:
    """Attack: a request of 10 MB, or one that has no end."""
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        kind = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 10000000"
        connection.sendall(f"POST /v0/{path} HTTP/1.1\r\nHost: x\r\n".encode() + kind + b"\r\n\r\n")
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n" if chunked else b"x" * 4096
        for _ in range(most // 4096 + 1):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_slow_clients_block_nobody_and_are_hung_up_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: connections that send half a head, or half a body, and then nothing."""
    monkeypatch.setattr("zk_autograd.broker.serving.PATIENCE", 1.0)
    monkeypatch.setattr("zk_autograd.local.impatience.SECONDS", 0.5)
    beginnings = (b"", b"POST /v0/re", b"POST /v0/release HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
    with place.running() as served, ExitStack() as stack:
        slow = []
        for number in range(45):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), 20))
            connection.sendall(beginnings[number % 3])
            slow.append(connection)
        assert ask(served.port, "POST", "/v0/nonce", encode_asking(RUN))[0] == 200
        for connection in slow:
            connection.settimeout(5)
            while connection.recv(4096):  # a 408, and the end
                pass
        assert ask(served.port, "POST", "/v0/nonce", encode_asking(RUN))[0] == 200


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with Place(tmp_path, rate=3).running() as served:
        found = [ask(served.port, "GET", "/v0/log/checkpoint") for _ in range(5)]
    assert [status for status, _, _ in found] == [200] * 3 + [429] * 2
    assert 1 <= int(found[-1][1]["retry-after"]) <= 20


def test_who_asks_too_often_is_told_before_they_send_a_megabyte(tmp_path: Path) -> None:
    with Place(tmp_path, rate=1).running() as served:
        ask(served.port, "GET", "/v0/log/checkpoint")
        with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
            connection.sendall(b"POST /v0/release HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
            answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"connection: close" in answer.lower()


def test_a_run_is_asked_about_so_often_whoever_asks(place: Place) -> None:
    with place.running() as served:
        from zk_autograd.broker.rates import Rates
        from zk_autograd.broker.serving import Door

        door = Door(served.broker, Rates(10_000), Rates(2))
        asked = [door.nonce(encode_asking(RUN)).status for _ in range(3)]
        request = Enclave().request(RUN, random_nonce()).encode()
        assert [*asked, door.release(request).status] == [200, 200, 429, 429]
        assert door.nonce(encode_asking(OTHER_RUN)).status == 200
        assert served.broker.entries(0, 9) == []


def test_nobody_is_held_off_by_nonces_of_another(served: Running) -> None:
    found = [ask(served.port, "POST", "/v0/nonce", encode_asking(RUN)) for _ in range(17)]
    assert [status for status, _, _ in found] == [200] * 17


def test_a_locked_database_is_503_and_nothing_is_released(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_autograd.broker.store._WAIT", 0.1)
    with place.running() as served:
        request = Enclave().request(RUN, nonce_of(served.broker)).encode()
        other = sqlite3.connect(place.state / "broker.sqlite")
        other.execute("begin immediate")
        status, headers, body = ask(served.port, "POST", "/v0/release", request)
        other.close()
        assert (status, headers["retry-after"]) == (503, "5")
        assert b"nothing is released" in body
        assert "locked" in served.lines[0][1]
        assert ask(served.port, "POST", "/v0/release", request)[0] == 200


def test_a_checkpoint_that_cant_be_written_sends_no_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a full disk. A key that left before the log was durable would be released again."""
    with place.running() as served:
        requests = [Enclave().request(RUN, nonce_of(served.broker)).encode() for _ in range(2)]
        shut = place.state / "checkpoint"
        shut.unlink()
        shut.mkdir()
        status, _, body = ask(served.port, "POST", "/v0/release", requests[0])
        assert (status, b"wrapped" in body) == (503, False)
        shut.rmdir()
        status, _, _ = ask(served.port, "POST", "/v0/release", requests[1])
        assert status == 403  # lost, and not released twice


def test_lines_of_the_log_say_what_was_decided_and_nothing_secret(place: Place) -> None:
    with place.running() as served:
        ask(served.port, "POST", "/v0/release", Enclave().request(RUN, nonce_of(served.broker)).encode())
        bad = Enclave(EmulatedDevice(OTHER_PCRS)).request(RUN, nonce_of(served.broker))
        ask(served.port, "POST", "/v0/release", bad.encode())
        lines = list(served.lines)
    assert [(method, status) for method, _, status in lines] == [("POST", 200), ("POST", 403)]
    assert lines[0][1] == f"127.0.0.1 run {RUN.hex()}: released"
    assert place.deks[RUN].hex() not in str(lines)


def test_nothing_is_sent_elsewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI exports stack traces where the environment says so."""
    from zk_autograd.broker.rates import Rates
    from zk_autograd.broker.serving import Door, application

    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    with place.opened() as broker:
        served = application(Door(broker, Rates(1), Rates(1)), lambda *line: None)
    found = {name: value for name, value in served._telemetry.items() if isinstance(value, bool)}
    assert len(found) == 5
    assert not any(found.values())


# ---- TLS -----------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_tls_ends_in_the_enclave_under_the_pinned_certificate(place: Place) -> None:
    """Attack: the host ends TLS itself, with a certificate of its own."""
    from dataclasses import replace

    from zk_autograd.enclave.release.broker import pinned_tls, release
    from zk_autograd.vault.errors import VaultError

    own, other = certificate(place.path, "own"), certificate(place.path, "other")
    with place.running(own) as served:
        enclave = Enclave()
        pinned = replace(served.client(), tls=pinned_tls(own[0].read_text()))
        wrong = replace(pinned, tls=pinned_tls(other[0].read_text()))
        elsewhere = replace(pinned, host="broker.example")
        for broker in (wrong, elsewhere, served.client()):
            with pytest.raises(VaultError, match=r"can't be reached, or its certificate|no whole HTTP answer"):
                release(broker, RUN, enclave.key, enclave.device)
        assert release(pinned, RUN, enclave.key, enclave.device) == place.deks[RUN]


def test_the_enclave_takes_no_older_tls_either(place: Place) -> None:
    """Attack: whoever stands for the broker's server talks TLS down to what was broken since."""
    import ssl
    from dataclasses import replace

    from zk_autograd.enclave.release.broker import pinned_tls, release
    from zk_autograd.vault.errors import KeyServiceDown

    own = certificate(place.path, "own")
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    older.load_cert_chain(*own)
    agreed: list[str | None] = []

    def serve() -> None:
        near, _ = listening.accept()
        with near, suppress(OSError), older.wrap_socket(near, server_side=True) as channel:
            agreed.append(channel.version())

    with place.opened() as broker, socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        port, enclave = listening.getsockname()[1], Enclave()
        asked = replace(Running(broker, port, []).client(), tls=pinned_tls(own[0].read_text()))
        with pytest.raises(KeyServiceDown):
            release(asked, RUN, enclave.key, enclave.device)
        thread.join(20)
    assert agreed == []


def test_no_older_tls(place: Place) -> None:
    import ssl

    own = certificate(place.path, "own")
    with place.running(own) as served, served.connect() as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(plain)


# ---- processes -----------------------------------------------------------------------------------


@contextmanager
def process(
    place: Place, start: tuple[str, str] = ("-m", "zk_autograd.cli.enclave")
) -> Iterator[tuple[subprocess.Popen[str], int, PublicKey]]:
    """`zk-enclave broker` on a free port."""
    command = [sys.executable, *start, "broker", "--listen", "127.0.0.1:0", "--json"]
    command += ["--policy", str(place.policy), "--jobs", str(place.jobs), "--kek-file", str(place.kek_file)]
    command += ["--state", str(place.state), "--rate", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            found = json.loads(child.stdout.readline())
            match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", found["url"])
            assert match is not None
            yield child, int(match[1]), PublicKey.parse(found["key"])
        finally:
            child.kill()


@pytest.mark.slow
def test_sigterm_lets_a_request_end_and_takes_no_other(place: Place) -> None:
    with process(place) as (child, port, key):
        nonce = Nonce.parse(ask(port, "POST", "/v0/nonce", encode_asking(RUN))[2]).nonce
        body = Enclave().request(RUN, nonce).encode()
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            head = f"POST /v0/release HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body[:100])
            time.sleep(0.3)
            child.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(ConnectionError):
                socket.create_connection(("127.0.0.1", port), 5)
            connection.sendall(body[100:])
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert Answer.parse(answer.partition(b"\r\n\r\n")[2], key).decision.granted
        child.communicate(timeout=20)
        assert child.returncode == -signal.SIGTERM


KILLS = {
    "before the log is on the disk": "zk_autograd.broker.store.Transaction.set_note",
    "between log and checkpoint": "zk_autograd.broker.deciding.Broker._keep",
    "between checkpoint and answer": "zk_autograd.broker.messages.Answer.encode",
}


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("before the log is on the disk", marks=pytest.mark.long),
        pytest.param("between log and checkpoint", marks=pytest.mark.slow),
        pytest.param("between checkpoint and answer", marks=pytest.mark.long),
    ],
)
def test_killed_while_it_decides(when: str, place: Place) -> None:
    """kill -9 at a point of the release. What was on the disk counts, and never comes twice."""
    module, name, method = KILLS[when].rsplit(".", 2)
    program = (
        f"import os, signal, sys\nfrom {module} import {name}\n"
        f"from zk_autograd.broker import deciding\n"
        f"release = deciding.Broker.release\n"
        f"def deadly(broker, request):\n"
        f"    {name}.{method} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    return release(broker, request)\n"
        f"deciding.Broker.release = deadly\n"
        f"from zk_autograd.cli.enclave import main\nsys.exit(main())\n"
    )
    with process(place, start=("-c", program)) as (child, port, _):
        nonces = [Nonce.parse(ask(port, "POST", "/v0/nonce", encode_asking(RUN))[2]).nonce for _ in range(2)]
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(port, "POST", "/v0/release", Enclave().request(RUN, nonces[0]).encode())
        assert child.wait(20) == -signal.SIGKILL
    lost = when != "before the log is on the disk"
    assert [decision.granted for decision in place.decisions()] == [True] * lost
    with process(place) as (child, port, key):
        status, _, note = ask(port, "POST", "/v0/release", Enclave().request(RUN, nonces[1]).encode())
        assert Answer.parse(note, key).decision.granted is not lost
        assert status == (403 if lost else 200)
    assert sum(decision.granted for decision in place.decisions()) == 1


@pytest.mark.long
def test_killed_at_any_time_no_run_is_released_twice(place: Place) -> None:
    """kill -9 while enclaves ask, in rounds over one folder: of each run one release at most is in
    the log, and each key that arrived is one of those."""
    from tests.broker.brokers import add_job

    runs = [number.to_bytes(16, "big") for number in range(60)]
    for run in runs:
        add_job(place.jobs, place.kek, run)
    arrived: list[bytes] = []
    asked = 0
    for round_ in range(4):
        with process(place) as (child, port, key):

            def enclaves(port: int = port, key: PublicKey = key, round_: int = round_) -> None:
                try:
                    for run in runs[max(0, 15 * round_ - 5) : 15 * round_ + 15]:
                        status, _, body = ask(port, "POST", "/v0/nonce", encode_asking(run))
                        assert status == 200
                        request = Enclave().request(run, Nonce.parse(body).nonce)
                        _, _, note = ask(port, "POST", "/v0/release", request.encode())
                        if Answer.parse(note, key).wrapped:
                            arrived.append(run)
                except (OSError, http.client.HTTPException):
                    return

            threads = [threading.Thread(target=enclaves) for _ in range(3)]
            before = len(arrived)
            for thread in threads:
                thread.start()
            end = time.monotonic() + 20
            while len(arrived) < before + 4 and time.monotonic() < end:
                time.sleep(0.001)
            child.kill()
            for thread in threads:
                thread.join()
            asked += 1
    granted = [decision.run for decision in place.decisions() if decision.granted]
    assert len(arrived) >= 12
    assert len(set(granted)) == len(granted)
    assert len(set(arrived)) == len(arrived)
    assert set(arrived) <= set(granted)
    assert len(granted) - len(arrived) <= 3 * asked
