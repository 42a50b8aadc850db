"""What a witness answers: every status of C2SP tlog-witness, one branch whatever is asked in which
order by how many, and no cosignature that it could forget."""

import base64
import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.forks import forking
from tests.witness.witnesses import Register, Signers, body, made
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text
from zk_autograd.core.cosigner import Cosigner, CosignerKey
from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import EMPTY_ROOT, prefix_roots
from zk_autograd.core.note import open_note, parse_signatures, parse_unverified, sign, signature_line
from zk_autograd.core.register import sign_head
from zk_autograd.verify.consistency import Verdict, decide
from zk_autograd.witness.folder import Folder
from zk_autograd.witness.judging import EARLIEST, SIZE_TYPE, Reply, Witness
from zk_autograd.witness.request import MAX_BODY
from zk_autograd.witness.store import MAX_COSIGNED, MAX_REFUSED, Log, Refused, Store, Transaction

REGISTER = Register()
BRANCH = Register(branch="'", fork_at=4)
NOW = 1_790_000_000
OWN = Signers(5)


class Clock:
    """Says what it is told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def witness(path: Path, clock: Clock | None = None, *registers: Register) -> tuple[Witness, Store]:
    """A witness of fixed keys, with a new database that knows the registers (REGISTER)."""
    store = Store.create(path / "witness.sqlite")
    one = Witness(store, [OWN.ed25519, OWN.mldsa44], clock or Clock())
    for register in registers or (REGISTER,):
        one.add_log(Log(register.origin, tuple(register.keys)))
    return one, store


def times(reply: Reply, checkpoint: SignedCheckpoint) -> tuple[int, ...]:
    """Those of both cosignatures, which are right."""
    assert reply.status == 200
    found = {(line.name, line.key_id): line.signature for line in parse_signatures(reply.body, 2)}
    text = parse_unverified(checkpoint.note).text
    return tuple(key.verify(text, found[key.name, key.key_id]) for key in OWN.keys)


def size(store: Store) -> int:
    with store.transaction(writing=False) as transaction:
        last = transaction.cosigned(REGISTER.origin)
    return last.size if last else -1


def refused(store: Store) -> list[Refused]:
    with store.transaction(writing=False) as transaction:
        return transaction.refused(REGISTER.origin)


def test_both_cosignatures_of_what_continues(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    for old, new in ((0, 3), (3, 3), (3, 7), (7, 100)):
        assert times(one.add_checkpoint(REGISTER.body(old, new)), REGISTER.checkpoint(new)) == (NOW, NOW)
        assert size(store) == new
    assert refused(store) == []


def test_a_tree_of_no_leaves_is_cosigned_and_continued(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(REGISTER.body(0, 0)).status == 200
    assert size(store) == 0
    assert one.add_checkpoint(REGISTER.body(0, 4)).status == 200


FIVE = REGISTER.checkpoint(5).note
NODE = "A" * 43 + "="
MALFORMED = {
    "nothing": b"",
    "no empty line": b"old 0\n" + FIVE.replace(b"\n\n", b"\n"),
    "no old": b"\n\n" + FIVE,
    "a zero before": body("05", [], FIVE),
    "a plus": body("+5", [], FIVE),
    "negative": body("-1", [], FIVE),
    "too large": body(2**63, [], FIVE),
    "many digits": body("9" * 5000, [], FIVE),
    "of another script": "old \u0665\n\n".encode() + FIVE,
    "capitals": body(0, [], FIVE).replace(b"old", b"OLD"),
    "two spaces": body(0, [], FIVE).replace(b"old ", b"old  "),
    "carriage returns": body(0, [], FIVE).replace(b"old 0\n", b"old 0\r\n"),
    "64 hashes": f"old 3\n{(NODE + chr(10)) * 64}\n".encode() + FIVE,
    "a short hash": b"old 3\nAAAA\n\n" + FIVE,
    "no base64": b"old 3\n!\n\n" + FIVE,
    "loose bits": b"old 3\n" + b"A" * 42 + b"B=\n\n" + FIVE,
    "no checkpoint": b"old 0\n\n",
    "no signature": b"old 0\n\n" + parse_unverified(FIVE).text.encode(),
    "an extension line": b"old 0\n\n" + sign(
        parse_unverified(FIVE).text + "more\n", [Ed25519Signer(REGISTER.origin, (1).to_bytes(32, "big"))]),
    "no UTF-8": body(0, [], FIVE + b"\xff"),
    "too long": body(0, [], FIVE + b"x" * MAX_BODY),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_400_for_what_is_malformed(name: str, tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(MALFORMED[name]).status == 400
    assert size(store) == -1


def test_400_where_the_old_size_is_larger(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    assert one.add_checkpoint(body(6, [], FIVE)).status == 400
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    assert one.add_checkpoint(body(6, [], FIVE)).status == 400


def test_404_for_an_unknown_origin(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(Register(seed=2).body(0, 5)).status == 404
    assert refused(store) == []


def lines_of(*lines: tuple[str, bytes, bytes]) -> bytes:
    text = parse_unverified(FIVE).text
    return f"{text}\n{''.join(signature_line(*line) for line in lines)}".encode()


ED, PQ = ((line.name, line.key_id, line.signature) for line in parse_unverified(FIVE).lines)
UNSIGNED = {
    "one key alone": lines_of(ED),
    "the other alone": lines_of(PQ),
    "none of them": lines_of(("x", b"1234", b"x")),
    "a wrong signature": lines_of((ED[0], ED[1], bytes(64)), PQ),
    "another's signature": FIVE.replace(
        parse_unverified(FIVE).text.encode(), parse_unverified(BRANCH.checkpoint(5).note).text.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSIGNED)
def test_403_unless_all_keys_signed(name: str, tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(body(0, [], UNSIGNED[name])).status == 403
    assert size(store) == -1
    assert refused(store) == []


def test_lines_of_unknown_keys_are_ignored_and_not_shown_to_monitors(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    assert one.add_checkpoint(body(0, [], lines_of(("stranger", b"1234", b"x"), ED, PQ))).status == 200
    assert "stranger" not in one.checkpoint(digest(REGISTER)).body


def test_409_names_the_size_that_was_cosigned(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    reply = one.add_checkpoint(REGISTER.body(3, 5))
    assert (reply.status, reply.body, reply.media_type) == (409, "0\n", SIZE_TYPE)
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    for old, new in ((0, 5), (0, 9), (4, 9), (3, 5), (7, 9), (0, 3)):
        reply = one.add_checkpoint(REGISTER.body(old, new))
        assert (reply.status, reply.body, reply.media_type) == (409, "5\n", SIZE_TYPE), (old, new)
    assert size(store) == 5


EMPTY = Register(seed=1).checkpoint(0).head
UNPROVED: dict[str, bytes] = {
    "no proof": body(5, [], REGISTER.checkpoint(7).note),
    "a hash too many": body(5, [*REGISTER.consistency(5, 7), bytes(32)], REGISTER.checkpoint(7).note),
    "a hash too few": body(5, REGISTER.consistency(5, 7)[:-1], REGISTER.checkpoint(7).note),
    "another branch's": BRANCH.body(5, 7),
    "another size's": body(5, REGISTER.consistency(4, 7), REGISTER.checkpoint(7).note),
    "of equal sizes": body(5, [bytes(32)], FIVE),
    "another root of this size": BRANCH.body(5, 5),
}


@pytest.mark.parametrize("name", UNPROVED)
def test_422_unless_it_continues(name: str, tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    one.add_checkpoint(REGISTER.body(0, 5))
    assert one.add_checkpoint(UNPROVED[name]).status == 422
    assert size(store) == 5
    assert one.add_checkpoint(REGISTER.body(5, 6)).status == 200


def test_422_from_nothing_with_a_proof_and_for_another_empty_tree(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(body(0, [bytes(32)], FIVE)).status == 422
    false = sign_head(Checkpoint(REGISTER.origin, 0, bytes(32)), REGISTER.signers)
    assert one.add_checkpoint(body(0, [], false)).status == 422
    assert size(store) == -1
    assert (
        one.add_checkpoint(body(0, [], sign_head(Checkpoint(REGISTER.origin, 0, EMPTY_ROOT), REGISTER.signers))).status
        == 200
    )
    assert one.add_checkpoint(body(0, [], false)).status == 422


# ---- what is kept --------------------------------------------------------------------------------


def digest(register: Register) -> str:
    return sha256(register.origin.encode()).hexdigest()


def test_monitors_get_the_newest_checkpoint_with_all_signatures(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    assert one.checkpoint(digest(REGISTER)).status == 404
    for old, new in ((0, 5), (5, 8)):
        lines = one.add_checkpoint(REGISTER.body(old, new)).body
        reply = one.checkpoint(digest(REGISTER))
        assert reply.status == 200
        assert reply.body.endswith(lines)
        opened = open_note(reply.body.encode(), REGISTER.keys)
        assert opened.text == parse_unverified(REGISTER.checkpoint(new).note).text
    for other in (digest(Register(seed=2)), "", "x", digest(REGISTER).upper()):
        assert one.checkpoint(other).status == 404


def test_a_refused_branch_is_kept_whole_and_is_evidence(tmp_path: Path) -> None:
    """Attack: the trainer offers a second branch. The witness's two notes prove it to anybody."""
    folder = made(tmp_path / "w", REGISTER)
    one = folder.witness()
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    assert folder.evidence(REGISTER.origin) is None
    offered = BRANCH.body(5, 5)
    assert one.add_checkpoint(offered).status == 422
    (kept,) = refused(folder.store())
    assert kept.fork
    assert body(5, [], kept.note) == offered
    evidence = folder.evidence(REGISTER.origin)
    assert evidence is not None
    assert decide(evidence, REGISTER.keys).verdict is Verdict.FORK


