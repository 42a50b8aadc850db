"""A run's evidence: one reader with an accessor for each public file, over a folder or a bundle,
here or on a server.

`evidence.folder`, `evidence.bundle` and `evidence.remote` know how to open a path of the run and
which names a folder of it has; everything else is here, so that all read the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, ClassVar, Self

from zk_autograd.core.anchors import MAX_RECEIPT
from zk_autograd.core.attestation import MAX_COLLATERAL, MAX_DOCUMENT
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.graph.text import MAX_TEXT
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.core.register import MAX_VIEW
from zk_autograd.core.text import quoted
from zk_autograd.evidence.beside import Entry
from zk_autograd.evidence.files import unreadable
from zk_autograd.evidence.layout import (
    ANCHORS,
    ARTEFACTS,
    ATTESTATION,
    CELLS,
    CHECKPOINT,
    COLLATERAL,
    DATA,
    DOCUMENT,
    GRAPH,
    LOG,
    MAX_ARTEFACT,
    MAX_CELLS,
    MAX_LEAVES,
    MAX_LOG,
    MAX_MODEL_FILE,
    MAX_PROOF,
    MAX_RECEIPT_LINES,
    MAX_RECEIPTS,
    MAX_VIEW_LINES,
    MAX_VIEWS,
    MODEL,
    PLAIN_NAME,
    PROOFS,
    RECEIPTS,
    RECORDS,
    REGISTER,
    VIEWS,
    proof_name,
)

_CHUNK = 2**20


class Evidence(ABC):
    """A run's public files. Close it, or use it in a `with`.

    Its methods raise VerificationError for whatever is missing, too large, not a plain file or
    malformed, and UnreadableError where this machine can't read it.
    """

    listable: ClassVar[bool] = True
    """Whether `entries` can tell what lies in a folder."""

    served: ClassVar[bool] = False
    """Whether somebody else gives each file as it is asked for, and sees which ones are."""

    @abstractmethod
    def opened(self, path: str, limit: int) -> AbstractContextManager[BinaryIO]:
        """A public file of at most `limit` bytes, to be read once from front to back. `path` is one
        that `layout.is_public` knows."""

    @abstractmethod
    def entries(self, folder: str) -> Generator[Entry, None, None]:
        """The names in a folder of `layout.folders`, or at the top level (""), in no order; none if
        there is no such folder. UnreadableError if it isn't `listable`."""

    @abstractmethod
    def has_log(self) -> bool:
        """Whether anything exists under the name of one of the log's files: if not, this is not a
        run, and there is nothing to judge."""

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether anything exists under this name of a public file."""

    @abstractmethod
    def close(self) -> None:
        """Nothing can be read after it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a public file, read once."""
        return b"".join(self.chunks(path, limit))

    def digest(self, path: str, limit: int) -> bytes:
        """The SHA-256 of a public file, never held in memory: a sparse one costs its writer
        nothing."""
        hashed = sha256()
        for chunk in self.chunks(path, limit):
            hashed.update(chunk)
        return hashed.digest()

    def chunks(self, path: str, limit: int) -> Iterator[bytes]:
        """A public file piece by piece."""
        left = limit
        with self.opened(path, limit) as file:
            while chunk := _read(file, path):
                left -= len(chunk)
                if left < 0:  # it grew since it was measured
                    raise VerificationError(f"{path} is too large", expected=f"at most {limit} bytes", found="more")
                yield chunk

    def leaves(self, limit: int = MAX_LOG, record_limit: int = MAX_RECORD) -> list[bytes]:
        """The lines of the log, without their newlines: the leaves of its tree. At most `limit`
        bytes in all are read."""
        return list(self.lines(limit, record_limit))

    def lines(self, limit: int = MAX_LOG, record_limit: int = MAX_RECORD) -> Generator[bytes, None, None]:
        """As `leaves`, one by one, so that none has to be held. Read them to the end, or close the
        generator: the log stays open until then."""
        with self.opened(f"{LOG}/{RECORDS}", limit) as file:
            yield from _Lines(f"{LOG}/{RECORDS}", "record", limit, record_limit, MAX_LEAVES).of(file)

    def views(self) -> Generator[bytes, None, None]:
        """The lines of register/views.jsonl, as `lines`: of at most MAX_VIEW bytes, and at most
        MAX_VIEW_LINES."""
        path = f"{REGISTER}/{VIEWS}"
        with self.opened(path, MAX_VIEWS) as file:
            yield from _Lines(path, "view", MAX_VIEWS, MAX_VIEW, MAX_VIEW_LINES).of(file)

    def receipts(self) -> Generator[bytes, None, None]:
        """The lines of anchors/receipts.jsonl, as `lines`: of at most MAX_RECEIPT bytes, and at
        most MAX_RECEIPT_LINES."""
        path = f"{ANCHORS}/{RECEIPTS}"
        with self.opened(path, MAX_RECEIPTS) as file:
            yield from _Lines(path, "receipt", MAX_RECEIPTS, MAX_RECEIPT, MAX_RECEIPT_LINES).of(file)

    def graph(self) -> bytes:
        """graph.txt, not yet compared with the header's hash."""
        return self.read(GRAPH, MAX_TEXT)

    def cells(self, limit: int = MAX_CELLS) -> bytes:
        """data/cells, not yet compared with the header's hash. `limit`: what the header's numbers
        allow (core.cells.largest_file)."""
        return self.read(f"{DATA}/{CELLS}", limit)

    def attestation(self) -> bytes:
        """attestation/document.json, not yet compared with the genesis record's hash."""
        return self.read(f"{ATTESTATION}/{DOCUMENT}", MAX_DOCUMENT)

    def collateral(self) -> bytes:
        """attestation/collateral.json, which no record names."""
        return self.read(f"{ATTESTATION}/{COLLATERAL}", MAX_COLLATERAL)

    def checkpoint(self) -> bytes:
        """The signed note of the newest tree head, not yet opened."""
        return self.read(f"{LOG}/{CHECKPOINT}", MAX_NOTE_BYTES)

    def proof(self, segment: int, block: int, limit: int = MAX_PROOF) -> bytes:
        """The bytes of a block's proof, not yet compared with the record's hash."""
        return self.read(f"{PROOFS}/{proof_name(segment, block)}", limit)

    def model_file(self, name: str, limit: int = MAX_MODEL_FILE) -> bytes:
        """A published file of the model by the name that the close record gives it."""
        check_plain_name(name)
        return self.read(f"{MODEL}/{name}", limit)

    def artefact(self, name: str, limit: int = MAX_ARTEFACT) -> bytes:
        """One of the trainer's own files, by a name of `layout.ARTEFACTS`."""
        if name not in ARTEFACTS:
            raise VerificationError(f"{quoted(name)} is not a file at a run's top level", expected=", ".join(ARTEFACTS))
        return self.read(name, limit)

    def artefact_names(self) -> list[str]:
        """Which of `layout.ARTEFACTS` are there, in that order."""
        return [name for name in ARTEFACTS if self.has(name)]


