"""Both ends of the relay together, and each with a peer that lies."""

import errno
import socket
import threading
from pathlib import Path
from time import monotonic

import pytest

from tests.enclave.relay.pairs import frame, hostile, read_until, served
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.enclave.relay.address import Address
from zk_autograd.enclave.relay.channels import FORMAT
from zk_autograd.enclave.relay.client import Relay
from zk_autograd.enclave.relay.frames import Wire
from zk_autograd.enclave.relay.kept import Kept
from zk_autograd.enclave.relay.server import MAX_CONNECTIONS, Ended, Server, Services
from zk_autograd.enclave.relay.tunnel import Target


def test_inputs_files_lines_and_the_end_pass(tmp_path: Path) -> None:
    said: list[str] = []
    changed: list[str] = []
    services = Services({"job": b"sealed" * 10**6}, Kept(tmp_path / "run"), say=said.append, changed=changed.append)
    with served(tmp_path, services) as (relay, server):
        assert relay.input("job", 2**24) == b"sealed" * 10**6
        relay.say("step 1\x1b[2J")
        with relay.outlet() as outlet:
            outlet.put("append", "log/records.jsonl", 0, 4, [b"on", b"e\n"])
            outlet.put("replace", "log/checkpoint", 0, 3, [b"abc"])
            outlet.end("complete", "all is well")
        relay.close()
        server.settle(5)
        assert server.ended == Ended("complete", "all is well")
        assert server.trouble == []
    assert said == ["step 1\\x1b[2J"]
    assert changed == ["log/records.jsonl", "log/checkpoint"]
    assert (tmp_path / "run/log/records.jsonl").read_bytes() == b"one\n"


def test_the_host_refuses_by_a_sentence(tmp_path: Path) -> None:
    with served(tmp_path, Services({"job": b"12345"}, Kept(tmp_path / "run"))) as (relay, server):
        with pytest.raises(RunError, match="the host refuses the input key: there is no input key"):
            relay.input("key", 100)
        with pytest.raises(RunError, match=r"word.size"):
            relay.input("job", 4)
        with pytest.raises(RunError, match=r"refuses the tunnel kms: no tunnel kms is allowed: --tunnel kms=HOST:PORT"):
            relay.tunnel("kms")
        with relay.outlet() as outlet:
            with pytest.raises(RunError, match=r"refuses the file private/head: .* no file that may leave it"):
                outlet.put("once", "private/head", 0, 3, [b"abc"])
            with pytest.raises(RunError):
                outlet.put("once", "proofs/0-0", 0, 3, [b"abc"])  # the connection has ended
    assert not (tmp_path / "run").exists()
    assert server.ended is None


def test_a_second_channel_for_files_is_refused(tmp_path: Path) -> None:
    """Two writers could bring a log's records in two orders."""
    services = Services({}, Kept(tmp_path / "run"))
    with served(tmp_path, services) as (relay, _), relay.outlet() as outlet:
        outlet.put("once", "proofs/0-0", 0, 1, [b"a"])  # so that it is the first, whatever thread comes first
        with relay.outlet() as second, pytest.raises(RunError, match="opens a second channel"):
            second.put("once", "proofs/0-1", 0, 1, [b"a"])


def test_a_tunnel_carries_both_ways_to_its_own_target_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = Target("127.0.0.1", listening.getsockname()[1])

        def echo() -> None:
            connection, _ = listening.accept()
            with connection:
                while data := connection.recv(2**16):
                    connection.sendall(data.upper())
                connection.sendall(b"!")

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        services = Services({}, Kept(tmp_path / "run"), {"broker": target})
        with served(tmp_path, services) as (relay, _), relay.tunnel("broker") as far:
            far.settimeout(10)
            far.sendall(b"abc" * 50_000)
            far.shutdown(socket.SHUT_WR)
            found = b""
            while data := far.recv(2**16):
                found += data
        thread.join(10)
    assert found == b"ABC" * 50_000 + b"!"