def test_a_branch_of_an_earlier_size_is_a_fork_too(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    for old, new in ((0, 5), (5, 8)):
        one.add_checkpoint(REGISTER.body(old, new))
    assert one.add_checkpoint(BRANCH.body(0, 5)).status == 409
    (kept,) = refused(store)
    assert (kept.fork, kept.size) == (True, 5)


def test_what_is_no_inconsistency_is_not_kept(tmp_path: Path) -> None:
    """A first request with an old size of 0, and one that was cosigned before."""
    one, store = witness(tmp_path)
    for old, new in ((0, 5), (5, 8)):
        one.add_checkpoint(REGISTER.body(old, new))
    for old, new in ((0, 9), (0, 8), (0, 5)):
        assert one.add_checkpoint(REGISTER.body(old, new)).status == 409
    assert refused(store) == []


def test_refused_notes_are_bounded_and_push_no_fork_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: after a fork was refused, the trainer has any number of others refused."""
    assert MAX_REFUSED >= 1
    most = 3
    monkeypatch.setattr("zk_autograd.witness.store.MAX_REFUSED", most)
    one, store = witness(tmp_path)
    one.add_checkpoint(REGISTER.body(0, 5))
    one.add_checkpoint(BRANCH.body(5, 5))
    for number in range(most + 3):
        assert one.add_checkpoint(body(5, [], BRANCH.checkpoint(6 + number).note)).status == 422
        other = Register(branch=f"-{number}")
        assert one.add_checkpoint(other.body(5, 5)).status == 422
    kept = refused(store)
    assert [one.fork for one in kept].count(True) == [one.fork for one in kept].count(False) == most
    assert kept[0].root == BRANCH.checkpoint(5).head.root
    one.add_checkpoint(BRANCH.body(5, 5))  # the same head, signed again
    assert len(refused(store)) == len(kept)


def test_cosigned_notes_are_bounded_and_the_newest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_COSIGNED >= 1
    monkeypatch.setattr("zk_autograd.witness.store.MAX_COSIGNED", 3)
    one, store = witness(tmp_path)
    for new in range(1, 9):
        assert one.add_checkpoint(REGISTER.body(new - 1, new)).status == 200
    with store.transaction() as transaction:
        assert [transaction.cosigned(REGISTER.origin, n) is not None for n in range(1, 9)] == [False] * 5 + [True] * 3
    assert size(store) == 8


# ---- time ----------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_gives_no_smaller_time_of_any_log(tmp_path: Path) -> None:
    clock, other = Clock(), Register(seed=2)
    one, _ = witness(tmp_path, clock, REGISTER, other)
    one.add_checkpoint(REGISTER.body(0, 5))
    clock.now = NOW - 10_000
    assert times(one.add_checkpoint(REGISTER.body(5, 6)), REGISTER.checkpoint(6)) == (NOW, NOW)
    assert times(one.add_checkpoint(other.body(0, 2)), other.checkpoint(2)) == (NOW, NOW)
    clock.now = NOW + 1.9
    assert times(one.add_checkpoint(other.body(2, 2)), other.checkpoint(2)) == (NOW + 1, NOW + 1)


def test_nothing_is_cosigned_before_the_clock_is_set(tmp_path: Path) -> None:
    """Attack: a machine that boots in 1970 would vouch that the tree was there then."""
    clock = Clock(3.0)
    one, store = witness(tmp_path, clock)
    with pytest.raises(StorageError, match="clock is not set"):
        one.add_checkpoint(REGISTER.body(0, 5))
    assert size(store) == -1
    clock.now = EARLIEST
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200


# ---- any order, any number, any crash ------------------------------------------------------------


class Asking(RuleBasedStateMachine):
    """Honest and hostile requests in any order, and restarts: what was cosigned is one branch, and
    never gets smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.one, self.store = witness(self.path)
        self.largest = -1
        self.heads: dict[int, bytes] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.path)

    @rule(
        register=st.sampled_from([REGISTER, BRANCH, Register(branch="x", fork_at=2)]),
        old=st.integers(0, 12),
        new=st.integers(0, 12),
    )
    def ask(self, register: Register, old: int, new: int) -> None:
        reply = self.one.add_checkpoint(register.body(old, new))
        if reply.status == 200:
            head = register.checkpoint(new).head
            times(reply, register.checkpoint(new))
            assert new >= self.largest
            assert self.heads.setdefault(new, head.root) == head.root
            self.largest = new
            # Whatever was cosigned before is a prefix of what is now.
            roots = prefix_roots(register.hashes(new), set(self.heads))
            assert all(roots[size] == root for size, root in self.heads.items())
        else:
            assert reply.status in (400, 409, 422)

    @rule()
    def restart(self) -> None:
        self.store = Store(self.path / "witness.sqlite")
        self.one = Witness(self.store, [OWN.ed25519, OWN.mldsa44], Clock())

    @invariant()
    def keeps_the_largest(self) -> None:
        assert size(self.store) == self.largest


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


