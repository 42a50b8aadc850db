"""The register's file: leaves, their tree and the newest checkpoint, in SQLite.

    entries    position, run, leaf
    nodes      the roots of perfect subtrees (core.stored_tree), so that nothing is rehashed
    head       the origin and the newest signed note

Its journal is SQLite's rollback journal, which takes no shared memory (a home folder may lie on a
server), with `synchronous = extra`: what was committed stays, though the power goes at once. That
matters more here than speed: an entry that was signed, given away and then lost would be signed
again as another, and two branches are what a register must never have.

No other code may open the file: closing any descriptor of it would drop SQLite's locks.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.errors import RunError, StorageError, UsageError, VerificationError
from zk_autograd.core.merkle import HASH_BYTES, leaf_hash
from zk_autograd.core.register import Entry
from zk_autograd.core.stored_tree import Nodes, grown, root_of
from zk_autograd.local.named_files import refusal
from zk_autograd.register.turns import turn

DATABASE = "register.sqlite"

APPLICATION = 0x7A6B7267
"""What the file's header says that it is: "zkrg"."""
VERSION = 1

BUSY_SECONDS = 60
"""How long one process waits for another."""

_SCHEMA = f"""
pragma application_id = {APPLICATION};
pragma user_version = {VERSION};
create table entries (position integer primary key, run blob not null, leaf blob not null);
create index entries_run on entries (run, position);
create table nodes (level integer, position integer, hash blob not null, primary key (level, position)) without rowid;
create table head (one integer primary key check (one = 1), origin text not null, note blob not null);
"""
_SCHEMA_ROWS = "select type, name, tbl_name, sql from sqlite_master order by type, name"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""A journal that ends in it names another one before that (sqlite.org/fileformat2.html)."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What a file system without hard links says."""


