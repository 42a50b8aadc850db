"""Having a register cosigned: by real witnesses on real sockets, and by servers that lie, stall and
break off."""

import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.witness.witnesses import Register, Running, Signers, made, policy, running, vkeys
from zk_autograd.anchor.kinds import open_anchor
from zk_autograd.anchor.witness import verify
from zk_autograd.anchor.witness.client import MAX_ANSWER
from zk_autograd.anchor.witness.publish import WitnessAnchor
from zk_autograd.core.anchors import Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.cosigner import Ed25519Cosigner
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError
from zk_autograd.core.note import checkpoint_text, open_note, parse_unverified, sign, signature_line
from zk_autograd.core.register import register_signers
from zk_autograd.core.tlog_policy import parse
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.evidence.pace import Limits
from zk_autograd.verify.consistency import Verdict, decide
from zk_autograd.witness.folder import Folder

REGISTER = Register()
BRANCH = Register(branch="'", fork_at=4)
"""The same keys and origin, other leaves from the fifth on."""

NOW = 1_790_000_000


class Network:
    """Three witnesses that know the register, and the policy that two of them are enough."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.folders = [made(folder / f"w{n}", REGISTER, name=f"witness.example/w{n}") for n in range(3)]
        self.servers: list[tuple[Running, ExitStack] | None] = [self._started(one) for one in self.folders]
        self.addresses = [server[0].url for server in self.servers if server]

    def _started(self, folder: Folder, address: str = "127.0.0.1:0") -> tuple[Running, ExitStack]:
        stack = self._stack.enter_context(ExitStack())
        return stack.enter_context(running(folder, address)), stack

    def stop(self, number: int) -> None:
        if server := self.servers[number]:
            server[1].close()
        self.servers[number] = None

    def restart(self, number: int) -> None:
        port = self.addresses[number].rpartition(":")[2]
        self.servers[number] = self._started(self.folders[number], f"127.0.0.1:{port}")

    def forget(self) -> None:
        """As if nothing had been cosigned yet: by no witness that runs, either, since one refuses a
        database that lacks what it cosigned itself."""
        for number, folder in enumerate(self.folders):
            with closing(sqlite3.connect(folder.path / "witness.sqlite")) as connection, connection:
                ((cosigned,),) = connection.execute("select count(*) from cosigned")
                connection.executescript("delete from cosigned; delete from refused;")
            if cosigned and self.servers[number] is not None:
                self.stop(number)
            if self.servers[number] is None:
                self.restart(number)

    def close(self) -> None:
        for server in self.servers:
            if server:
                server[0].stop()

    def policy(self, k: int = 2, register: Register | None = REGISTER) -> bytes:
        keys = [vkeys(folder)[n % 2] for n, folder in enumerate(self.folders)]  # of both kinds
        return policy(list(zip(keys, self.addresses, strict=True)), k, register)

    def anchor(self, k: int = 2, register: Register | None = REGISTER) -> WitnessAnchor:
        return WitnessAnchor(parse(self.policy(k, register)), "witness:test")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with ExitStack() as stack:
        network = Network(tmp_path_factory.mktemp("network"), stack)
        yield network
        network.close()


@pytest.fixture
def network(servers: Network) -> Network:
    servers.forget()
    return servers


def published(anchor: WitnessAnchor, size: int, register: Register = REGISTER) -> Receipt:
    (receipt,) = anchor.publish(register.checkpoint(size), register)
    return receipt


def test_a_register_is_anchored_as_it_grows_and_verified_offline(network: Network, tmp_path: Path) -> None:
    (tmp_path / "w.policy").write_bytes(network.policy())
    anchor = open_anchor(f"witness:{tmp_path / 'w.policy'}")
    for size in (1, 5, 5, 8):
        checkpoint = REGISTER.checkpoint(size)
        (receipt,) = anchor.publish(checkpoint, REGISTER)
        claim = verify(Receipt.parse(receipt.encode()), checkpoint, parse(network.policy()))
        assert (claim.standing, claim.excludes_forks) == (Standing.SHOWN, True)
        assert claim.time is not None and abs(claim.time - time.time()) < 60
        assert "on 3 of 3 witnesses" in claim.rests_on
    assert (anchor.kind, anchor.spec) == ("witness", f"witness:{tmp_path / 'w.policy'}")


def test_a_second_object_needs_no_state_of_the_first(network: Network) -> None:
    published(network.anchor(), 5)
    published(network.anchor(), 9)


def test_a_quorum_is_enough_and_the_others_are_named(network: Network) -> None:
    network.stop(1)
    anchor = network.anchor()
    receipt = published(anchor, 5)
    (failure,) = anchor.failures
    assert failure.startswith(f"the witness 'w1' at {network.addresses[1]}/: ")
    assert "nobody listens there" in failure
    assert "on 2 of 3 witnesses" in verify(receipt, REGISTER.checkpoint(5), parse(network.policy())).rests_on
    network.restart(1)
    published(anchor, 6)
    assert anchor.failures == ()


def test_below_the_quorum_it_is_worth_trying_again_if_those_that_are_down_would_make_it(network: Network) -> None:
    network.stop(0)
    network.stop(1)
    anchor = network.anchor()
    with pytest.raises(AnchorDown, match=r"^1 cosignature and no quorum of witness:test: the witness 'w0' .*nobody"):
        published(anchor, 5)
    network.restart(0)
    published(anchor, 5)


@pytest.mark.parametrize("k", [1, 2])
def test_a_register_that_no_witness_knows_is_for_their_operators(network: Network, k: int) -> None:
    other = Register(seed=2)
    with pytest.raises(AnchorError, match=f"ask its operator to add the log {other.origin}") as caught:
        published(network.anchor(k, other), 3, other)
    assert type(caught.value) is AnchorError


def test_a_witness_with_other_keys_of_the_register_says_so(network: Network) -> None:
    """A note that one of two keys signed is refused with 403."""
    checkpoint = REGISTER.checkpoint(5)
    note = parse_unverified(checkpoint.note)
    line = note.lines[0]
    half = f"{note.text}\n{signature_line(line.name, line.key_id, line.signature)}".encode()
    with pytest.raises(AnchorError, match="its operator has other keys for zk-autograd/register/") as caught:
        network.anchor().publish(SignedCheckpoint(half, checkpoint.head), REGISTER)
    assert type(caught.value) is AnchorError


# ---- forks and rollbacks -------------------------------------------------------------------------


def test_a_register_that_went_another_way_is_told_with_the_note(network: Network) -> None:
    """Attack: a register restored from a copy of its first entries goes on: a second branch."""
    published(network.anchor(), 8)
    for size in (8, 11):
        with pytest.raises(AnchorForked, match="another branch of this register, of 8 entries") as caught:
            published(network.anchor(), size, BRANCH)
        open_note(caught.value.note, REGISTER.keys)
        if size == 8:
            pair = ForkEvidence.of(SignedHead.parse(caught.value.note), SignedHead.parse(BRANCH.checkpoint(8).note))
            assert decide(ForkEvidence.parse(pair.encode()), REGISTER.keys).verdict is Verdict.FORK


def test_a_fork_is_told_even_where_a_quorum_cosigned_it(network: Network, tmp_path: Path) -> None:
    """One witness has the other branch. What it shows is proof, whatever the others say."""
    lone = made(tmp_path / "lone", REGISTER)
    with running(lone) as server:
        alone = parse(policy([(vkeys(lone)[0], server.url)], 1, REGISTER))
        published(WitnessAnchor(alone, "witness:lone"), 8)
        keys = [(vkeys(lone)[0], server.url), (vkeys(network.folders[0])[0], network.addresses[0])]
        with pytest.raises(AnchorForked) as caught:
            published(WitnessAnchor(parse(policy(keys, 1, REGISTER)), "witness:both"), 9, BRANCH)
    assert caught.value.note


def test_without_the_register_s_keys_no_fork_is_claimed_from_what_a_witness_shows(network: Network) -> None:
    published(network.anchor(), 8)
    with pytest.raises(AnchorForked, match="it shows no checkpoint that the register's keys signed") as caught:
        published(network.anchor(register=None), 8, BRANCH)
    assert caught.value.note == b""
    with pytest.raises(AnchorDown, match="has no log lines with those keys, so nothing can be told"):
        published(network.anchor(register=None), 6)


def test_a_register_that_was_rolled_back_is_behind(network: Network) -> None:
    published(network.anchor(), 8)
    with pytest.raises(AnchorBehind, match="it has a checkpoint of 8 entries, signed by this register's keys"):
        published(network.anchor(), 6)
    published(network.anchor(), 9)


def test_what_witnesses_show_says_whether_a_register_is_the_newest(network: Network) -> None:
    """Nothing is sent; and who signs the register is told by the trainer who publishes."""
    anchor = network.anchor(register=None)
    with pytest.raises(AnchorDown, match="has no log lines with the register's keys"):
        anchor.require_continued(REGISTER.checkpoint(3), REGISTER)
    anchor.know(REGISTER.keys)
    anchor.require_continued(REGISTER.checkpoint(3), REGISTER)
    with network.folders[0].store().transaction() as transaction:
        assert transaction.cosigned(REGISTER.origin) is None
    published(anchor, 5)
    for size in (5, 8):
        anchor.require_continued(REGISTER.checkpoint(size), REGISTER)
    for size in (0, 4):
        with pytest.raises(AnchorBehind, match=f"a checkpoint of 5 entries, signed by .* and this one has {size}"):
            anchor.require_continued(REGISTER.checkpoint(size), REGISTER)
    with pytest.raises(AnchorForked, match="has another branch of this register, of 5 entries") as caught:
        anchor.require_continued(BRANCH.checkpoint(6), BRANCH)
    assert SignedCheckpoint.parse(caught.value.note).head == REGISTER.checkpoint(5).head
    network.stop(0)
    anchor.require_continued(REGISTER.checkpoint(5), REGISTER)
    network.stop(1)
    with pytest.raises(AnchorBehind):  # one of them is enough
        anchor.require_continued(REGISTER.checkpoint(4), REGISTER)
    with pytest.raises(AnchorDown, match=r"those that answered are no quorum of witness:test: .*nobody listens"):
        anchor.require_continued(REGISTER.checkpoint(5), REGISTER)


@pytest.mark.parametrize("size", [3, 9])
def test_a_witness_that_makes_up_a_checkpoint_stops_no_run(size: int) -> None:
    """It would stop every trainer whom it dislikes."""
    shown = signed_as(REGISTER.origin, Register(seed=3), REGISTER.checkpoint(size).head)
    why = "a checkpoint that the register's keys didn't sign"
    with scripted(lambda first, body: answer(200, shown)) as (url, _), pytest.raises(AnchorDown, match=why):
        lone(url).require_continued(REGISTER.checkpoint(5), REGISTER)


def test_a_witness_restored_from_a_copy_is_noticed_by_who_was_cosigned(network: Network, tmp_path: Path) -> None:
    database = network.folders[0].path / "witness.sqlite"
    anchor = network.anchor()
    published(anchor, 5)
    shutil.copy(database, tmp_path / "copy")
    published(anchor, 8)
    network.stop(0)
    shutil.copy(tmp_path / "copy", database)
    network.restart(0)
    published(anchor, 9)
    (failure,) = anchor.failures
    assert "has forgotten a tree of 8 entries that it cosigned, and named 5" in failure
    published(anchor, 10)
    assert anchor.failures == ()


def test_one_witness_restored_from_a_copy_gives_a_second_branch_no_quorum(network: Network, tmp_path: Path) -> None:
    """Attack: the trainer has 8 entries cosigned, waits for a witness to be restored to 4, and goes
    another way from there. That witness cosigns it; two of three don't."""
    database = network.folders[0].path / "witness.sqlite"
    published(network.anchor(), 4)
    shutil.copy(database, tmp_path / "copy")
    published(network.anchor(), 8)
    network.stop(0)
    shutil.copy(tmp_path / "copy", database)
    network.restart(0)
    with pytest.raises(AnchorForked):
        published(network.anchor(), 9, BRANCH)
    assert newest(network.folders[0]) == BRANCH.checkpoint(9).head.root
    assert newest(network.folders[1]) == newest(network.folders[2]) == REGISTER.checkpoint(8).head.root


