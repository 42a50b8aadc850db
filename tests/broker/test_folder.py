"""A broker's folder: made whole, one broker's at a time, and never an older one than its checkpoint
says."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.broker.brokers import RUN, Enclave, Place, nonce_of, random_nonce
from tests.witness.witnesses import body, made
from zk_autograd.broker.decision import Decision, is_broker_key
from zk_autograd.broker.folder import Folder
from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import EMPTY_ROOT, leaf_hash
from zk_autograd.core.note import open_note, parse_checkpoint, parse_unverified
from zk_autograd.witness.folder import Folder as WitnessFolder
from zk_autograd.witness.store import Log


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def witness_notes(path: Path, origin: str) -> list[bytes]:
    """What a witness keeps of a log: what it cosigned, and what it refused."""
    with WitnessFolder(path).store().transaction(writing=False) as transaction:
        return transaction.notes(origin)


def decided(place: Place, number: int = 1) -> None:
    with place.opened() as broker:
        for _ in range(number):
            broker.release(Enclave().request(RUN, random_nonce()))


def test_a_new_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "state")
    key = folder.signer.public_key
    assert is_broker_key(key)
    assert PublicKey.parse((folder.path / "broker.key.pub").read_text().strip()) == key
    assert (folder.path / "broker.key").stat().st_mode & 0o777 == 0o600
    head = parse_checkpoint(open_note((folder.path / "checkpoint").read_bytes(), [key]).text)
    assert (head.origin, head.size, head.root) == (folder.origin, 0, EMPTY_ROOT)
    folder.close()
    again = Folder(tmp_path / "new" / "state")
    assert again.signer.public_key == key
    again.close()
    other = Folder(tmp_path / "other")
    assert other.signer.public_key != key
    other.close()


def test_one_broker_at_a_time(place: Place) -> None:
    """Two would each count the releases that they made themselves."""
    with place.opened(), pytest.raises(RunError, match="another broker uses"):
        Folder(place.state)
    Folder(place.state).close()


def test_an_older_database_is_refused(place: Place, tmp_path: Path) -> None:
    """Attack: whoever can bring back yesterday's database has today's release forgotten, and would
    be released the key again."""
    with place.opened() as broker:
        nonce = nonce_of(broker)
        spare = nonce_of(broker)
    old = tmp_path / "old.sqlite"
    shutil.copyfile(place.state / "broker.sqlite", old)
    with place.opened() as broker:
        assert broker.release(Enclave().request(RUN, nonce))[0].granted
    shutil.copyfile(old, place.state / "broker.sqlite")
    with pytest.raises(RunError, match=r"older copy.*0 decisions.*covers 1"):
        Folder(place.state)
    # What it would have meant: with the older checkpoint as well, nobody here can know.
    (place.state / "checkpoint").write_bytes(sqlite3.connect(old).execute("select note from head").fetchone()[0])
    with place.opened() as broker:
        assert broker.release(Enclave().request(RUN, spare))[0].granted


def test_a_witness_of_the_log_knows_of_a_folder_that_was_exchanged_as_a_whole(place: Place, tmp_path: Path) -> None:
    """Attack: the whole folder as it was before the release. The broker can't know; who had its
    checkpoint cosigned does."""
    with place.opened() as broker:
        nonces = [nonce_of(broker) for _ in range(2)]
        key = broker.key
    shutil.copytree(place.state, tmp_path / "old")
    witness = made(tmp_path / "witness").witness()
    witness.add_log(Log(key.name, (key,)))
    for expected in (200, 409):
        with place.opened() as broker:
            assert broker.release(Enclave().request(RUN, nonces.pop()))[0].granted
            assert witness.add_checkpoint(body(0, [], broker.checkpoint())).status == expected
        shutil.rmtree(place.state)
        shutil.copytree(tmp_path / "old", place.state)
    assert len(notes := witness_notes(tmp_path / "witness", key.name)) == 2
    assert len({parse_checkpoint(parse_unverified(note).text).root for note in notes}) == 2


def test_another_branch_is_refused(place: Place, tmp_path: Path) -> None:
    decided(place)
    old = tmp_path / "old.sqlite"
    shutil.copyfile(place.state / "broker.sqlite", old)
    decided(place)
    note = (place.state / "checkpoint").read_bytes()
    shutil.copyfile(old, place.state / "broker.sqlite")
    (place.state / "checkpoint").write_bytes(sqlite3.connect(old).execute("select note from head").fetchone()[0])
    decided(place)
    (place.state / "checkpoint").write_bytes(note)
    with pytest.raises(RunError, match="older copy, or another's"):
        Folder(place.state)


def test_an_older_database_under_a_broker_that_runs_is_refused(place: Place, tmp_path: Path) -> None:
    decided(place)
    with place.opened() as broker:
        nonce = nonce_of(broker)
        shutil.copyfile(place.state / "broker.sqlite", tmp_path / "old.sqlite")
        broker.release(Enclave().request(RUN, random_nonce()))
        shutil.copyfile(tmp_path / "old.sqlite", place.state / "broker.sqlite")
        with pytest.raises(StorageError, match="older copy"):
            broker.release(Enclave().request(RUN, nonce))


def test_another_branch_under_a_broker_that_runs_is_refused(place: Place, tmp_path: Path) -> None:
    """Attack: the older database, and as many refusals after it as the newer one has decisions: the
    size says nothing then, and the release in between is forgotten."""
    decided(place)
    shutil.copytree(place.state, tmp_path / "other")
    with place.opened() as broker:
        nonces = [nonce_of(broker) for _ in range(2)]
        assert broker.release(Enclave().request(RUN, nonces[0]))[0].granted
        ours, place.path = place.state, tmp_path / "beside"
        place.path.mkdir()
        for name in ("policy.toml", "jobs", "kek"):
            (place.path / name).symlink_to(ours.parent / name)
        shutil.move(tmp_path / "other", place.state)
        decided(place, 2)
        shutil.copyfile(place.state / "broker.sqlite", ours / "broker.sqlite")
        with pytest.raises(StorageError, match="older copy"):
            broker.release(Enclave().request(RUN, nonces[1]))


def test_a_decision_is_on_the_disk_when_it_is_made(place: Place) -> None:
    """`extra`, 3, also syncs the folder once the journal is gone: a release outlives the power."""
    with place.opened() as broker, broker._folder.store._connected() as connection:
        assert connection.execute("pragma synchronous").fetchone() == (3,)


def test_a_checkpoint_that_is_behind_is_written_anew(place: Place) -> None:
    """As after a crash between database and checkpoint."""
    decided(place)
    old = (place.state / "checkpoint").read_bytes()
    decided(place)
    newest = (place.state / "checkpoint").read_bytes()
    assert old != newest
    (place.state / "checkpoint").write_bytes(old)
    decided(place, 0)
    assert (place.state / "checkpoint").read_bytes() == newest


@pytest.mark.parametrize("name", ["broker.key", "broker.sqlite", "checkpoint"])
def test_a_missing_part_is_not_made_anew(name: str, place: Place) -> None:
    decided(place)
    (place.state / name).unlink()
    with pytest.raises((UsageError, RunError), match=r"bring (it|its folder) back"):
        Folder(place.state)
    assert not (place.state / name).exists()


ALTERED = [
    "update decisions set granted = 0",
    "update decisions set granted = 1",
    "update decisions set run = zeroblob(16)",
    "update decisions set leaf = replace(leaf, 'released', 'refused!')",
    "update decisions set leaf = cast('{}' as blob)",
    "delete from decisions where position = 1",
    "delete from decisions where position = 2",
    "delete from decisions",
    "update nodes set hash = zeroblob(32) where level = 0 and position = 1",
    "update nodes set hash = zeroblob(32) where level = 1",
    "delete from nodes where level = 0 and position = 2",
    "delete from head",
    "update head set note = zeroblob(9)",
]


@pytest.mark.parametrize("statement", ALTERED)
def test_an_altered_log_is_refused(statement: str, place: Place) -> None:
    with place.opened() as broker:
        for _ in range(3):
            broker.release(Enclave().request(RUN, nonce_of(broker)))
    with sqlite3.connect(place.state / "broker.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(RunError, match=r"altered or damaged|older copy"):
        Folder(place.state)


def test_a_release_that_was_made_undone_with_its_hash_is_refused(place: Place) -> None:
    """Attack: the row, the leaf and the leaf's hash say that nothing was released; only the root
    over all of them still knows."""
    with place.opened() as broker:
        broker.release(Enclave().request(RUN, nonce_of(broker)))
        broker.release(Enclave().request(RUN, random_nonce()))
        (leaf, _) = broker.entries(0, 2)
    undone = replace(Decision.parse(leaf), granted=False, release=0).encode()
    with sqlite3.connect(place.state / "broker.sqlite") as connection:
        connection.execute("update decisions set granted = 0, leaf = ? where position = 0", (undone,))
        connection.execute("update nodes set hash = ? where level = 0 and position = 0", (leaf_hash(undone),))
    connection.close()
    with pytest.raises(RunError, match="altered or damaged"):
        Folder(place.state)


CHANGED: dict[str, Callable[[Path], object]] = {
    "is no broker's key": lambda path: path.write_bytes(b"x" * 9),
    "can be read by others": lambda path: path.chmod(0o644),
    "there is no broker's key": lambda path: path.unlink(),
}


@pytest.mark.parametrize("message", CHANGED)
def test_a_key_that_is_none(message: str, place: Place) -> None:
    decided(place)
    CHANGED[message](place.state / "broker.key")
    with pytest.raises(UsageError, match=message):
        Folder(place.state)


def test_a_folder_that_others_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UsageError, match="exchanged by others"):
        Folder(tmp_path / "open")


def test_a_database_of_something_else_is_refused(place: Place) -> None:
    decided(place)
    (place.state / "broker.sqlite").unlink()
    sqlite3.connect(place.state / "broker.sqlite").execute("create table a (b)").connection.close()
    with pytest.raises(UsageError, match="no database of a broker"):
        Folder(place.state)