def test_a_target_that_isnt_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    services = Services({}, Kept(tmp_path / "run"), {"broker": Target("127.0.0.1", port)})
    with served(tmp_path, services) as (relay, _), pytest.raises(RunError, match=f"127.0.0.1:{port} can't be reached"):
        relay.tunnel("broker")


@pytest.mark.parametrize(
    "text",
    ["", "broker", "broker=host", "broker=host:0", "broker=host:70000", "Broker=host:1", "a=b=c:1", "broker=ho st:1", "../x=h:1"],
)  # fmt: skip
def test_what_is_no_tunnel_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no tunnel"):
        Target.parse(text)


def test_a_tunnels_text() -> None:
    assert Target.parse("kms=kms.example:443") == ("kms", Target("kms.example", 443))
    assert Target.parse("tsa=[::1]:318") == ("tsa", Target("::1", 318))


@pytest.mark.parametrize(
    "text", ["", "unix:", "unix:" + "x" * 108, "vsock:3", "vsock:3:-1", "vsock:4294967296:1", "tcp:h:1"]
)
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no relay's address"):
        Address.parse(text)


def test_an_address_has_one_text() -> None:
    for text in ("unix:/run/relay", "vsock:3:5000"):
        assert str(Address.parse(text)) == text


def test_a_relay_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be reached: No such file"):
        Address(path=str(tmp_path / "none")).connect(1)


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ({"format": "zk-autograd/relay/v9", "channel": "say", "name": ""}, "format"),
        ({"format": FORMAT, "channel": "shell", "name": ""}, "channel"),
        ({"format": FORMAT, "channel": "input", "name": ""}, "no name for the channel input"),
        ({"format": FORMAT, "channel": "input", "name": "../../etc/passwd"}, "no name for the channel input"),
        ({"format": FORMAT, "channel": "output", "name": "x"}, "no name for the channel output"),
        ({"format": FORMAT, "channel": "say"}, "name"),
        ({"format": FORMAT, "channel": "say", "name": "", "more": 1}, "more"),
    ],
)
def test_another_first_word_is_refused(tmp_path: Path, hello: dict[str, str], said: str) -> None:
    with served(tmp_path, Services({}, Kept(tmp_path / "run"))):
        connection = Address(path=str(tmp_path / "relay")).connect(5)
        with Wire(connection, "the host", 5) as wire:
            wire.say(hello)
            assert said in wire.heard().text("refused", 1000)


def test_an_enclave_cant_open_connections_without_end(tmp_path: Path) -> None:
    with served(tmp_path, Services({"job": b"x"}, Kept(tmp_path / "run"))) as (relay, _):
        address = Address(path=str(tmp_path / "relay"))
        held = [address.connect(5) for _ in range(MAX_CONNECTIONS)]
        threading.Event().wait(0.2)
        with pytest.raises(RunError):
            relay.input("job", 10)
        for connection in held:
            connection.close()
        threading.Event().wait(0.2)
        assert relay.input("job", 10) == b"x"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (frame(b"W", b'{"held":3,"refused":""}'), "says that it holds 3 bytes"),
        (frame(b"W", b'{"held":5,"refused":""}'), "says that it holds 5 bytes"),
        (frame(b"W", b'{"held":"4","refused":""}'), "held"),
        (frame(b"W", b'{"refused":""}'), "held"),
        (frame(b"W", b'{"held":4}'), "refused"),
        (frame(b"W", b'{"held":4,"more":1,"refused":""}'), "more"),
        (frame(b"W", b'{"refused":"disk full"}'), "refuses the file log/records.jsonl: disk full"),
        (frame(b"W", b'{"refused":"disk \\u001b[2J full"}'), "word.refused is invalid"),
        (frame(b"D", b"4"), "the kind 'D'"),
        (b"", "ended the connection"),
    ],
)
def test_a_host_that_lies_about_a_file_is_one_error(tmp_path: Path, answer: bytes, said: str) -> None:
    def lie(connection: socket.socket) -> None:
        read_until(connection, b"one\n")
        connection.sendall(answer)

    with hostile(tmp_path, lie) as relay, relay.outlet() as outlet, pytest.raises(RunError) as caught:
        outlet.put("append", "log/records.jsonl", 0, 4, [b"one\n"])
    assert said in str(caught.value)


