"""A register that its trainer published (core.tiles), read from a folder or a server: bounded, each
file once, no links followed.

Nothing is believed here: whose the checkpoint is and whether the entries are its own, the caller
finds out by signature and root.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.note import MAX_NOTE_BYTES, parse_checkpoint, parse_unverified
from zk_autograd.core.register import MAX_ENTRY
from zk_autograd.core.tiles import CHECKPOINT, WIDTH, Tile, parse_bundle, tiles_of
from zk_autograd.evidence.files import open_folder, read_bounded
from zk_autograd.evidence.layout import MAX_LEAVES
from zk_autograd.evidence.pace import LIMITS, Limits, Pace
from zk_autograd.evidence.url import is_url, parse_url

MAX_BUNDLE = WIDTH * (2 + MAX_ENTRY)
"""Bytes of a tile of entries."""


class Tiles(ABC):
    """A published register. Close it, or use it in a `with`.

    Its methods raise VerificationError for whatever is missing, too large or malformed, and
    UnreadableError where this machine can't read it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._note: bytes | None = None
        self._leaves: list[bytes] | None = None

    @abstractmethod
    def get(self, path: str, limit: int) -> bytes | None:
        """A file of at most `limit` bytes; None if there is none."""

    @abstractmethod
    def close(self) -> None:
        """Nothing can be read after it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_log(self) -> bool:
        """Whether there is a checkpoint, of whatever worth: if not, this is no register."""
        try:
            self._note = self.get(CHECKPOINT, MAX_NOTE_BYTES)
        except UnreadableError:
            raise
        except VerificationError:  # to be judged, and refused
            return True
        return self._note is not None

    def checkpoint(self) -> bytes:
        """The signed note of the newest tree head, not yet opened."""
        if self._note is None:
            self._note = self._got(CHECKPOINT, MAX_NOTE_BYTES)
        return self._note

    def leaves(self, limit: int) -> list[bytes]:
        """The entries that the checkpoint says it covers, of at most `limit` bytes in all."""
        if self._leaves is None:
            size = parse_checkpoint(parse_unverified(self.checkpoint()).text).size
            if size > MAX_LEAVES:
                raise VerificationError(
                    f"{self.name} has too many entries", expected=f"at most {MAX_LEAVES}", found=str(size)
                )
            found: list[bytes] = []
            for tile in tiles_of(size):
                if tile.level is None:
                    entries = self._bundle(tile)
                    limit -= sum(map(len, entries))
                    if limit < 0:
                        raise VerificationError(f"{self.name} is too large")
                    found += entries
            self._leaves = found
        return self._leaves

    def _bundle(self, tile: Tile) -> list[bytes]:
        """The entries of a tile; where a partial one is gone by now, of the full one."""
        data = self.get(tile.path, MAX_BUNDLE)
        if data is None and tile.width < WIDTH:
            full = self._got(tile.full.path, MAX_BUNDLE)
            return parse_bundle(full, WIDTH, f"{self.name}{tile.full.path}")[: tile.width]
        if data is None:
            raise self._missing(tile.path)
        return parse_bundle(data, tile.width, f"{self.name}{tile.path}")

    def _got(self, path: str, limit: int) -> bytes:
        data = self.get(path, limit)
        if data is None:
            raise self._missing(path)
        return data

    def _missing(self, path: str) -> VerificationError:
        return VerificationError(f"{self.name} has no {path}")


class TileFolder(Tiles):
    """One in a folder."""

    def __init__(self, path: Path) -> None:
        """UsageError if there is no folder there, UnreadableError if it can't be opened."""
        super().__init__(f"{path}/")
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            from zk_autograd.evidence.folder import not_opened

            raise not_opened(path, error, "holds no register") from error

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def get(self, path: str, limit: int) -> bytes | None:
        *folders, name = path.split("/")
        opened = [self._root]
        try:
            for folder in folders:
                if not _is_there(folder, opened[-1]):
                    return None
                opened.append(open_folder(folder, dir_fd=opened[-1]))
            return read_bounded(name, limit, dir_fd=opened[-1]) if _is_there(name, opened[-1]) else None
        except UnreadableError as error:
            raise UnreadableError(f"{self.name}{path}: {error}") from error
        except VerificationError as error:
            raise VerificationError(f"{self.name}{path}: {error}") from error
        finally:
            for fd in opened[1:]:
                os.close(fd)


class TileServer(Tiles):
    """One at a URL that ends in a slash."""

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        """UsageError for a URL that isn't taken. Nothing is asked yet."""
        from zk_autograd.evidence.server import Server  # judging what is here takes nothing of the network

        address = parse_url(url)
        if not address.is_folder:
            raise UsageError(f"{url} is no register's: its URL ends in a slash")
        super().__init__(str(address))
        self._server = Server(address, Pace(limits))

    def close(self) -> None:
        self._server.close()

    def get(self, path: str, limit: int) -> bytes | None:
        from zk_autograd.evidence.remote import answered

        with self._server.asked(self._server.address.path + path) as answer:
            return b"".join(answer.body(limit, self.name + path)) if answered(answer) else None


def open_tiles(where: Path | str) -> Tiles | None:
    """A reader of the register that is published in a folder or at a URL, to be closed; None if
    there is none. UsageError and UnreadableError as the readers."""
    if isinstance(where, str) and is_url(where):
        tiles: Tiles = TileServer(where)
    else:
        tiles = TileFolder(Path(where))
    try:
        found = tiles.has_log()
    except BaseException:
        tiles.close()
        raise
    if found:
        return tiles
    tiles.close()
    return None


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:  # opening it will tell
        return True
    return True
