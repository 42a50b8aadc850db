"""The run's log: records in their order, and the signed checkpoint over them.

A record is appended and fsynced, then the checkpoint is replaced. What a crash can leave: a torn
last line (dropped: nobody was told of it), or complete records that no checkpoint covers (kept if
they are exactly what the writer would write, see `put`).

The folder `private` has the same checkpoint, written first: so public files that were restored from
an older copy are noticed, and nothing else is signed where something was signed before. A copy of
the whole run, `private` included, can't be told from the run that it was made of.
"""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import Frontier, leaf_hash, root
from zk_autograd.core.note import MAX_NOTE_BYTES, Checkpoint, checkpoint_text, open_note, parse_checkpoint, sign
from zk_autograd.core.records import MAX_RECORD
from zk_autograd.evidence.files import open_bounded, read_bounded, unreadable
from zk_autograd.evidence.layout import CHECKPOINT, MAX_LEAVES, MAX_LOG, RECORDS
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, of_the_run
from zk_autograd.run.layout import Layout


def whole_leaves(file: BinaryIO) -> tuple[list[bytes], int]:
    """The records of a log that is open for reading, and how many bytes they take: a crash may
    leave a torn one after them.

    VerificationError for what neither a crash nor a trainer leaves. A sparse file, whose holes take
    no space on the disk, takes no memory either.
    """
    leaves: list[bytes] = []
    size = 0
    try:
        while line := file.readline(MAX_RECORD + 1):
            if not line.endswith(b"\n") and len(line) <= MAX_RECORD:
                break
            if len(line) > MAX_RECORD or b"\0" in line:
                raise VerificationError(f"line {len(leaves) + 1} of {RECORDS} is not a record", record=len(leaves))
            if len(leaves) == MAX_LEAVES or size > MAX_LOG:
                most = f"at most {MAX_LEAVES}, of {MAX_LOG} bytes in all"
                raise VerificationError(f"{RECORDS} has too many records", expected=most, found="more")
            size += len(line)
            leaves.append(line[:-1])
    except OSError as error:
        raise unreadable(RECORDS, error) from error
    return leaves, size


class RunLog:
    """The log of one run, open for writing. One thread at a time."""

    def __init__(self, layout: Layout, origin: str, signers: Sequence[Signer], files: Files) -> None:
        """Opens the log in the folder `log`, which must exist; it is begun if it has no records.

        RunError if its checkpoint, or the newest that was signed, is not of all these signers, or
        not over these records.
        """
        self._records = layout.log / RECORDS
        self._checkpoint = layout.log / CHECKPOINT
        self._newest = layout.head
        self._origin = origin
        self._signers = tuple(signers)
        self._files = files
        self._tree = Frontier()
        leaves, whole, size = self._read_records()
        self._found: deque[bytes] = deque(leaves)
        head, newest = self._read_checkpoint(self._checkpoint), self._read_checkpoint(self._newest)
        if head and head.size > len(self._found):
            raise RunError(
                f"{self._records} has {len(self._found)} records, but its checkpoint covers {head.size}: "
                "restore it from a copy"
            )
        self._leaves = leaves
        for _ in range(head.size if head else 0):
            self._tree.append(leaf_hash(self._found.popleft()))
        if head and head.root != self._tree.root():
            raise RunError(
                f"{self._records} was altered: its root is not the one in {self._checkpoint}; restore both from a copy"
            )
        if newest:
            self._require_newest(newest, leaves)
        if whole < size:  # a record whose writing was interrupted
            files.truncate(self._records, whole)
        self._head = head

    @property
    def size(self) -> int:
        """How many records are in the log, not counting found ones that `put` has not confirmed."""
        return self._tree.size

    @property
    def head(self) -> Checkpoint | None:
        """The newest signed tree head, at any time and from any thread; None before the first."""
        return self._head

    def confirms(self) -> bool:
        """Whether a crash left the next record there already, for `put` to confirm."""
        return bool(self._found)

    def take_leaves(self) -> list[bytes]:
        """The records that the log was opened with, once: they may be many, and are not kept."""
        leaves, self._leaves = self._leaves, []
        return leaves

    def put(self, leaf: bytes) -> None:
        """The next record. RunError if a crash left another in its place."""
        if self._found:
            if self._found[0] != leaf:
                raise RunError(
                    f"record {self.size} of {self._records} is not what the journal says, and no checkpoint covers it: "
                    "one of the two was altered; restore both from a copy"
                )
            self._found.popleft()
        else:
            self._files.append(self._records, leaf + b"\n")
        self._tree.append(leaf_hash(leaf))

    def sign(self) -> Checkpoint:
        """Signs a checkpoint over the records so far, unless there is one: the tree head."""
        head = Checkpoint(self._origin, self._tree.size, self._tree.root())
        if head == self._head:
            return head
        try:
            note = sign(checkpoint_text(head.origin, head.size, head.root), self._signers)
        except VerificationError as error:
            raise RunError(f"{self._checkpoint} can't be signed: {error}; check the key") from error
        self._files.write_atomic(self._newest, note, PRIVATE_FILE)
        self._files.write_atomic(self._checkpoint, note)
        self._head = head
        return head

    def _read_records(self) -> tuple[list[bytes], int, int]:
        """The records, how many bytes they take, and how many the file has."""
        if not exists(self._records):
            self._files.write_atomic(self._records, b"")
        try:
            with open_bounded(self._records, MAX_LOG) as fd, open(fd, "rb", closefd=False) as file:
                return *whole_leaves(file), os.fstat(fd).st_size
        except VerificationError as error:
            raise of_the_run(error, f"{error}; restore it from a copy") from error

    def _require_newest(self, newest: Checkpoint, leaves: Sequence[bytes]) -> None:
        """RunError if the records don't begin with those that were signed last: whoever continued
        would sign others of the same number, which proves a fork."""
        if len(leaves) < newest.size or root([leaf_hash(leaf) for leaf in leaves[: newest.size]]) != newest.root:
            raise RunError(
                f"{self._records} does not hold the {newest.size} records that were signed last, by {self._newest}: it was altered, or is an "
                "older copy, and continuing it would sign a second log, a fork; restore the newest copy of all of the run's files"
            )

    def _read_checkpoint(self, path: Path) -> Checkpoint | None:
        if not exists(path):
            return None
        try:
            note = open_note(read_bounded(path, MAX_NOTE_BYTES), [s.public_key for s in self._signers])
            head = parse_checkpoint(note.text)
            if head.origin != self._origin:
                raise VerificationError("it is of another log", expected=self._origin, found=head.origin)
        except VerificationError as error:
            text = f"{path} is not this run's: {error}; restore it from a copy"
            raise of_the_run(error, text) from error
        return head