class Database:
    """The open file. What it says is asked for in `reading`, and changed in `writing`; it may be
    used from several threads and processes, but not across a fork."""

    def __init__(self, folder: Path) -> None:
        """Opens it. UsageError if there is none."""
        self.folder = folder
        self._path = folder / DATABASE
        self._lock = RLock()
        self._process = os.getpid()
        try:
            self._file = _identity(self._path)
        except OSError as error:
            raise refusal(error, f"the register in {folder} can't be opened") from error
        self._require_own_journal()
        with self._explained():
            self._connection = _connect(self._path)
        try:
            with self._explained():
                self._connection.execute("pragma trusted_schema = off")
                _make_durable(self._connection)
                found = [self._connection.execute(f"pragma {name}").fetchone()[0] for name in _MARKS]
        except BaseException:
            self._connection.close()
            raise
        if found != [APPLICATION, VERSION]:
            self._connection.close()
            if found[0] != APPLICATION:
                raise self.damaged("the file is no register's")
            raise UsageError(
                f"{self._path} is of version {found[1]}, and this package knows {VERSION}: use a newer one"
            )
        try:
            self._require_schema()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls, folder: Path, origin: str, note: bytes, leaves: Sequence[bytes], *, over_damaged: bool = False
    ) -> Path | None:
        """A new file with this content, whole and on the disk, or none. UsageError if one is
        there, unless that is damaged: then it is moved aside, once the new one is whole, and its
        new name given. `leaves` are entries."""
        aside, path = None, folder / DATABASE
        temporary = folder / f".{DATABASE}.{os.urandom(8).hex()}.tmp"
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            try:
                _fill(temporary, origin, note, leaves)
                _sync(temporary)
                if over_damaged:
                    aside = set_aside(folder)
                _name(temporary, path)
            finally:
                with suppress(OSError):
                    temporary.unlink()
            _sync(folder)
        except FileExistsError:
            raise UsageError(f"there is a register in {folder} already") from None
        except (OSError, sqlite3.Error) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise StorageError(
                f"no register can be made in {folder}: {said}; free some space, or name another place"
            ) from error
        return aside

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While it lasts, nothing changes. RunError and StorageError."""
        with self._transaction("begin"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is changed stays, or nothing does. RunError and StorageError."""
        with self._lock, turn(self.folder, BUSY_SECONDS), self._transaction("begin immediate"):
            yield

    # ---- within a transaction ------------------------------------------------------------------

    def origin(self) -> str:
        return self._head()[0]

    def newest(self) -> SignedCheckpoint:
        """The newest checkpoint, whose tree is the one that is here. RunError if it isn't."""
        try:
            newest = SignedCheckpoint.parse(self._head()[1])
        except VerificationError as error:
            raise self.damaged(str(error)) from error
        (last,) = self._connection.execute("select max(position) from entries").fetchone()
        size = 0 if last is None else last + 1
        if size != newest.head.size:
            raise self.damaged(f"it has {size} entries, and its newest checkpoint covers {newest.head.size}")
        if self.root(size) != newest.head.root:
            raise self.damaged("its entries are not those that its newest checkpoint covers")
        return newest

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries."""
        return root_of(self.node, size)

    def node(self, level: int, position: int) -> bytes:
        """core.stored_tree.Nodes."""
        return self.nodes(level, position, position + 1)[0]

    def nodes(self, level: int, first: int, end: int) -> list[bytes]:
        """Those of a level from index `first` to `end` - 1. RunError if one is missing."""
        rows = self._connection.execute(
            "select hash from nodes where level = ? and position >= ? and position < ? order by position",
            (level, first, end),
        ).fetchall()
        if len(rows) != end - first or any(type(node) is not bytes or len(node) != HASH_BYTES for (node,) in rows):
            raise self.damaged(f"hashes of its tree are missing or altered, at level {level} from {first} on")
        return [node for (node,) in rows]

    def leaves(self, first: int, end: int) -> list[bytes]:
        """The entries' bytes. RunError if they aren't all there, or aren't those of the tree."""
        rows = self._connection.execute(
            "select leaf from entries where position >= ? and position < ? order by position", (first, end)
        ).fetchall()
        found = [leaf for (leaf,) in rows]
        if len(found) != end - first or any(type(leaf) is not bytes for leaf in found):
            raise self.damaged(f"entries from {first} on are missing or altered")
        for position, (leaf, node) in enumerate(zip(found, self.nodes(0, first, end), strict=True), first):
            if leaf_hash(leaf) != node:
                raise self.damaged(f"entry {position} is not the one that was entered")
        return found

    def raw(self) -> tuple[bytes, dict[int, bytes]]:
        """The newest note, and the leaves by their position, as they stand there."""
        rows = self._connection.execute("select position, leaf from entries where typeof(leaf) = 'blob'").fetchall()
        return self._head()[1], dict(rows)

    def runs(self, first: int, end: int) -> list[bytes]:
        """The run of each entry, as its row says."""
        rows = self._connection.execute(
            "select run from entries where position >= ? and position < ? order by position", (first, end)
        )
        return [run for (run,) in rows]

    def count(self, table: str) -> int:
        """The rows of a table, which is one of the schema's."""
        (found,) = self._connection.execute(f"select count(*) from {table}").fetchone()
        return int(found)

    def newest_of(self, run: bytes, back: int = 0) -> tuple[int, Entry] | None:
        """The position of the run's newest entry, and the entry; or the one `back` before it."""
        row = self._connection.execute(
            "select position from entries where run = ? order by position desc limit 1 offset ?", (run, back)
        ).fetchone()
        if row is None:
            return None
        (leaf,) = self.leaves(row[0], row[0] + 1)
        try:
            entry = Entry.parse(leaf)
        except VerificationError as error:
            raise self.damaged(f"entry {row[0]}: {error}") from error
        if entry.run != run:
            raise self.damaged(f"entry {row[0]} is of another run than its row says")
        return row[0], entry

    def append(self, size: int, entry: Entry) -> bytes:
        """Puts an entry after the first `size`, which are all; gives the new root."""
        _append(self._connection, size, entry.run, entry.encode(), self.node)
        return self.root(size + 1)

    def set_note(self, note: bytes) -> None:
        self._connection.execute("update head set note = ?", (note,))

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with the file."""
        return [text for (text,) in self._connection.execute("pragma integrity_check(10)") if text != "ok"]

    def damaged(self, why: str) -> RunError:
        """The error for a file that is not as it was written."""
        return RunError(
            f"the register in {self.folder} was altered or damaged: {why}. Nothing is signed: bring it back from its anchors "
            "with `zk-register recover`"
        )

    def _require_own_journal(self) -> None:
        """RunError for a journal that names another one, which SQLite would delete, whatever file
        that is: a transaction over several databases leaves such, and there is one here."""
        try:
            with open(self._path.with_name(f"{DATABASE}-journal"), "rb") as file:
                file.seek(-len(_JOURNAL_MAGIC), os.SEEK_END)
                ends = file.read(len(_JOURNAL_MAGIC))
        except OSError:  # there is none, or it is shorter; what can't be read, SQLite can't either
            return
        if ends == _JOURNAL_MAGIC:
            raise self.damaged(f"the journal beside it, {DATABASE}-journal, is not its own")

    def _require_schema(self) -> None:
        """RunError unless the tables are those that `create` makes: a view or trigger in their
        place would have SQLite compute what whoever wrote the file says, without end."""
        with self._explained():
            found = self._connection.execute(f"{_SCHEMA_ROWS} limit 100").fetchall()
        with closing(sqlite3.connect(":memory:")) as model:
            model.executescript(_SCHEMA)
            if found != model.execute(_SCHEMA_ROWS).fetchall():
                raise self.damaged("its tables are not a register's")

    def _head(self) -> tuple[str, bytes]:
        row = self._connection.execute("select origin, note from head").fetchone()
        if row is None or type(row[0]) is not str or type(row[1]) is not bytes:
            raise self.damaged("it has no checkpoint")
        return row[0], row[1]

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        if os.getpid() != self._process:
            raise RunError("a register that was opened before a fork is of the parent: open it anew")
        with self._lock, self._explained():
            self._connection.execute(begin)
            try:
                self._require_in_place()
                yield
            except BaseException:
                with suppress(sqlite3.Error):  # some errors have rolled it back already
                    self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def _require_in_place(self) -> None:
        """A file that was moved away while it was open is no register any more."""
        with suppress(OSError):
            if _identity(self._path) == self._file:
                return
        raise RunError(f"the register in {self.folder} was moved or replaced while it was open: start again")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> RunError:
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, sqlite3.ProgrammingError):
            return RunError(f"the register in {self.folder} was closed: open it anew")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_CONSTRAINT")):
            return self.damaged(str(error))  # SQLITE_ERROR: a table or column that is not there
        if name.startswith("SQLITE_BUSY"):
            return StorageError(
                f"the register in {self.folder} is in use: another process kept it for {BUSY_SECONDS} seconds; try again"
            )
        advice = (
            "free some space"
            if name == "SQLITE_FULL"
            else "check the disk, its free space and the folder's permissions"
        )
        return StorageError(f"the register in {self.folder} can't be used: {error}; {advice}, and try again")


_MARKS = ("application_id", "user_version")


def set_aside(folder: Path) -> Path | None:
    """Moves a damaged file, with its journal, to a name that nothing has; gives that name. None if
    there is no file. Whoever has it open is told at their next use."""
    path = folder / DATABASE
    try:
        if not os.path.lexists(path):
            return None
        number = 1
        while os.path.lexists(aside := folder / f"{DATABASE}.damaged-{number}"):
            number += 1
        journal = folder / f"{DATABASE}-journal"
        if os.path.lexists(journal):  # beside a new file it would be taken for that one's
            os.rename(journal, folder / f"{aside.name}-journal")
        os.rename(path, aside)
        _sync(folder)
    except OSError as error:
        raise refusal(error, f"the damaged register in {folder} can't be moved aside") from error
    return aside


def _fill(path: Path, origin: str, note: bytes, leaves: Sequence[bytes]) -> None:
    connection = _connect(path)
    try:
        connection.execute("pragma journal_mode = off")  # nobody sees the file before it is whole
        connection.execute("pragma synchronous = off")
        connection.executescript(_SCHEMA)
        connection.execute("begin")
        right: dict[int, tuple[int, bytes]] = {}

        def node(level: int, position: int) -> bytes:
            found, value = right[level]
            assert found == position
            return value

        for size, leaf in enumerate(leaves):
            for level, position, value in _append(connection, size, Entry.parse(leaf).run, leaf, node):
                right[level] = (position, value)
        connection.execute("insert into head values (1, ?, ?)", (origin, note))
        connection.execute("commit")
    finally:
        connection.close()


def _append(
    connection: sqlite3.Connection, size: int, run: bytes, leaf: bytes, node: Nodes
) -> list[tuple[int, int, bytes]]:
    made = list(grown(node, size, leaf_hash(leaf)))
    connection.execute("insert into entries values (?, ?, ?)", (size, run, leaf))
    connection.executemany("insert into nodes values (?, ?, ?)", made)
    return made


def _connect(path: Path) -> sqlite3.Connection:
    """SQLite makes no file, and writes nothing where the system doesn't let it."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _make_durable(connection: sqlite3.Connection) -> None:
    """What is committed is on the disk, and so is that its journal is gone."""
    connection.execute("pragma synchronous = extra")


def _name(temporary: Path, path: Path) -> None:
    """Gives the file its name, which nothing may have: FileExistsError."""
    try:
        os.link(temporary, path)  # unlike a rename, it replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(path) from error
        os.rename(temporary, path)


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _sync(path: Path) -> None:
    """The file or folder is on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
