"""A register looked at in full: every entry, every node of its tree, and what was published of it.

What `Register` checks when it is opened is what the next signature stands on; this is all the rest.
"""

from pathlib import Path

from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.merkle import leaf_hash
from zk_autograd.core.register import Entry
from zk_autograd.core.stored_tree import grown
from zk_autograd.register.database import Database
from zk_autograd.register.publishing import altered_tile, published_size
from zk_autograd.register.register import PUBLIC, Register

_STEP = 256


def check(register: Register) -> int:
    """How many entries there are, all of them as they were entered. RunError, which names the first
    fault, otherwise."""
    database = register.database
    with database.reading():
        if faults := database.faults():
            raise database.damaged(f"SQLite finds: {faults[0]}")
        size = database.newest().head.size
        _check_tree(database, size)
        return size


def check_published(register: Register, folder: Path | None = None) -> int | None:
    """How many entries are published, all as they are in the register; None if none are. RunError
    otherwise."""
    place = folder or register.folder / PUBLIC
    size = published_size(register, place)
    if size is not None and (tile := altered_tile(register, place, size)) is not None:
        raise RunError(f"{place / tile} is missing or was altered: publish anew, in an empty folder")
    return size


def _check_tree(database: Database, size: int) -> None:
    right: dict[int, tuple[int, bytes]] = {}

    def node(level: int, position: int) -> bytes:
        found, value = right[level]
        assert found == position
        return value

    made = 0
    for first in range(0, size, _STEP):
        end = min(first + _STEP, size)
        for position, (run, leaf) in enumerate(
            zip(database.runs(first, end), database.leaves(first, end), strict=True), first
        ):
            try:
                entry = Entry.parse(leaf)
            except VerificationError as error:
                raise database.damaged(f"entry {position}: {error}") from error
            if entry.run != run:
                raise database.damaged(f"entry {position} is of another run than its row says")
            for level, index, value in list(grown(node, position, leaf_hash(leaf))):
                if database.node(level, index) != value:
                    raise database.damaged(f"the hash of its tree at level {level}, {index} is not that of its entries")
                right[level] = (index, value)
                made += 1
    if (rows := database.count("nodes")) != made:
        raise database.damaged(f"its tree has {rows} hashes, and its entries give {made}")
