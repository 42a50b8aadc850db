"""What lies in a run beside what its records name: whoever reads a verdict takes what is there for what was judged.

One rule for a folder and a bundle. The records of a view name its log and checkpoint, the proofs of its segments, and, in the close record, the
model's files and the trainer's own. Every other name at the run's top level, in log/, proofs/ and model/ is *beside* it. Folders that no run has
are not entered: their name is enough. private/, if it is a folder, is the trainer's, and nobody's business.

* Harmless are a few names in one exact spelling (`HARMLESS`), of regular files: no program takes them for a model.
* In a view without close record, what a run that went on has left: proofs of later segments, the trainer's own files, and files half-written.
* All others are foreign. Some *resemble* a name of the run's own: they differ by case, by the form of Unicode, or by the folder that they lie in,
  and a reader, or a file system that doesn't see the difference, may take them for it.
"""

import unicodedata
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from zk_autograd.core.records import Log
from zk_autograd.run.layout import (
    ARTEFACTS,
    CHECKPOINT,
    LOG,
    MODEL,
    PRIVATE,
    PROOFS,
    PUBLISHED,
    RECORDS,
    proof_place,
)

_TEXTS = tuple(stem + end for stem in ("README", "LICENSE") for end in ("", ".md", ".rst", ".txt"))
HARMLESS = frozenset({*_TEXTS, ".gitattributes", ".gitignore", ".DS_Store", "model.sig"})
"""Names of files that people and programs leave in folders, and that hold nothing to be judged. In this spelling alone."""

FOLDERS = (LOG, PROOFS, MODEL)
_OWN = frozenset({*FOLDERS, PRIVATE, RECORDS, CHECKPOINT, *ARTEFACTS, *PUBLISHED})
_OWN_PATHS = frozenset({*FOLDERS, PRIVATE, *ARTEFACTS, *(f"{MODEL}/{name}" for name in PUBLISHED)})


class EntryKind(Enum):
    """What a name in a folder is. A link is neither, wherever it leads."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder, as the system spells it: it may hold lone surrogates, for bytes that are no UTF-8."""

    name: str
    kind: EntryKind


class Listing(Protocol):
    """A run's names (`run.reader.RunReader`, `run.bundle.BundleReader`)."""

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """The names in a folder of `FOLDERS`, or at the top level (""), in no order; none if there is no such folder. The folder is open until the
        last one: who stops before closes it."""
        ...


class Kind(Enum):
    """What to think of a name that no record names."""

    HARMLESS = "harmless"
    UNFINISHED = "unfinished"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Beside:
    """A name that no record names: its path in the run, with "/". `resembles` is a name of the run's own that it may be taken for."""

    path: str
    kind: Kind
    resembles: str | None = None


def beside(files: Listing, log: Log) -> Generator[Beside, None, None]:
    """What lies beside the records of this view, as it is found; what is named is passed over. The caller counts, stops, and closes it."""
    for folder in ("", *FOLDERS):
        with closing(files.entries(folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not _named(log, folder, entry):
                    yield Beside(path, *_judged(log, folder, entry, path))


def _named(log: Log, folder: str, entry: Entry) -> bool:
    """Whether it is what a record of the view names, by its name and as a regular file: what it holds is another step's business, and that of
    none where a sample leaves it out."""
    name, close = entry.name, log.close
    if not folder and name in (*FOLDERS, PRIVATE):
        return entry.kind is EntryKind.FOLDER
    if entry.kind is not EntryKind.FILE:
        return False
    match folder:
        case "log":
            return name in (RECORDS, CHECKPOINT)
        case "proofs":
            place = _proof(log, name)
            return place is not None and place < len(log.segments)
        case "model":
            return close is not None and name in dict(close.model)
        case _:
            return close is not None and name in ARTEFACTS and name in dict(close.artefacts)


def _judged(log: Log, folder: str, entry: Entry, path: str) -> tuple[Kind, str | None]:
    if entry.name in HARMLESS and entry.kind is EntryKind.FILE:
        return Kind.HARMLESS, None
    if log.close is None and folder != MODEL and entry.kind is EntryKind.FILE:
        name = entry.name
        if name.startswith(".") and name.endswith(".tmp"):  # run.files writes to it, and a crash leaves it
            name = name[1:-4]
        if name in {"": ARTEFACTS, LOG: (RECORDS, CHECKPOINT)}.get(folder, ()):
            return Kind.UNFINISHED, None
        if folder == PROOFS and _proof(log, name) is not None:
            return Kind.UNFINISHED, None
    return Kind.FOREIGN, _resembled(entry.name, path)


def _proof(log: Log, name: str) -> int | None:
    """The segment of a proof's file that a run of this header may have."""
    place = proof_place(name)
    if place is None or log.header.prover.backend == "none" or place[1] >= len(log.header.blocks):
        return None
    return place[0]


def _resembled(name: str, path: str) -> str | None:
    folded = _folded(name)
    in_its_place = folded == name and (path in _OWN_PATHS or path == f"{PROOFS}/{name}")
    return folded if not in_its_place and (folded in _OWN or proof_place(folded) is not None) else None


def _folded(name: str) -> str:
    """The name without what some file system, or some reader, doesn't see: case, compatibility forms, format characters, dots and blanks at its end."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in text if unicodedata.category(c) != "Cf").rstrip(". ")