@given(data=st.binary(max_size=300) | st.binary(max_size=60).map(lambda b: body(0, [], FIVE)[:40] + b))
@settings(deadline=None)
def test_any_bytes_get_an_answer(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    one, _ = witness(tmp_path_factory.mktemp("w"))
    assert one.add_checkpoint(data).status in (400, 403, 404)


def race(witnesses: Sequence[Witness], registers: Sequence[Register], clients: int = 16) -> list[tuple[str, int]]:
    """Clients that ask at once, each for a branch and growing sizes; what was cosigned, by branch
    and size."""
    given_out: list[tuple[str, int]] = []
    barrier = threading.Barrier(clients)

    def ask(number: int) -> None:
        one, register = witnesses[number % len(witnesses)], registers[number % len(registers)]
        old = 0
        barrier.wait()
        for new in (5, 6, 7, 8):
            for _ in range(20):
                reply = one.add_checkpoint(register.body(min(old, new), new))
                if reply.status == 409 and int(reply.body) <= new:
                    old = int(reply.body)
                    continue
                if reply.status == 200:
                    given_out.append((register.branch, new))
                break

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given_out


def test_of_16_clients_with_two_branches_one_branch_survives(tmp_path: Path) -> None:
    """Two witnesses on one database, too."""
    one, store = witness(tmp_path)
    two = Witness(Store(tmp_path / "witness.sqlite"), [OWN.ed25519, OWN.mldsa44], Clock())
    found = race([one, two, two], [REGISTER, Register(branch="'")])
    assert len({branch for branch, _ in found}) == 1
    assert size(store) == max(new for _, new in found) == 8


class Deadly:
    """A cosigner at whose first or second call the process is killed."""

    def __init__(self, inner: Cosigner, after: bool) -> None:
        self._inner = inner
        self._after = after

    @property
    def public_key(self) -> CosignerKey:
        return self._inner.public_key

    def cosign(self, text: str, time: int) -> bytes:
        made = self._inner.cosign(text, time)
        if not self._after:
            os.kill(os.getpid(), 9)
        return made


@forking
@pytest.mark.parametrize("where", ["before the cosignature", "before the commit", "before the answer"])
def test_killed_between_check_and_answer_the_size_never_goes_back(where: str, tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        dying = Witness(
            Store(tmp_path / "witness.sqlite"), [Deadly(OWN.ed25519, where != "before the cosignature")], Clock()
        )
        if where == "before the commit":
            add = "zk_autograd.witness.store.Transaction.add_cosigned"
            monkey = pytest.MonkeyPatch()
            kept = Transaction.add_cosigned

            def killed(self: Transaction, *arguments: object) -> None:
                kept(self, *arguments)  # type: ignore[arg-type]
                os.kill(os.getpid(), 9)

            monkey.setattr(add, killed)
        reply = dying.add_checkpoint(REGISTER.body(5, 7))
        if where == "before the answer":
            os.kill(os.getpid(), 9)
        os.write(writing, reply.body.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b""
    assert os.waitpid(child, 0)[1] == 9
    assert size(store) == (7 if where == "before the answer" else 5)
    # Whichever it was, the other branch gets nothing, and the honest log goes on.
    assert one.add_checkpoint(BRANCH.body(5, 7)).status in (409, 422)
    assert one.add_checkpoint(REGISTER.body(size(store), 8)).status == 200


def test_where_the_disk_refuses_nothing_is_cosigned(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    connection = sqlite3.connect(tmp_path / "witness.sqlite")
    connection.execute("create trigger full before insert on cosigned begin select raise(abort, 'disk is full'); end")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="can't be used: disk is full"):
        one.add_checkpoint(REGISTER.body(0, 5))


# ---- folders and databases -----------------------------------------------------------------------


def test_a_witness_s_own_key_is_no_log_s(tmp_path: Path) -> None:
    """Attack: who gets a witness to know its own key as a log's could sign in its name."""
    folder = made(tmp_path / "w")
    seed = (folder.path / "witness.key").read_text().split("ed25519: ")[1].split("\n")[0]
    own = Ed25519Signer("log.example", base64.b64decode(seed)).public_key
    with pytest.raises(UsageError, match="is a key of the witness itself"):
        folder.witness().add_log(Log("log.example", (own,)))
    with folder.store().transaction() as transaction:
        transaction.add_log(Log("log.example", (own,)))
    with pytest.raises(UsageError, match="is a key of the witness itself"):
        folder.witness()


def test_a_witness_named_by_a_relative_path_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = made(Path("w"), REGISTER).witness()
    monkeypatch.chdir("/")
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200


def test_a_log_is_added_once(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        one.add_log(Log(REGISTER.origin, (REGISTER.keys[0],)))


def test_a_missing_database_is_never_begun_again(tmp_path: Path) -> None:
    folder = made(tmp_path / "w", REGISTER)
    (folder.path / "witness.sqlite").unlink()
    for use in (folder.witness, folder.store, lambda: Folder(tmp_path / "none").store()):
        with pytest.raises(UsageError, match=r"there is no database .*bring it back from the newest copy"):
            use()
    assert not (folder.path / "witness.sqlite").exists()
    with pytest.raises(UsageError, match="a key is never overwritten"):
        folder.create("witness.example/again")


@pytest.mark.parametrize("data", [b"", b"hello" * 1000])
def test_another_file_is_no_database(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises((UsageError, StorageError), match=r"is no database of a witness|not a database"):
        Store(tmp_path / "x")


def test_a_checkpoint_s_text_is_what_is_cosigned(tmp_path: Path) -> None:
    one, _ = witness(tmp_path)
    lines = parse_signatures(one.add_checkpoint(REGISTER.body(0, 5)).body, 2)
    head = REGISTER.checkpoint(5).head
    text = checkpoint_text(head.origin, head.size, head.root)
    assert [key.verify(text, line.signature) for key, line in zip(OWN.keys, lines, strict=True)] == [NOW, NOW]


def test_signatures_are_verified_while_others_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: requests that nobody signed, whose verification would hold the database's only
    lock."""
    one, _ = witness(tmp_path)
    free: list[bool] = []

    def watched(note: bytes, keys: Sequence[object]) -> object:
        with contextlib.closing(sqlite3.connect(tmp_path / "witness.sqlite", timeout=0)) as other:
            try:
                other.execute("begin immediate")
                free.append(True)
            except sqlite3.OperationalError:
                free.append(False)
        return open_note(note, keys)  # type: ignore[arg-type]

    monkeypatch.setattr("zk_autograd.witness.judging.open_note", watched)
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    assert free == [True]


def test_a_database_that_is_brought_back_under_a_running_witness_is_told(tmp_path: Path) -> None:
    """Attack: an operator restores a copy while the server runs, and the other branch is sent. The
    process still knows what it cosigned."""
    one, _ = witness(tmp_path)
    path = tmp_path / "witness.sqlite"
    assert one.add_checkpoint(REGISTER.body(0, 5)).status == 200
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    assert one.add_checkpoint(REGISTER.body(5, 8)).status == 200
    newest = path.read_bytes()
    shutil.copy(copy, path)
    digest = sha256(REGISTER.origin.encode()).hexdigest()
    told = r"an older copy: .* cosigned 8 .*holds 5.*make a new witness"
    with pytest.raises(StorageError, match=told):
        one.add_checkpoint(BRANCH.body(5, 8))
    with pytest.raises(StorageError, match=told):
        one.checkpoint(digest)
    path.write_bytes(newest)
    assert one.add_checkpoint(REGISTER.body(8, 9)).status == 200


def test_a_database_with_another_root_for_what_was_cosigned_is_told(tmp_path: Path) -> None:
    one, store = witness(tmp_path)
    path = tmp_path / "witness.sqlite"
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    assert one.add_checkpoint(REGISTER.body(0, 8)).status == 200
    shutil.copy(copy, path)
    assert Witness(store, [OWN.ed25519], Clock()).add_checkpoint(BRANCH.body(0, 8)).status == 200
    with pytest.raises(StorageError, match=r"an older copy"):
        one.add_checkpoint(BRANCH.body(8, 9))
