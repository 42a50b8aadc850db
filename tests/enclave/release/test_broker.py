"""An enclave that asks a broker over a hostile host: what it takes, and what it refuses."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.broker.brokers import OTHER_PCRS, OTHER_RUN, RUN, Enclave, Place, Running
from zk_autograd.broker.decision import signer_of
from zk_autograd.broker.messages import MAX_ANSWER, Answer, Nonce, Release
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.enclave.release import broker as client
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.vault.errors import KeyServiceDown, VaultError
from zk_autograd.vault.holder.recipient import RecipientKey


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("broker"), releases=1_000)


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Running]:
    with place.running() as one:
        yield one


def ask(broker: client.Broker, run: bytes = RUN, enclave: Enclave | None = None) -> bytes:
    own = enclave or Enclave()
    return client.release(broker, run, own.key, own.device)


def test_the_key_of_a_job(place: Place, served: Running) -> None:
    assert ask(served.client()) == place.deks[RUN]
    assert ask(served.client(), OTHER_RUN) == place.deks[OTHER_RUN]


def test_a_refusal_says_why_and_is_signed(served: Running) -> None:
    with pytest.raises(VaultError, match=r"refuses the key of run 0011.*none that the policy allows"):
        ask(served.client(), enclave=Enclave(EmulatedDevice(OTHER_PCRS)))
    with pytest.raises(VaultError, match=r"status 404, and nobody signed it: this broker holds no key of that run"):
        ask(served.client(), bytes(16))


# ---- a host in the middle ------------------------------------------------------------------------

Change = Callable[[bytes, bytes], bytes]
"""Takes a request and its answer, gives what the enclave receives."""


@contextmanager
def between(served: Running, change: Change) -> Iterator[Callable[[], socket.socket]]:
    """A host that carries the connections, and changes what comes back."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def carry(near: socket.socket) -> None:
            with near, served.connect() as far:
                request = _whole(near)
                far.sendall(request)
                answer = b""
                while piece := far.recv(65536):
                    answer += piece
                with_changes = change(request, answer)
                try:
                    near.sendall(with_changes)
                except OSError:
                    return  # the enclave has had enough

        def accept() -> None:
            while True:
                try:
                    near, _ = door.accept()
                except OSError:
                    return
                carry(near)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield lambda: socket.create_connection(door.getsockname(), 20)
        finally:
            door.shutdown(socket.SHUT_RDWR)
            door.close()
            thread.join(20)
            assert not thread.is_alive()


