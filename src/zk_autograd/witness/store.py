"""What a witness keeps, in SQLite: its logs with their keys, the checkpoints that it cosigned, and
those that it refused.

    logs        an origin, the SHA-256 of it, and the log's keys, one a line
    cosigned    the newest `MAX_COSIGNED` checkpoints of each log: the whole note, the cosignatures
                and their time. The one of the largest size is the witness's state.
    refused     notes that all of a log's keys signed, and that were refused as inconsistent: a
                fork, if another root was cosigned for the same size, or unproved. At most
                `MAX_REFUSED` of each of the two a log, the first: later ones push none out.

A transaction takes the database's only lock for writing before it reads (`begin immediate`), so of
any number of processes one decides after the other; and it is on the disk when it ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.core.keys import PublicKey, parse_keys
from zk_autograd.core.text import quoted

MAX_COSIGNED = 1000
MAX_REFUSED = 64

_WAIT = 10.0
"""Seconds for the lock."""

_VERSION = 1
_SCHEMA = """
create table logs (origin text primary key, hash text not null unique, keys text not null);
create table cosigned (
    origin text not null references logs, size integer not null, root blob not null, note blob not null,
    lines text not null, time integer not null, primary key (origin, size)
);
create index cosigned_time on cosigned (time);
create table refused (
    id integer primary key, origin text not null references logs, fork integer not null, size integer not null,
    root blob not null, note blob not null, time integer not null, unique (origin, size, root)
);
"""


@dataclass(frozen=True, slots=True)
class Log:
    """A log that the witness knows: its origin, and the keys that all have to sign."""

    origin: str
    keys: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint that was cosigned: the note as it came, the cosignatures' lines, and their
    time."""

    size: int
    root: bytes
    note: bytes
    lines: str
    time: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A note that all keys of its log signed, and that was refused at `time`. `fork`: another root
    was cosigned for its size."""

    fork: bool
    size: int
    root: bytes
    note: bytes
    time: int


class Transaction:
    """What is read and written while nobody else writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def logs(self) -> list[Log]:
        """All of them, by their origins."""
        rows = self._connection.execute("select origin, keys from logs order by origin")
        return [Log(origin, parse_keys(keys)) for origin, keys in rows]

    def log(self, origin: str) -> Log | None:
        row = self._connection.execute("select keys from logs where origin = ?", (origin,)).fetchone()
        return Log(origin, parse_keys(row[0])) if row else None

    def hashed(self, digest: str) -> Log | None:
        """The log whose origin has this SHA-256, in hexadecimal."""
        row = self._connection.execute("select origin, keys from logs where hash = ?", (digest,)).fetchone()
        return Log(row[0], parse_keys(row[1])) if row else None

    def add_log(self, log: Log) -> None:
        """UsageError for one that is there."""
        if self.log(log.origin) is not None:
            raise UsageError(f"the log {quoted(log.origin)} is there already, and its keys stay: `zk-witness show`")
        keys = "".join(f"{key.encode()}\n" for key in log.keys)
        digest = sha256(log.origin.encode("utf-8")).hexdigest()
        self._connection.execute("insert into logs values (?, ?, ?)", (log.origin, digest, keys))

    def cosigned(self, origin: str, size: int | None = None) -> Cosigned | None:
        """The largest checkpoint that was cosigned, or the one of this size, if it is still
        kept."""
        which = "" if size is None else " and size = ?"
        row = self._connection.execute(
            f"select size, root, note, lines, time from cosigned where origin = ?{which} order by size desc limit 1",
            (origin,) if size is None else (origin, size),
        ).fetchone()
        return Cosigned(*row) if row else None

    def newest_time(self) -> int:
        """Of all cosignatures; 0 if there is none."""
        (time,) = self._connection.execute("select max(time) from cosigned").fetchone()
        return time or 0

    def add_cosigned(self, origin: str, one: Cosigned) -> None:
        """Keeps it. One of the same size, and so with the same root, is replaced."""
        self._connection.execute(
            "insert or replace into cosigned values (?, ?, ?, ?, ?, ?)",
            (origin, one.size, one.root, one.note, one.lines, one.time),
        )
        self._connection.execute(
            "delete from cosigned where origin = ?1 and size <= "
            "(select size from cosigned where origin = ?1 order by size desc limit 1 offset ?2)",
            (origin, MAX_COSIGNED),
        )

    def refused(self, origin: str) -> list[Refused]:
        """In the order in which they came."""
        rows = self._connection.execute(
            "select fork, size, root, note, time from refused where origin = ? order by id", (origin,)
        )
        return [Refused(bool(fork), *rest) for fork, *rest in rows]

    def notes(self, origin: str) -> list[bytes]:
        """All that are kept of a log: those that were cosigned, and those that were refused."""
        rows = self._connection.execute(
            "select note from cosigned where origin = ?1 union all select note from refused where origin = ?1",
            (origin,),
        )
        return [note for (note,) in rows]

    def add_refused(self, head: Checkpoint, note: bytes, time: int) -> None:
        """Keeps a note that all keys signed, unless it is no news, or there are enough."""
        known = self.cosigned(head.origin, head.size)
        if known is not None and known.root == head.root:
            return
        fork = known is not None
        (count,) = self._connection.execute(
            "select count(*) from refused where origin = ? and fork = ?", (head.origin, fork)
        ).fetchone()
        if count < MAX_REFUSED:
            self._connection.execute(
                "insert or ignore into refused (origin, fork, size, root, note, time) values (?, ?, ?, ?, ?, ?)",
                (head.origin, fork, head.size, head.root, note, time),
            )


class Store:
    """The database at `path`, which `create` has made: none is made in passing, since a witness
    that has forgotten cosigns a second branch."""

    def __init__(self, path: Path) -> None:
        """UsageError if there is none, or it is of another version."""
        self._path = path.absolute()
        if not path.is_file():
            raise UsageError(
                f"there is no database {path}: bring it back from the newest copy, or make a new witness, with new keys, in "
                "another folder (`zk-witness new-key`)"
            )
        with self._connected() as connection:
            (version,) = connection.execute("pragma user_version").fetchone()
        if version != _VERSION:
            raise UsageError(f"{path} is no database of a witness, or one of another version ({version})")

    @classmethod
    def create(cls, path: Path) -> "Store":
        """A new, empty one. UsageError if there is one, StorageError if it can't be made."""
        if path.exists():
            raise UsageError(f"there is a database {path} already: name another folder, with --dir")
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.executescript(f"begin; {_SCHEMA} pragma user_version = {_VERSION}; commit;")
        except sqlite3.Error as error:
            raise StorageError(f"the database {path} can't be made: {error}") from error
        return cls(path)

    @contextmanager
    def transaction(self, *, writing: bool = True) -> Iterator[Transaction]:
        """All of the block, or nothing, on the disk when it ends. Unless it is `writing`, nobody
        waits for it. StorageError where that can't be."""
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
                connection.execute("pragma synchronous = full")
                yield connection
        except sqlite3.Error as error:
            raise StorageError(f"the database {self._path} can't be used: {error}") from error
