"""What lies in a run's directory, looked at from outside: nothing is changed, and nothing is judged (that is zk-verify's).

A run is *finished* if its log has a close record under its checkpoint, *damaged* if no resume could go on with it and no verifier would
take it, else *unfinished*. What a crash leaves is no damage: the next resume repairs it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import Checkpoint, open_note, parse_checkpoint
from zk_autograd.core.record_forms import parse_log
from zk_autograd.core.records import Header, Log, header_digest
from zk_autograd.core.text import counted
from zk_autograd.run.files import Files, exists, is_own_folder, names_in
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import CHECKPOINT, LOG, PRIVATE, RECORDS, Layout
from zk_autograd.run.lock import holder
from zk_autograd.run.marker import forgotten_on
from zk_autograd.run.reader import RunReader
from zk_autograd.run.recovery import read_header


class Condition(StrEnum):
    """How a run stands."""

    UNFINISHED = "unfinished"
    FINISHED = "finished"
    DAMAGED = "damaged"


class Secrets(StrEnum):
    """What became of a run's private folder. ABSENT: this is a copy without it, as a stranger has it."""

    KEPT = "kept"
    FORGOTTEN = "forgotten"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run. Steps: `steps` are in the journal, `recorded` of them in the log under its checkpoint. `waiting` segments are sealed and
    not yet recorded. `reason` says what is damaged, `repairs` what the next resume does first. Sizes are in bytes, `changed` is a
    POSIX time; `trainer` the process that holds the lock.
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
    forgotten: str | None
    public_bytes: int
    private_bytes: int
    changed: float
    trainer: str | None

    @property
    def proved(self) -> int:
        """How many steps have a proof in the log."""
        return self.recorded if self.header is not None and self.header.prover.backend != "none" else 0


def find_runs(folder: Path) -> list[Path]:
    """The runs directly in a folder, in order of their names. UsageError if there is no such folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UsageError(f"{folder} holds no runs: {error.strerror}") from error
    return [folder / name for name in names if is_run(folder / name)]


def is_run(path: Path) -> bool:
    """Whether something at `path` looks like a run, be it a broken one."""
    return any(os.path.isdir(path / part) for part in (LOG, PRIVATE))


def look_at(path: Path) -> RunStatus:
    """The run at `path`. UsageError if there is none."""
    if not is_run(path):
        raise UsageError(f"there is no run at {path}: name a folder that a training made")
    layout = Layout(path)
    public, private, changed = _measured(path)
    found = _Found()
    trainer = forgotten = None
    secrets = Secrets.KEPT if is_own_folder(layout.private) else Secrets.ABSENT
    try:
        if secrets is Secrets.KEPT:
            trainer = holder(layout.lock)
            if (forgotten := forgotten_on(layout)) is not None:
                secrets = Secrets.FORGOTTEN
        elif exists(layout.private):
            raise RunError(f"{layout.private} is a link or no folder, and nothing is read behind it")
        _read_log(layout, found)
        if secrets is Secrets.KEPT:
            _read_journal(layout, found)
        elif found.log is None:
            raise RunError("it has no records")
        reason = ""
    except (VerificationError, RunError, UsageError) as error:
        reason = str(error)
    finished = found.log is not None and found.log.close is not None and not found.unsigned
    condition = Condition.DAMAGED if reason else Condition.FINISHED if finished else Condition.UNFINISHED
    return RunStatus(
        path=path,
        condition=condition,
        reason=reason,
        header=found.header,
        head=found.head,
        steps=found.steps,
        recorded=found.recorded,
        waiting=found.waiting,
        repairs=() if reason or finished else tuple(found.repairs()),
        secrets=secrets,
        forgotten=forgotten,
        public_bytes=public,
        private_bytes=private,
        changed=changed,
        trainer=trainer,
    )


@dataclass(slots=True)
class _Found:
    """What was read so far. `unsigned` records are whole, and not under the checkpoint."""

    header: Header | None = None
    log: Log | None = None
    head: Checkpoint | None = None
    torn: bool = False
    unsigned: int = 0
    steps: int = 0
    recorded: int = 0
    waiting: int = 0

    def repairs(self) -> Iterator[str]:
        if self.torn:
            yield "drop the record that a crash tore"
        if self.unsigned:
            yield f"compare {counted(self.unsigned, 'record')} with the journal, and sign them"
        if self.waiting:
            made = "prove and record" if self.header and self.header.prover.backend != "none" else "record"
            yield f"{made} {counted(self.waiting, 'segment')} that are sealed already"
        yield f"go on after step {self.steps}"


def _read_log(layout: Layout, found: _Found) -> None:
    """The records under the checkpoint. Raises VerificationError for what no crash leaves."""
    with RunReader(layout.root) as reader:
        if not exists(layout.log / CHECKPOINT) and exists(layout.header):  # a crash before the first one
            if exists(layout.log / RECORDS):
                leaves, found.torn = _whole_leaves(reader, layout)
                found.unsigned = len(leaves)
                found.log = parse_log(leaves) if leaves else None
            return
        note = reader.checkpoint()  # before the log, which may grow meanwhile
        leaves, found.torn = _whole_leaves(reader, layout)
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


def _whole_leaves(reader: RunReader, layout: Layout) -> tuple[list[bytes], bool]:
    """The log's leaves, and whether a torn one follows them."""
    try:
        return reader.leaves(), False
    except VerificationError as error:
        if error.found != "the end of the file" or not exists(layout.header):
            raise
    with reader.opened(f"{LOG}/{RECORDS}", 2**40) as fd, open(fd, "rb", closefd=False) as file:
        return file.read().split(b"\n")[:-1], True


def _read_journal(layout: Layout, found: _Found) -> None:
    """How far the journal has come; only names are looked at. RunError for what no crash leaves."""
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
            f"{layout.segments} has no segment {settled}, with which the run would go on; restore it from a copy"
        )


def _measured(path: Path) -> tuple[int, int, float]:
    """Bytes in the run's public part and in its private one, and when something in it was last changed."""
    sizes = {True: 0, False: 0}
    changed = path.stat().st_mtime
    for folder, _, names in os.walk(path):
        private = Path(folder).relative_to(path).parts[:1] == (PRIVATE,)
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:  # a trainer is at work, or it is another's
                continue
            sizes[private] += status.st_size
            changed = max(changed, status.st_mtime)
    return sizes[False], sizes[True], changed


def kept_names(layout: Layout) -> list[str]:
    """What is left in the private folder of a run that forgetting would delete."""
    return sorted(
        name for name in names_in(layout.private) if layout.private / name not in (layout.lock, layout.forgotten)
    )