def newest(folder: Folder) -> bytes:
    """The root of what the witness cosigned last."""
    with folder.store().transaction() as transaction:
        last = transaction.cosigned(REGISTER.origin)
    assert last is not None
    return last.root


# ---- asking what they hold -----------------------------------------------------------------------


def test_witnesses_show_what_they_cosigned_last(network: Network) -> None:
    """To an auditor who was shown fewer entries, say."""
    assert network.anchor().read(REGISTER.origin) == []
    published(network.anchor(), 5)
    published(network.anchor(), 8)
    found = network.anchor().read(REGISTER.origin)
    text = parse_unverified(REGISTER.checkpoint(8).note).text
    assert [open_note(kept.note, REGISTER.keys).text for kept in found] == [text] * 3
    assert network.anchor().read(Register(seed=2).origin) == []


def test_two_branches_are_both_read(network: Network) -> None:
    """Attack: one witness was given another branch than the others."""
    network.folders[2].witness().add_checkpoint(BRANCH.body(0, 8))
    for number in (0, 1):
        network.folders[number].witness().add_checkpoint(REGISTER.body(0, 8))
    heads = [SignedHead.parse(kept.note) for kept in network.anchor().read(REGISTER.origin)]
    assert decide(ForkEvidence.of(heads[0], heads[2]), REGISTER.keys).verdict is Verdict.FORK


