"""The register as one process has it: entries, views, and what is refused."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forks import forking, in_child
from tests.register.registers import KEYS, ORIGIN, OTHERS, SIGNERS, entries, entry, filled, run_id, set_trap
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import RunError, StorageError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import consistency_proof, leaf_hash, root
from zk_autograd.core.note import open_note
from zk_autograd.core.register import View, renamed, sign_head
from zk_autograd.register.database import DATABASE
from zk_autograd.register.recovery import salvage
from zk_autograd.register.register import Register


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "register"


def altered(folder: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """The file, changed by hand."""
    with sqlite3.connect(folder / DATABASE) as connection:
        for statement in statements:
            assert connection.execute(statement, values).rowcount
    connection.close()


# ---- entries and views -------------------------------------------------------------------------


def test_each_view_holds_for_whoever_pinned_the_keys(folder: Path) -> None:
    before: Checkpoint | None = None
    with Register.begin(folder, SIGNERS) as register:
        assert register.origin == ORIGIN
        assert register.checkpoint.head == Checkpoint(ORIGIN, 0, root([]))
        for number, one in enumerate(entries(40)):
            view = register.enter(one, before.size if before else 0)
            assert (view.index, view.entry) == (number, one)
            before = View.parse(view.encode()).verify(ORIGIN, before, KEYS)
            assert before.size == number + 1
    with Register(folder, SIGNERS) as register:
        leaves = [one.encode() for one in entries(40)]
        assert register.entries(0, 40) == leaves
        assert register.entries(7, 9) == leaves[7:9]
        assert register.checkpoint.head.root == root([leaf_hash(leaf) for leaf in leaves])
        for size1 in range(41):
            assert register.root_at(size1) == root([leaf_hash(leaf) for leaf in leaves[:size1]])
            hashes = [leaf_hash(leaf) for leaf in leaves]
            assert register.consistency(size1, 40) == consistency_proof(hashes, size1, 40)


def test_an_entry_that_is_the_newest_is_entered_once(folder: Path) -> None:
    with filled(folder, 1) as register:
        again = register.enter(entry(0, 1))
        assert (again.index, again.head.size) == (0, 1)
        register.enter(entry(1, 1))
        assert (register.enter(entry(0, 1)).index, register.checkpoint.head.size) == (0, 2)


def test_a_view_of_an_older_entry_is_under_the_newest_checkpoint(folder: Path) -> None:
    with filled(folder, 20) as register:
        for since in range(21):
            view = register.view(run_id(1), since)
            before = None if since == 0 else Checkpoint(ORIGIN, since, register.root_at(since))
            assert view.verify(ORIGIN, before, KEYS).size == 20
            assert view.entry == entries(20)[view.index] == entry(1, 5, close=True)
        with pytest.raises(RunError, match="no entry of the run"):
            register.view(run_id(99))
        with pytest.raises(RunError, match="restored from an old copy"):
            register.view(run_id(1), 21)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (entry(7, 5), "was never begun in this register"),
        (entry(0, 1, branch=1), "was begun before"),
        (entry(0, 2), "another branch of it, or an old copy"),
        (entry(0, 3, branch=1), "another branch of it, or an old copy"),
        (entry(1, 6), "was closed, with 5 records"),
        (entry(1, 5), "was closed"),
    ],
)
def test_what_no_honest_run_enters_is_refused(folder: Path, one: object, why: str) -> None:
    with filled(folder, 1) as register:
        register.enter(entry(0, 3))
        register.enter(entry(1, 1))
        register.enter(entry(1, 5, close=True))
        with pytest.raises(RunError, match=why):
            register.enter(one)  # type: ignore[arg-type]
        assert register.checkpoint.head.size == 4
        register.enter(entry(0, 4))
        assert register.checkpoint.head.size == 5


def test_two_trainers_with_one_run_id(folder: Path) -> None:
    """A copy of the run went on, and its trainer entered more records than this one has."""
    with filled(folder, 1) as register:
        register.enter(entry(0, 3), 0, entry(0, 1))
        with pytest.raises(RunError, match="a copy of the run goes on elsewhere"):
            register.enter(entry(0, 5), 0, entry(0, 1))
        assert register.newest_of(run_id(0)) == entry(0, 3)
        register.enter(entry(0, 5), 0, entry(0, 3))
        assert register.newest_of(run_id(1)) is None


def test_a_checkpoint_may_be_the_close_s(folder: Path) -> None:
    with filled(folder, 1) as register:
        register.enter(entry(0, 5))
        register.enter(entry(0, 5, close=True))
        assert register.checkpoint.head.size == 3


# ---- opening -----------------------------------------------------------------------------------


def test_a_missing_register_is_refused_and_never_begun(folder: Path) -> None:
    with pytest.raises(UsageError, match="begin it with `zk-register begin`"):
        Register(folder, SIGNERS)
    with pytest.raises(UsageError, match="begin it with `zk-register begin`"):
        Register.read(folder)
    assert not folder.exists()


def test_begun_once(folder: Path) -> None:
    Register.begin(folder, SIGNERS).close()
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(UsageError, match="already"):
        Register.begin(folder, SIGNERS)
    assert (folder / DATABASE).read_bytes() == before
    assert os.listdir(folder) == [DATABASE]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("left", ["anchors.jsonl", "public/checkpoint"])
def test_not_begun_anew_where_one_was_lost(folder: Path, left: str) -> None:
    (folder / left).parent.mkdir(parents=True)
    (folder / left).write_bytes(b"{}\n")
    with pytest.raises(UsageError, match="zk-register recover --from"):
        Register.begin(folder, SIGNERS)
    assert not (folder / DATABASE).exists()


def test_another_key_s(folder: Path) -> None:
    filled(folder, 2).close()
    with pytest.raises(UsageError, match="another key's"):
        Register(folder, OTHERS)
    with pytest.raises(UsageError, match="another key's"):
        Register.read(folder, [signer.public_key for signer in OTHERS])


def test_read_alone(folder: Path) -> None:
    filled(folder, 5).close()
    for keys in ((), KEYS):
        with Register.read(folder, keys) as register:
            assert (register.origin, register.checkpoint.head.size) == (ORIGIN, 5)
            assert register.view(run_id(0)).verify(ORIGIN, None, KEYS).size == 5
            with pytest.raises(UsageError, match="takes no entry"):
                register.enter(entry(0, 3))


def test_a_folder_that_others_write_to_is_refused(folder: Path) -> None:
    filled(folder, 1).close()
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="can be exchanged by others"):
        Register(folder, SIGNERS)
    with pytest.raises(UsageError, match="can be exchanged by others"):
        Register.begin(folder / "new", SIGNERS)


def test_a_folder_that_can_t_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no register can be made"):
        Register.begin(tmp_path / "file" / "register", SIGNERS)


def test_an_upgraded_key_signs_its_own_register_anew(folder: Path) -> None:
    """A file of one Ed25519 key got an ML-DSA-44 key beside it: the register is the same, and a
    view of it is signed by both."""
    with Register.begin(folder, SIGNERS[:1]) as register:
        register.enter(entry(0, 1))
        with pytest.raises(VerificationError, match="not signed by the key"):
            register.view(run_id(0)).verify(ORIGIN, None, KEYS)
    with Register(folder, SIGNERS) as register:
        assert register.view(run_id(0)).verify(ORIGIN, None, KEYS).size == 1
    with Register(folder, SIGNERS[:1]) as register:
        assert register.view(run_id(0)).verify(ORIGIN, None, KEYS).size == 1


@forking
def test_not_across_a_fork(folder: Path) -> None:
    with filled(folder, 1) as register:
        assert "open it anew" in in_child(lambda: register.enter(entry(0, 2)))
        register.enter(entry(0, 2))
        assert register.checkpoint.head.size == 2


# ---- altered by hand ---------------------------------------------------------------------------

FOREIGN = sign_head(Checkpoint(ORIGIN, 20, root([leaf_hash(one.encode()) for one in entries(20)])), OTHERS)
ALTERED: dict[str, tuple[str, tuple[object, ...]]] = {
    "the last entry is missing": ("delete from entries where position = 19", ()),
    "an entry too many": ("insert into entries select 20, run, leaf from entries where position = 19", ()),
    "a hash of the tree": ("update nodes set hash = zeroblob(32) where level = 4 and position = 0", ()),
    "a short hash": ("update nodes set hash = x'00' where level = 4 and position = 0", ()),
    "a hash is missing": ("delete from nodes where level = 4 and position = 0", ()),
    "a note of others": ("update head set note = ?", (FOREIGN,)),
    "no note": ("delete from head", ()),
    "a note that is none": ("update head set note = x'00'", ()),
    "a note that is a text": ("update head set note = 'note'", ()),
    "another origin": ("update head set origin = 'zk-autograd/register/' || substr(origin, 23) || '0'", ()),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_file_is_refused_at_once(folder: Path, name: str) -> None:
    filled(folder, 20).close()
    altered(folder, ALTERED[name][0], values=ALTERED[name][1])
    with pytest.raises((RunError, UsageError), match=r"altered or damaged|another key's"):
        Register(folder, SIGNERS)
    if name != "another origin":
        with pytest.raises(RunError, match="zk-register recover"):
            Register.read(folder, KEYS)


def test_an_older_note_over_newer_entries_is_refused(folder: Path) -> None:
    with filled(folder, 10) as register:
        older = register.checkpoint.note
        register.enter(entries(11)[10])
    altered(folder, "update head set note = ?", values=(older,))
    with pytest.raises(RunError, match="it has 11 entries, and its newest checkpoint covers 10"):
        Register(folder, SIGNERS)


@pytest.mark.parametrize(
    "act",
    [
        lambda register: register.entries(0, 15),
        lambda register: register.view(run_id(0)),
        lambda register: register.enter(entry(0, 9)),
    ],
    ids=["entries", "view", "enter"],
)
def test_an_altered_leaf_is_never_given_away(folder: Path, act: Callable[[Register], object]) -> None:
    """The first run's newest entry says another root: its hash in the tree is another."""
    filled(folder, 15).close()
    other = entry(0, 5, close=True, branch=1).encode()
    altered(folder, "update entries set leaf = ? where position = 12", values=(other,))
    with (
        Register(folder, SIGNERS) as register,
        pytest.raises(RunError, match="entry 12 is not the one that was entered"),
    ):
        act(register)
    altered(folder, "update nodes set hash = ? where level = 0 and position = 12", values=(leaf_hash(other),))
    with Register(folder, SIGNERS) as register, pytest.raises(RunError):
        register.view(run_id(0))


