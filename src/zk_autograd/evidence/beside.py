"""What lies in a run beside what its records name: a reader of the verdict may mistake it for what
was judged.

One rule for a folder and a bundle. The records of a view name its log and checkpoint, the proofs of
its segments, and, in the close record, the model's files and the trainer's own. Every other name at
the run's top level, in log/, proofs/ and model/ is *beside* it. Folders that no run has are not
entered: their name is enough. private/, if it is a folder, is the trainer's, and is ignored.

* A few names of regular files, in one exact spelling (`HARMLESS`), are harmless: no program takes
  them for a model.
* In a view without a close record, there is what a run that continued has left: proofs of later
  segments, the trainer's own files, and half-written files.
* All others are foreign. Some *resemble* a name of the run's own: they differ in case, in Unicode
  form, or in the folder they lie in, and a reader, or a file system that doesn't see the
  difference, may mistake them for it.
"""

import unicodedata
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from zk_autograd.core.records import Log
from zk_autograd.evidence.layout import PRIVATE, PROOFS, ROWS, folders, proof_place, proof_segment, row_of

_TEXTS = tuple(stem + end for stem in ("README", "LICENSE") for end in ("", ".md", ".rst", ".txt"))
HARMLESS = frozenset({*_TEXTS, ".gitattributes", ".gitignore", ".DS_Store", "model.sig"})
"""Names of files that people and programs leave in folders, and that hold nothing to be judged. In
this spelling alone."""


class EntryKind(Enum):
    """What a name in a folder is. A link is OTHER, wherever it leads."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder, as the system spells it: it may hold lone surrogates, for bytes that are
    not UTF-8."""

    name: str
    kind: EntryKind


class Listing(Protocol):
    """A run's names (`evidence.run.Evidence`)."""

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """The names in a folder of `layout.folders`, or at the top level (""), in no order; none if
        there is no such folder. The folder stays open until the last one; a caller that stops early
        closes it.
        """
        ...


class Kind(Enum):
    """How to judge a name that no record names."""

    HARMLESS = "harmless"
    UNFINISHED = "unfinished"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Beside:
    """A name that no record names: its path in the run, with "/". `resembles` is a name of the
    run's own that it may be mistaken for."""

    path: str
    kind: Kind
    resembles: str | None = None


def beside(files: Listing, log: Log) -> Generator[Beside, None, None]:
    """What lies beside what the records of this view name, as it is found. The caller counts,
    stops, and closes it."""
    for folder in ("", *folders()):
        with closing(files.entries(folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not _named(log, folder, entry):
                    yield Beside(path, *_judged(log, folder, entry, path))


def _named(log: Log, folder: str, entry: Entry) -> bool:
    """Whether a record of the view names it, and it is a regular file: its contents are for another
    step to check, or for none where a sample leaves it out."""
    if not folder and entry.name in (*folders(), PRIVATE):
        return entry.kind is EntryKind.FOLDER
    row = row_of(f"{folder}/{entry.name}" if folder else entry.name)
    return entry.kind is EntryKind.FILE and row is not None and row.named_by.covers(log, entry.name)


def _judged(log: Log, folder: str, entry: Entry, path: str) -> tuple[Kind, str | None]:
    if entry.name in HARMLESS and entry.kind is EntryKind.FILE:
        return Kind.HARMLESS, None
    if log.close is None and entry.kind is EntryKind.FILE and _unfinished(log, folder, entry.name):
        return Kind.UNFINISHED, None
    return Kind.FOREIGN, _resembled(entry.name, path)


def _unfinished(log: Log, folder: str, name: str) -> bool:
    """Whether an unfinished run of this header may have left such a file."""
    if name.startswith(".") and name.endswith(".tmp"):  # run.files writes to it, and a crash leaves it
        name = name[1:-4]
    row = row_of(f"{folder}/{name}" if folder else name)
    return row is not None and row.partial and (folder != PROOFS or proof_segment(log, name) is not None)


def _resembled(name: str, path: str) -> str | None:
    folded = _folded(name)
    own = {*folders(), PRIVATE, *(own for row in ROWS for own in row.names)}
    in_its_place = folded == name and (path in (*folders(), PRIVATE) or path == f"{PROOFS}/{name}" or _exactly(path))
    return folded if not in_its_place and (folded in own or proof_place(folded) is not None) else None


def _exactly(path: str) -> bool:
    """Whether a row lists the path's name, rather than matching its pattern alone."""
    row = row_of(path)
    return row is not None and path.rpartition("/")[2] in row.names


def _folded(name: str) -> str:
    """The name without what some file system, or some reader, doesn't see: case, compatibility
    forms, format characters, dots and blanks at its end."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in text if unicodedata.category(c) != "Cf").rstrip(". ")