def test_what_is_held_is_read_of_a_quorum_or_not_at_all(network: Network) -> None:
    published(network.anchor(), 5)
    network.stop(0)
    anchor = network.anchor()
    assert len(anchor.read(REGISTER.origin)) == 2
    assert len(anchor.failures) == 1
    network.stop(1)
    with pytest.raises(
        AnchorDown, match=r"those that answered are no quorum of witness:test: the witness at http://127"
    ):
        network.anchor().read(REGISTER.origin)


# ---- servers that lie, stall and break off -------------------------------------------------------

Asked = list[tuple[str, bytes]]
Script = Callable[[str, bytes], "bytes | Callable[[socket.socket], None]"]
"""What is sent for a request's first line and body."""


@contextmanager
def scripted(script: Script) -> Iterator[tuple[str, Asked]]:
    """A server that answers as it is told, each request on the connection it came by; and what it
    was asked."""
    asked: Asked = []
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            file = connection.makefile("rb")
            while first := file.readline():
                length = 0
                while (line := file.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                request = first.decode(), file.read(length)
                asked.append(request)
                answer = script(*request)
                if callable(answer):
                    answer(connection)
                    return
                connection.sendall(answer)

    def accept() -> None:
        while not done.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/prefix/", asked
        finally:
            done.set()
            for thread in (acceptor, *threads):
                thread.join(12)


def answer(status: int, content: bytes = b"", media_type: str = "text/plain", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}\r\n{extra}\r\n"
    return head.encode() + content


def size(number: int | str) -> bytes:
    return answer(409, f"{number}\n".encode(), "text/x.tlog.size")


WITNESS = Signers(1)
SOON = Limits(total=2**20, connect=1, idle=0.3, patience=0.3, seconds=0.6)


def lone(url: str, register: Register | None = REGISTER, limits: Limits = SOON) -> WitnessAnchor:
    return WitnessAnchor(parse(policy([(WITNESS.keys[0].encode(), url)], 1, register)), "witness:lone", limits=limits)


def cosignature(checkpoint: SignedCheckpoint, by: Signers = WITNESS) -> bytes:
    """A line in the name of WITNESS."""
    text = parse_unverified(checkpoint.note).text
    return signature_line(WITNESS.name, WITNESS.keys[0].key_id, by.ed25519.cosign(text, NOW)).encode()


def test_the_request_is_that_of_the_specification() -> None:
    """POST <prefix>/add-checkpoint; first with old 0, then with the proof from the size named."""

    def script(first: str, body: bytes) -> bytes:
        return size(5) if body.startswith(b"old 0\n") else answer(200, cosignature(REGISTER.checkpoint(7)))

    with scripted(script) as (url, asked):
        published(lone(url), 7)
    assert [first for first, _ in asked] == ["POST /prefix/add-checkpoint HTTP/1.1\r\n"] * 2
    note = REGISTER.checkpoint(7).note
    # ML-DSA-44 signs with chance: of the notes, the texts are compared.
    proofs = [body.partition(b"\n\n")[0] for _, body in asked]
    assert proofs == [head.partition(b"\n\n")[0] for head in (REGISTER.body(0, 7), REGISTER.body(5, 7))]
    assert all(body.partition(b"\n\n")[2].startswith(note[:80]) for _, body in asked)


def signed_as(origin: str, register: Register, head: Checkpoint) -> bytes:
    """A note of this head, signed by a trainer's keys under the name `origin`."""
    return sign(checkpoint_text(head.origin, head.size, head.root), register_signers(register.signers, origin))


SHOWN = {
    "nothing": answer(404),
    "another register": answer(200, Register(seed=2).checkpoint(100).note),
    "ours, signed by another": answer(200, signed_as(REGISTER.origin, Register(seed=2), REGISTER.checkpoint(100).head)),
    "another log of our keys": answer(200, signed_as(REGISTER.origin, REGISTER, Register(seed=2).checkpoint(100).head)),
    "a smaller one": answer(200, REGISTER.checkpoint(3).note),
    "garbage": answer(200, b"\xff" * 100),
    "too much": answer(200, b"x" * (2**16 + 1)),
}


@pytest.mark.parametrize("shows", SHOWN)
def test_a_409_with_a_larger_size_is_not_believed(shows: str) -> None:
    """Attack: a witness moves the log's idea of what was cosigned beyond the log's own size. It is
    down, no more; and the next publication goes on as if it had never answered."""
    lie = [True]

    def script(first: str, body: bytes) -> bytes:
        if first.startswith("GET"):
            return SHOWN[shows]
        return size(2**62) if lie[0] else answer(200, cosignature(REGISTER.checkpoint(7)))

    with scripted(script) as (url, asked):
        anchor = lone(url)
        with pytest.raises(AnchorDown, match=f"it names a tree of {2**62} entries"):
            published(anchor, 7)
        assert asked[1][0].startswith("GET /prefix/") and asked[1][0].endswith("/checkpoint HTTP/1.1\r\n")
        lie[0] = False
        published(anchor, 7)
        assert asked[-1][1].startswith(b"old 0\n")


def test_a_409_with_a_larger_size_that_the_register_s_keys_signed_is_believed() -> None:
    def script(first: str, body: bytes) -> bytes:
        return answer(200, REGISTER.checkpoint(9).note) if first.startswith("GET") else size(2**62)

    with scripted(script) as (url, _), pytest.raises(AnchorBehind, match="a checkpoint of 9 entries"):
        published(lone(url), 7)


def test_a_409_for_a_branch_that_the_register_s_keys_signed_is_a_fork() -> None:
    def script(first: str, body: bytes) -> bytes:
        return answer(200, BRANCH.checkpoint(6).note) if first.startswith("GET") else size(100)

    with scripted(script) as (url, _), pytest.raises(AnchorForked, match="another branch") as caught:
        published(lone(url), 7)
    open_note(caught.value.note, REGISTER.keys)


def test_a_witness_that_names_ever_other_sizes_is_asked_a_few_times() -> None:
    sizes = iter(range(1, 7))
    with (
        scripted(lambda first, body: size(next(sizes))) as (url, asked),
        pytest.raises(AnchorDown, match="another tree size in each of 4 answers"),
    ):
        published(lone(url), 7)
    assert len(asked) == 4


def pause(connection: socket.socket) -> None:
    time.sleep(0.8)


def drip(connection: socket.socket) -> None:
    """A byte at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def half(connection: socket.socket) -> None:
    line = cosignature(REGISTER.checkpoint(7))
    connection.sendall(answer(200, line)[:-20])


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(2 * MAX_ANSWER // 4096):
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


LINE = cosignature(REGISTER.checkpoint(7))
DOWN: dict[str, tuple[bytes | Callable[[socket.socket], None], str]] = {
    "nothing": (lambda connection: None, "ended early"),
    "a pause": (pause, "nothing came|too slow"),
    "a byte at a time": (drip, "too slow|longer than"),
    "half an answer": (half, "ended"),
    "no end": (flood, "too large"),
    "too long": (answer(200, b"x" * (MAX_ANSWER + 1)), "too large"),
    "no HTTP": (b"SSH-2.0-x\r\n", "not HTTP"),
    "a redirect": (answer(307, extra="Location: http://127.0.0.1:1/add-checkpoint\r\n"), "no redirect is followed"),
    "500": (answer(500), "it answers 500"),
    "503": (answer(503, extra="Retry-After: 30\r\n"), "it answers 503, and asks to wait 30 seconds"),
    "429": (answer(429, extra="Retry-After: 7\r\n"), "it answers 429, and asks to wait 7 seconds"),
    "429 until a date": (answer(429, extra="Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"), "it answers 429"),
    "a portal's page": (answer(200, b"<html>Log in</html>\n", "text/html"), "not the signature lines"),
    "no lines": (answer(200), "not the signature lines"),
    "half a line": (answer(200, LINE[:60]), "not the signature lines"),
    "no UTF-8": (answer(200, b"\xff\n"), "not the signature lines"),
    "two answers": (answer(200, LINE) + b"more", "more than the"),
    "compressed": (answer(200, LINE, extra="Content-Encoding: gzip\r\n"), "not asked for"),
    "a 409 of another type": (answer(409, b"5\n"), "names no tree size"),
    "a 409 without a newline": (answer(409, b"5", "text/x.tlog.size"), "names no tree size"),
    "a 409 with a zero": (size("05"), "names no tree size"),
    "a negative 409": (size("-1"), "names no tree size"),
    "a 409 of many digits": (size("9" * 5000), "names no tree size"),
    "a 409 of the size that was asked with": (size(0), "the size that it was asked with"),
}


@pytest.mark.parametrize("name", DOWN)
def test_an_answer_that_is_none_is_worth_trying_again(name: str) -> None:
    sent, why = DOWN[name]
    with scripted(lambda first, body: sent) as (url, _):
        began = time.monotonic()
        with pytest.raises(AnchorDown, match=why):
            published(lone(url), 7)
        assert time.monotonic() - began < 5


WRONG: dict[str, tuple[bytes, str]] = {
    "over another size": (answer(200, cosignature(REGISTER.checkpoint(6))), "its cosignature is false"),
    "over another branch": (answer(200, cosignature(BRANCH.checkpoint(7))), "its cosignature is false"),
    "of another register": (answer(200, cosignature(Register(seed=2).checkpoint(7))), "its cosignature is false"),
    "by another key": (answer(200, cosignature(REGISTER.checkpoint(7), Signers(2))), "its cosignature is false"),
    "in another name": (
        answer(200, LINE.replace(b"example/1", b"example/2")),
        "a key that the tlog-policy doesn't have",
    ),
    "400": (answer(400, b"no\x1b[31m"), r"it answers 400, .*: 'no\\x1b\[31m'"),
    "401": (answer(401), "it answers 401"),
    "404": (answer(404), "ask its operator"),
    "403": (answer(403), "has other keys"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_trying_again_won_t_help(name: str) -> None:
    sent, why = WRONG[name]
    with scripted(lambda first, body: sent) as (url, _), pytest.raises(AnchorError, match=why) as caught:
        published(lone(url), 7)
    assert type(caught.value) is AnchorError


@pytest.mark.parametrize(
    "sent", [answer(403), answer(500), answer(302), answer(200, b"x" * (MAX_ANSWER + 1)), b"no HTTP"]
)
def test_what_is_no_answer_is_not_taken_for_holding_nothing(sent: bytes) -> None:
    with scripted(lambda first, body: sent) as (url, _), pytest.raises(AnchorDown, match="no quorum"):
        lone(url).read(REGISTER.origin)


def test_a_422_without_a_note_is_a_fork_that_nobody_has_shown() -> None:
    def script(first: str, body: bytes) -> bytes:
        return answer(404) if first.startswith("GET") else size(5) if body.startswith(b"old 0\n") else answer(422)

    with scripted(script) as (url, _), pytest.raises(AnchorForked, match="or the witness is at fault") as caught:
        published(lone(url), 7)
    assert caught.value.note == b""


def test_a_fork_that_one_only_claims_doesn_t_end_the_waiting_for_the_others() -> None:
    """Attack: one of three witnesses refuses everything with 422, when the two others are down."""
    with scripted(lambda first, body: answer(404) if first.startswith("GET") else answer(422)) as (url, _):
        keys = [
            (Signers(n).keys[0].encode(), where)
            for n, where in ((1, url), (2, "http://127.0.0.1:1/"), (3, "http://127.0.0.1:1/x"))
        ]
        for k, kind in ((2, AnchorDown), (3, AnchorForked)):
            with pytest.raises(AnchorError) as caught:
                published(WitnessAnchor(parse(policy(keys, k, REGISTER)), "witness:three"), 7)
            assert type(caught.value) is kind


def test_a_key_of_the_register_is_no_witness() -> None:
    """Attack: a policy by which the trainer would vouch for themselves."""
    own = Ed25519Cosigner(REGISTER.signers[0])  # type: ignore[arg-type]
    with scripted(lambda first, body: answer(500)) as (url, asked):
        anchor = WitnessAnchor(parse(policy([(own.public_key.encode(), url)], 1)), "witness:own")
        with pytest.raises(AnchorError, match="has a key of the log itself"):
            published(anchor, 7)
    assert asked == []


def test_witnesses_are_asked_at_once() -> None:
    """Ten that answer after 0.2 seconds each."""

    def script(first: str, body: bytes) -> bytes:
        time.sleep(0.2)
        return answer(200, cosignature(REGISTER.checkpoint(7)))

    with scripted(script) as (url, _):
        own = [(WITNESS.keys[0].encode(), url)]
        others = [(Signers(number).keys[0].encode(), f"{url}{number}") for number in range(2, 11)]
        anchor = WitnessAnchor(parse(policy([*own, *others], 1)), "witness:ten")
        began = time.monotonic()
        published(anchor, 7)
        assert time.monotonic() - began < 1.5
    assert len(anchor.failures) == 9


def test_one_server_is_asked_once_for_both_its_keys(tmp_path: Path) -> None:
    folder = made(tmp_path / "w", REGISTER)
    with running(folder) as server:
        keys = [(vkey, server.url) for vkey in vkeys(folder)]
        receipt = published(WitnessAnchor(parse(policy(keys, 2)), "witness:both"), 5)
    assert str(receipt.body["signatures"]).count("\n") == 2
    assert len(server.lines) == 1


# ---- specifications ------------------------------------------------------------------------------

KEY = WITNESS.keys[0].encode()
REFUSED: dict[str, tuple[bytes, str]] = {
    "no policy": (b"hello\n", "is no tlog-policy: line 1"),
    "no quorum": (b"quorum none\n", "asks for no cosignature"),
    "no URL": (policy([(KEY, "")], 1), "add URLs"),
    "too few URLs": (policy([(KEY, "http://127.0.0.1:1"), (Signers(2).keys[0].encode(), "")], 2), "add URLs"),
    "http to another machine": (policy([(KEY, "http://witness.example/")], 1), "can't be used"),
    "a password": (policy([(KEY, "https://u:secret@witness.example/")], 1), "can't be used: the URL holds a user name"),
    "no URL at all": (policy([(KEY, "witness.example")], 1), "can't be used"),
    "no ASCII": (policy([(KEY, "https://w\u00e4.example/")], 1), "can't be used"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_policy_by_which_nothing_can_be_anchored_is_refused(name: str, tmp_path: Path) -> None:
    data, why = REFUSED[name]
    (tmp_path / "p").write_bytes(data)
    with pytest.raises(UsageError, match=why):
        open_anchor(f"witness:{tmp_path / 'p'}")


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for rest, why in (("", "needs a file"), (str(tmp_path / "p"), "No such file"), (str(tmp_path), "a folder")):
        with pytest.raises(UsageError, match=why):
            open_anchor(f"witness:{rest}")


def test_no_proxy_of_the_environment_is_used(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    published(network.anchor(), 5)
