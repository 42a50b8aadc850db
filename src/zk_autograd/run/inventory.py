"""What lies in a run's directory, seen from outside: nothing is changed, and nothing is judged
(that is zk-verify's job).

A run is *finished* if its log has a close record under its checkpoint, *damaged* if it can't be
resumed and no verifier would accept it, else *unfinished*. What a crash leaves is not damage: the
next resume repairs it. Nor is what this user, or this machine, can't read: of a run whose private
folder is closed to whoever looks, the log says how it stands, and one whose log is closed *can't be
read*.

Whoever made the run may be a stranger: nothing here takes more memory than its files take on the
disk.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from zk_autograd.core.anchors import MAX_RECEIPT, Receipt
from zk_autograd.core.errors import RunError, StorageError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import Checkpoint, open_note, parse_checkpoint
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Header, Log, header_digest
from zk_autograd.core.register import MAX_VIEW, View
from zk_autograd.core.text import counted
from zk_autograd.evidence.files import tells_of_the_file
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import (
    ANCHORS,
    CHECKPOINT,
    LOG,
    MAX_LOG,
    MAX_RECEIPTS,
    MAX_VIEWS,
    PRIVATE,
    RECEIPTS,
    RECORDS,
    REGISTER,
    VIEWS,
)
from zk_autograd.run.files import Files, exists, is_folder, is_own_folder, names_in, require_listable
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import holder
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.marker import forgotten_on
from zk_autograd.run.recovery import read_header

MAX_DEPTH = 8
"""A run's own folders are at most four deep."""

MAX_ENTRIES = 2**22


class Condition(StrEnum):
    """How a run stands."""

    UNFINISHED = "unfinished"
    FINISHED = "finished"
    DAMAGED = "damaged"
    UNREADABLE = "can't be read"
    """By this user, or on this machine."""


class Secrets(StrEnum):
    """What became of a run's private folder. ABSENT: this is a copy without it, as a stranger has
    it. UNREADABLE: it is somebody else's."""

    KEPT = "kept"
    FORGOTTEN = "forgotten"
    ABSENT = "absent"
    UNREADABLE = "not readable"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run. Steps: `steps` are in the journal, `recorded` of them in the log under its checkpoint.
    `waiting` segments are sealed and not yet recorded. `reason` says what is damaged or can't be
    read, `closed` why the private folder isn't readable, `repairs` what the next resume does first.
    Sizes are in bytes, of the files that can be seen; `changed` is a POSIX time, `trainer` the
    process that holds the lock. `entry` is the run's newest in its trainer's register, as the run
    shows it; `receipts` has of each kind of anchor the size of the register's newest checkpoint
    that there is a receipt for.
    """

    path: Path
    condition: Condition
    reason: str
    header: Header | None
    head: Checkpoint | None
    steps: int
    recorded: int
    waiting: int
    repairs: tuple[str, ...]
    secrets: Secrets
    closed: str
    forgotten: str | None
    public_bytes: int
    private_bytes: int
    changed: float
    trainer: str | None
    entry: View | None = None
    receipts: tuple[tuple[str, int], ...] = ()

    @property
    def proved(self) -> int:
        """How many steps have a proof in the log."""
        return self.recorded if self.header is not None and self.header.prover.form.proves else 0


def find_runs(folder: Path) -> list[Path]:
    """The runs directly in a folder, sorted by name, and folders that can't be read. UsageError if
    there is no such folder, StorageError if it can't be listed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        kind = UsageError if tells_of_the_file(error) else StorageError
        raise kind(f"{folder} can't be listed: {error.strerror}") from error
    return [folder / name for name in names if _may_be_run(folder / name)]


def _may_be_run(path: Path) -> bool:
    try:
        return is_run(path)
    except StorageError:
        return True


def is_run(path: Path) -> bool:
    """Whether something at `path` looks like a run, even a broken one. StorageError if the system
    doesn't tell."""
    return any(is_folder(path / part) for part in (LOG, PRIVATE))


