"""A trainer's keys, and registers with entries."""

import os
import struct
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, SeedSigner
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import Entry, Kind, origin_of, sign_head
from zk_autograd.register.database import DATABASE, Database
from zk_autograd.register.register import Register, prepare

SIGNERS: list[SeedSigner] = [Ed25519Signer("trainer", bytes(range(32))), MlDsa44Signer("trainer", bytes(range(1, 33)))]
KEYS = [signer.public_key for signer in SIGNERS]
ORIGIN = origin_of(KEYS)
OTHERS: list[SeedSigner] = [Ed25519Signer("other", bytes(range(2, 34))), MlDsa44Signer("other", bytes(range(3, 35)))]


def run_id(number: int) -> bytes:
    return sha256(b"run %d" % number).digest()[:16]


def entry(run: int, size: int, *, close: bool = False, branch: int = 0) -> Entry:
    """The entry of a run's first `size` records; of another `branch`, that of others."""
    kind = Kind.CLOSE if close else Kind.BEGIN if size == 1 else Kind.CHECKPOINT
    return Entry(kind, run_id(run), size, sha256(b"%d %d %d" % (run, size, branch)).digest())


def entries(count: int, branch: int | None = None) -> list[Entry]:
    """Those of runs that take turns, three at a time, each closed with its fifth; of another past
    from entry `branch` on."""
    found = []
    for number in range(count):
        turn, place = divmod(number, 15)
        size, run = divmod(place, 3)
        other = branch is not None and number >= branch
        found.append(entry(3 * turn + run, size + 1, close=size == 4, branch=int(other)))
    return found


def set_trap(folder: Path, victim: Path) -> None:
    """A journal beside the register names another journal: SQLite would delete that one, which is
    any file."""
    size, page, pending = (folder / DATABASE).stat().st_size, 4096, 0x40000000
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim.absolute())
    header = magic + struct.pack(">IIIII", 0, 1234, size // page, 512, page)
    tail = struct.pack(">I", pending // page + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    (folder / f"{DATABASE}-journal").write_bytes(header.ljust(512, b"\0") + tail)


def filled(folder: Path, count: int, branch: int | None = None) -> Register:
    """A register with so many entries, open; written at once."""
    leaves = [one.encode() for one in entries(count, branch)]
    head = Checkpoint(ORIGIN, count, root([leaf_hash(leaf) for leaf in leaves]))
    prepare(folder)
    Database.create(folder, ORIGIN, sign_head(head, SIGNERS), leaves)
    return Register(folder, SIGNERS)