def digests(files: Evidence, limits: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The SHA-256 of each file by its path in the run. One that this machine can't read raises
    UnreadableError after all the others, so that nothing false hides behind it."""
    unread: UnreadableError | None = None
    for path, limit in limits.items():
        try:
            digest = files.digest(path, limit)
        except UnreadableError as error:
            unread = unread or error
        else:
            yield path, digest
    if unread is not None:
        raise unread


def check_plain_name(name: str) -> None:
    """Raises VerificationError unless `name` has at most 100 characters: letters, digits, "_", "-"
    and "." (not first)."""
    if not PLAIN_NAME.fullmatch(name):
        raise VerificationError(
            f"{quoted(name)} is not the name of a published file", expected="letters, digits, _ - ."
        )


def _read(file: BinaryIO, path: str) -> bytes:
    try:
        return file.read(_CHUNK)
    except OSError as error:
        raise unreadable(path, error) from error


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a file at `path` of at most `limit` bytes, each a `noun` of at most `longest`
    bytes, at most `most` of them."""

    path: str
    noun: str
    limit: int
    longest: int
    most: int

    def of(self, file: BinaryIO) -> Iterator[bytes]:
        """Each without its newline, read from the file's beginning. VerificationError for a file
        that is longer or incomplete."""
        count, left = 0, self.limit
        while line := self._line(file, min(self.longest, left) + 1):
            left -= len(line)
            if left < 0:  # it grew since it was measured
                raise VerificationError(
                    f"{self._name} is too large", expected=f"at most {self.limit} bytes", found="more"
                )
            if not line.endswith(b"\n"):
                raise VerificationError(
                    f"a line of {self._name} does not end",
                    record=count if self.noun == "record" else None,
                    expected=f"a newline after at most {self.longest} bytes",
                    found="a longer line" if len(line) > self.longest else "the end of the file",
                )
            if count == self.most:
                raise VerificationError(
                    f"{self._name} has too many {self.noun}s", expected=f"at most {self.most}", found="more"
                )
            count += 1
            yield line[:-1]

    @property
    def _name(self) -> str:
        return self.path.rpartition("/")[2]

    def _line(self, file: BinaryIO, limit: int) -> bytes:
        try:
            return file.readline(limit)
        except OSError as error:
            raise unreadable(self.path, error) from error