def look_at(path: Path) -> RunStatus:
    """The run at `path`, as far as it can be read here. UsageError if there is none."""
    found = _Found()
    condition = reason = None
    layout = Layout(path)
    public, private, changed = _measured(path)
    there = True
    try:
        if there := is_run(path):
            require_listable(path)
            _read(layout, found)
    except (StorageError, UnreadableError) as error:
        condition, reason = Condition.UNREADABLE, str(error)
    except MemoryError:
        condition, reason = Condition.UNREADABLE, "memory ran out while it was being read"
    except (VerificationError, RunError, UsageError) as error:
        condition, reason = Condition.DAMAGED, str(error)
    if not there:
        raise UsageError(f"there is no run at {path}: name the folder of a run")
    finished = found.log is not None and found.log.close is not None and not found.unsigned
    condition = condition or (Condition.FINISHED if finished else Condition.UNFINISHED)
    return RunStatus(
        path=path,
        condition=condition,
        reason=reason or "",
        header=found.header,
        head=found.head,
        steps=found.steps,
        recorded=found.recorded,
        waiting=found.waiting,
        repairs=() if reason or finished else tuple(found.repairs()),
        secrets=found.secrets,
        closed=found.closed,
        forgotten=found.forgotten,
        public_bytes=public,
        private_bytes=private,
        changed=changed,
        trainer=found.trainer,
        entry=found.entry,
        receipts=tuple(found.receipts.items()),
    )


@dataclass(slots=True)
class _Found:
    """What was read so far. `unsigned` records are whole, but not under the checkpoint."""

    header: Header | None = None
    log: Log | None = None
    head: Checkpoint | None = None
    torn: bool = False
    unsigned: int = 0
    steps: int = 0
    recorded: int = 0
    waiting: int = 0
    secrets: Secrets = Secrets.ABSENT
    closed: str = ""
    forgotten: str | None = None
    trainer: str | None = None
    entry: View | None = None
    receipts: dict[str, int] = field(default_factory=dict)

    def close_off(self, error: StorageError) -> None:
        """The private folder can't be read."""
        self.secrets, self.closed = Secrets.UNREADABLE, str(error)

    def repairs(self) -> Iterator[str]:
        if self.torn:
            yield "drop the record that a crash tore"
        if self.unsigned:
            yield f"compare {counted(self.unsigned, 'record')} with the journal, and sign them"
        if self.waiting:
            made = "prove and record" if self.header and self.header.prover.form.proves else "record"
            yield f"{made} {counted(self.waiting, 'segment')} that are sealed already"
        yield f"continue after step {self.steps}"


def _read(layout: Layout, found: _Found) -> None:
    """Reads all that there is. Raises VerificationError or RunError for damage, UnreadableError or
    StorageError where that can't be told."""
    if is_own_folder(layout.private):
        found.secrets = Secrets.KEPT
        try:
            found.trainer = holder(layout.lock)
            found.forgotten = forgotten_on(layout)
            exists(layout.header)
        except StorageError as error:
            found.close_off(error)
        if found.forgotten is not None:
            found.secrets = Secrets.FORGOTTEN
    elif exists(layout.private):
        raise RunError(f"{layout.private} is a link or not a folder, and nothing is read behind it")
    _read_log(layout, found)
    if found.header is not None and found.header.register:
        _read_register(layout, found)
    if found.secrets is Secrets.KEPT:
        try:
            _read_journal(layout, found)
        except StorageError as error:
            found.close_off(error)
    if found.log is None and found.secrets is Secrets.UNREADABLE:
        raise StorageError(f"it has no records yet, and its private folder is closed: {found.closed}")
    if found.log is None and found.secrets is not Secrets.KEPT:
        raise RunError("it has no records")


def _read_register(layout: Layout, found: _Found) -> None:
    """The newest entry, and which anchors have it. Raises VerificationError for what is none; a
    torn last line, which a crash leaves, is no line."""
    with RunFolder(layout.root) as reader:
        for path, limit, most in (
            (f"{REGISTER}/{VIEWS}", MAX_VIEWS, MAX_VIEW),
            (f"{ANCHORS}/{RECEIPTS}", MAX_RECEIPTS, MAX_RECEIPT),
        ):
            if not reader.has(path):
                continue
            with reader.opened(path, limit) as file:
                newest = b""
                while (line := file.readline(most + 1)).endswith(b"\n"):
                    newest = line[:-1]
                    if path.startswith(ANCHORS):
                        receipt = Receipt.parse(newest)
                        found.receipts[receipt.kind] = max(receipt.size, found.receipts.get(receipt.kind, 0))
            if newest and path.startswith(REGISTER):
                found.entry = View.parse(newest)


