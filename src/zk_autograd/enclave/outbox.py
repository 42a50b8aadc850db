"""What leaves the enclave as its run goes on. Only public files (evidence.layout) and sealed ones
do: nothing else is ever opened here.

They leave in an order such that what the host holds is at any moment a run that was stopped there:

    attestation    before the header
    model, artefacts, proofs      before the record that names them
    records        before the checkpoint over them
    checkpoint     before the register's view of it
    views          before the receipts for them

The files are looked at in the opposite order, since the training goes on meanwhile: what a
checkpoint covers is in the log by the time that the log is looked at.
"""

import os
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from zk_autograd.core import canonical
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.enclave.relay.channels import APPEND, ONCE, REPLACE
from zk_autograd.enclave.relay.client import Outlet
from zk_autograd.enclave.relay.leaving import MAX_APPENDED, SEALED, leaving
from zk_autograd.evidence.beside import EntryKind
from zk_autograd.evidence.files import open_bounded, open_folder
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import (
    ANCHORS,
    ARTEFACTS,
    ATTESTATION,
    CHECKPOINT,
    COLLATERAL,
    DOCUMENT,
    LOG,
    MODEL,
    PROOFS,
    RECEIPTS,
    RECORDS,
    REGISTER,
    VIEWS,
    proof_place,
)
from zk_autograd.run.events import Entered, Event, RecordWritten

_CHUNK = 2**20
_RECORDS, _VIEWS, _RECEIPTS = f"{LOG}/{RECORDS}", f"{REGISTER}/{VIEWS}", f"{ANCHORS}/{RECEIPTS}"
_BEFORE = 2
"""Records before those of the segments: header and genesis."""


class Outbox:
    """Sends what is public of the run in the folder `run`, and what is sealed in `sealed`. From any
    thread. RunError where the host doesn't take it, or a file can't be read."""

    def __init__(self, run: Path, sealed: Path, outlet: Outlet) -> None:
        self._run = run
        self._sealed = sealed
        self._outlet = outlet
        self._lock = threading.Lock()
        self._at: dict[str, int] = {}
        self._sent: set[str] = set()
        self._replaced: dict[str, bytes] = {}
        self._records = 0

    def listener(self, event: Event) -> None:
        """Sends what there is after each checkpoint and each entry in the register."""
        if isinstance(event, Entered | RecordWritten):
            self.flush()

    def flush(self) -> None:
        """Sends what wasn't sent yet."""
        with self._lock:
            try:
                if (self._run / LOG).is_dir():
                    with RunFolder(self._run) as reader:
                        self._public(reader)
                self._sealed_files()
            except VerificationError as error:  # of our own files: this machine's fault
                raise RunError(f"a file of the run can't be sent: {error}") from error

    def _public(self, reader: RunFolder) -> None:
        receipts, views = self._new(reader, _RECEIPTS), self._new(reader, _VIEWS)
        checkpoint = _bytes(reader, f"{LOG}/{CHECKPOINT}")
        records = self._new(reader, _RECORDS)
        self._once(reader, f"{ATTESTATION}/{DOCUMENT}")
        self._replace(f"{ATTESTATION}/{COLLATERAL}", _bytes(reader, f"{ATTESTATION}/{COLLATERAL}"))
        if _closes(records):
            for path in (*_names(reader, MODEL), *ARTEFACTS):
                self._once(reader, path)
        self._records += records.count(b"\n")
        for path in _names(reader, PROOFS):
            place = proof_place(path.removeprefix(f"{PROOFS}/"))
            if place is not None and place[0] < self._records - _BEFORE:  # a record names it
                self._once(reader, path)
        self._append(_RECORDS, records)
        self._replace(f"{LOG}/{CHECKPOINT}", checkpoint)
        self._append(_VIEWS, views)
        self._append(_RECEIPTS, receipts)

    def _sealed_files(self) -> None:
        if not self._sealed.is_dir():
            return
        folder = open_folder(self._sealed)
        try:
            for name in sorted(os.listdir(folder), key=lambda name: (name.endswith(".json"), name)):
                path = f"{SEALED}/{name}"
                rule = leaving(path)
                if rule is None or path in self._sent:
                    continue
                with open_bounded(name, rule.bound, dir_fd=folder) as fd, open(fd, "rb", closefd=False) as file:
                    self._put(ONCE, path, 0, os.fstat(fd).st_size, _pieces(file.read, os.fstat(fd).st_size, path))
                self._sent.add(path)
        finally:
            os.close(folder)

    def _once(self, reader: RunFolder, path: str) -> None:
        if path in self._sent or not reader.has(path):
            return
        with reader.opened(path, _bound(path)) as file:
            size = os.fstat(file.fileno()).st_size
            self._put(ONCE, path, 0, size, _pieces(file.read, size, path))
        self._sent.add(path)

    def _replace(self, path: str, data: bytes | None) -> None:
        if data is None or self._replaced.get(path) == sha256(data).digest():
            return
        self._put(REPLACE, path, 0, len(data), iter([data]))
        self._replaced[path] = sha256(data).digest()

    def _new(self, reader: RunFolder, path: str) -> bytes:
        """The whole lines of a file that weren't sent yet."""
        if not reader.has(path):
            return b""
        with reader.opened(path, _bound(path)) as file:
            file.seek(self._at.get(path, 0))
            data = file.read()
        return data[: data.rfind(b"\n") + 1]

    def _append(self, path: str, lines: bytes) -> None:
        done = 0
        while done < len(lines):
            piece = lines[done : done + MAX_APPENDED]
            piece = piece[: piece.rfind(b"\n") + 1]
            if not piece:
                raise RunError(f"{path} has a line of more than {MAX_APPENDED} bytes, which does not leave the enclave")
            at = self._at.get(path, 0)
            self._put(APPEND, path, at, len(piece), iter([piece]))
            self._at[path] = at + len(piece)
            done += len(piece)

    def _put(self, way: str, path: str, at: int, size: int, pieces: Iterator[bytes]) -> None:
        rule = leaving(path)
        if rule is None or rule.way != way:
            raise RunError(f"{path} does not leave the enclave")
        self._outlet.put(way, path, at, size, pieces)


def _bound(path: str) -> int:
    rule = leaving(path)
    if rule is None:
        raise RunError(f"{path} does not leave the enclave")
    return rule.bound


def _names(reader: RunFolder, folder: str) -> list[str]:
    """The files of a folder that may leave."""
    found = (f"{folder}/{entry.name}" for entry in reader.entries(folder) if entry.kind is EntryKind.FILE)
    return sorted(path for path in found if leaving(path) is not None)


def _bytes(reader: RunFolder, path: str) -> bytes | None:
    if not reader.has(path):
        return None
    with reader.opened(path, _bound(path)) as file:
        return file.read()


def _closes(records: bytes) -> bool:
    """Whether the last of these records is the close record."""
    if not records:
        return False
    line = records[:-1].rpartition(b"\n")[2]
    record = canonical.decode(line, max_bytes=len(line))
    return isinstance(record, dict) and record.get("type") == "close"


def _pieces(read: Callable[[int], bytes], size: int, path: str) -> Iterator[bytes]:
    """`size` bytes, piece by piece. RunError if the file has fewer."""
    while size:
        piece = read(min(size, _CHUNK))
        if not piece:
            raise RunError(f"{path} was cut while it was sent")
        size -= len(piece)
        yield piece