def _whole(near: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += near.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += near.recv(65536)
    return head + b"\r\n\r\n" + body


def is_release(request: bytes) -> bool:
    return request.startswith(b"POST /v0/release ")


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def reply(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def refusal(served: Running, change: Change, run: bytes = RUN, enclave: Enclave | None = None) -> str:
    with between(served, change) as connect, pytest.raises(VaultError) as caught:
        ask(served.client(connect), run, enclave)
    return str(caught.value)


def on_release(change: Callable[[bytes], bytes]) -> Change:
    return lambda request, answer: change(answer) if is_release(request) else answer


def test_a_host_that_only_carries(place: Place, served: Running) -> None:
    with between(served, lambda request, answer: answer) as connect:
        assert ask(served.client(connect)) == place.deks[RUN]


def test_an_old_answer_is_refused(served: Running) -> None:
    """Attack: the host keeps an answer, and gives it to the next instance."""
    enclave, kept = Enclave(), list[bytes]()

    def keep(request: bytes, answer: bytes) -> bytes:
        if is_release(request):
            kept.append(answer)
        return answer

    with between(served, keep) as connect:
        ask(served.client(connect), enclave=enclave)
    assert "is for another nonce" in refusal(served, on_release(lambda answer: kept[0]), enclave=enclave)


def test_answers_exchanged_between_runs_are_refused(served: Running) -> None:
    """Attack: the enclave of one run is given the key of another run's job."""
    enclave, kept = Enclave(), list[bytes]()

    def keep(request: bytes, answer: bytes) -> bytes:
        if is_release(request):
            kept.append(answer)
        return answer

    with between(served, keep) as connect:
        ask(served.client(connect), OTHER_RUN, enclave=enclave)
    assert "is for another run" in refusal(served, on_release(lambda answer: kept[0]), enclave=enclave)


def test_a_nonce_of_another_run_is_refused(served: Running) -> None:
    def change(request: bytes, answer: bytes) -> bytes:
        return answer if is_release(request) else reply(Nonce(OTHER_RUN, bytes(32), 300).encode())

    assert "the nonce is for another run" in refusal(served, change)


def test_an_old_nonce_is_refused_by_the_broker(served: Running) -> None:
    def change(request: bytes, answer: bytes) -> bytes:
        return answer if is_release(request) else reply(Nonce(RUN, bytes(32), 300).encode())

    assert "was not given by this broker" in refusal(served, change)


@pytest.mark.parametrize("gone", ["all", "half", "the end", "the head"])
def test_an_answer_that_is_dropped_or_cut_is_refused(gone: str, served: Running) -> None:
    def cut(answer: bytes) -> bytes:
        return {"all": b"", "half": answer[: len(answer) // 2], "the end": answer[:-1], "the head": answer[40:]}[gone]

    assert "no whole HTTP answer" in refusal(served, on_release(cut))


def test_an_answer_with_any_byte_changed_is_refused(served: Running) -> None:
    """Byte by byte of one answer's note: none of them is without meaning."""
    enclave, kept, requests = Enclave(), list[bytes](), list[bytes]()

    def keep(request: bytes, answer: bytes) -> bytes:
        if is_release(request):
            kept.append(body_of(answer))
            requests.append(request)
        return answer

    with between(served, keep) as connect:
        ask(served.client(connect), enclave=enclave)
    note, key = kept[0], served.broker.key
    Answer.parse(note, key)
    for position in range(0, len(note), 7):
        changed = bytearray(note)
        changed[position] ^= 1
        with pytest.raises(VerificationError):
            Answer.parse(bytes(changed), key)
    assert "refused" in refusal(
        served, on_release(lambda answer: answer[:-20] + (b"B" if answer[-20:-19] == b"A" else b"A") + answer[-19:])
    )


def test_a_broker_that_answers_twice_is_refused(served: Running) -> None:
    """Attack: a second answer behind the first, for whoever reads on."""
    assert "answered twice" in refusal(served, on_release(lambda answer: answer + answer))
    assert "answered twice" in refusal(served, lambda request, answer: answer + b"x")
    twice = on_release(lambda answer: reply(body_of(answer) * 2))
    assert "refused" in refusal(served, twice)
    lengths = on_release(lambda answer: answer.replace(b"content-length: ", b"content-length: 5\r\ncontent-length: "))
    assert "one Content-Length" in refusal(served, lengths)
    chunked = on_release(lambda answer: answer.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"))
    assert "one Content-Length" in refusal(served, chunked)


def test_an_answer_without_end_is_refused(served: Running) -> None:
    assert "too long" in refusal(served, on_release(lambda answer: reply(b"x" * (MAX_ANSWER + 1))))
    assert "too long" in refusal(served, on_release(lambda answer: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6))
    assert "too long" in refusal(served, lambda request, answer: reply(b"x" * 10**6))


def test_a_redirect_is_not_followed(served: Running) -> None:
    def redirect(request: bytes, answer: bytes) -> bytes:
        return reply(b"", "307 Temporary Redirect", f"Location: http://127.0.0.1:{served.port}/v0/release\r\n")

    assert "redirect is not followed" in refusal(served, redirect)
    assert "redirect is not followed" in refusal(served, on_release(lambda answer: redirect(b"", answer)))


def test_a_host_that_refuses_in_the_brokers_name_is_not_believed(served: Running) -> None:
    forged = on_release(lambda answer: reply(b"the broker says no\x1b[31m\n", "403 Forbidden"))
    found = refusal(served, forged)
    assert "nobody signed it: the broker says no" in found
    assert "\x1b" not in found


def test_a_signed_grant_under_another_status(served: Running) -> None:
    other = on_release(lambda answer: answer.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 403 Forbidden", 1))
    assert "grants the key, under status 403" in refusal(served, other)


def test_a_slow_host_is_given_up_on(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then would hold the enclave for ever."""
    monkeypatch.setattr("zk_autograd.enclave.release.broker.SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as door:
        done = threading.Event()

        def drip() -> None:
            near, _ = door.accept()
            with near:
                while not done.wait(0.1):
                    try:
                        near.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(KeyServiceDown, match=r"can't be reached.*(took too long|timed out)"):
            ask(served.client(lambda: socket.create_connection(door.getsockname(), 20)))
        done.set()
        thread.join(20)
        assert not thread.is_alive()


def test_nobody_there(served: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = door.getsockname()
    with pytest.raises(KeyServiceDown, match="can't be reached"):
        ask(served.client(lambda: socket.create_connection(address, 20)))


# ---- other brokers -------------------------------------------------------------------------------


def test_another_brokers_answer_is_refused(served: Running) -> None:
    """Attack: the host runs a broker of its own, which releases a key that the host knows."""
    own = replace(served.client(), key=signer_of(b"\x05" * 32).public_key)
    with pytest.raises(VaultError, match="answer is refused: note is not signed by the key"):
        ask(own)


def test_a_key_that_is_no_brokers_is_not_pinned(served: Running) -> None:
    with pytest.raises(UsageError, match="no broker's key"):
        replace(served.client(), key=Ed25519Signer("somebody", b"\x05" * 32).public_key)
    with pytest.raises(UsageError, match="no broker's key"):
        replace(served.client(), key=Ed25519Signer(served.broker.key.name, b"\x05" * 32).public_key)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "caf\u00e9"])
def test_a_host_that_would_change_the_request(host: str, served: Running) -> None:
    with pytest.raises(UsageError, match="host"):
        replace(served.client(), host=host)


def lying(served: Running, lie: Callable[[Answer, Enclave], Answer], place: Place, enclave: Enclave) -> str:
    """What becomes of an answer that the broker's own key signed, and that isn't right."""
    from zk_autograd.broker.keyfile import load

    signer = load(place.state / "broker.key")

    def change(answer: bytes) -> bytes:
        return reply(lie(Answer.parse(body_of(answer), served.broker.key), enclave).encode(signer))

    return refusal(served, on_release(change), enclave=enclave)


def test_a_wrap_that_opens_in_another_context_is_refused(served: Running, place: Place) -> None:
    def other_context(answer: Answer, enclave: Enclave) -> Answer:
        context = Release(RUN, bytes(32))
        return replace(answer, wrapped=enclave.key.recipient.wrap(b"k" * 32, context))

    def other_key(answer: Answer, enclave: Enclave) -> Answer:
        context = Release(RUN, answer.decision.nonce)
        return replace(answer, wrapped=RecipientKey.generate().wrap(b"k" * 32, context))

    for lie in (other_context, other_key):
        assert "key that doesn't open" in lying(served, lie, place, Enclave())
    assert "key that doesn't open" in lying(served, lambda one, _: replace(one, wrapped=b"\0"), place, Enclave())


def test_an_answer_that_its_own_log_does_not_have_is_refused(served: Running, place: Place) -> None:
    """A broker that releases a key and writes nothing down, or something else."""

    def unlogged(answer: Answer, enclave: Enclave) -> Answer:
        return replace(answer, decision=replace(answer.decision, reason="nothing to see here"))

    def misplaced(answer: Answer, enclave: Enclave) -> Answer:
        return replace(answer, position=answer.position + 1)

    def granted_less(answer: Answer, enclave: Enclave) -> Answer:
        return replace(answer, wrapped=b"")

    assert "inclusion proof" in lying(served, unlogged, place, Enclave())
    assert "inclusion proof" in lying(served, misplaced, place, Enclave())
    assert "doesn't grant" in lying(served, granted_less, place, Enclave())


def test_a_key_in_a_refusal_is_refused(served: Running, place: Place) -> None:
    def smuggled(answer: Answer, enclave: Enclave) -> Answer:
        return replace(answer, wrapped=b"x" * 1168)

    enclave = Enclave(EmulatedDevice(OTHER_PCRS))
    assert "doesn't grant" in lying(served, smuggled, place, enclave)


def test_a_checkpoint_is_no_answer(served: Running) -> None:
    assert "is no answer" in refusal(served, on_release(lambda answer: reply(served.broker.checkpoint())))