def test_an_entry_that_was_given_to_another_run_is_noticed(folder: Path) -> None:
    filled(folder, 3).close()
    altered(folder, "update entries set run = ? where position = 1", values=(run_id(0),))
    with Register(folder, SIGNERS) as register, pytest.raises(RunError, match="of another run than its row says"):
        register.view(run_id(0))


@pytest.mark.parametrize("content", [b"", b"no database", bytes(5000)])
def test_a_file_that_is_no_register(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / DATABASE).write_bytes(content)
    with pytest.raises(RunError, match="altered or damaged"):
        Register(folder, SIGNERS)
    assert (folder / DATABASE).read_bytes() == content


def test_a_register_of_a_later_version(folder: Path) -> None:
    filled(folder, 1).close()
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("pragma user_version = 2")
    connection.close()
    with pytest.raises(UsageError, match="is of version 2"):
        Register(folder, SIGNERS)


def test_one_that_was_moved_away_while_open_signs_nothing(folder: Path) -> None:
    with filled(folder, 2) as register:
        (folder / DATABASE).rename(folder / "old")
        with pytest.raises(RunError, match="moved or replaced while it was open"):
            register.enter(entry(0, 2))
        filled(folder, 5).close()
        with pytest.raises(RunError, match="moved or replaced while it was open"):
            register.enter(entry(0, 2))