def test_a_host_that_answers_a_tunnel_in_other_words_is_one_error(tmp_path: Path) -> None:
    def lie(connection: socket.socket) -> None:
        read_until(connection, b"}")
        connection.sendall(frame(b"W", b'{"more":1,"refused":""}'))

    with hostile(tmp_path, lie) as relay, pytest.raises(RunError, match="more"):
        relay.tunnel("broker")


class Listening:
    """A listening socket that has `accepted` in place of what comes first."""

    def __init__(self, path: Path, accepted: list[object]) -> None:
        self._real = Address(path=str(path)).listen()
        self._accepted = accepted

    def accept(self) -> object:
        if self._accepted:
            found = self._accepted.pop(0)
            if isinstance(found, OSError):
                raise found
            return found
        return self._real.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def test_a_machine_without_descriptors_takes_connections_again(tmp_path: Path) -> None:
    """A host that runs short for a moment would else lose the run: nothing more would be kept."""
    short = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENOMEM, "no memory")]
    listening = Listening(tmp_path / "relay", [*short])
    server = Server(listening, Services({"job": b"x"}, Kept(tmp_path / "run")), patience=5)  # type: ignore[arg-type]
    try:
        with Relay(Address(path=str(tmp_path / "relay")), 5) as relay:
            assert relay.input("job", 10) == b"x"
    finally:
        server.close()
    assert not server._thread.is_alive()


def test_another_guest_of_the_machine_is_not_answered(tmp_path: Path) -> None:
    """vsock: every enclave of a machine reaches the port, and the number says which one it is."""
    (other, far), (own, near) = socket.socketpair(), socket.socketpair()
    listening = Listening(tmp_path / "relay", [(far, (17, 1)), (near, (16, 1))])
    server = Server(listening, Services({"job": b"x"}, Kept(tmp_path / "run")), cid=16, patience=5)  # type: ignore[arg-type]
    try:
        with other, own:
            with Wire(own, "the host", 5) as wire:
                wire.say({"format": FORMAT, "channel": "input", "name": "job"})
                assert wire.heard().integer("size", 0, 9) == 1
            other.settimeout(5)
            assert other.recv(10) == b""
            assert server.trouble == []
    finally:
        server.close()


def test_an_enclave_cant_talk_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are the operator's, on a screen or a disk."""
    monkeypatch.setattr("zk_autograd.enclave.relay.server.MAX_LINES", 3)
    said: list[str] = []
    with served(tmp_path, Services({}, Kept(tmp_path / "run"), say=said.append)) as (relay, server):
        for number in range(9):
            relay.say(str(number))
        deadline = monotonic() + 10
        while not server.trouble and monotonic() < deadline:
            threading.Event().wait(0.01)
        assert [str(error) for error in server.trouble] == ["the enclave says more than 3 lines"]
    assert said == ["0", "1", "2"]


def test_a_host_that_takes_no_lines_for_people_stops_nothing(tmp_path: Path) -> None:
    with hostile(tmp_path, lambda connection: None) as relay:
        for _ in range(100):
            relay.say("step")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (frame(b"W", b'{"refused":"","size":101}'), "size"),
        (frame(b"W", b'{"refused":"","size":-1}'), "size"),
        (frame(b"W", b'{"refused":"","size":4}') + frame(b"D", b"abc"), "ended the connection"),
        (frame(b"W", b'{"refused":"","size":4}') + frame(b"D", b"abcde"), "are the most"),
        (frame(b"D", b"abc"), "the kind 'D'"),
    ],
)
def test_a_host_that_lies_about_an_input_is_one_error(tmp_path: Path, answer: bytes, said: str) -> None:
    def lie(connection: socket.socket) -> None:
        connection.recv(2**16)
        connection.sendall(answer)

    with hostile(tmp_path, lie) as relay, pytest.raises(RunError) as caught:
        relay.input("job", 100)
    assert said in str(caught.value)
