"""What a broker keeps, in SQLite: its decisions with their Merkle tree, and the nonces that it
gave.

    decisions   position, run, granted, leaf
    nodes       the roots of perfect subtrees (core.stored_tree)
    nonces      nonce, run, until when it lasts, and whether it was used
    head        the newest signed checkpoint

A transaction takes the database's only lock for writing before it reads, so of any number of
threads one decides after the other; and it is on the disk when it ends (`synchronous = extra`: a
key that was released and then forgotten would be released again).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from zk_autograd.broker.decision import Decision
from zk_autograd.core.errors import RunError, StorageError, UsageError, VerificationError
from zk_autograd.core.merkle import leaf_hash
from zk_autograd.core.stored_tree import grown, root_of

_WAIT = 10.0
"""Seconds for the lock."""

_APPLICATION = 0x7A6B6272
"""What the file's header says that it is: "zkbr"."""
_VERSION = 1
_SCHEMA = f"""
pragma application_id = {_APPLICATION};
pragma user_version = {_VERSION};
create table decisions (position integer primary key, run blob not null, granted integer not null, leaf blob not null);
create index decisions_run on decisions (run, granted);
create table nodes (level integer, position integer, hash blob not null, primary key (level, position)) without rowid;
create table nonces (nonce blob primary key, run blob not null, until integer not null, used integer not null);
create index nonces_run on nonces (run, until);
create table head (one integer primary key check (one = 1), note blob not null);
"""


class Transaction:
    """What is read and written while nobody else writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def size(self) -> int:
        """How many decisions there are."""
        (last,) = self._connection.execute("select max(position) from decisions").fetchone()
        return 0 if last is None else int(last) + 1

    def root(self, size: int) -> bytes:
        return root_of(self.node, size)

    def node(self, level: int, position: int) -> bytes:
        """core.stored_tree.Nodes. RunError if it is missing."""
        row = self._connection.execute(
            "select hash from nodes where level = ? and position = ?", (level, position)
        ).fetchone()
        if row is None:
            raise damaged(f"a hash of its tree is missing, at level {level}, {position}")
        return bytes(row[0])

    def leaves(self, first: int, end: int) -> list[bytes]:
        """The decisions' bytes. RunError if they aren't those of the tree, or of their rows, by
        which releases are counted."""
        rows = self._connection.execute(
            "select run, granted, leaf from decisions where position >= ? and position < ? order by position",
            (first, end),
        ).fetchall()
        if len(rows) != end - first:
            raise damaged(f"decisions from {first} on are missing")
        found = []
        for position, (run, granted, leaf) in enumerate(rows, first):
            if type(leaf) is not bytes or leaf_hash(leaf) != self.node(0, position):
                raise damaged(f"decision {position} was altered")
            try:
                decision = Decision.parse(leaf)
            except VerificationError as error:
                raise damaged(f"decision {position}: {error}") from error
            if (run, granted) != (decision.run, int(decision.granted)):
                raise damaged(f"the row of decision {position} says something else than the decision")
            found.append(leaf)
        return found

    def append(self, decision: Decision) -> int:
        """Puts a decision after the others; gives its position."""
        position, leaf = self.size(), decision.encode()
        row = (position, decision.run, decision.granted, leaf)
        self._connection.execute("insert into decisions values (?, ?, ?, ?)", row)
        rows = list(grown(self.node, position, leaf_hash(leaf)))
        self._connection.executemany("insert into nodes values (?, ?, ?)", rows)
        return position

    def releases(self, run: bytes) -> list[int]:
        """The positions of the decisions that granted the run's key."""
        rows = self._connection.execute(
            "select position from decisions where run = ? and granted order by position", (run,)
        )
        return [position for (position,) in rows]

    def note(self) -> bytes:
        """The newest checkpoint. RunError if there is none."""
        row = self._connection.execute("select note from head").fetchone()
        if row is None:
            raise damaged("it has no checkpoint")
        return bytes(row[0])

    def set_note(self, note: bytes) -> None:
        self._connection.execute("insert or replace into head values (1, ?)", (note,))

    def nonce(self, nonce: bytes) -> tuple[bytes, int, bool] | None:
        """The run that a nonce was given for, until when it lasts, and whether it was used."""
        row = self._connection.execute("select run, until, used from nonces where nonce = ?", (nonce,)).fetchone()
        return None if row is None else (bytes(row[0]), int(row[1]), bool(row[2]))

    def add_nonce(self, nonce: bytes, run: bytes, until: int) -> None:
        self._connection.execute("insert into nonces values (?, ?, ?, 0)", (nonce, run, until))

    def use_nonce(self, nonce: bytes) -> None:
        self._connection.execute("update nonces set used = 1 where nonce = ?", (nonce,))

    def keep_open_nonces(self, run: bytes, now: int, most: int) -> None:
        """Of the run's nonces that could still be used, forgets all but the newest `most`."""
        self._connection.execute(
            "delete from nonces where rowid in (select rowid from nonces where run = ? and until >= ? and not used "
            "order by until desc, rowid desc limit -1 offset ?)",
            (run, now, most),
        )

    def forget_nonces(self, before: int) -> None:
        """Those that ended before that."""
        self._connection.execute("delete from nonces where until < ?", (before,))


class Store:
    """The database at `path`, which `create` has made."""

    def __init__(self, path: Path) -> None:
        """UsageError if there is none, or it is another's."""
        self._path = path.absolute()
        if not path.is_file():
            raise UsageError(
                f"there is no database {path}: bring it back from the newest copy, or begin anew, with a new key, in another "
                "folder (--state)"
            )
        with self._connected() as connection:
            found = [connection.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found != [_APPLICATION, _VERSION]:
            raise UsageError(f"{path} is no database of a broker, or one of another version: name another --state")

    @classmethod
    def create(cls, path: Path, note: bytes) -> "Store":
        """A new one, with the checkpoint of no decision. UsageError if there is one, StorageError
        if it can't be made."""
        if path.exists():
            raise UsageError(f"there is a database {path} already: name another folder, with --state")
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.executescript(f"begin; {_SCHEMA} commit;")
        except sqlite3.Error as error:
            raise StorageError(f"the database {path} can't be made: {error}") from error
        store = cls(path)
        with store.transaction() as transaction:
            transaction.set_note(note)
        return store

    @contextmanager
    def transaction(self, *, writing: bool = True) -> Iterator[Transaction]:
        """All of the block, or nothing, on the disk when it ends. StorageError where that can't
        be."""
        with self._connected() as connection:
            connection.execute("begin immediate" if writing else "begin")
            try:
                yield Transaction(connection)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            uri = f"file:{quote(str(self._path))}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None)) as connection:
                connection.execute("pragma synchronous = extra")
                yield connection
        except sqlite3.Error as error:
            raise StorageError(f"the database {self._path} can't be used: {error}") from error


def damaged(why: str) -> RunError:
    """The error for a database that is not as it was written."""
    return RunError(
        f"the broker's log was altered or damaged: {why}. Nothing is released: bring its folder back from the newest copy"
    )