def test_a_closed_one(folder: Path) -> None:
    register = filled(folder, 1)
    register.close()
    with pytest.raises(RunError, match="was closed"):
        register.enter(entry(0, 2))


def test_notes_are_whole(folder: Path) -> None:
    with filled(folder, 3) as register:
        checkpoint = register.checkpoint
    keys: list[PublicKey] = renamed(KEYS, ORIGIN)
    assert open_note(checkpoint.note, keys).keys == tuple(keys)
    assert SignedCheckpoint.parse(checkpoint.note) == checkpoint


def test_a_file_in_use_for_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_autograd.register.database.BUSY_SECONDS", 0.05)
    with filled(folder, 1) as register, sqlite3.connect(folder / DATABASE, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(StorageError, match="another process kept it"):
            register.enter(entry(0, 2))
        other.execute("rollback")
        register.enter(entry(0, 2))
    other.close()


# ---- a file that a stranger made ---------------------------------------------------------------


def test_a_journal_that_names_another_one_deletes_nothing(folder: Path, tmp_path: Path) -> None:
    """Whoever opened such a register, to list it or to recover one, would lose the file."""
    filled(folder, 3).close()
    (victim := tmp_path / "thesis.txt").write_text("years of work")
    set_trap(folder, victim)
    with pytest.raises(RunError, match="journal beside it"):
        Register.read(folder, KEYS)
    assert salvage(folder, KEYS) is None
    assert victim.exists()


@pytest.mark.parametrize("left", [b"", b"short", bytes(512), bytes.fromhex("d9d505f920a163d7") + bytes(504)])
def test_a_journal_of_its_own_is_no_fault(folder: Path, left: bytes) -> None:
    filled(folder, 3).close()
    (folder / f"{DATABASE}-journal").write_bytes(left)
    with Register.read(folder, KEYS) as register:
        assert register.checkpoint.head.size == 3


@pytest.mark.parametrize(
    "statements",
    [
        ["alter table head rename to kept", "create view head as select * from kept"],
        ["create view more as with recursive c(x) as (select 1 union all select x + 1 from c) select x from c"],
        ["create trigger t after insert on entries begin delete from entries where position < new.position; end"],
        ["create table more (x)"],
        ["drop index entries_run"],
        ["alter table entries add column more"],
    ],
)
def test_a_file_with_other_tables_is_no_register(folder: Path, statements: list[str]) -> None:
    """A view in a table's place computes without end, and a trigger changes what is entered."""
    filled(folder, 3).close()
    altered(folder, *statements)
    with pytest.raises(RunError, match="its tables are not a register's"):
        Register.read(folder, KEYS)
    with pytest.raises(RunError, match="its tables are not a register's"):
        Register(folder, SIGNERS)


def test_the_file_is_its_owners_alone_whatever_the_mask(folder: Path) -> None:
    before = os.umask(0)
    try:
        filled(folder, 1).close()
    finally:
        os.umask(before)
    assert (folder / DATABASE).stat().st_mode & 0o777 == 0o600
