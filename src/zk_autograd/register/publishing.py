"""The register in files that any web server gives (core.tiles): written so that a reader, or a
crash, at any moment finds a checkpoint whose tiles are all there.

Tiles are written before the checkpoint that needs them, each whole or not at all; a full tile never
changes. A partial tile goes when the full one is there, as tlog-tiles allows: whoever has an older
checkpoint takes the full tile.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.errors import RunError, StorageError, UnreadableError, VerificationError
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.tiles import CHECKPOINT, HEIGHT, WIDTH, Tile, encode_bundle, tiles_of
from zk_autograd.evidence.files import read_bounded
from zk_autograd.local.kept_files import write_over
from zk_autograd.local.named_files import refusal
from zk_autograd.register.register import Register

_WHAT = "the published register's file"


def publish(register: Register, folder: Path) -> SignedCheckpoint:
    """Brings the files in `folder`, which is made if it is missing, up to the register's newest
    checkpoint; gives that. Only what changed is written.

    RunError if the folder holds another register, or another branch or a newer tree of this one;
    StorageError where the system refuses, and then what was published before still is.
    """
    try:
        _make_folder(folder)
        with _alone(folder):
            newest = register.checkpoint
            tiles = list(tiles_of(newest.head.size, published_size(register, folder) or 0))
            for tile in tiles:
                _write(folder, tile, _content(register, tile))
            write_over(folder / CHECKPOINT, newest.note, _WHAT)
            for tile in tiles:
                if tile.width == WIDTH:
                    _remove_partial(folder, tile)
    except OSError as error:
        raise refusal(error, f"the register can't be published in {folder}") from error
    return newest


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process publishes there: the slower one would put back an older checkpoint."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
        os.close(fd)


def published_size(register: Register, folder: Path) -> int | None:
    """How many entries are published in the folder, None if nothing is. RunError unless they are
    the register's first."""
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        return None
    try:
        head = SignedCheckpoint.parse(read_bounded(path, MAX_NOTE_BYTES)).head
    except UnreadableError as error:
        raise StorageError(str(error)) from error
    except VerificationError as error:
        raise RunError(
            f"{path} is no checkpoint of a register ({error}): publish to another folder, or empty this one"
        ) from error
    if head.origin != register.origin:
        raise RunError(f"{folder} holds another register, {head.origin}: publish to another folder")
    if head.size > (size := register.checkpoint.head.size):
        raise RunError(
            f"{folder} holds {head.size} entries of this register, which has {size} itself: it was restored from an old "
            f"copy. Bring it back: `zk-register recover --from {folder}`"
        )
    if register.root_at(head.size) != head.root:
        raise RunError(
            f"{folder} holds another branch of this register: both were signed, and the two together prove a fork"
        )
    return head.size


def altered_tile(register: Register, folder: Path, size: int) -> str | None:
    """The first tile of the published tree that is missing there or not the register's; None if
    all are right. A partial tile may have given way to the full one."""
    for tile in tiles_of(size):
        data = _content(register, tile)
        if not _has(folder / tile.path, data) and not (
            tile.width < WIDTH
            and tile.full.first + WIDTH <= _count(register, tile)
            and _has(folder / tile.full.path, _content(register, tile.full))
        ):
            return tile.path
    return None


def _count(register: Register, tile: Tile) -> int:
    """How many hashes or entries the tile's level has in the register."""
    return int(register.checkpoint.head.size // WIDTH ** (tile.level or 0))


def _content(register: Register, tile: Tile) -> bytes:
    first, end = tile.first, tile.first + tile.width
    if tile.level is None:
        return encode_bundle(register.entries(first, end))
    return b"".join(register.hashes(HEIGHT * tile.level, first, end))


def _write(folder: Path, tile: Tile, data: bytes) -> None:
    """A tile, unless it is there: what a crash left is whole, and what is published stays."""
    path = folder / tile.path
    if not os.path.lexists(path):
        _make_folder(path.parent)
        write_over(path, data, _WHAT)
        return
    if not _has(path, data):
        raise RunError(f"{path} was altered: it isn't what was published there. Move it away, and publish again")


def _has(path: Path, data: bytes) -> bool:
    """Whether these bytes are the file."""
    try:
        return read_bounded(path, len(data)) == data
    except UnreadableError as error:
        raise StorageError(str(error)) from error
    except VerificationError:
        return False


def _make_folder(folder: Path) -> None:
    """The folder, which anybody may read, is there, and on the disk with those above it."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        fd = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _remove_partial(folder: Path, tile: Tile) -> None:
    partial = folder / f"{tile.path}.p"
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(partial):
            os.unlink(partial / name)
        os.rmdir(partial)
