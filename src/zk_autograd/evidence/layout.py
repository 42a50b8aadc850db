"""The public files of a run: one row each. A stranger is given what is listed here, and nothing
else.

    log/records.jsonl         one record a line; its bytes, without the newline, are the Merkle leaf
    log/checkpoint            signed note of the newest tree head
    proofs/<segment>-<block>  proof bytes
    model/<name>              published weights
    environment.json, config.toml, train_log.jsonl, hashes.json   the trainer's own files
    model.sig                 an OpenSSF model signature, covered by itself alone
    register/views.jsonl      the run's entries in its trainer's register (core.register.View)
    anchors/receipts.jsonl    what anchors gave for the register's checkpoints
    graph.txt, data/cells     of a run with exact gradients: its graph, and public data
    attestation/document.json, collateral.json    of a run of an enclave (core.attestation)

A row says which names a folder has, how large a file may be, and which record names it. The readers
(`evidence.folder`, `evidence.bundle`), what a bundle packs, and what is reported about files that
no record names (`evidence.beside`) follow the rows: another kind of file takes another row, and an
accessor in `evidence.run`. The trainer's private folder is not part of this (`run.layout`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from zk_autograd.core.attestation import MAX_COLLATERAL, MAX_DOCUMENT
from zk_autograd.core.graph.text import MAX_TEXT
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.records import Log

LOG = "log"
RECORDS = "records.jsonl"
CHECKPOINT = "checkpoint"
PROOFS = "proofs"
MODEL = "model"
PRIVATE = "private"
ENVIRONMENT = "environment.json"
CONFIG = "config.toml"
TRAIN_LOG = "train_log.jsonl"
HASHES = "hashes.json"
MODEL_SIGNATURE = "model.sig"
REGISTER = "register"
VIEWS = "views.jsonl"
ANCHORS = "anchors"
RECEIPTS = "receipts.jsonl"
GRAPH = "graph.txt"
DATA = "data"
CELLS = "cells"
ATTESTATION = "attestation"
DOCUMENT = "document.json"
COLLATERAL = "collateral.json"
ARTEFACTS = (ENVIRONMENT, CONFIG, TRAIN_LOG, HASHES)
"""The trainer's own files at the run's top level. Each may be missing."""

WEIGHTS_INTEGERS = "weights.i64.safetensors"
WEIGHTS_FLOATS = "weights.f32.safetensors"
OPENING = "opening.json"
PUBLISHED = (WEIGHTS_INTEGERS, WEIGHTS_FLOATS, OPENING)
"""The files of a published model: all of them, or none."""

MAX_LOG = 4 * 2**30
MAX_LEAVES = 2**22
"""Records of a log. Without this bound a file of empty lines would take eight times its size in
memory, and an hour to read."""

MAX_PROOF = 64 * 2**20
MAX_MODEL_FILE = 64 * 2**30
MAX_ARTEFACT = 2**30
MAX_MODEL_SIGNATURE = 2**20
MAX_VIEWS = 2**28
MAX_VIEW_LINES = 2**16
"""Views of a run, and receipts: their heads are held while they are judged."""

MAX_CELLS = 2**36
"""As a published file of the model."""

MAX_RECEIPTS = 2**28
MAX_RECEIPT_LINES = 2**16

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""The name of a published file: not a path, not hidden, with no ambiguous characters."""

_PROOF_NAME = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})")


def proof_name(segment: int, block: int) -> str:
    """The file of a block's proof, in the folder `PROOFS`."""
    return f"{segment}-{block}"


def proof_place(name: str) -> tuple[int, int] | None:
    """Segment and block of a proof's file, by its name; None if no proof has such a name."""
    match = _PROOF_NAME.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]))


class Naming(Protocol):
    """Which files of a row the records of a view name."""

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        """Each file that a record names, with the SHA-256 that the record gives."""
        ...

    def covers(self, log: Log, name: str) -> bool:
        """Whether the view says anything about the file `name`, which is one of the row's."""
        ...


class OfTheLog:
    """The log's own files: every view includes them, and no record has their hash."""

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        return iter(())

    def covers(self, log: Log, name: str) -> bool:
        return True


class OfSegments:
    """The proofs of the segments' records."""

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        for segment in log.segments:
            for block, digest in enumerate(segment.proofs):
                yield proof_name(segment.index, block), digest

    def covers(self, log: Log, name: str) -> bool:
        segment = proof_segment(log, name)
        return segment is not None and segment < len(log.segments)


class OfNoRecord:
    """Those that no record names, since they are made after the records they speak of: whoever
    reads one checks it by itself (verify.model_signature, verify.anchors)."""

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        return iter(())

    def covers(self, log: Log, name: str) -> bool:
        return True