def _resumable(layout: Layout, found: _Found) -> bool:
    """Whether what a crash leaves in a log may be repaired: there is, or may be, a trainer's
    private part."""
    return found.secrets is Secrets.UNREADABLE or exists(layout.header)


def _read_log(layout: Layout, found: _Found) -> None:
    """The records under the checkpoint. Raises VerificationError for what no crash leaves."""
    with RunFolder(layout.root) as reader:
        if not exists(layout.log / CHECKPOINT) and _resumable(layout, found):  # a crash before the first one
            if exists(layout.log / RECORDS):
                leaves, found.torn = _whole_leaves(reader, layout, found)
                found.unsigned = len(leaves)
                found.log = parse_log(leaves) if leaves else None
            return
        note = reader.checkpoint()  # read before the log, which may grow meanwhile
        leaves, found.torn = _whole_leaves(reader, layout, found)
        log = parse_log(leaves)
        found.header = log.header
        head = parse_checkpoint(open_note(note, [PublicKey.parse(key) for key in log.header.keys]).text)
        if head.size > len(leaves) or head.root != root([leaf_hash(leaf) for leaf in leaves[: head.size]]):
            raise VerificationError(
                f"{RECORDS} does not have the root of its checkpoint",
                expected=f"{head.size} records with the root {head.root.hex()}",
                found=f"{counted(len(leaves), 'record')}",
            )
        found.head, found.log, found.unsigned = head, log, len(leaves) - head.size
        signed = log.segments[: max(head.size - 2, 0)]
        found.recorded = found.steps = signed[-1].last if signed else 0


def _whole_leaves(reader: RunFolder, layout: Layout, found: _Found) -> tuple[list[bytes], bool]:
    """The log's leaves, and whether a torn one follows them."""
    with reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as file:
        leaves, size = whole_leaves(file)
        torn = size < os.fstat(file.fileno()).st_size
    if torn and not _resumable(layout, found):
        raise VerificationError(f"{RECORDS} has a torn record at its end", record=len(leaves))
    return leaves, torn


def _read_journal(layout: Layout, found: _Found) -> None:
    """How far the journal has got, by its file names alone. RunError for what no crash leaves."""
    header, leaf = read_header(layout)
    found.header = header
    journal = Journal(layout.segments, header, header_digest(leaf), Files())
    begun: Sequence[int] = journal.segments()
    numbers = [number for segment in begun[-2:] for number in journal.steps(segment)]
    found.steps = max([found.recorded, *numbers])
    settled = len(found.log.segments) if found.log else 0
    if begun and begun[-1] >= settled:
        found.waiting = begun[-1] - settled
    elif found.log is None or found.log.close is None:
        raise RunError(
            f"{layout.segments} has no segment {settled}, where the run would be resumed; restore it from a copy"
        )


def _measured(path: Path) -> tuple[int, int, float]:
    """Bytes in the run's public part and in its private one, and when something in it was last
    changed."""
    changed = 0.0
    with suppress(OSError):
        changed = path.stat().st_mtime
    public, private = _Measure(changed), _Measure(0.0)
    public.walk(path, 1, {PRIVATE: private})
    return public.bytes, private.bytes, max(public.changed, private.changed)


@dataclass(slots=True)
class _Measure:
    """Of a folder's files. Links are not followed, what can't be inspected isn't counted, and of
    what is not a run's (deeper folders, more entries) not everything is."""

    changed: float
    bytes: int = 0
    entries: int = 0

    def walk(self, folder: Path | str, depth: int, apart: "Mapping[str, _Measure]") -> None:
        """Folders named like one of `apart` are measured there."""
        with suppress(OSError), os.scandir(folder) as entries:  # a trainer is at work, or it is somebody else's
            for entry in entries:
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    return
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH:
                            apart.get(entry.name, self).walk(entry.path, depth + 1, {})
                        continue
                    status = entry.stat(follow_symlinks=False)
                    self.bytes += status.st_size
                    self.changed = max(self.changed, status.st_mtime)


def kept_names(layout: Layout) -> list[str]:
    """What forgetting would still delete in the private folder of a run."""
    left = (layout.lock, layout.forgotten, layout.ignore)
    return sorted(name for name in names_in(layout.private) if layout.private / name not in left)
