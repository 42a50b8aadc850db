"""What is in the user's cache, and clearing it. Keys are regenerated when needed (about 10 s); an
SRS may exist nowhere else."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from zk_autograd.core.progress import Progress
from zk_autograd.local.named_files import refusal
from zk_autograd.prove.ezkl.keys import Cache


class Kind(StrEnum):
    """What is cached."""

    KEYS = "keys"
    SRS = "srs"
    LEFTOVER = "leftover"
    """What an interrupted command left unfinished."""


@dataclass(frozen=True, slots=True)
class Holding:
    """An item in the cache: its kind and path, its size, and when it last changed (POSIX time)."""

    kind: Kind
    path: Path
    bytes: int
    changed: float

    @property
    def name(self) -> str:
        return self.path.name


def holdings(cache: Cache) -> list[Holding]:
    """Everything in the cache, keys first. StorageError if the system refuses to list it."""
    found: list[Holding] = []
    try:
        for part, kind in (("keys", Kind.KEYS), ("srs", Kind.SRS)):
            folder = cache.folder / part
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                path = folder / name
                size = path.lstat().st_size if not path.is_dir() else sum(f.lstat().st_size for f in path.rglob("*"))
                found.append(
                    Holding(Kind.LEFTOVER if name.startswith(".new-") else kind, path, size, path.lstat().st_mtime)
                )
    except OSError as error:
        raise refusal(error, f"the cache folder {cache.folder} can't be listed") from error
    return found


def clear(chosen: Iterable[Holding], advance: Progress) -> None:
    """Deletes these. StorageError for what the system refuses to delete."""
    doomed = list(chosen)
    for i, holding in enumerate(doomed):
        try:
            if holding.path.is_dir() and not holding.path.is_symlink():
                shutil.rmtree(holding.path)
            else:
                holding.path.unlink(missing_ok=True)
        except OSError as error:
            raise refusal(error, f"{holding.path} can't be deleted", "make its folder writable") from error
        advance("cache", i + 1, len(doomed))