class OfTheRegister(OfNoRecord):
    """As those, of a run whose header names a register: in any other they are nobody's."""

    def covers(self, log: Log, name: str) -> bool:
        return bool(log.header.register)


class OfTheHeader:
    """Those that the header of a run with exact gradients names: `member` of its `exact`."""

    def __init__(self, name: str, member: str) -> None:
        self._name = name
        self._member = member

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        if log.header.exact is not None and (digest := getattr(log.header.exact, self._member)):
            yield self._name, digest

    def covers(self, log: Log, name: str) -> bool:
        return any(name == named for named, _ in self.names(log))


class OfTheGenesis:
    """The attestation that the genesis record names."""

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        if log.genesis is not None and log.genesis.attestation:
            yield DOCUMENT, log.genesis.attestation

    def covers(self, log: Log, name: str) -> bool:
        return bool(log.header.proving)


class OfTheEnclave(OfNoRecord):
    """As those of no record, of a run of an enclave."""

    def covers(self, log: Log, name: str) -> bool:
        return bool(log.header.proving)


class OfTheClose:
    """Those that a member of the close record names: `model` or `artefacts`."""

    def __init__(self, member: str) -> None:
        self._member = member

    def names(self, log: Log) -> Iterator[tuple[str, bytes]]:
        return iter(() if log.close is None else getattr(log.close, self._member))

    def covers(self, log: Log, name: str) -> bool:
        return any(name == named for named, _ in self.names(log))


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A kind of public file: those of `names`, or whose name `pattern` matches, in `folder` ("":
    the run's own), of at most `bound` bytes.

    `partial`: an unfinished run may leave some of them that no record of the view names, whole or
    half-written.
    """

    folder: str
    named_by: Naming
    bound: int
    names: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    partial: bool = True

    def has(self, name: str) -> bool:
        """Whether a file of this row may be called `name`."""
        return name in self.names or (self.pattern is not None and self.pattern.fullmatch(name) is not None)

    def path(self, name: str) -> str:
        """Where the file lies in the run, with "/" between folder and name."""
        return f"{self.folder}/{name}" if self.folder else name


ROWS = (
    PublicFile(LOG, OfTheLog(), MAX_LOG, names=(RECORDS,)),
    PublicFile(LOG, OfTheLog(), MAX_NOTE_BYTES, names=(CHECKPOINT,)),
    PublicFile(PROOFS, OfSegments(), MAX_PROOF, pattern=_PROOF_NAME),
    PublicFile(MODEL, OfTheClose("model"), MAX_MODEL_FILE, names=PUBLISHED, pattern=PLAIN_NAME, partial=False),
    PublicFile("", OfTheClose("artefacts"), MAX_ARTEFACT, names=ARTEFACTS),
    PublicFile("", OfNoRecord(), MAX_MODEL_SIGNATURE, names=(MODEL_SIGNATURE,)),
    PublicFile("", OfTheHeader(GRAPH, "graph"), MAX_TEXT, names=(GRAPH,), partial=False),
    PublicFile(DATA, OfTheHeader(CELLS, "cells"), MAX_CELLS, names=(CELLS,), partial=False),
    PublicFile(REGISTER, OfTheRegister(), MAX_VIEWS, names=(VIEWS,), partial=False),
    PublicFile(ANCHORS, OfTheRegister(), MAX_RECEIPTS, names=(RECEIPTS,), partial=False),
    PublicFile(ATTESTATION, OfTheGenesis(), MAX_DOCUMENT, names=(DOCUMENT,), partial=False),
    PublicFile(ATTESTATION, OfTheEnclave(), MAX_COLLATERAL, names=(COLLATERAL,), partial=False),
)


def row_of(path: str) -> PublicFile | None:
    """The row of a public file, by its path in the run; None if no public file is called that."""
    folder, _, name = path.rpartition("/")
    return next((row for row in ROWS if row.folder == folder and row.has(name) and row.path(name) == path), None)


def is_public(path: str) -> bool:
    """Whether `path`, with "/" between folder and name, is that of a public file."""
    return row_of(path) is not None


def folders() -> tuple[str, ...]:
    """The folders that public files lie in, apart from the run's own."""
    return tuple(dict.fromkeys(row.folder for row in ROWS if row.folder))


def proof_segment(log: Log, name: str) -> int | None:
    """The segment of a proof's file that a run of this header may have; None if it can't have one
    of this name."""
    place = proof_place(name)
    if place is None or not log.header.prover.form.proves or place[1] >= len(log.header.blocks):
        return None
    return place[0]
