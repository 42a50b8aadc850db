"""The register's database: entries, their tree and the newest checkpoint, in SQLite.

An entry is appended, and the checkpoint over it signed, in one transaction: of two processes one
waits for the other, and neither sees or signs half of it. The folder

    register.sqlite     the leaves and the newest note

is made by `Register.begin` alone. A register that is missing is never begun again in passing: that
would be a second branch under the same key.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from zk_autograd.core.register import Entry, View, origin_of, sign_head

DATABASE = "register.sqlite"

_SCHEMA = """
create table entries (position integer primary key, run blob not null, leaf blob not null);
create index entries_run on entries (run);
create table head (one integer primary key check (one = 1), origin text not null, note blob not null);
"""


class Register:
    """One trainer's register, in the folder `folder`. It may be used from several processes; an
    object belongs to one thread. RunError and StorageError where it can't be read or written."""

    def __init__(self, folder: Path, signers: Sequence[Signer]) -> None:
        """Opens a register that was begun. UsageError if there is none, or it is another key's."""
        self.folder = folder
        self._signers = tuple(signers)
        self.origin = origin_of([signer.public_key for signer in signers])
        path = folder / DATABASE
        if not path.exists():
            raise UsageError(
                f"there is no register in {folder}: if your key never had one, begin it with `zk-register begin`; "
                "if it had, bring it back from a copy or with `zk-register recover`"
            )
        self._connection = _connect(path)
        with self._transaction() as connection:
            (found,) = connection.execute("select origin from head").fetchone() or ("",)
        if found != self.origin:
            raise UsageError(f"the register in {folder} is another key's: {found}, not {self.origin}")

    @classmethod
    def begin(cls, folder: Path, signers: Sequence[Signer]) -> "Register":
        """A new, empty register. UsageError if there is one."""
        origin = origin_of([signer.public_key for signer in signers])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / DATABASE).exists():
            raise UsageError(f"there is a register in {folder} already")
        note = sign_head(Checkpoint(origin, 0, root([])), signers)
        connection = _connect(folder / DATABASE)
        with connection:
            connection.executescript(_SCHEMA)
            connection.execute("insert into head values (1, ?, ?)", (origin, note))
        connection.close()
        return cls(folder, signers)

    def close(self) -> None:
        self._connection.close()

    @property
    def checkpoint(self) -> SignedCheckpoint:
        """The newest."""
        with self._transaction() as connection:
            return self._newest(connection)

    def enter(self, entry: Entry, since: int = 0) -> View:
        """Appends the entry, unless it is the run's newest, and signs the register's checkpoint:
        in one transaction. The view's consistency proof is from the tree of `since` leaves."""
        with self._transaction() as connection:
            found = self._of_run(connection, entry.run)
            if not found or found[-1][1] != entry:
                size = self._newest(connection).head.size
                connection.execute("insert into entries values (?, ?, ?)", (size, entry.run, entry.encode()))
                head = Checkpoint(self.origin, size + 1, root(self._hashes(connection, size + 1)))
                connection.execute("update head set note = ?", (sign_head(head, self._signers),))
            return self._view(connection, entry.run, since)

    def view(self, run: bytes, since: int = 0) -> View:
        """The newest checkpoint, and the newest entry of the run under it. RunError if the run has
        none."""
        with self._transaction() as connection:
            return self._view(connection, run, since)

    def entries(self, first: int, end: int) -> list[bytes]:
        """The leaves `first` .. `end` - 1 (core.anchors.History)."""
        rows = self._connection.execute(
            "select leaf from entries where position >= ? and position < ? order by position", (first, end)
        )
        return [bytes(leaf) for (leaf,) in rows]

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        """The consistency proof between two of the register's sizes (core.anchors.History)."""
        return consistency_proof(self._hashes(self._connection, size2), size1, size2)

    def _view(self, connection: sqlite3.Connection, run: bytes, since: int) -> View:
        found = self._of_run(connection, run)
        if not found:
            raise RunError(f"the register in {self.folder} has no entry of the run {run.hex()}")
        index, entry = found[-1]
        newest = self._newest(connection)
        hashes = self._hashes(connection, newest.head.size)
        return View(
            newest.note,
            index,
            entry,
            tuple(inclusion_proof(hashes, index)),
            since,
            tuple(consistency_proof(hashes, since, len(hashes))),
        )

    def _of_run(self, connection: sqlite3.Connection, run: bytes) -> list[tuple[int, Entry]]:
        rows = connection.execute("select position, leaf from entries where run = ? order by position", (run,))
        return [(position, Entry.parse(bytes(leaf))) for position, leaf in rows]

    def _hashes(self, connection: sqlite3.Connection, size: int) -> list[bytes]:
        rows = connection.execute("select leaf from entries where position < ? order by position", (size,))
        return [leaf_hash(bytes(leaf)) for (leaf,) in rows]

    def _newest(self, connection: sqlite3.Connection) -> SignedCheckpoint:
        (note,) = connection.execute("select note from head").fetchone()
        return SignedCheckpoint.parse(bytes(note))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("begin immediate")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")
        except sqlite3.Error as error:
            raise StorageError(f"the register in {self.folder} can't be used: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("pragma synchronous = full")
    return connection
